//! The meaning of Cosmos DB's errors: the kind, and whether to try again.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb>; the sub-statuses, and
//! which failed writes were certainly not applied, from Azure's driver (`azure_data_cosmos_driver` 1.0).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};
use serde::Deserialize;

use super::stored::REQUEST_BYTES;
use crate::config::CosmosAccount;
use crate::service::{self, Place};

/// The status of the other writes of a batch when one has failed.
const FAILED_DEPENDENCY: u16 = 424;

const READ_SESSION: u32 = 1002;
const NO_OWNER: u32 = 1003;
const OTHER_PARTITION: u32 = 1001;
const WRITE_FORBIDDEN: u32 = 3;
const NO_ACCOUNT: u32 = 1008;
const FULL_PARTITION: u32 = 1014;

/// The outcome of one write of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) status_code: u16,
    #[serde(default)]
    sub_status_code: u32,
    pub(super) e_tag: Option<String>,
    retry_after_milliseconds: Option<f64>,
}

/// A container, as error messages name it.
pub(super) fn place(account: &CosmosAccount, container: &str) -> Place {
    let CosmosAccount { endpoint, database, .. } = account;
    let host = endpoint.split("://").last().unwrap_or_default();
    let name = host.split('.').next().filter(|_| host.contains(".documents.")).unwrap_or("ACCOUNT");
    let create = format!(
        "there is no container `{container}` with the partition key `/p` in the database `{database}` of {endpoint}: create \
         it with `az cosmosdb sql container create --account-name {name} --resource-group GROUP --database-name \
         {database} --name {container} --partition-key-path /p --partition-key-version 2 --ttl -1`"
    );
    let grant =
        "grant the identity the role `Cosmos DB Built-in Data Contributor` (az cosmosdb sql role assignment create)";
    Place { name: format!("container `{container}` of `{database}` at {endpoint}"), create, grant }
}

/// The service error of a response, also of a batch, whose status is 207.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    if answer.status() == StatusCode::MULTI_STATUS {
        return Some(of_batch(answer, place));
    }
    let service_error = service::read(answer)?;
    let reported = number(answer.headers(), "x-ms-substatus").unwrap_or_default() as u32;
    // The service reports 1003; its emulators only have a message.
    let named =
        ["Owner resource", "Container '", "Database '"].iter().any(|words| service_error.message.contains(words));
    let substatus = if answer.status() == 404 && named { NO_OWNER } else { reported };
    let after = number(answer.headers(), "x-ms-retry-after-ms").and_then(millis);
    Some(known(service_error, answer.status().as_u16(), substatus, after, place))
}

/// The service error of a request that names a partition key range; where the range is gone, the caller reads the ranges
/// again.
pub(super) fn read_ranged(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    let service_error = read(answer, place)?;
    Some(if is_range_gone(&service_error) {
        ServiceError { decision: RetryDecision::Final, ..service_error }
    } else {
        service_error
    })
}

fn of_batch(answer: &Response<Bytes>, place: &Place) -> ServiceError {
    let outcomes: Vec<Outcome> = serde_json::from_slice(answer.body()).unwrap_or_default();
    let failed = |outcome: &Outcome| outcome.status_code >= 400 && outcome.status_code != FAILED_DEPENDENCY;
    let Some((write, outcome)) = outcomes.into_iter().enumerate().find(|(_, outcome)| failed(outcome)) else {
        // The response leaves open whether the batch was applied.
        let service_error = ServiceError::new(answer, "207", "the response to a transaction contains no failed write");
        return ServiceError { kind: ErrorKind::Internal, decision: RetryDecision::Failed, ..service_error };
    };
    let mut of_write = answer.clone();
    *of_write.status_mut() = StatusCode::from_u16(outcome.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let after = outcome.retry_after_milliseconds.or_else(|| number(answer.headers(), "x-ms-retry-after-ms"));
    let service_error = ServiceError::new(&of_write, "", "a write of the transaction");
    let (status, substatus) = (outcome.status_code, outcome.sub_status_code);
    ServiceError { write: Some(write), ..known(service_error, status, substatus, after.and_then(millis), place) }
}

/// The table of codes. With 410 (the partition moves), 429 and 449 nothing was applied; 503 and 408 leave it open.
fn known(
    service_error: ServiceError,
    status: u16,
    substatus: u32,
    after: Option<Duration>,
    place: &Place,
) -> ServiceError {
    let code = if substatus == 0 { status.to_string() } else { format!("{status}/{substatus}") };
    let (again, moved) = (RetryDecision::Throttled { after }, ErrorKind::Unavailable);
    let (kind, decision, explanation) = match (status, substatus) {
        (404, READ_SESSION) => {
            (moved, again, "no replica has the last write of this session yet: try again".to_owned())
        }
        (400, OTHER_PARTITION) => {
            (ErrorKind::Config, RetryDecision::Final, format!("its partition key is not `/p`: {}", place.create))
        }
        (403, FULL_PARTITION) => (
            ErrorKind::TooLarge,
            RetryDecision::Final,
            "the partition has reached its limit of 20 GB: spread its keys over several partitions".to_owned(),
        ),
        (403, WRITE_FORBIDDEN) => (
            moved,
            RetryDecision::Final,
            "this region of the account does not accept writes now: use the account's own endpoint".to_owned(),
        ),
        (403, NO_ACCOUNT) => (moved, RetryDecision::Final, "the account is not in this region now".to_owned()),
        (413, _) => (
            ErrorKind::TooLarge,
            RetryDecision::Final,
            format!("the request is larger than {REQUEST_BYTES} bytes, the limit of Cosmos DB"),
        ),
        (410, _) => (moved, again, "the partition is being moved".to_owned()),
        (429, _) => (
            ErrorKind::Throttled,
            again,
            "the container's throughput is used up: raise it, or send fewer requests".to_owned(),
        ),
        (449, _) => {
            (ErrorKind::Throttled, again, "other writes of the same items are in progress: try again".to_owned())
        }
        _ => {
            let service_error = ServiceError { code, ..service_error };
            let activity = text(service_error.response.headers(), "x-ms-activity-id").unwrap_or_default();
            let activity: String = activity.chars().take(64).collect();
            let ServiceError { code, message, .. } = &service_error;
            let explained = match status {
                _ if is_absent(&service_error) => format!("{place}: {code}: {message}"),
                // The message contains the blocked address, or the action that no role allows.
                403 => format!(
                    "{place}: {code}: {message}: allow this machine in the account's firewall, or {}",
                    place.grant
                ),
                _ => service::explained(&service_error, place),
            };
            let explanation = format!("{explained} (activity {activity})");
            return ServiceError { explanation, ..service_error };
        }
    };
    ServiceError { kind, decision, explanation: format!("{place}: {explanation} ({code})"), code, ..service_error }
}

/// Whether a condition of the write does not hold.
pub(super) fn is_condition(service_error: &ServiceError) -> bool {
    matches!(service_error.status().as_u16(), 409 | 412) || is_absent(service_error)
}

/// Whether another write of the same items was first. Then nothing was applied.
pub(super) fn is_contended(service_error: &ServiceError) -> bool {
    service_error.status() == 449
}

/// Whether the partition key range in the request is gone.
pub(super) fn is_range_gone(service_error: &ServiceError) -> bool {
    service_error.status() == 410
}

/// Whether the item is absent, in a container that exists.
pub(super) fn is_absent(service_error: &ServiceError) -> bool {
    service_error.status() == 404 && !["404/1002", "404/1003"].contains(&service_error.code.as_str())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    text(headers, name)?.trim().parse().ok()
}

fn millis(millis: f64) -> Option<Duration> {
    (millis.is_finite() && millis >= 0.0).then(|| Duration::from_millis(millis.ceil() as u64))
}
