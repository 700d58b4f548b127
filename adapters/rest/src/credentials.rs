//! A cache of credentials that renews them before they expire.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// How long before its expiry a credential is renewed, without the jitter.
const MARGIN: Duration = Duration::from_secs(300);

/// The most that is added to the margin, so that not all processes renew at the same time.
const JITTER: Duration = Duration::from_secs(60);

/// The shortest time between two renewals of a valid credential.
const PAUSE: Duration = Duration::from_secs(30);

/// How long other callers receive the same error while no credential is cached.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait for the renewal of a valid credential.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A credential from a source: a token or keys, and when they expire.
pub struct TemporaryCredential<V: ?Sized> {
    /// The token or keys. Two values are the same where their addresses are.
    pub value: Arc<V>,
    /// When it expires; `None` for never.
    pub expires: Option<SystemTime>,
}

impl<V: ?Sized> Clone for TemporaryCredential<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), expires: self.expires }
    }
}

// The value is a secret.
impl<V: ?Sized> fmt::Debug for TemporaryCredential<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryCredential").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A source of credentials, such as a chain of sources.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The token or keys.
    type Value: ?Sized + Send + Sync;

    /// Reads a credential from the source.
    async fn find(&self) -> Result<TemporaryCredential<Self::Value>>;
}

/// The credential of a source, fetched by one caller at a time.
pub struct CredentialCache<S: CredentialSource> {
    source: S,
    /// The wall clock: a monotonic clock does not advance while a machine is frozen.
    clock: Arc<dyn Clock>,
    fetch: tokio::sync::Mutex<()>,
    cached: Mutex<Cached<S::Value>>,
}

impl<S: CredentialSource> fmt::Debug for CredentialCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").field("source", &self.source).field("cached", &*self.cached.lock()).finish()
    }
}

enum Cached<V: ?Sized> {
    Empty,
    Value { value: Arc<V>, fetched: SystemTime, renew: Option<SystemTime>, expires: Option<SystemTime> },
    Error { error: Error, fetched: SystemTime },
}

impl<V: ?Sized> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Value { expires, .. } => f.debug_struct("Value").field("expires", expires).finish_non_exhaustive(),
            Self::Error { error, .. } => f.debug_tuple("Error").field(error).finish(),
        }
    }
}

/// The state of the cache at the current time.
enum Look<V: ?Sized> {
    /// A valid credential.
    Good(Arc<V>),
    /// A valid credential that is due for renewal.
    Due(Arc<V>),
    /// The error of a recent fetch.
    Failed(Error),
    /// No usable credential.
    Empty,
}

impl<S: CredentialSource> CredentialCache<S> {
    /// An empty cache. The clock must be the machine's: credentials expire by the machine's time.
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, fetch: tokio::sync::Mutex::default(), cached: Mutex::new(Cached::Empty) }
    }

    /// The cached credential, or one from the source. Concurrent callers share one fetch.
    ///
    /// One caller renews the credential, five to six minutes before it expires and at the earliest half a
    /// minute after it was fetched. If the renewal fails or takes longer than five seconds, the cached
    /// credential stays in use while it is valid. Errors: the source's.
    pub async fn get(&self) -> Result<Arc<S::Value>> {
        let fetch = match self.look() {
            Look::Good(value) => return Ok(value),
            Look::Failed(error) => return Err(error),
            // One caller renews; the others use the credential that is still valid.
            Look::Due(value) => match self.fetch.try_lock() {
                Ok(fetch) => fetch,
                Err(_) => return Ok(value),
            },
            Look::Empty => self.fetch.lock().await,
        };
        let old = match self.look() {
            Look::Good(value) => return Ok(value),
            Look::Failed(error) => return Err(error),
            Look::Due(value) => Some(value),
            Look::Empty => None,
        };
        // Before the fetch: the caller may be cancelled while it waits.
        self.postpone_renewal();
        let found = match &old {
            Some(_) => self.find_soon().await,
            None => self.source.find().await,
        };
        let result = self.store(found, old);
        drop(fetch);
        result
    }

    /// The cached credential, if there is one. Does not fetch.
    pub fn current(&self) -> Option<Arc<S::Value>> {
        match &*self.cached.lock() {
            Cached::Value { value, .. } => Some(Arc::clone(value)),
            Cached::Empty | Cached::Error { .. } => None,
        }
    }

    /// Removes a credential that a service rejected, if it is still the cached one. A credential that was fetched
    /// less than half a minute ago stays: a new one would be rejected as well. Returns whether a retry may get another
    /// credential.
    pub fn reject(&self, rejected: &Arc<S::Value>) -> bool {
        let now = self.clock.now();
        let mut cached = self.cached.lock();
        match &*cached {
            Cached::Value { value, fetched, .. } if Arc::ptr_eq(value, rejected) => {
                let new = is_within(PAUSE, *fetched, now);
                if !new {
                    *cached = Cached::Empty;
                }
                !new
            }
            _ => true,
        }
    }

    /// Replaces a credential that a service rejected. Returns whether another one was found.
    pub async fn renew(&self, rejected: &Arc<S::Value>) -> bool {
        self.reject(rejected) && self.get().await.is_ok_and(|value| !Arc::ptr_eq(&value, rejected))
    }

    /// Makes the cached credential half a minute older, so that it can be rejected: for the tests of adapters,
    /// whose services use the machine's time.
    #[doc(hidden)]
    pub fn age(&self) {
        if let Cached::Value { fetched, .. } = &mut *self.cached.lock() {
            *fetched -= PAUSE;
        }
    }

    /// Fetches with a timeout.
    async fn find_soon(&self) -> Result<TemporaryCredential<S::Value>> {
        match select(self.source.find(), self.clock.sleep(RENEWAL_TIMEOUT)).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("the source of credentials did not answer within {RENEWAL_TIMEOUT:?}"),
            )),
        }
    }

    fn look(&self) -> Look<S::Value> {
        let now = self.clock.now();
        match &*self.cached.lock() {
            Cached::Value { expires: Some(expires), .. } if *expires <= now => Look::Empty,
            Cached::Value { value, renew: Some(renew), .. } if *renew <= now => Look::Due(Arc::clone(value)),
            Cached::Value { value, .. } => Look::Good(Arc::clone(value)),
            Cached::Error { error, fetched } if is_within(ERROR_PAUSE, *fetched, now) => Look::Failed(error.clone()),
            Cached::Error { .. } | Cached::Empty => Look::Empty,
        }
    }

    /// Sets the next renewal of the cached credential.
    fn postpone_renewal(&self) {
        let next = later(self.clock.now(), PAUSE + jitter());
        if let Cached::Value { renew, .. } = &mut *self.cached.lock() {
            *renew = Some(next);
        }
    }

    fn store(&self, found: Result<TemporaryCredential<S::Value>>, old: Option<Arc<S::Value>>) -> Result<Arc<S::Value>> {
        let now = self.clock.now();
        let mut cached = self.cached.lock();
        match (found, old) {
            (Ok(found), _) => {
                let value = Arc::clone(&found.value);
                *cached = new_entry(found, now);
                Ok(value)
            }
            (Err(error), Some(old)) => {
                tracing::warn!(error = %error, "the credentials cannot be renewed; the cached ones are still valid");
                Ok(old)
            }
            (Err(error), None) => {
                *cached = Cached::Error { error: error.clone(), fetched: now };
                Err(error)
            }
        }
    }
}

/// Whether less than `span` has passed since `start`. Of a start in the future, from before the clock was set back, the
/// age is unknown: `false`.
fn is_within(span: Duration, start: SystemTime, now: SystemTime) -> bool {
    now.duration_since(start).is_ok_and(|age| age < span)
}

/// The cache entry of a fetched credential. One that is already expired is used for a while nevertheless: a metadata
/// service with a fault returns its last credential, which the services still accept, and the machine's clock may be
/// wrong.
fn new_entry<V: ?Sized>(TemporaryCredential { value, expires }: TemporaryCredential<V>, now: SystemTime) -> Cached<V> {
    let (renew, expires) = match expires {
        None => (None, None),
        Some(expires) if expires <= now => (Some(later(now, MARGIN + jitter())), Some(later(now, MARGIN * 2))),
        Some(expires) => {
            let renew = expires.checked_sub(MARGIN + jitter()).unwrap_or(now);
            (Some(renew.max(later(now, PAUSE))), Some(expires))
        }
    };
    Cached::Value { value, fetched: now, renew, expires }
}

fn jitter() -> Duration {
    JITTER.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests;
