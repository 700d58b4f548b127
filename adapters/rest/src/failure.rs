//! Why no whole answer came, in words for whoever has to mend it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::Error as HyperError;
use isobar_abstraction::{BoxError, Error, ErrorKind, Result};

use crate::connect::Served;

/// Why no whole answer came.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the caller. It does not say whether the outcome is unknown: that depends on the call.
    pub(crate) error: Error,
    /// May the service have got the request? Where not, it was surely not applied.
    pub(crate) sent: bool,
    /// What another attempt is worth.
    pub(crate) again: Again,
}

/// What another attempt is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The pooled connection was dead, which says nothing of the service: a new one may be tried at once.
    AtOnce,
    /// It may go better after a while.
    Later,
    /// It will fail again.
    Never,
}

impl Failure {
    /// Nothing was sent, and nothing will be: the request or the configuration is wrong.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, sent: false, again: Again::Never }
    }
}

/// The host and port of a request: all that an error says of its URL.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    name: String,
    pub(crate) secure: bool,
}

impl Target {
    /// Errors: `Config` where the URL is not one that this client can ask.
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Error::config("the URL of a service must begin with https:// or http:// and a host"));
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(Error::config(format!("a service is reached by https or http, not by `{scheme}`")));
        }
        // hyper-util would log them with the key of the pool.
        if authority.as_str().contains('@') {
            return Err(Error::config("the URL of a service must not carry credentials"));
        }
        if authority.host().is_empty() {
            return Err(Error::config("the URL of a service has no host"));
        }
        Ok(Self { name: authority.as_str().to_owned(), secure: *scheme == Scheme::HTTPS })
    }

    /// No head of an answer came.
    pub(crate) fn unanswered(&self, source: HyperError) -> Failure {
        if source.is_connect() {
            return self.unreached(source);
        }
        let reused = source.connect_info().is_some_and(Served::did);
        let unsent = find::<hyper::Error>(&source).is_some_and(hyper::Error::is_canceled);
        let again = if reused || unsent { Again::AtOnce } else { Again::Later };
        let message = match find::<hyper::Error>(&source) {
            Some(cause) if cause.is_parse() => format!("{self} does not speak HTTP as it should"),
            _ => format!("{self} closed the connection before it answered"),
        };
        Failure { error: unavailable(message, source), sent: !unsent, again }
    }

    fn unreached(&self, source: HyperError) -> Failure {
        let certificate = match find::<rustls::Error>(&source) {
            Some(rustls::Error::InvalidCertificate(reason)) => Some(reason.to_string()),
            _ => None,
        };
        let again = if certificate.is_some() { Again::Never } else { Again::Later };
        let message = match certificate {
            Some(reason) => format!(
                "the certificate of {self} is not trusted: {reason}; if it is right, name its authority in the CA bundle"
            ),
            None => format!("cannot connect to {self}"),
        };
        Failure { error: unavailable(message, source), sent: false, again }
    }

    /// The answer began, and broke off.
    pub(crate) fn broke_off(&self, source: impl Into<BoxError>) -> Failure {
        let error = unavailable(format!("the answer of {self} broke off"), source);
        Failure { error, sent: true, again: Again::Later }
    }

    /// The answer is larger than `limit` bytes.
    pub(crate) fn too_large(&self, limit: usize) -> Failure {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let message = format!("the answer of {self} is larger than {limit} bytes");
        Failure { error: Error::new(ErrorKind::TooLarge, message).with_limit(limit), sent: true, again: Again::Never }
    }

    /// The time was up.
    pub(crate) fn late(&self, limit: Limit, sent: bool) -> Failure {
        let message = match limit.by {
            LimitedBy::Attempt => format!("{self} did not answer within {:?}", limit.time),
            LimitedBy::Deadline => format!("the invocation's deadline came before {self} answered"),
        };
        let again = if limit.by == LimitedBy::Deadline { Again::Never } else { Again::Later };
        Failure { error: Error::new(ErrorKind::Timeout, message), sent, again }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)
    }
}

/// How long something may take, and why no longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    pub(crate) by: LimitedBy,
}

/// Why something may take no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitedBy {
    /// That is how long one attempt may take.
    Attempt,
    /// The invocation ends.
    Deadline,
}

impl Limit {
    /// `time`, but no more than what is left of the invocation.
    pub(crate) fn new(time: Duration, left: Option<Duration>) -> Self {
        match left {
            Some(left) if left < time => Self { time: left, by: LimitedBy::Deadline },
            _ => Self { time, by: LimitedBy::Attempt },
        }
    }
}

fn unavailable(message: String, source: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Unavailable, message).with_source(source)
}

/// The first `E` among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    // An `io::Error` skips the error that it was made of when asked for its source.
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match within {
        Some(within) => find(within),
        None => find(error.source()?),
    }
}
