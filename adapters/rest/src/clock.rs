//! The machine's clock, and the timer of the pool.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use isobar_abstraction::driver::Clock;

/// The machine's clock, waiting on the tokio runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The timer by which the pool measures how long a connection has been idle.
///
/// It uses the wall clock: while a platform has frozen the machine, its monotonic clock may not advance,
/// but the peer of a connection continues to count.
#[derive(Debug, Clone)]
pub(crate) struct PoolTimer {
    clock: Arc<dyn Clock>,
    origin: (Instant, SystemTime),
}

impl PoolTimer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let origin = (Instant::now(), clock.now());
        Self { clock, origin }
    }
}

impl Timer for PoolTimer {
    fn now(&self) -> Instant {
        let (instant, time) = self.origin;
        let passed = self.clock.now().duration_since(time).unwrap_or_default();
        instant.checked_add(passed).unwrap_or(instant)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}
