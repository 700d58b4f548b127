//! Failures of an attempt without a complete response, and their error messages.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::Error as HyperError;
use isobar_abstraction::{BoxError, Error, ErrorKind, Result};

use crate::connect::Served;

/// An attempt that failed without a complete response.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error for the caller, without a statement on whether the outcome is unknown: that depends on the call.
    pub(crate) error: Error,
    /// Whether the service may have received the request. If not, it was certainly not applied.
    pub(crate) sent: bool,
    /// Whether another attempt may succeed.
    pub(crate) again: Again,
}

/// Whether another attempt may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The pooled connection was dead, but the service may be well: a new connection may succeed immediately.
    Immediately,
    /// An attempt after a wait may succeed.
    Later,
    /// Another attempt will fail.
    Never,
}

impl Failure {
    /// A failure before the request was sent: the request or the configuration is wrong.
    pub(crate) fn unsent(error: Error) -> Self {
        Self { error, sent: false, again: Again::Never }
    }
}

/// The host and port of a request: the only parts of its URL that an error contains.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    name: String,
    pub(crate) secure: bool,
}

impl Target {
    /// Errors: `Config` for a URL without `http` or `https` and a host, or with credentials.
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Error::config("the URL of a service must begin with https:// or http:// and a host"));
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(Error::config(format!(
                "the URL of a service must begin with https:// or http://, not `{scheme}`"
            )));
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

    /// The failure of an attempt without the head of a response.
    pub(crate) fn no_response(&self, source: HyperError) -> Failure {
        if source.is_connect() {
            return self.no_connection(source);
        }
        let reused = source.connect_info().is_some_and(Served::has_served);
        let unsent = find::<hyper::Error>(&source).is_some_and(hyper::Error::is_canceled);
        let again = if reused || unsent { Again::Immediately } else { Again::Later };
        let message = match find::<hyper::Error>(&source) {
            Some(cause) if cause.is_parse() => format!("the response of {self} is not valid HTTP"),
            _ => format!("{self} closed the connection before it sent a response"),
        };
        Failure { error: unavailable(message, source), sent: !unsent, again }
    }

    fn no_connection(&self, source: HyperError) -> Failure {
        let certificate = match find::<rustls::Error>(&source) {
            Some(rustls::Error::InvalidCertificate(reason)) => Some(reason.to_string()),
            _ => None,
        };
        let again = if certificate.is_some() { Again::Never } else { Again::Later };
        let message = match certificate {
            Some(reason) => format!(
                "the certificate of {self} is not trusted: {reason}; if it is correct, add its authority to the CA bundle"
            ),
            None => format!("cannot connect to {self}"),
        };
        Failure { error: unavailable(message, source), sent: false, again }
    }

    /// The failure of a response that ended early.
    pub(crate) fn interrupted(&self, source: impl Into<BoxError>) -> Failure {
        let error = unavailable(format!("the response of {self} was interrupted"), source);
        Failure { error, sent: true, again: Again::Later }
    }

    /// The failure of a response of more than `limit` bytes.
    pub(crate) fn too_large(&self, limit: usize) -> Failure {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let message = format!("the response of {self} is larger than {limit} bytes");
        Failure { error: Error::new(ErrorKind::TooLarge, message).with_limit(limit), sent: true, again: Again::Never }
    }

    /// The failure of an attempt that reached its time limit.
    pub(crate) fn late(&self, limit: Limit, sent: bool) -> Failure {
        let message = match limit.by {
            LimitedBy::Attempt => format!("{self} did not respond within {:?}", limit.time),
            LimitedBy::Deadline => format!("the invocation's deadline passed before {self} responded"),
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

/// A time limit, and its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    pub(crate) by: LimitedBy,
}

/// The reason of a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitedBy {
    /// The time of one attempt.
    Attempt,
    /// The deadline of the invocation.
    Deadline,
}

impl Limit {
    /// `time`, or the time until the deadline of the invocation if that is shorter.
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
    // The `source` of an `io::Error` skips the error that it contains.
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match within {
        Some(within) => find(within),
        None => find(error.source()?),
    }
}
