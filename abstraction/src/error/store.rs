//! Conversions between isobar's errors and those of `object_store`.
//!
//! A driver returns isobar's errors through the trait `ObjectStore`, whose error type has fewer kinds. So an isobar error
//! travels as the source of an error of `object_store`, and is taken out again.

use super::{Error, ErrorKind, Origin};

/// Maps the errors of `object_store` to kinds. An isobar error that a driver sent through `object_store` is returned
/// without change, with its origin. `NotFound` of another store means a missing object, as that trait defines it
/// ([`Origin::Data`]).
impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Store;
        let error = match isobar_error(error) {
            Ok(ours) => return ours.of_driver(),
            Err(error) => error,
        };
        let kind = match &error {
            Store::NotFound { .. } => ErrorKind::NotFound,
            Store::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Store::Precondition { .. } | Store::NotModified { .. } => ErrorKind::Conflict,
            Store::InvalidPath { .. } => ErrorKind::InvalidInput,
            Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
            Store::PermissionDenied { .. } => ErrorKind::PermissionDenied,
            Store::Unauthenticated { .. } => ErrorKind::Unauthenticated,
            Store::UnknownConfigurationKey { .. } => ErrorKind::Config,
            _ => ErrorKind::Internal,
        };
        let message = match (kind, &error) {
            (ErrorKind::NotFound, _) => "no such object".to_owned(),
            (ErrorKind::AlreadyExists, _) => "an object with this key exists".to_owned(),
            (ErrorKind::Conflict, _) => "the stored version of the object is not the expected one".to_owned(),
            (_, Store::Generic { store, .. }) => format!("the object store `{store}` failed"),
            _ => "the object store rejected the request".to_owned(),
        };
        let ours = Self::new(kind, message).with_source(error);
        let ours = if kind == ErrorKind::NotFound { ours.with_origin(Origin::Data) } else { ours };
        ours.of_driver()
    }
}

/// The isobar error inside an error that the conversion below made; otherwise the error itself.
fn isobar_error(error: object_store::Error) -> std::result::Result<Error, object_store::Error> {
    use object_store::Error as Store;
    if !std::error::Error::source(&error).is_some_and(|source| source.is::<Error>()) {
        return Err(error);
    }
    match error {
        Store::NotFound { source, .. }
        | Store::AlreadyExists { source, .. }
        | Store::Precondition { source, .. }
        | Store::PermissionDenied { source, .. }
        | Store::Unauthenticated { source, .. }
        | Store::NotSupported { source }
        | Store::Generic { source, .. } => {
            source.downcast::<Error>().map(|ours| *ours).map_err(|source| Store::Generic { store: "isobar", source })
        }
        other => Err(other),
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        let path = error.resource().unwrap_or_default().to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { path, source: error.into() },
            ErrorKind::AlreadyExists => Self::AlreadyExists { path, source: error.into() },
            ErrorKind::Conflict => Self::Precondition { path, source: error.into() },
            ErrorKind::PermissionDenied => Self::PermissionDenied { path, source: error.into() },
            ErrorKind::Unauthenticated => Self::Unauthenticated { path, source: error.into() },
            ErrorKind::Unsupported => Self::NotSupported { source: error.into() },
            _ => Self::Generic { store: "isobar", source: error.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_isobar_error_is_the_same_after_object_store() {
        let ours = Error::new(ErrorKind::Throttled, "slow down").with_retry_after(Duration::from_secs(3));
        let back = Error::from(object_store::Error::from(ours));
        assert_eq!(back.retry_after(), Some(Duration::from_secs(3)));
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Conflict,
            ErrorKind::PermissionDenied,
            ErrorKind::Unauthenticated,
            ErrorKind::Unsupported,
            ErrorKind::Unavailable,
        ] {
            let ours = Error::new(kind, "as it was").with_operation("put").with_outcome_unknown();
            let back = Error::from(object_store::Error::from(ours.clone().with_origin(Origin::Request)));
            assert_eq!((back.origin(), back.clone().origin()), (Origin::Request, Origin::Request));
            assert_ne!(Error::from(object_store::Error::from(ours.clone())).origin(), Origin::App);
            let back = Error::from(object_store::Error::from(ours));
            assert_eq!((back.kind(), back.message(), back.operation()), (kind, "as it was", Some("put")));
            assert!(back.outcome_unknown());
        }
    }

    #[test]
    fn an_error_of_object_store_is_the_source_of_the_isobar_error() {
        let source = object_store::Error::Generic { store: "S3", source: "no answer".into() };
        let error = Error::from(source);
        assert_eq!(error.to_string(), "the object store `S3` failed (internal)");
        assert!(format!("{error:?}").contains("no answer"));
        let absent = object_store::Error::NotFound { path: "a".into(), source: "404".into() };
        let absent = Error::from(absent);
        assert_eq!((absent.kind(), absent.origin()), (ErrorKind::NotFound, Origin::Data));
    }
}
