//! A clock that remembers for how long a response was delayed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use isobar::clock::ManualClock;
use isobar::driver::Clock;
use parking_lot::Mutex;

/// The trial's clock. On Service Bus and Pub/Sub the host delays the response to a message with an ordering key by a
/// pause, and the message waits that long. On a manual clock a pause ends immediately, so its length is kept here, and
/// the double of the platform hides the message for as long.
#[derive(Debug, Clone, Default)]
pub(super) struct PauseClock {
    pub(super) manual: ManualClock,
    last: Arc<Mutex<Duration>>,
}

impl PauseClock {
    /// The last pause since the previous call.
    pub(super) fn take_pause(&self) -> Duration {
        std::mem::take(&mut *self.last.lock())
    }
}

impl Clock for PauseClock {
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
