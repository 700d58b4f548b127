//! What a service error of Firestore means: a condition that does not hold, a race that was lost, or a fault.

use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::ServiceError;
use isobar_rest::attempt::throttled;

use super::FirestoreKeyValue;
use crate::profile::PROFILE;

/// Two writes of one document met, and this one has lost.
pub(super) fn is_contention(service_error: &ServiceError) -> bool {
    service_error.code == "ABORTED"
}

/// Does it say that a document is not what a precondition wants?
pub(super) fn is_condition(service_error: &ServiceError) -> bool {
    match service_error.code.as_str() {
        "ALREADY_EXISTS" => true,
        "FAILED_PRECONDITION" => !is_datastore(service_error),
        // What no service has said, but something between, tells of no document.
        "NOT_FOUND" => !service_error.message.is_empty() && !is_database(service_error),
        _ => false,
    }
}

/// Is it the database that is not there, and no document?
fn is_database(service_error: &ServiceError) -> bool {
    // Behind these, a message may go on with a key, which may be any text.
    let is_document = ["No document", "no entity", "No entity"].iter().any(|no| service_error.message.starts_with(no));
    let told = service_error.message.split("/documents/").next().unwrap_or_default();
    !is_document && told.contains("does not exist") && (told.contains("database") || told.contains("project"))
}

/// Datastore's mode, older than Firestore's own.
fn is_datastore(service_error: &ServiceError) -> bool {
    service_error.message.contains("API is not available for") && service_error.message.contains("Datastore")
}

impl FirestoreKeyValue {
    /// The error of a service error that is no condition of a write.
    pub(super) fn explain(&self, service_error: ServiceError) -> Error {
        let message = &service_error.message;
        let (database, collection) = (&self.database, &self.collection);
        let error = match service_error.code.as_str() {
            "NOT_FOUND" if is_database(&service_error) => {
                let project = self.project.as_ref().map(|project| format!(" --project={project}")).unwrap_or_default();
                let create =
                    format!("gcloud firestore databases create --database='{database}' --location=LOCATION{project}");
                Error::new(ErrorKind::NotFound, format!("{message}: create it, the library never does: `{create}`"))
            }
            "FAILED_PRECONDITION" if is_datastore(&service_error) => {
                let need = "isobar needs a database in Firestore's native mode: name one by `database=` in the URL";
                Error::config(format!("the database `{database}`: {message} {need}"))
            }
            // Such as an index that somebody has left out.
            "FAILED_PRECONDITION" => Error::config(format!("the collection `{collection}` of Firestore: {message}")),
            "ABORTED" => throttled("other writes of the same items were faster every time"),
            "INVALID_ARGUMENT" | "RESOURCE_EXHAUSTED" if is_too_large(message) => {
                let limit = PROFILE.limits.transaction_bytes;
                Error::new(ErrorKind::TooLarge, format!("the collection `{collection}`: {message}")).with_limit(limit)
            }
            _ => return service_error.into(),
        };
        service_error.mark_uncertain(error)
    }
}

/// What Firestore and its emulator say of a document, a request or a transaction that has too many bytes.
fn is_too_large(message: &str) -> bool {
    let told = [
        "exceeds the maximum allowed size",
        "payload size exceeds the limit",
        "Transaction too big",
        "maximum entity size",
        "message exceeds maximum size",
    ];
    told.iter().any(|told| message.contains(told))
}
