//! The clock of the machine.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use isobar_abstraction::Clock;

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

/// A clock that is also set back, as a person does, or a battery that was empty.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct SetClock {
    steady: isobar_abstraction::ManualClock,
    back: std::sync::Arc<parking_lot::Mutex<Duration>>,
}

#[cfg(test)]
impl SetClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.steady.advance(by);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        *self.back.lock() += by;
    }
}

#[cfg(test)]
impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        self.steady.now() - *self.back.lock()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.steady.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.steady.pause(duration)
    }
}
