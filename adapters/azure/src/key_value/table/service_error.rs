//! The meaning of Table Storage's errors: the kind, and whether to try again.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes>.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::ServiceError;

use super::batch;
use crate::config::StorageAccount;
use crate::service::{self, Place};

/// A table, as error messages name it.
pub(super) fn place(account: &StorageAccount, table: &str) -> Place {
    let account = &account.name;
    let create = format!(
        "there is no table `{table}` in the storage account `{account}`: create it with `az storage table create --name \
         {table} --account-name {account}`, isobar never does; or correct the table endpoint"
    );
    let grant = "grant the role `Storage Table Data Contributor` to the identity, which may take minutes to be effective, \
                 or give the shared access signature the permissions `raud` on tables";
    Place { name: format!("table `{table}` of the storage account `{account}`"), create, grant }
}

/// The service error of a response, also of a transaction, whose status is always 202.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    if answer.status() != StatusCode::ACCEPTED {
        return Some(known(service::read(answer)?, place));
    }
    let part = batch::parts(answer.body()).into_iter().find(|part| !part.status.is_success())?;
    let mut of_write = Response::new(Bytes::from(part.body));
    *of_write.status_mut() = part.status;
    let mut service_error = service::read(&of_write)?;
    let numbered =
        service_error.message.split_once(':').and_then(|(at, rest)| Some((at.parse().ok()?, rest.to_owned())));
    if let Some((write, message)) = numbered {
        (service_error.write, service_error.message) = (Some(write), message);
    }
    Some(known(service_error, place))
}

/// The table of codes.
fn known(service_error: ServiceError, place: &Place) -> ServiceError {
    let kind = match service_error.code.as_str() {
        _ if is_absent(&service_error) => ErrorKind::Conflict,
        "EntityAlreadyExists" => ErrorKind::AlreadyExists,
        "UpdateConditionNotSatisfied" | "ConditionNotMet" => ErrorKind::Conflict,
        "TableNotFound" | "TableBeingDeleted" => ErrorKind::NotFound,
        "EntityTooLarge" | "PropertyValueTooLarge" | "RequestBodyTooLarge" | "ContentLengthExceeded" => {
            ErrorKind::TooLarge
        }
        _ if service_error.status() == StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        _ => service_error.kind,
    };
    let service_error = ServiceError { kind, ..service_error };
    ServiceError { explanation: service::explained(&service_error, place), ..service_error }
}

/// Whether the row is absent, in a table that exists.
pub(super) fn is_absent(service_error: &ServiceError) -> bool {
    ["ResourceNotFound", "EntityNotFound"].contains(&service_error.code.as_str())
}

/// Whether a condition did not hold.
pub(super) fn is_condition(service_error: &ServiceError) -> bool {
    let codes = ["EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet"];
    is_absent(service_error)
        || codes.contains(&service_error.code.as_str())
        || service_error.status() == StatusCode::PRECONDITION_FAILED
}
