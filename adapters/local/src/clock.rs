//! A clock for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Clock;
use parking_lot::Mutex;

/// A manual clock that can also be set back.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetClock {
    steady: ManualClock,
    back: Arc<Mutex<Duration>>,
}

impl SetClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.steady.advance(by);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        *self.back.lock() += by;
    }
}

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
