//! A clock that remembers for how long an answer was held back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use isobar::clock::ManualClock;
use isobar::driver::Clock;
use parking_lot::Mutex;

/// The trial's clock. On Service Bus and Pub/Sub a message with an ordering key waits while its answer is held
/// back, which the host does by a pause; on a clock that stands still, that ends at once. So the pause is kept
/// here, and the double of the platform hides the message for as long.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldClock {
    pub(super) manual: ManualClock,
    last: Arc<Mutex<Duration>>,
}

impl HeldClock {
    /// The last pause since this was asked before.
    pub(super) fn take(&self) -> Duration {
        std::mem::take(&mut *self.last.lock())
    }
}

impl Clock for HeldClock {
    fn now(&self) -> SystemTime {
        self.manual.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.manual.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.last.lock() = duration;
        self.manual.pause(duration)
    }
}
