//! Keeps credentials, and renews them in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isobar_abstraction::{Clock, Error, Result};
use parking_lot::Mutex;

use super::{Found, Source};
use crate::credentials::Credential;

/// How long before they expire credentials are renewed, the jitter not counted.
const MARGIN: Duration = Duration::from_secs(300);

/// Most that is added to the margin, so that not all processes renew at once.
const JITTER: Duration = Duration::from_secs(60);

/// Shortest time between two renewals of credentials that are still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long an error is the answer to others who ask, where there are no credentials.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Credentials of a source, fetched by one caller at a time.
#[derive(Debug)]
pub(super) struct Cache<S> {
    source: S,
    /// The wall clock: a monotonic one stands still while a Lambda function is frozen.
    clock: Arc<dyn Clock>,
    flight: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Credentials {
        credential: Arc<Credential>,
        account: Option<String>,
        renew: Option<SystemTime>,
        expires: Option<SystemTime>,
    },
    Error(Error, SystemTime),
}

/// What is held is …
enum Look {
    /// … to be used.
    Good(Arc<Credential>),
    /// … to be used if nobody can renew it.
    Due(Arc<Credential>),
    /// … the error of a moment ago.
    Failed(Error),
    /// … of no use.
    Nothing,
}

impl<S: Source> Cache<S> {
    pub(super) fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, flight: tokio::sync::Mutex::default(), held: Mutex::default() }
    }

    /// What is held, or what the source gives. However many ask, the source is asked once.
    pub(super) async fn get(&self) -> Result<Arc<Credential>> {
        let flight = match self.look() {
            Look::Good(credential) => return Ok(credential),
            Look::Failed(error) => return Err(error),
            // One renews; the others go on with what is still good.
            Look::Due(credential) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(credential),
            },
            Look::Nothing => self.flight.lock().await,
        };
        let old = match self.look() {
            Look::Good(credential) => return Ok(credential),
            Look::Failed(error) => return Err(error),
            Look::Due(credential) => Some(credential),
            Look::Nothing => None,
        };
        if old.is_some() {
            // Also for those who come after a renewal that its caller gave up.
            self.put_off();
        }
        let found = self.source.find().await;
        let result = self.keep(found, old);
        drop(flight);
        result
    }

    fn look(&self) -> Look {
        let now = self.clock.now();
        match &*self.held.lock() {
            Held::Credentials { expires: Some(expires), .. } if *expires <= now => Look::Nothing,
            Held::Credentials { credential, renew: Some(renew), .. } if *renew <= now => {
                Look::Due(Arc::clone(credential))
            }
            Held::Credentials { credential, .. } => Look::Good(Arc::clone(credential)),
            Held::Error(error, until) if now < *until => Look::Failed(error.duplicate()),
            Held::Error(..) | Held::Nothing => Look::Nothing,
        }
    }

    /// Nobody else asks for a while.
    fn put_off(&self) {
        if let Held::Credentials { renew, .. } = &mut *self.held.lock() {
            *renew = Some(self.clock.now() + PAUSE + jitter());
        }
    }

    fn keep(&self, found: Result<Found>, old: Option<Arc<Credential>>) -> Result<Arc<Credential>> {
        let now = self.clock.now();
        let mut held = self.held.lock();
        match (found, old) {
            (Ok(found), _) => {
                let credential = Arc::clone(&found.credential);
                *held = fresh(found, now);
                Ok(credential)
            }
            (Err(error), Some(old)) => {
                tracing::warn!(error = %error, "AWS credentials cannot be renewed; those at hand are still good");
                Ok(old)
            }
            (Err(error), None) => {
                *held = Held::Error(error.duplicate(), now + ERROR_PAUSE);
                Err(error)
            }
        }
    }

    /// Forgets `expired`, if it is still what is held.
    pub(super) fn reject(&self, expired: &Arc<Credential>) -> bool {
        let mut held = self.held.lock();
        if matches!(&*held, Held::Credentials { credential, .. } if Arc::ptr_eq(credential, expired)) {
            *held = Held::Nothing;
        }
        true
    }

    pub(super) fn account(&self) -> Option<String> {
        match &*self.held.lock() {
            Held::Credentials { account, .. } => account.clone(),
            _ => None,
        }
    }
}

/// Credentials that seem expired when they come are used for a while all the same: a metadata service
/// in trouble gives out what it last had and goes on taking it, and our own clock may be wrong.
fn fresh(found: Found, now: SystemTime) -> Held {
    let (renew, expires) = match found.expires {
        None => (None, None),
        Some(expires) if expires <= now => (Some(now + MARGIN + jitter()), Some(now + MARGIN * 2)),
        Some(expires) => {
            let renew = expires.checked_sub(MARGIN + jitter()).unwrap_or(now);
            (Some(renew.max(now + PAUSE)), Some(expires))
        }
    };
    Held::Credentials { credential: found.credential, account: found.account, renew, expires }
}

fn jitter() -> Duration {
    JITTER.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests;
