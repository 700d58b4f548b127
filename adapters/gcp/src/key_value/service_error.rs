//! The meaning of Firestore's service errors: a failed condition, a lost race, or a fault.

use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::ServiceError;
use isobar_rest::attempt::throttled;

use super::FirestoreKeyValue;
use crate::profile::PROFILE;

/// Whether the write lost a race against another write of the same document.
pub(super) fn is_contention(service_error: &ServiceError) -> bool {
    service_error.code == "ABORTED"
}

/// Whether a document does not meet a precondition.
pub(super) fn is_condition(service_error: &ServiceError) -> bool {
    match service_error.code.as_str() {
        "ALREADY_EXISTS" => true,
        "FAILED_PRECONDITION" => !is_datastore(service_error),
        // A response without a message is not Firestore's, but of a proxy.
        "NOT_FOUND" => !service_error.message.is_empty() && !is_database(service_error),
        _ => false,
    }
}

/// Whether the database is missing, and not a document.
fn is_database(service_error: &ServiceError) -> bool {
    // These messages may contain a key, which may be any text.
    let is_document = ["No document", "no entity", "No entity"].iter().any(|no| service_error.message.starts_with(no));
    let text = service_error.message.split("/documents/").next().unwrap_or_default();
    !is_document && text.contains("does not exist") && (text.contains("database") || text.contains("project"))
}

/// Whether the database is in Datastore mode.
fn is_datastore(service_error: &ServiceError) -> bool {
    service_error.message.contains("API is not available for") && service_error.message.contains("Datastore")
}

impl FirestoreKeyValue {
    /// The error of a service error that is not a failed condition.
    pub(super) fn explain(&self, service_error: ServiceError) -> Error {
        let message = &service_error.message;
        let (database, collection) = (&self.database, &self.collection);
        let error = match service_error.code.as_str() {
            "NOT_FOUND" if is_database(&service_error) => {
                let project = self.project.as_ref().map(|project| format!(" --project={project}")).unwrap_or_default();
                let create =
                    format!("gcloud firestore databases create --database='{database}' --location=LOCATION{project}");
                Error::new(ErrorKind::NotFound, format!("{message}: create it with `{create}`, isobar does not"))
            }
            "FAILED_PRECONDITION" if is_datastore(&service_error) => {
                let need =
                    "isobar requires a database in Firestore's native mode: name one with `database=` in the URL";
                Error::config(format!("the database `{database}`: {message} {need}"))
            }
            // For example a missing index.
            "FAILED_PRECONDITION" => Error::config(format!("the collection `{collection}` of Firestore: {message}")),
            "ABORTED" => throttled("each attempt lost a race against other writes of the same items"),
            "INVALID_ARGUMENT" | "RESOURCE_EXHAUSTED" if is_too_large(message) => {
                let limit = PROFILE.limits.transaction_bytes;
                Error::new(ErrorKind::TooLarge, format!("the collection `{collection}`: {message}")).with_limit(limit)
            }
            _ => return service_error.into(),
        };
        service_error.mark_uncertain(error)
    }
}

/// Whether the message is one that Firestore or its emulator returns for a document, a request or a transaction with
/// too many bytes.
fn is_too_large(message: &str) -> bool {
    let texts = [
        "exceeds the maximum allowed size",
        "payload size exceeds the limit",
        "Transaction too big",
        "maximum entity size",
        "message exceeds maximum size",
    ];
    texts.iter().any(|text| message.contains(text))
}
