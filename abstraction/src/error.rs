//! The one error of the portable API.

mod store;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Any error that a handler or a library may hand to isobar.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The result of every portable operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a caller acts on.
///
/// Act on the kind, never on the text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The resource, object, function or trigger does not exist.
    NotFound,
    /// A create met a key that is taken.
    AlreadyExists,
    /// A conditional write lost: what is stored is not the version that was expected.
    Conflict,
    /// The caller sent something that no provider would take.
    InvalidInput,
    /// Something is larger than the [limit](Error::limit).
    TooLarge,
    /// The credentials are missing, expired or wrong.
    Unauthenticated,
    /// The credentials are good, but the access was not granted or not declared.
    PermissionDenied,
    /// The service asks for fewer requests, perhaps only [after a while](Error::retry_after).
    Throttled,
    /// The service cannot be reached or cannot serve now.
    Unavailable,
    /// The operation did not end before its deadline.
    Timeout,
    /// This provider cannot do what an option asks for.
    Unsupported,
    /// The configuration or the app's declaration is wrong.
    Config,
    /// A fault of isobar, of the service, or of stored data.
    Internal,
}

impl ErrorKind {
    /// The kind's name as it stands in logs, manifests and transcripts.
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

/// Who an error comes from. It decides what a client over HTTP sees of the error, and whether a message
/// is delivered again.
///
/// | origin | who made the error | over HTTP |
/// |---|---|---|
/// | `App` | a constructor in the app; the default | status of the kind, with the message |
/// | `Request` | the portable type or the driver refused the arguments before any call | the same; 500 where the arguments cannot be the client's |
/// | `Data` | the object is missing; the item or object is taken or was changed; the content of a write breaks off | status of the kind, with the message |
/// | `Service` | a service, its network, a table, bucket or topic that does not exist, or stored data that cannot be read | 500 or 503, details in the log only |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The app.
    App,
    /// The arguments of a call.
    Request,
    /// The state of one item or object.
    Data,
    /// Everything else that a driver answers.
    Service,
}

/// An error with its kind, the operation and resource it happened on, and its source.
///
/// `Display` tells the operation, the resource and the message, and never repeats the
/// [source](StdError::source): print the chain to see both, for example with `{:#}` of a
/// reporting library. No secret ever appears in it.
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
    /// An error of this kind. The message says what to do next where that is known.
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

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::InvalidInput`].
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::AlreadyExists`].
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AlreadyExists, message)
    }

    /// [`ErrorKind::Unauthenticated`].
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// [`ErrorKind::PermissionDenied`].
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PermissionDenied, message)
    }

    /// [`ErrorKind::Throttled`]. [`with_retry_after`](Self::with_retry_after) says how long to wait.
    pub fn throttled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Throttled, message)
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// [`ErrorKind::Timeout`].
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// [`ErrorKind::Unsupported`], naming the operation and the provider.
    pub fn unsupported(operation: &'static str, provider: &str, instead: &str) -> Self {
        let message = format!("provider `{provider}` cannot do this; {instead}");
        Self::new(ErrorKind::Unsupported, message).with_operation(operation)
    }

    /// [`ErrorKind::Unsupported`], for a variant of an enum that is newer than the driver or host, by the enum's name.
    pub fn unknown_variant(name: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this provider is older than this `{name}`; update its crate"))
    }

    /// [`ErrorKind::TooLarge`]: `what` is `size` and the limit is `limit`.
    pub fn too_large(what: &str, size: u64, limit: u64) -> Self {
        let message = format!("{what} is {size}, the limit is {limit}");
        Self::new(ErrorKind::TooLarge, message).with_limit(limit)
    }

    /// Names the operation, unless one is named already: the innermost knows best.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Names the resource, unless one is named already.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.0.resource.get_or_insert_with(|| resource.into());
        self
    }

    /// The largest size that would have been taken, in bytes or in items as the message says.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// How long the service asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Marks a write of which nobody knows whether it was applied.
    ///
    /// An adapter must set this when a request may have reached the service and no whole answer
    /// came back.
    #[must_use]
    pub fn with_outcome_unknown(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    /// For adapters and portable types: marks the origin, unless one is marked already: the innermost
    /// knows best.
    ///
    /// An adapter needs this only where the kind does not say it. The portable type marks what a driver
    /// answers: `AlreadyExists` and `Conflict` as [`Origin::Data`], `Unsupported` as
    /// [`Origin::Request`], all else as [`Origin::Service`]. So an adapter must mark a missing *object*,
    /// and a counter that cannot be counted, as `Data`; an argument that it refuses by itself as
    /// `Request`; and a race that it has lost too often as `Service`.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin.get_or_insert(origin);
        self
    }

    /// Marks what a driver answers.
    #[must_use]
    pub(crate) fn of_driver(self) -> Self {
        let origin = match self.kind() {
            ErrorKind::AlreadyExists | ErrorKind::Conflict => Origin::Data,
            // A driver refuses an option that it cannot honour before it calls its service.
            ErrorKind::Unsupported => Origin::Request,
            _ => Origin::Service,
        };
        self.with_origin(origin)
    }

    /// The first isobar error among an error and its sources.
    ///
    /// What is inside an error of `object_store` does not count: a driver made it, and its origin is not marked.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let ours = |error: &&(dyn StdError + 'static)| !error.is::<object_store::Error>();
        with_sources(error).take_while(ours).find_map(|error| error.downcast_ref())
    }

    /// Any error as isobar's own. An error of another type is the source of a copy of the first isobar error inside it,
    /// or of `otherwise`.
    pub(crate) fn own(error: impl Into<BoxError>, otherwise: impl FnOnce() -> Self) -> Self {
        match error.into().downcast::<Self>() {
            Ok(ours) => *ours,
            Err(other) => Self::find(other.as_ref()).map_or_else(otherwise, Self::clone).with_source(other),
        }
    }

    /// What to act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Who the error comes from; [`Origin::App`] unless it was marked.
    pub fn origin(&self) -> Origin {
        self.0.origin.unwrap_or(Origin::App)
    }

    /// The operation that failed, as its method is written.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The resource that it failed on, such as ``table `links` ``.
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// The message alone, without operation, resource and kind.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Would the same call, made again later, have a chance?
    ///
    /// True for [`Throttled`](ErrorKind::Throttled), [`Unavailable`](ErrorKind::Unavailable) and
    /// [`Timeout`](ErrorKind::Timeout). Whether repeating it is *safe* is the other question:
    /// see [`outcome_unknown`](Self::outcome_unknown).
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Was the write perhaps applied although it failed?
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// How long the service asked to wait, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The largest size that would have been taken, where that is known: in bytes or in items as the message says.
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

/// [`ErrorKind::Internal`]: a 500 over HTTP and another attempt of a message, as for any error of another type.
/// Whether the JSON is the caller's, and so `InvalidInput`, only the app knows.
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
