//! [`Error`]: the one error type of the portable API.
//!
//! There is one type, and not one for each trait, because a handler uses several of them. Its kinds have no fields, so
//! that they can be compared and can grow. The kind does not decide a status alone: a missing table and a missing object
//! are both `NotFound`, and only the second is a 404. So an error has an [`Origin`] too.

mod store;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Any error that a handler or a library may return to isobar.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The result of every portable operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error: what a caller can do about it.
///
/// Decide by the kind, never by the text of a message: texts change without notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The table, bucket, topic, object, function or trigger does not exist. A missing item is `None`, not an error.
    NotFound,
    /// A create found an item or object with the same key.
    AlreadyExists,
    /// A conditional operation failed: the stored version is not the expected one. Read again, then decide.
    Conflict,
    /// The arguments are invalid on every provider, or stored data is not of the expected type.
    InvalidInput,
    /// A value is larger than its [limit](Error::limit). Nothing was written.
    TooLarge,
    /// The credentials are missing, expired or wrong.
    Unauthenticated,
    /// The credentials are valid, but the access was not granted by the service or not declared by the app.
    PermissionDenied,
    /// The service requires fewer requests, possibly for a [stated time](Error::retry_after). A driver retries before it returns this.
    Throttled,
    /// The service cannot be reached or reports that it cannot serve now.
    Unavailable,
    /// The operation did not end before its deadline.
    Timeout,
    /// This provider does not support a requested option. Nothing was done.
    Unsupported,
    /// The configuration or the declaration of the app is wrong.
    Config,
    /// A fault of isobar, of the service or of stored data, and any error of another type.
    Internal,
}

impl ErrorKind {
    /// The name of the kind in logs and in JSON, such as `not-found`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Conflict => "conflict",
            Self::InvalidInput => "invalid-input",
            Self::TooLarge => "too-large",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

/// The cause of an error. It decides what a client over HTTP sees of the error, and whether a message is delivered again.
///
/// | origin | cause | over HTTP |
/// |---|---|---|
/// | `App` | a constructor in the app; the default | status of the kind, with the message |
/// | `Request` | the portable type or the driver rejected the arguments before any call | the same for `InvalidInput` and `TooLarge`; otherwise 500 |
/// | `Data` | the object is missing; the item or object exists or was changed; the content of a write broke off | status of the kind, with the message |
/// | `Service` | a service, its network, a table, bucket or topic that does not exist, or stored data that cannot be read | 500 or 503, details in the log only |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The app made the error.
    App,
    /// The arguments of a call were rejected before it reached a service.
    Request,
    /// The state of one item or object does not permit the operation.
    Data,
    /// Any other error of a driver.
    Service,
}

/// An error with its kind, its operation and resource, its origin and its source.
///
/// `Display` contains the operation, the resource, the message and the kind, but not the [source](StdError::source).
/// `Debug` contains the sources too, in one line. Neither contains a secret, a stored value or the content of an object.
///
/// Two questions decide about another attempt: [`is_retryable`](Self::is_retryable) says that it may succeed, and
/// [`outcome_unknown`](Self::outcome_unknown) that a write may have been applied already.
///
/// Over HTTP an error becomes the response of the [table below](#impl-IntoResponse-for-Error); for a message it becomes
/// the outcome of [`IntoOutcome`](crate::IntoOutcome).
///
/// ```
/// use isobar_abstraction::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "no such table")
///     .with_operation("get")
///     .with_resource("table `links`");
/// assert_eq!(error.to_string(), "get on table `links`: no such table (not-found)");
/// assert!(!error.is_retryable());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static str>,
    resource: Option<String>,
    limit: Option<u64>,
    retry_after: Option<Duration>,
    outcome_unknown: bool,
    origin: Option<Origin>,
    // Shared, so that an error of which several callers wait for the same call can be cloned with its source.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind, with the origin `App`.
    ///
    /// The message says what happened, with the value if it is not secret, and the next step. Clients over HTTP see it,
    /// except for `Config` and `Internal`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            resource: None,
            limit: None,
            retry_after: None,
            outcome_unknown: false,
            origin: None,
            source: None,
        }))
    }

    /// An error of the kind [`NotFound`](ErrorKind::NotFound): over HTTP 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// An error of the kind [`InvalidInput`](ErrorKind::InvalidInput): over HTTP 400; a message is rejected.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// An error of the kind [`Config`](ErrorKind::Config): over HTTP 500.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An error of the kind [`Conflict`](ErrorKind::Conflict): over HTTP 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// An error of the kind [`AlreadyExists`](ErrorKind::AlreadyExists): over HTTP 409.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AlreadyExists, message)
    }

    /// An error of the kind [`Unauthenticated`](ErrorKind::Unauthenticated): over HTTP 401.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// An error of the kind [`PermissionDenied`](ErrorKind::PermissionDenied): over HTTP 403.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PermissionDenied, message)
    }

    /// An error of the kind [`Throttled`](ErrorKind::Throttled): over HTTP 429, with the header `retry-after` if
    /// [`with_retry_after`](Self::with_retry_after) sets the time.
    pub fn throttled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Throttled, message)
    }

    /// An error of the kind [`Unavailable`](ErrorKind::Unavailable): over HTTP 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An error of the kind [`Timeout`](ErrorKind::Timeout): over HTTP 504.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// An error of the kind [`Internal`](ErrorKind::Internal): over HTTP 500, whose message only the log contains.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// An error of the kind [`Unsupported`](ErrorKind::Unsupported), with the operation and the provider; `instead` is the
    /// text of the next step.
    pub fn unsupported(operation: &'static str, provider: &str, instead: &str) -> Self {
        let message = format!("provider `{provider}` cannot do this; {instead}");
        Self::new(ErrorKind::Unsupported, message).with_operation(operation)
    }

    /// For drivers and hosts: an error of the kind [`Unsupported`](ErrorKind::Unsupported) for a variant that is newer than
    /// this driver, with the name of the enum.
    pub fn unknown_variant(name: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this provider is older than this `{name}`; update its crate"))
    }

    /// An error of the kind [`TooLarge`](ErrorKind::TooLarge): the size of `what` is `size`, the limit is `limit`. Over HTTP
    /// 413; a message is rejected.
    pub fn too_large(what: &str, size: u64, limit: u64) -> Self {
        let message = format!("{what} is {size}, the limit is {limit}");
        Self::new(ErrorKind::TooLarge, message).with_limit(limit)
    }

    /// Sets the operation, unless one is set: the innermost is the most exact.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Sets the resource, unless one is set.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.0.resource.get_or_insert_with(|| resource.into());
        self
    }

    /// Sets the largest permitted size, in bytes or in items as the message says.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// Sets the time that the service requires before another attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Sets the error that caused this one. The log contains it; a client over HTTP does not see it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Marks a write that may have been applied although it failed.
    ///
    /// An adapter must set this when a request may have reached the service and no complete response was received.
    #[must_use]
    pub fn with_outcome_unknown(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    /// For adapters and portable types: sets the origin, unless one is set: the innermost is the most exact.
    ///
    /// The portable type sets the origin of a driver's error by its kind: `AlreadyExists` and `Conflict` are
    /// [`Origin::Data`], `Unsupported` is [`Origin::Request`], all others are [`Origin::Service`]. An adapter must set it
    /// where that is wrong:
    /// - a missing *object*, and an item that cannot be counted: `Data`;
    /// - an argument that the adapter itself rejects: `Request`;
    /// - a race that was lost too often: `Service`.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin.get_or_insert(origin);
        self
    }

    /// Sets the origin of a driver's error by its kind.
    #[must_use]
    pub(crate) fn of_driver(self) -> Self {
        let origin = match self.kind() {
            ErrorKind::AlreadyExists | ErrorKind::Conflict => Origin::Data,
            // A driver rejects an unsupported option before it calls its service.
            ErrorKind::Unsupported => Origin::Request,
            _ => Origin::Service,
        };
        self.with_origin(origin)
    }

    /// The first isobar error among an error and its sources.
    ///
    /// An error inside an error of `object_store` does not count: a driver made it, and its origin is not set.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let is_marked = |error: &&(dyn StdError + 'static)| !error.is::<object_store::Error>();
        with_sources(error).take_while(is_marked).find_map(|error| error.downcast_ref())
    }

    /// Converts any error. An error of another type becomes the source of a copy of the first isobar error inside it, or
    /// of `otherwise` if there is none.
    pub(crate) fn own(error: impl Into<BoxError>, otherwise: impl FnOnce() -> Self) -> Self {
        match error.into().downcast::<Self>() {
            Ok(ours) => *ours,
            Err(other) => Self::find(other.as_ref()).map_or_else(otherwise, Self::clone).with_source(other),
        }
    }

    /// The kind, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The cause of the error; [`Origin::App`] unless another was set.
    pub fn origin(&self) -> Origin {
        self.0.origin.unwrap_or(Origin::App)
    }

    /// The name of the method that failed, such as `put`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The resource of the operation, such as ``table `links` ``.
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// The message alone, without operation, resource and kind.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// May the same call succeed later?
    ///
    /// True for [`Throttled`](ErrorKind::Throttled), [`Unavailable`](ErrorKind::Unavailable) and
    /// [`Timeout`](ErrorKind::Timeout). Whether a repetition is *safe* is another question: see
    /// [`outcome_unknown`](Self::outcome_unknown).
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// May the write have been applied although it failed?
    ///
    /// Then a repetition can apply it twice, unless a condition prevents that: a create, an update of a version, or a
    /// transaction with one of them.
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// The time that the service requires before another attempt; `None` if it stated none.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The largest permitted size, in bytes or in items as the message says; `None` for other kinds of errors.
    pub fn limit(&self) -> Option<u64> {
        self.0.limit
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.operation, &self.0.resource) {
            (Some(operation), Some(resource)) => write!(f, "{operation} on {resource}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(resource)) => write!(f, "{resource}: ")?,
            (None, None) => {}
        }
        write!(f, "{} ({})", self.0.message, self.0.kind.name())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if self.0.outcome_unknown {
            write!(f, " [outcome unknown]")?;
        }
        with_sources(self).skip(1).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// An error and its [sources](StdError::source), the outermost first.
pub(crate) fn with_sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error of the kind [`Internal`](ErrorKind::Internal): a 500 over HTTP and another attempt of a message, as for any
/// error of another type. If the JSON is from a client, the app must make an `InvalidInput` of it: isobar cannot
/// distinguish that.
impl From<serde_json::Error> for Error {
    fn from(source: serde_json::Error) -> Self {
        Self::internal("the JSON cannot be read or written").with_source(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_another_type_is_the_source_of_the_isobar_error_inside_it() {
        let outer = axum_core::Error::new(Error::not_found("no such film").with_origin(Origin::Data));
        let error = Error::own(outer, || Error::internal("failed"));
        assert_eq!(
            (error.kind(), error.origin(), error.message()),
            (ErrorKind::NotFound, Origin::Data, "no such film")
        );
        assert!(error.source().is_some_and(|source| source.is::<axum_core::Error>()));
        let foreign = Error::own("no paper", || Error::internal("failed"));
        assert_eq!(format!("{foreign:?}"), "failed (internal): no paper");
    }

    #[test]
    fn display_does_not_repeat_the_source() {
        let error = Error::internal("outer").with_source(Error::internal("inner"));
        assert_eq!(error.to_string(), "outer (internal)");
        assert_eq!(format!("{error:?}"), "outer (internal): inner (internal)");
    }
}
