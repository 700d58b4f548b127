//! Keeps a token, and renews it in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use isobar_abstraction::{Clock, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::{Found, Source};

/// How long before it expires a token is renewed, the jitter not counted.
const MARGIN: Duration = Duration::from_secs(300);

/// Most that is added to the margin, so that not all processes renew at once.
const JITTER: Duration = Duration::from_secs(60);

/// Shortest time between two renewals of a token that is still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long an error is the answer to others who ask, where there is no token.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait for a renewal of a token that is still good.
const PATIENCE: Duration = Duration::from_secs(5);

/// The token of a source, fetched by one caller at a time.
#[derive(Debug)]
pub(super) struct Cache<S> {
    source: S,
    /// The wall clock: a monotonic one stands still while a machine is frozen.
    clock: Arc<dyn Clock>,
    flight: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
}

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Token {
        token: Arc<str>,
        came: SystemTime,
        renew: SystemTime,
        expires: SystemTime,
    },
    Error {
        error: Error,
        came: SystemTime,
    },
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Token { expires, .. } => f.debug_struct("Token").field("expires", expires).finish_non_exhaustive(),
            Self::Error { error, .. } => f.debug_tuple("Error").field(error).finish(),
        }
    }
}

/// What is held is …
enum Look {
    /// … to be used.
    Good(Arc<str>),
    /// … to be used if nobody can renew it.
    Due(Arc<str>),
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
    pub(super) async fn get(&self) -> Result<Arc<str>> {
        let flight = match self.look() {
            Look::Good(token) => return Ok(token),
            Look::Failed(error) => return Err(error),
            // One renews; the others go on with what is still good.
            Look::Due(token) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(token),
            },
            Look::Nothing => self.flight.lock().await,
        };
        let old = match self.look() {
            Look::Good(token) => return Ok(token),
            Look::Failed(error) => return Err(error),
            Look::Due(token) => Some(token),
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

    /// What the source gives, if it does not hang.
    async fn find_soon(&self) -> Result<Found> {
        match select(self.source.find(), self.clock.sleep(PATIENCE)).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Err(Error::new(ErrorKind::Timeout, format!("no token came within {PATIENCE:?}"))),
        }
    }

    fn look(&self) -> Look {
        let now = self.clock.now();
        match &*self.held.lock() {
            Held::Token { expires, .. } if *expires <= now => Look::Nothing,
            Held::Token { token, renew, .. } if *renew <= now => Look::Due(Arc::clone(token)),
            Held::Token { token, .. } => Look::Good(Arc::clone(token)),
            Held::Error { error, came } if is_within(ERROR_PAUSE, *came, now) => Look::Failed(error.duplicate()),
            Held::Error { .. } | Held::Nothing => Look::Nothing,
        }
    }

    /// The next renewal, where a token is at hand.
    fn put_off(&self) {
        let next = self.clock.now() + PAUSE + jitter();
        if let Held::Token { renew, .. } = &mut *self.held.lock() {
            *renew = next;
        }
    }

    fn keep(&self, found: Result<Found>, old: Option<Arc<str>>) -> Result<Arc<str>> {
        let now = self.clock.now();
        let mut held = self.held.lock();
        match (found, old) {
            (Ok(found), _) => {
                let token = Arc::clone(&found.token);
                *held = fresh(found, now);
                Ok(token)
            }
            (Err(error), Some(old)) => {
                tracing::warn!(error = %error, "the token of the identity cannot be renewed; that at hand is still good");
                Ok(old)
            }
            (Err(error), None) => {
                *held = Held::Error { error: error.duplicate(), came: now };
                Err(error)
            }
        }
    }

    /// Forgets `expired`, if it is still what is held, and not new.
    pub(super) fn reject(&self, expired: &Arc<str>) {
        let now = self.clock.now();
        let mut held = self.held.lock();
        if let Held::Token { token, came, .. } = &*held
            && Arc::ptr_eq(token, expired)
            && !is_within(PAUSE, *came, now)
        {
            *held = Held::Nothing;
        }
    }
}

/// Has no more than `span` passed since then? What came in the future, before the clock was set back, is
/// of no age that is known.
fn is_within(span: Duration, came: SystemTime, now: SystemTime) -> bool {
    now.duration_since(came).is_ok_and(|age| age < span)
}

/// A token that seems expired when it comes is used for a while all the same: a metadata service in
/// trouble gives out what it last had, and our own clock may be wrong.
fn fresh(Found { token, expires }: Found, now: SystemTime) -> Held {
    if expires <= now {
        return Held::Token { token, came: now, renew: now + MARGIN + jitter(), expires: now + MARGIN * 2 };
    }
    let renew = expires.checked_sub(MARGIN + jitter()).unwrap_or(now).max(now + PAUSE);
    Held::Token { token, came: now, renew, expires }
}

fn jitter() -> Duration {
    JITTER.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests;
