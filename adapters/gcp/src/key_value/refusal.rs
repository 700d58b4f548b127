//! What a refusal of Firestore means: a condition that does not hold, a race that was lost, or a fault.

use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::Refusal;
use isobar_rest::attempt::throttled;

use super::FirestoreKeyValue;
use crate::profile::PROFILE;

/// Two writes of one document met, and this one has lost.
pub(super) fn is_contention(refusal: &Refusal) -> bool {
    refusal.code == "ABORTED"
}

/// Does it say that a document is not what a precondition wants?
pub(super) fn is_condition(refusal: &Refusal) -> bool {
    match refusal.code.as_str() {
        "ALREADY_EXISTS" => true,
        "FAILED_PRECONDITION" => !is_datastore(refusal),
        // What no service has said, but something between, tells of no document.
        "NOT_FOUND" => !refusal.message.is_empty() && !is_database(refusal),
        _ => false,
    }
}

/// Is it the database that is not there, and no document?
fn is_database(refusal: &Refusal) -> bool {
    // Behind these, a message may go on with a key, which may be any text.
    let is_document = ["No document", "no entity", "No entity"].iter().any(|no| refusal.message.starts_with(no));
    let told = refusal.message.split("/documents/").next().unwrap_or_default();
    !is_document && told.contains("does not exist") && (told.contains("database") || told.contains("project"))
}

/// Datastore's mode, older than Firestore's own.
fn is_datastore(refusal: &Refusal) -> bool {
    refusal.message.contains("API is not available for") && refusal.message.contains("Datastore")
}

impl FirestoreKeyValue {
    /// The error of a refusal that is no condition of a write.
    pub(super) fn explain(&self, refusal: Refusal) -> Error {
        let message = &refusal.message;
        let (database, collection) = (&self.database, &self.collection);
        let error = match refusal.code.as_str() {
            "NOT_FOUND" if is_database(&refusal) => {
                let project = self.project.as_ref().map(|project| format!(" --project={project}")).unwrap_or_default();
                let create =
                    format!("gcloud firestore databases create --database='{database}' --location=LOCATION{project}");
                Error::new(ErrorKind::NotFound, format!("{message}: create it, the library never does: `{create}`"))
            }
            "FAILED_PRECONDITION" if is_datastore(&refusal) => {
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
            _ => return refusal.into(),
        };
        refusal.as_error(error)
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
