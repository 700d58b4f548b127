//! What the errors of Table Storage mean: whether to try again, and what they are to a caller.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes>.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::Refusal;

use super::batch;
use crate::config::StorageAccount;
use crate::service::{self, Place};

/// A table, as errors say it.
pub(super) fn place(account: &StorageAccount, table: &str) -> Place {
    let account = &account.name;
    let create = format!(
        "there is no table `{table}` in the storage account `{account}`: create it with `az storage table create --name \
         {table} --account-name {account}`, the library never does; or its table endpoint is another"
    );
    let grant = "grant the role `Storage Table Data Contributor` to who runs this, which may take minutes to count, or give \
                 the shared access signature the permissions `raud` on tables";
    Place { name: format!("table `{table}` of the storage account `{account}`"), create, grant }
}

/// Reads what was refused, also a write of a transaction, which as a whole is always answered with 202.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<Refusal> {
    if answer.status() != StatusCode::ACCEPTED {
        return Some(known(service::read(answer)?, place));
    }
    let part = batch::parts(answer.body()).into_iter().find(|part| !part.status.is_success())?;
    let mut of_write = Response::new(Bytes::from(part.body));
    *of_write.status_mut() = part.status;
    let mut refusal = service::read(&of_write)?;
    let told = refusal.message.split_once(':').and_then(|(at, rest)| Some((at.parse().ok()?, rest.to_owned())));
    if let Some((write, message)) = told {
        (refusal.write, refusal.message) = (Some(write), message);
    }
    Some(known(refusal, place))
}

/// The table of codes.
fn known(refusal: Refusal, place: &Place) -> Refusal {
    let kind = match refusal.code.as_str() {
        _ if is_absent(&refusal) => ErrorKind::Conflict,
        "EntityAlreadyExists" => ErrorKind::AlreadyExists,
        "UpdateConditionNotSatisfied" | "ConditionNotMet" => ErrorKind::Conflict,
        "TableNotFound" | "TableBeingDeleted" => ErrorKind::NotFound,
        "EntityTooLarge" | "PropertyValueTooLarge" | "RequestBodyTooLarge" | "ContentLengthExceeded" => {
            ErrorKind::TooLarge
        }
        _ if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        _ => refusal.kind,
    };
    let refusal = Refusal { kind, ..refusal };
    Refusal { explanation: service::explained(&refusal, place), ..refusal }
}

/// There is no such row, in a table that there is.
pub(super) fn is_absent(refusal: &Refusal) -> bool {
    ["ResourceNotFound", "EntityNotFound"].contains(&refusal.code.as_str())
}

/// Did a condition not hold?
pub(super) fn is_condition(refusal: &Refusal) -> bool {
    let codes = ["EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet"];
    is_absent(refusal) || codes.contains(&refusal.code.as_str()) || refusal.status() == StatusCode::PRECONDITION_FAILED
}
