//! A cached value of a store: read once every five minutes, by one caller.

use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use futures_util::lock;
use parking_lot::Mutex;

use crate::clock::{Clock, later};
use crate::{Error, Result};

/// The age at which a value is read again: a rotation is noticed after this time at the latest.
pub(super) const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The same for a key without a value: a person may just be adding it.
const MISSING_LIFETIME: Duration = Duration::from_secs(10);

/// How long other callers receive the same error.
const ERROR_LIFETIME: Duration = Duration::from_secs(1);

/// The pause between two reads of a store that is down, while the old value is used.
const PAUSE: Duration = Duration::from_secs(30);

/// The longest read without an old value.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest read with an old value.
const SHORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The last result of reading a value. `V` is cheap to clone.
pub(super) struct Cache<V> {
    last: Mutex<Option<Last<V>>>,
    reading: lock::Mutex<()>,
}

struct Last<V> {
    result: Result<Option<V>>,
    /// When it was stored. A clock that shows an earlier time was set back.
    stored: SystemTime,
    /// When it is read again.
    next: SystemTime,
    /// Did the last read fail, and is this an older value?
    is_old: bool,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { last: Mutex::new(None), reading: lock::Mutex::new(()) }
    }
}

impl<V: Clone> Cache<V> {
    /// The last result, or that of `read` if it is too old.
    ///
    /// Concurrent callers share one read; those with an old value do not wait for it. If the read fails with an error that a
    /// later attempt may not have, the old value stays.
    pub(super) async fn get(
        &self,
        clock: &dyn Clock,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<V>> {
        if let Some(result) = self.fresh(clock.now()) {
            return result;
        }
        let _one = match (self.reading.try_lock(), self.old()) {
            (Some(one), _) => one,
            (None, Some(old)) => return Ok(Some(old)),
            (None, None) => self.reading.lock().await,
        };
        if let Some(result) = self.fresh(clock.now()) {
            return result;
        }
        let timeout = if self.old().is_some() { SHORT_TIMEOUT } else { TIMEOUT };
        let read = std::pin::pin!(read);
        let result = match select(read, clock.sleep(timeout)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(Error::timeout(format!("the store did not answer within {} s", timeout.as_secs()))),
        };
        self.store(result, clock.now())
    }

    fn fresh(&self, now: SystemTime) -> Option<Result<Option<V>>> {
        let last = self.last.lock();
        let last = last.as_ref().filter(|last| (last.stored..last.next).contains(&now))?;
        Some(last.result.clone())
    }

    fn old(&self) -> Option<V> {
        self.last.lock().as_ref()?.result.as_ref().ok()?.clone()
    }

    fn store(&self, result: Result<Option<V>>, now: SystemTime) -> Result<Option<V>> {
        let mut last = self.last.lock();
        let lifetime = match &result {
            Ok(Some(_)) => LIFETIME,
            Ok(None) => MISSING_LIFETIME,
            Err(error) => match &mut *last {
                Some(old) if error.is_retryable() && matches!(old.result, Ok(Some(_))) => {
                    if !old.is_old {
                        tracing::warn!(%error, "a value cannot be read again; its old version is used");
                    }
                    (old.stored, old.next, old.is_old) = (now, later(now, PAUSE), true);
                    return old.result.clone();
                }
                _ => ERROR_LIFETIME,
            },
        };
        *last = Some(Last { result: result.clone(), stored: now, next: later(now, lifetime), is_old: false });
        result
    }
}
