//! The meaning of Blob Storage's error codes.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes> and, for all
//! of Azure Storage, <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::object::ObjectError;
use isobar_rest::{RetryDecision, ServiceError};

use crate::config::{Access, StorageAccount};
use crate::service::{self, Place};

/// The errors of one container.
#[derive(Debug, Clone)]
pub(super) struct BlobErrors {
    account: StorageAccount,
    container: String,
}

impl BlobErrors {
    pub(super) fn new(account: &StorageAccount, container: &str) -> Self {
        Self { account: account.clone(), container: container.to_owned() }
    }

    /// The container, as error messages name it.
    pub(super) fn place(&self) -> Place {
        let (container, account) = (&self.container, &self.account.name);
        let name = format!("the container `{container}` of the storage account `{account}`");
        Place { name, create: String::new(), grant: "" }
    }

    /// The meaning of a service error for an object.
    pub(super) fn object_error(&self, service_error: &ServiceError) -> ObjectError {
        match (service_error.status().as_u16(), service_error.code.as_str()) {
            (_, "ContainerNotFound") => ObjectError::NoBucket(self.no_container()),
            (404, "BlobNotFound" | "ResourceNotFound" | "CannotVerifyCopySource") => ObjectError::NoObject,
            // Without a code, as from emulators, the container may be missing instead.
            (404, _) => ObjectError::NoObjectOr(format!("container `{}`", self.container)),
            (_, "BlobAlreadyExists") => ObjectError::Exists,
            (412, code) if code.starts_with("Lease") => ObjectError::WriteConflict(
                "another client holds a lease on the object: wait until it ends, or break it",
            ),
            (412, _) => ObjectError::PreconditionFailed,
            (_, "InvalidBlockList") => ObjectError::WriteConflict(
                "another write of this object committed or dropped the parts: write it again",
            ),
            (416, _) => ObjectError::EmptyRange,
            (_, "OutOfRangeInput" | "InvalidResourceName") => {
                let message =
                    format!("Blob Storage rejects this name of a container or an object in `{}`", self.container);
                ObjectError::Other(ErrorKind::Config, message)
            }
            _ => ObjectError::Other(service_error.kind, self.message(service_error)),
        }
    }

    fn no_container(&self) -> String {
        let (container, account) = (&self.container, &self.account.name);
        format!(
            "no container `{container}` in the storage account `{account}`: create it, as with `az storage container \
             create --name {container} --account-name {account} --auth-mode login`"
        )
    }

    fn message(&self, service_error: &ServiceError) -> String {
        let ServiceError { code, message, .. } = service_error;
        let next = match (code.as_str(), &self.account.access) {
            ("AuthorizationPermissionMismatch" | "InsufficientAccountPermissions", Access::Identity) => {
                "; grant the identity the role Storage Blob Data Contributor"
            }
            ("AuthorizationFailure" | "AuthorizationPermissionMismatch", Access::Sas(_)) => {
                "; the shared access signature must allow it: sp=rwdlac, srt=co, ss=b"
            }
            ("AuthorizationFailure", _) => "; allow this network and this access in the account's settings",
            ("AuthenticationFailed", Access::Key(_)) => "; check the account's key and the machine's clock",
            ("AuthenticationFailed", Access::Sas(_)) => {
                "; the shared access signature is wrong or has expired: create a new one"
            }
            ("KeyBasedAuthenticationNotPermitted", _) => "; the account accepts identities only: remove the key",
            ("ContainerBeingDeleted", _) => "; wait half a minute",
            ("BlobArchived" | "BlobBeingRehydrated", _) => "; restore the object from its archive tier first",
            ("InvalidBlobOrBlock", _) => {
                "; parts of another program's write are stored: write the object in one request"
            }
            _ => "",
        };
        match code.is_empty() {
            false => format!("Blob Storage returned {code}: {message}{next}"),
            true => format!("Blob Storage returned the status {} without a code", service_error.status().as_u16()),
        }
    }
}

/// The service error of a response.
pub(super) fn read(answer: &Response<Bytes>, _: &Place) -> Option<ServiceError> {
    let service_error = service::read(answer)?;
    let status = answer.status().as_u16();
    let decision = match service_error.code.as_str() {
        _ if status == 408 => RetryDecision::Throttled { after: None },
        "Md5Mismatch" | "Crc64Mismatch" => RetryDecision::Throttled { after: None },
        _ => service_error.decision,
    };
    let kind = match service_error.code.as_str() {
        "MetadataTooLarge" | "BlockCountExceedsLimit" => ErrorKind::TooLarge,
        "BlobImmutableDueToPolicy" | "PublicAccessNotPermitted" => ErrorKind::PermissionDenied,
        "BlobArchived" | "BlobBeingRehydrated" | "InvalidBlobType" | "UnsupportedHeader" | "FeatureNotSupported" => {
            ErrorKind::Unsupported
        }
        "PendingCopyOperation" | "SnapshotsPresent" => ErrorKind::Conflict,
        "InvalidMetadata" | "EmptyMetadataKey" | "InvalidHeaderValue" | "InvalidInput" | "InvalidTag" => {
            ErrorKind::InvalidInput
        }
        "ContainerBeingDeleted" | "ContainerDisabled" | "Md5Mismatch" | "Crc64Mismatch" => ErrorKind::Unavailable,
        _ if status == 413 => ErrorKind::TooLarge,
        // Names and metadata have specific codes; any other invalid request is isobar's fault.
        _ if service_error.kind == ErrorKind::InvalidInput => ErrorKind::Internal,
        _ => service_error.kind,
    };
    Some(ServiceError { kind, decision, ..service_error })
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::Error;
    use object_store::PutMode;

    use super::*;

    fn answer(status: u16, code: &str) -> Response<Bytes> {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>m\nRequestId:x\nTime:y\
             </Message><AuthenticationErrorDetail>hush</AuthenticationErrorDetail></Error>"
        );
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn service_errors() -> BlobErrors {
        BlobErrors::new(&StorageAccount::new("acc", Access::Identity), "pages")
    }

    fn service_error_of(answer: &Response<Bytes>) -> Option<ServiceError> {
        read(answer, &service_errors().place())
    }

    fn error(answer: &Response<Bytes>) -> Error {
        let error = service_errors().object_error(&service_error_of(answer).unwrap()).error(&PutMode::Overwrite);
        assert!(!format!("{error:?}").contains("hush"));
        error
    }

    #[test]
    fn each_code_has_its_kind_and_its_retry_decision() {
        let (throttled, retry) = (ErrorKind::Throttled, RetryDecision::Throttled { after: None });
        for (status, code, kind, decision) in [
            (403, "AuthorizationPermissionMismatch", ErrorKind::PermissionDenied, RetryDecision::Final),
            (403, "AuthenticationFailed", ErrorKind::Unauthenticated, RetryDecision::Final),
            (401, "InvalidAuthenticationInfo", ErrorKind::Unauthenticated, RetryDecision::Final),
            (404, "BlobNotFound", ErrorKind::NotFound, RetryDecision::Final),
            (412, "ConditionNotMet", ErrorKind::Conflict, RetryDecision::Final),
            (409, "BlobAlreadyExists", ErrorKind::AlreadyExists, RetryDecision::Final),
            (409, "ContainerBeingDeleted", ErrorKind::Unavailable, RetryDecision::Final),
            (412, "LeaseIdMissing", ErrorKind::Conflict, RetryDecision::Final),
            (400, "InvalidBlockList", ErrorKind::Conflict, RetryDecision::Final),
            (400, "OutOfRangeInput", ErrorKind::Config, RetryDecision::Final),
            (413, "RequestBodyTooLarge", ErrorKind::TooLarge, RetryDecision::Final),
            (416, "InvalidRange", ErrorKind::InvalidInput, RetryDecision::Final),
            (503, "ServerBusy", throttled, retry),
            (429, "", throttled, retry),
            (500, "InternalError", ErrorKind::Unavailable, RetryDecision::Failed),
            (500, "OperationTimedOut", ErrorKind::Unavailable, RetryDecision::Failed),
            (501, "", ErrorKind::Unsupported, RetryDecision::Final),
            (418, "Teapot", ErrorKind::Internal, RetryDecision::Final),
        ] {
            let answer = answer(status, code);
            let error = error(&answer);
            assert_eq!(
                (error.kind(), service_error_of(&answer).unwrap().decision),
                (kind, decision),
                "{status} {code}"
            );
            assert!(!error.message().is_empty() && !error.message().contains("RequestId"), "{error}");
        }
    }

    #[test]
    fn a_missing_container_is_named_and_distinguished_from_a_missing_object() {
        let head = Response::builder().status(404).header("x-ms-error-code", "ContainerNotFound");
        for answer in [answer(404, "ContainerNotFound"), head.body(Bytes::new()).unwrap()] {
            let error = error(&answer);
            assert!(error.message().contains("`pages`") && error.message().contains("az storage container create"));
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let bare = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert!(
            matches!(service_errors().object_error(&service_error_of(&bare).unwrap()), ObjectError::NoObjectOr(container) if container == "container `pages`")
        );
        assert_eq!(error(&answer(404, "BlobNotFound")).message(), "no such object");
    }
}
