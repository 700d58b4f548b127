//! What the errors of Blob Storage mean.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes> and, for all
//! of Azure Storage, <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::{Judgement, Refusal};

use crate::config::{Access, StorageAccount};
use crate::service::{self, Place};

/// The errors of one container.
#[derive(Debug, Clone)]
pub(super) struct BlobRefusals {
    account: String,
    container: String,
    by: By,
}

/// How the account is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Key,
    Sas,
    Identity,
}

/// What a request wanted to find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Nothing,
    /// `If-None-Match: *` of a write.
    Absent,
    /// `If-Match`.
    Version,
}

impl Condition {
    fn of(request: &Parts) -> Self {
        let headers = &request.headers;
        match (headers.contains_key("if-match"), headers.contains_key("if-none-match")) {
            (true, _) => Self::Version,
            (_, true) if !request.method.is_safe() => Self::Absent,
            _ => Self::Nothing,
        }
    }
}

impl BlobRefusals {
    pub(super) fn new(account: &StorageAccount, container: &str) -> Self {
        let by = match account.access {
            Access::Key(_) => By::Key,
            Access::Sas(_) => By::Sas,
            Access::Identity => By::Identity,
        };
        Self { account: account.name.clone(), container: container.to_owned(), by }
    }

    /// The container, as errors say it.
    pub(super) fn place(&self) -> Place {
        let Self { account, container, .. } = self;
        let name = format!("the container `{container}` of the storage account `{account}`");
        Place { name, create: String::new(), grant: "" }
    }

    /// The error of a refusal.
    pub(super) fn error(&self, request: &Parts, refusal: Refusal) -> Error {
        let error = self.known(request, &refusal);
        refusal.as_error(error)
    }

    fn known(&self, request: &Parts, refusal: &Refusal) -> Error {
        let condition = Condition::of(request);
        match (refusal.status().as_u16(), refusal.code.as_str()) {
            (_, "ContainerNotFound") => self.no_container(),
            (_, "BlobNotFound" | "ResourceNotFound" | "CannotVerifyCopySource") if absent_update(request) => {
                Error::conflict("the object is gone")
            }
            (404, "BlobNotFound" | "ResourceNotFound" | "CannotVerifyCopySource") => no_object(),
            // Without a code, as emulators answer, it may be the container that is missing.
            (404, _) => {
                let message = format!("no such object, or no container `{}`", self.container);
                no_object().with_source(Error::not_found(message))
            }
            (_, "BlobAlreadyExists") => Error::already_exists("an object with this key exists"),
            (412, code) if code.starts_with("Lease") => {
                Error::conflict("somebody holds a lease on the object: wait until it ends, or break it")
            }
            (412, _) if condition == Condition::Absent => Error::already_exists("an object with this key exists"),
            (412, _) => Error::conflict("the object is not in the version that was expected"),
            (_, "InvalidBlockList") => {
                Error::conflict("another write of this object came in between and took the parts: write it anew")
            }
            (416, _) => Error::invalid("the range holds no byte of the object").with_origin(Origin::Data),
            (_, "OutOfRangeInput" | "InvalidResourceName") => {
                Error::config(format!("Blob Storage takes no container or object of this name in `{}`", self.container))
            }
            _ => Error::new(refusal.kind, self.message(refusal)).with_origin(Origin::Service),
        }
    }

    fn no_container(&self) -> Error {
        let Self { account, container, .. } = self;
        Error::not_found(format!(
            "no container `{container}` in the storage account `{account}`: create it, as with `az storage container \
             create --name {container} --account-name {account} --auth-mode login`"
        ))
    }

    fn message(&self, refusal: &Refusal) -> String {
        let Refusal { code, message, .. } = refusal;
        let next = match (code.as_str(), self.by) {
            ("AuthorizationPermissionMismatch" | "InsufficientAccountPermissions", By::Identity) => {
                "; give the identity the role Storage Blob Data Contributor"
            }
            ("AuthorizationFailure" | "AuthorizationPermissionMismatch", By::Sas) => {
                "; the shared access signature must allow it: sp=rwdlac, srt=co, ss=b"
            }
            ("AuthorizationFailure", _) => "; allow this network and this access in the account's settings",
            ("AuthenticationFailed", By::Key) => "; set the account's key anew, and the machine's clock",
            ("AuthenticationFailed", By::Sas) => "; the shared access signature is wrong or has ended: make a new one",
            ("KeyBasedAuthenticationNotPermitted", _) => "; the account takes identities only: give no key",
            ("ContainerBeingDeleted", _) => "; wait half a minute",
            ("BlobArchived" | "BlobBeingRehydrated", _) => "; bring the object back from its archive first",
            ("InvalidBlobOrBlock", _) => "; parts of another program's write lie there: write the object whole",
            _ => "",
        };
        match code.is_empty() {
            false => format!("Blob Storage answered {code}: {message}{next}"),
            true => format!("Blob Storage answered {}, without a reason", refusal.status().as_u16()),
        }
    }
}

fn no_object() -> Error {
    Error::not_found("no such object").with_origin(Origin::Data)
}

/// An update of what is not there is a lost race.
fn absent_update(request: &Parts) -> bool {
    Condition::of(request) == Condition::Version && !request.method.is_safe()
}

/// Reads what an answer refuses.
pub(super) fn read(answer: &Response<Bytes>, _: &Place) -> Option<Refusal> {
    let refusal = service::read(answer)?;
    let status = answer.status().as_u16();
    let judgement = match (status, refusal.code.as_str()) {
        (501 | 505, _) => Judgement::Final,
        (_, "ServerBusy" | "Md5Mismatch" | "Crc64Mismatch") | (408 | 429, _) => Judgement::Refused { after: None },
        (500.., _) => Judgement::Failed,
        _ => Judgement::Final,
    };
    Some(Refusal { kind: kind(status, &refusal.code), judgement, ..refusal })
}

/// The largest object that is written in one request: 5,000 MiB.
const LARGEST_PUT: u64 = 5_000 << 20;

fn kind(status: u16, code: &str) -> ErrorKind {
    match code {
        "ServerBusy" => ErrorKind::Throttled { retry_after: None },
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            ErrorKind::Unauthenticated
        }
        "RequestBodyTooLarge" => ErrorKind::TooLarge { limit: LARGEST_PUT },
        "MetadataTooLarge" => ErrorKind::TooLarge { limit: crate::profile::PROFILE.limits.metadata_bytes },
        "BlockCountExceedsLimit" => ErrorKind::TooLarge { limit: super::upload::MOST_PARTS as u64 },
        "BlobImmutableDueToPolicy" | "PublicAccessNotPermitted" => ErrorKind::PermissionDenied,
        "BlobArchived" | "BlobBeingRehydrated" | "InvalidBlobType" | "UnsupportedHeader" | "FeatureNotSupported" => {
            ErrorKind::Unsupported
        }
        "PendingCopyOperation" | "SnapshotsPresent" => ErrorKind::Conflict,
        "InvalidMetadata" | "EmptyMetadataKey" | "InvalidHeaderValue" | "InvalidInput" | "InvalidTag" => {
            ErrorKind::InvalidInput
        }
        "ContainerBeingDeleted" | "ContainerDisabled" | "Md5Mismatch" | "Crc64Mismatch" => ErrorKind::Unavailable,
        _ => match status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            409 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge { limit: LARGEST_PUT },
            429 => ErrorKind::Throttled { retry_after: None },
            300..=399 => ErrorKind::Config,
            501 => ErrorKind::Unsupported,
            408 | 500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::*;

    fn answer(status: u16, code: &str) -> Response<Bytes> {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>m\nRequestId:x\nTime:y\
             </Message><AuthenticationErrorDetail>hush</AuthenticationErrorDetail></Error>"
        );
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn explained(method: Method, headers: &[(&str, &str)], answer: &Response<Bytes>) -> (ErrorKind, Judgement, String) {
        let error = error(method, headers, answer);
        let refusal = read(answer, &BlobRefusals::new(&StorageAccount::new("acc", Access::Identity), "pages").place());
        (error.kind(), refusal.unwrap().judgement, error.message().to_owned())
    }

    fn error(method: Method, headers: &[(&str, &str)], answer: &Response<Bytes>) -> Error {
        let mut request = Request::builder().method(method).uri("https://acc.blob.core.windows.net/pages/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let account = StorageAccount::new("acc", Access::Identity);
        let refusals = BlobRefusals::new(&account, "pages");
        let error = refusals.error(&parts, read(answer, &refusals.place()).unwrap());
        assert!(!error.outcome_unknown() && !format!("{error:?}").contains("hush"));
        error
    }

    #[test]
    fn codes_are_kinds_and_judgements() {
        let (throttled, refused) = (ErrorKind::Throttled { retry_after: None }, Judgement::Refused { after: None });
        for (status, code, kind, judgement) in [
            (403, "AuthorizationPermissionMismatch", ErrorKind::PermissionDenied, Judgement::Final),
            (403, "AuthenticationFailed", ErrorKind::Unauthenticated, Judgement::Final),
            (401, "InvalidAuthenticationInfo", ErrorKind::Unauthenticated, Judgement::Final),
            (404, "BlobNotFound", ErrorKind::NotFound, Judgement::Final),
            (409, "BlobAlreadyExists", ErrorKind::AlreadyExists, Judgement::Final),
            (409, "ContainerBeingDeleted", ErrorKind::Unavailable, Judgement::Final),
            (412, "LeaseIdMissing", ErrorKind::Conflict, Judgement::Final),
            (400, "InvalidBlockList", ErrorKind::Conflict, Judgement::Final),
            (400, "OutOfRangeInput", ErrorKind::Config, Judgement::Final),
            (413, "RequestBodyTooLarge", ErrorKind::TooLarge { limit: 5_242_880_000 }, Judgement::Final),
            (416, "InvalidRange", ErrorKind::InvalidInput, Judgement::Final),
            (503, "ServerBusy", throttled, refused),
            (429, "", throttled, refused),
            (500, "InternalError", ErrorKind::Unavailable, Judgement::Failed),
            (500, "OperationTimedOut", ErrorKind::Unavailable, Judgement::Failed),
            (501, "", ErrorKind::Unsupported, Judgement::Final),
            (418, "Teapot", ErrorKind::Internal, Judgement::Final),
        ] {
            let (found, judged, message) = explained(Method::PUT, &[], &answer(status, code));
            assert_eq!((found, judged), (kind, judgement), "{status} {code}");
            assert!(!message.is_empty() && !message.contains("RequestId"), "{message}");
        }
    }

    #[test]
    fn a_failed_condition_is_told_by_what_was_wanted() {
        let failed = answer(412, "ConditionNotMet");
        let (create, update) = ([("if-none-match", "*")], [("if-match", "\"1\"")]);
        assert_eq!(explained(Method::PUT, &create, &failed).0, ErrorKind::AlreadyExists);
        assert_eq!(explained(Method::PUT, &update, &failed).0, ErrorKind::Conflict);
        assert_eq!(explained(Method::GET, &update, &failed).0, ErrorKind::Conflict);
        let gone = answer(404, "BlobNotFound");
        assert_eq!(explained(Method::PUT, &update, &gone).0, ErrorKind::Conflict);
        assert_eq!(explained(Method::GET, &update, &gone).0, ErrorKind::NotFound);
    }

    #[test]
    fn a_missing_container_is_named_and_the_way_to_make_it() {
        let (kind, _, message) = explained(Method::PUT, &[("if-match", "\"1\"")], &answer(404, "ContainerNotFound"));
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(message.contains("`pages`") && message.contains("az storage container create"), "{message}");
        let head = Response::builder().status(404).header("x-ms-error-code", "ContainerNotFound");
        assert!(explained(Method::HEAD, &[], &head.body(Bytes::new()).unwrap()).2.contains("create it"));
    }

    #[test]
    fn a_missing_object_is_told_apart_from_a_missing_container() {
        let of = |method, answer: &Response<Bytes>| error(method, &[], answer).with_origin(Origin::Service).origin();
        assert_eq!(of(Method::GET, &answer(404, "BlobNotFound")), Origin::Data);
        assert_eq!(of(Method::GET, &answer(404, "ContainerNotFound")), Origin::Service);
        assert_eq!(of(Method::PUT, &answer(409, "SnapshotsPresent")), Origin::Service);
        // Without a code a client sees the likely reason, the log both.
        let bare = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert_eq!(of(Method::HEAD, &bare), Origin::Data);
        let error = error(Method::HEAD, &[], &bare);
        assert!(!error.message().contains("pages") && format!("{error:?}").contains("`pages`"), "{error:?}");
    }
}
