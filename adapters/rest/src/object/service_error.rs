//! The service errors of object stores, mapped to the same errors for all services.

use http::StatusCode;
use isobar_abstraction::{Error, ErrorKind, Origin};
use object_store::PutMode;
use object_store::path::Path;

use crate::ServiceError;

/// A service error of an object store, by its status and code.
#[derive(Debug)]
pub enum ObjectError {
    /// The bucket is missing. Contains the message with the next step.
    NoBucket(String),
    /// The object is missing.
    NoObject,
    /// The object or this bucket is missing: the response does not say which, such as one to `HEAD` or of an emulator.
    NoObjectOr(String),
    /// The object exists.
    Exists,
    /// A precondition of the request does not hold.
    PreconditionFailed,
    /// Another write conflicts. Contains the message.
    WriteConflict(&'static str),
    /// The range contains no byte of the object.
    EmptyRange,
    /// Another error, with its kind and message.
    Other(ErrorKind, String),
}

impl ObjectError {
    /// The error of a write with the precondition `mode`; for a read, `mode` is `Overwrite`. It does not include whether
    /// the outcome is unknown ([`ServiceError::mark_uncertain`]).
    pub fn error(self, mode: &PutMode) -> Error {
        let no_object = || Error::not_found("no such object").with_origin(Origin::Data);
        match self {
            Self::NoBucket(message) => Error::not_found(message),
            Self::NoObject | Self::NoObjectOr(_) if matches!(mode, PutMode::Update(_)) => {
                Error::conflict("the object was deleted")
            }
            Self::NoObject => no_object(),
            Self::NoObjectOr(bucket) => {
                no_object().with_source(Error::not_found(format!("no such object, or no {bucket}")))
            }
            Self::Exists => Error::already_exists("an object with this key exists"),
            Self::PreconditionFailed if *mode == PutMode::Create => Self::Exists.error(mode),
            Self::PreconditionFailed => Error::conflict("the object is not in the expected version"),
            Self::WriteConflict(message) => Error::conflict(message),
            Self::EmptyRange => {
                Error::invalid_input("the range contains no byte of the object").with_origin(Origin::Data)
            }
            Self::Other(kind, message) => Error::new(kind, message).with_origin(Origin::Service),
        }
    }
}

/// The error of a read. `If-None-Match` and `If-Modified-Since` have a separate one, `NotModified`.
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
    fn a_service_error_is_mapped_by_the_precondition_of_the_write() {
        use ErrorKind::{AlreadyExists, Conflict, InvalidInput, NotFound, Throttled};
        let update = PutMode::Update(UpdateVersion { e_tag: None, version: None });
        let (read, create) = (PutMode::Overwrite, PutMode::Create);
        let busy = Throttled;
        let either = || ObjectError::NoObjectOr("bucket `pages`".to_owned());
        for (object_error, mode, kind, origin) in [
            (ObjectError::NoBucket("create it".to_owned()), &update, NotFound, Origin::Service),
            (ObjectError::NoObject, &read, NotFound, Origin::Data),
            (ObjectError::NoObject, &update, Conflict, Origin::App),
            (either(), &read, NotFound, Origin::Data),
            (either(), &update, Conflict, Origin::App),
            (ObjectError::PreconditionFailed, &create, AlreadyExists, Origin::App),
            (ObjectError::PreconditionFailed, &update, Conflict, Origin::App),
            (ObjectError::PreconditionFailed, &read, Conflict, Origin::App),
            (ObjectError::EmptyRange, &read, InvalidInput, Origin::Data),
            (ObjectError::Other(busy, "slow down".to_owned()), &read, busy, Origin::Service),
        ] {
            let (name, error) = (format!("{object_error:?}"), object_error.error(mode));
            let unmarked = if origin == Origin::App { Origin::App } else { Origin::Service };
            assert_eq!((error.kind(), error.with_origin(unmarked).origin()), (kind, origin), "{name}");
        }
        // A client sees the likely reason, the log both.
        let error = either().error(&read);
        assert!(!error.message().contains("pages") && format!("{error:?}").contains("`pages`"), "{error:?}");
    }
}
