//! What the service error of an object store means, whichever service it is.

use http::StatusCode;
use isobar_abstraction::{Error, ErrorKind, Origin};
use object_store::PutMode;
use object_store::path::Path;

use crate::ServiceError;

/// What a service refused, as its status and its code say it.
#[derive(Debug)]
pub enum ObjectError {
    /// The bucket is missing: what to do.
    NoBucket(String),
    /// The object is missing.
    NoObject,
    /// The object is missing, or this bucket: the answer does not say it, as those to `HEAD` and of emulators.
    NoObjectOr(String),
    /// There is an object already.
    Exists,
    /// A condition of the request does not hold.
    Unmet,
    /// Another write got in the way.
    Overtaken(&'static str),
    /// The range holds no byte of the object.
    EmptyRange,
    /// Something else, and the text of its error.
    Other(ErrorKind, String),
}

impl ObjectError {
    /// The error of a request that was to meet `mode`; `Overwrite` also of reads. Whether the outcome is unknown is the
    /// [`Service error`]'s to say.
    pub fn error(self, mode: &PutMode) -> Error {
        let no_object = || Error::not_found("no such object").with_origin(Origin::Data);
        match self {
            Self::NoBucket(message) => Error::not_found(message),
            Self::NoObject | Self::NoObjectOr(_) if matches!(mode, PutMode::Update(_)) => {
                Error::conflict("the object is gone")
            }
            Self::NoObject => no_object(),
            Self::NoObjectOr(bucket) => {
                no_object().with_source(Error::not_found(format!("no such object, or no {bucket}")))
            }
            Self::Exists => Error::already_exists("an object with this key exists"),
            Self::Unmet if *mode == PutMode::Create => Self::Exists.error(mode),
            Self::Unmet => Error::conflict("the object is not in the version that was expected"),
            Self::Overtaken(message) => Error::conflict(message),
            Self::EmptyRange => Error::invalid_input("the range holds no byte of the object").with_origin(Origin::Data),
            Self::Other(kind, message) => Error::new(kind, message).with_origin(Origin::Service),
        }
    }
}

/// The error of a read that was refused: `If-None-Match` and `If-Modified-Since` are answered by one of their own.
pub fn read_error(at: &Path, service_error: &ServiceError, error: Error) -> object_store::Error {
    if service_error.status() != StatusCode::NOT_MODIFIED {
        return error.into();
    }
    let source = Error::conflict("the object has not changed");
    object_store::Error::NotModified { path: at.to_string(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use object_store::UpdateVersion;

    use super::*;

    #[test]
    fn a_service_error_is_an_error_by_what_the_write_had_to_find() {
        use ErrorKind::{AlreadyExists, Conflict, InvalidInput, NotFound, Throttled};
        let update = PutMode::Update(UpdateVersion { e_tag: None, version: None });
        let (read, create) = (PutMode::Overwrite, PutMode::Create);
        let busy = Throttled;
        let either = || ObjectError::NoObjectOr("bucket `pages`".to_owned());
        for (refused, mode, kind, origin) in [
            (ObjectError::NoBucket("create it".to_owned()), &update, NotFound, Origin::Service),
            (ObjectError::NoObject, &read, NotFound, Origin::Data),
            (ObjectError::NoObject, &update, Conflict, Origin::App),
            (either(), &read, NotFound, Origin::Data),
            (either(), &update, Conflict, Origin::App),
            (ObjectError::Unmet, &create, AlreadyExists, Origin::App),
            (ObjectError::Unmet, &update, Conflict, Origin::App),
            (ObjectError::Unmet, &read, Conflict, Origin::App),
            (ObjectError::EmptyRange, &read, InvalidInput, Origin::Data),
            (ObjectError::Other(busy, "slow down".to_owned()), &read, busy, Origin::Service),
        ] {
            let (told, error) = (format!("{refused:?}"), refused.error(mode));
            let unmarked = if origin == Origin::App { Origin::App } else { Origin::Service };
            assert_eq!((error.kind(), error.with_origin(unmarked).origin()), (kind, origin), "{told}");
        }
        // A client sees the likely reason, the log both.
        let error = either().error(&read);
        assert!(!error.message().contains("pages") && format!("{error:?}").contains("`pages`"), "{error:?}");
    }
}
