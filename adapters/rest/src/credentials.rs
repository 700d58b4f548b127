//! Keeps what shows who we are, and renews it in time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// How long before it expires what is held is renewed, the jitter not counted.
const MARGIN: Duration = Duration::from_secs(300);

/// Most that is added to the margin, so that not all processes renew at once.
const JITTER: Duration = Duration::from_secs(60);

/// Shortest time between two renewals of what is still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long an error is the answer to others who ask, where nothing is held.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait for a renewal of what is still good.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a source gave: a token, or keys.
pub struct TemporaryCredential<V: ?Sized> {
    /// It, compared by its address.
    pub value: Arc<V>,
    /// Good until then; forever without it.
    pub expires: Option<SystemTime>,
}

impl<V: ?Sized> Clone for TemporaryCredential<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), expires: self.expires }
    }
}

/// The value is a secret.
impl<V: ?Sized> fmt::Debug for TemporaryCredential<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryCredential").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A source of credentials, such as a chain of sources.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// What it gives.
    type Value: ?Sized + Send + Sync;

    /// Asks for it.
    async fn find(&self) -> Result<TemporaryCredential<Self::Value>>;
}

/// What a source gave, fetched by one caller at a time.
pub struct CredentialCache<S: CredentialSource> {
    source: S,
    /// The wall clock: a monotonic one stands still while a machine is frozen.
    clock: Arc<dyn Clock>,
    flight: tokio::sync::Mutex<()>,
    held: Mutex<Held<S::Value>>,
}

impl<S: CredentialSource> fmt::Debug for CredentialCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").field("source", &self.source).field("held", &*self.held.lock()).finish()
    }
}

enum Held<V: ?Sized> {
    Nothing,
    Value { value: Arc<V>, came: SystemTime, renew: Option<SystemTime>, expires: Option<SystemTime> },
    Error { error: Error, came: SystemTime },
}

impl<V: ?Sized> fmt::Debug for Held<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Value { expires, .. } => f.debug_struct("Value").field("expires", expires).finish_non_exhaustive(),
            Self::Error { error, .. } => f.debug_tuple("Error").field(error).finish(),
        }
    }
}

/// What is held is …
enum Look<V: ?Sized> {
    /// … to be used.
    Good(Arc<V>),
    /// … to be used if nobody can renew it.
    Due(Arc<V>),
    /// … the error of a moment ago.
    Failed(Error),
    /// … of no use.
    Nothing,
}

impl<S: CredentialSource> CredentialCache<S> {
    /// Holds nothing yet. The clock is to be the machine's: what expires does so by that.
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, flight: tokio::sync::Mutex::default(), held: Mutex::new(Held::Nothing) }
    }

    /// What is held, or what the source gives. However many ask, the source is asked once.
    ///
    /// It is renewed five to six minutes before it expires, by one caller, and no sooner than half a
    /// minute after it came; a renewal that fails, or takes longer than five seconds, leaves what is
    /// still good. Errors: the source's.
    pub async fn get(&self) -> Result<Arc<S::Value>> {
        let flight = match self.look() {
            Look::Good(value) => return Ok(value),
            Look::Failed(error) => return Err(error),
            // One renews; the others go on with what is still good.
            Look::Due(value) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(value),
            },
            Look::Nothing => self.flight.lock().await,
        };
        let old = match self.look() {
            Look::Good(value) => return Ok(value),
            Look::Failed(error) => return Err(error),
            Look::Due(value) => Some(value),
            Look::Nothing => None,
        };
        // Before the question: whoever asks may be cancelled while waiting for the answer.
        self.put_off();
        let found = match &old {
            Some(_) => self.find_soon().await,
            None => self.source.find().await,
        };
        let result = self.keep(found, old);
        drop(flight);
        result
    }

    /// What is held now, if anything is; the source is not asked.
    pub fn current(&self) -> Option<Arc<S::Value>> {
        match &*self.held.lock() {
            Held::Value { value, .. } => Some(Arc::clone(value)),
            Held::Nothing | Held::Error { .. } => None,
        }
    }

    /// Forgets what a service refused, if it is still what is held, unless it has only just come: another
    /// would be refused as well. Is there a chance of another?
    pub fn reject(&self, refused: &Arc<S::Value>) -> bool {
        let now = self.clock.now();
        let mut held = self.held.lock();
        match &*held {
            Held::Value { value, came, .. } if Arc::ptr_eq(value, refused) => {
                let new = is_within(PAUSE, *came, now);
                if !new {
                    *held = Held::Nothing;
                }
                !new
            }
            _ => true,
        }
    }

    /// After a service has refused this: is there another?
    pub async fn renew(&self, refused: &Arc<S::Value>) -> bool {
        self.reject(refused) && self.get().await.is_ok_and(|value| !Arc::ptr_eq(&value, refused))
    }

    /// As if what is held had come a while ago, so that it can be refused: for the tests of adapters,
    /// whose services go by the machine's time.
    #[doc(hidden)]
    pub fn age(&self) {
        if let Held::Value { came, .. } = &mut *self.held.lock() {
            *came -= PAUSE;
        }
    }

    /// What the source gives, if it does not hang.
    async fn find_soon(&self) -> Result<TemporaryCredential<S::Value>> {
        match select(self.source.find(), self.clock.sleep(PATIENCE)).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Err(Error::new(ErrorKind::Timeout, format!("nothing came within {PATIENCE:?}"))),
        }
    }

    fn look(&self) -> Look<S::Value> {
        let now = self.clock.now();
        match &*self.held.lock() {
            Held::Value { expires: Some(expires), .. } if *expires <= now => Look::Nothing,
            Held::Value { value, renew: Some(renew), .. } if *renew <= now => Look::Due(Arc::clone(value)),
            Held::Value { value, .. } => Look::Good(Arc::clone(value)),
            Held::Error { error, came } if is_within(ERROR_PAUSE, *came, now) => Look::Failed(error.clone()),
            Held::Error { .. } | Held::Nothing => Look::Nothing,
        }
    }

    /// The next renewal, where something is held.
    fn put_off(&self) {
        let next = later(self.clock.now(), PAUSE + jitter());
        if let Held::Value { renew, .. } = &mut *self.held.lock() {
            *renew = Some(next);
        }
    }

    fn keep(&self, found: Result<TemporaryCredential<S::Value>>, old: Option<Arc<S::Value>>) -> Result<Arc<S::Value>> {
        let now = self.clock.now();
        let mut held = self.held.lock();
        match (found, old) {
            (Ok(found), _) => {
                let value = Arc::clone(&found.value);
                *held = fresh(found, now);
                Ok(value)
            }
            (Err(error), Some(old)) => {
                tracing::warn!(error = %error, "the credentials cannot be renewed; those at hand are still good");
                Ok(old)
            }
            (Err(error), None) => {
                *held = Held::Error { error: error.clone(), came: now };
                Err(error)
            }
        }
    }
}

/// Has no more than `span` passed since then? What came in the future, before the clock was set back, is
/// of no age that is known.
fn is_within(span: Duration, came: SystemTime, now: SystemTime) -> bool {
    now.duration_since(came).is_ok_and(|age| age < span)
}

/// What seems expired when it comes is used for a while all the same: a metadata service in trouble gives
/// out what it last had, and goes on taking it, and our own clock may be wrong.
fn fresh<V: ?Sized>(TemporaryCredential { value, expires }: TemporaryCredential<V>, now: SystemTime) -> Held<V> {
    let (renew, expires) = match expires {
        None => (None, None),
        Some(expires) if expires <= now => (Some(later(now, MARGIN + jitter())), Some(later(now, MARGIN * 2))),
        Some(expires) => {
            let renew = expires.checked_sub(MARGIN + jitter()).unwrap_or(now);
            (Some(renew.max(later(now, PAUSE))), Some(expires))
        }
    };
    Held::Value { value, came: now, renew, expires }
}

fn jitter() -> Duration {
    JITTER.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests;
