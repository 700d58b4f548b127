//! What the errors of Cosmos DB mean: whether to try again, and what they are to a caller.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb>; the sub-statuses,
//! and what of a failed write was surely not done, from Azure's own driver (`azure_data_cosmos_driver` 1.0).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};
use serde::Deserialize;

use super::stored::REQUEST_BYTES;
use crate::config::CosmosAccount;
use crate::service::{self, Place};

/// What the other writes of a batch are answered when one has failed.
const FAILED_DEPENDENCY: u16 = 424;

const READ_SESSION: u32 = 1002;
const NO_OWNER: u32 = 1003;
const OTHER_PARTITION: u32 = 1001;
const WRITE_FORBIDDEN: u32 = 3;
const NO_ACCOUNT: u32 = 1008;
const FULL_PARTITION: u32 = 1014;

/// What became of one write of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) status_code: u16,
    #[serde(default)]
    sub_status_code: u32,
    pub(super) e_tag: Option<String>,
    retry_after_milliseconds: Option<f64>,
}

/// A container, as errors say it.
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
        "give the identity the role `Cosmos DB Built-in Data Contributor` (az cosmosdb sql role assignment create)";
    Place { name: format!("container `{container}` of `{database}` at {endpoint}"), create, grant }
}

/// Reads what was refused, also a write of a batch, which as a whole is answered with 207.
pub(super) fn read(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    if answer.status() == StatusCode::MULTI_STATUS {
        return Some(of_batch(answer, place));
    }
    let service_error = service::read(answer)?;
    let told = number(answer.headers(), "x-ms-substatus").unwrap_or_default() as u32;
    // The real service says 1003; its emulators only have words.
    let named =
        ["Owner resource", "Container '", "Database '"].iter().any(|words| service_error.message.contains(words));
    let substatus = if answer.status() == 404 && named { NO_OWNER } else { told };
    let after = number(answer.headers(), "x-ms-retry-after-ms").and_then(millis);
    Some(known(service_error, answer.status().as_u16(), substatus, after, place))
}

/// Of requests that name a range of partitions, whose being gone is the caller's to mend.
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
        // It leaves it open what was done.
        let service_error = ServiceError::new(answer, "207", "the answer to a transaction tells of no write");
        return ServiceError { kind: ErrorKind::Internal, decision: RetryDecision::Failed, ..service_error };
    };
    let mut of_write = answer.clone();
    *of_write.status_mut() = StatusCode::from_u16(outcome.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let after = outcome.retry_after_milliseconds.or_else(|| number(answer.headers(), "x-ms-retry-after-ms"));
    let service_error = ServiceError::new(&of_write, "", "a write of the transaction");
    let (status, substatus) = (outcome.status_code, outcome.sub_status_code);
    ServiceError { write: Some(write), ..known(service_error, status, substatus, after.and_then(millis), place) }
}

/// The table of codes. 410 (the partition moves), 429 and 449 come before anything is done; 503 and 408 leave it open.
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
        (404, READ_SESSION) => (moved, again, "no replica is as far as the last write yet: try again".to_owned()),
        (400, OTHER_PARTITION) => (
            ErrorKind::Config,
            RetryDecision::Final,
            format!("it has another partition key than `/p`: {}", place.create),
        ),
        (403, FULL_PARTITION) => (
            ErrorKind::TooLarge,
            RetryDecision::Final,
            "the partition holds 20 GB, the most it can: spread its keys".to_owned(),
        ),
        (403, WRITE_FORBIDDEN) => (
            moved,
            RetryDecision::Final,
            "this region of the account takes no writes now: use the account's own endpoint".to_owned(),
        ),
        (403, NO_ACCOUNT) => (moved, RetryDecision::Final, "the account is not in this region now".to_owned()),
        (413, _) => (
            ErrorKind::TooLarge,
            RetryDecision::Final,
            format!("the request is over {REQUEST_BYTES} bytes, the most that Cosmos DB takes"),
        ),
        (410, _) => (moved, again, "the partition is being moved".to_owned()),
        (429, _) => (
            ErrorKind::Throttled,
            again,
            "the container's throughput is used up: give it more, or slow down".to_owned(),
        ),
        (449, _) => (ErrorKind::Throttled, again, "other writes of the same items are under way".to_owned()),
        _ => {
            let service_error = ServiceError { code, ..service_error };
            let activity = text(service_error.answer.headers(), "x-ms-activity-id").unwrap_or_default();
            let activity: String = activity.chars().take(64).collect();
            let ServiceError { code, message, .. } = &service_error;
            let explained = match status {
                _ if is_absent(&service_error) => format!("{place}: {code}: {message}"),
                // The message names the address that is blocked, or the action that no role allows.
                403 => format!(
                    "{place}: {code}: {message}: let the account's firewall pass this machine, or {}",
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

/// Is what a condition asked for not there, or what it forbade?
pub(super) fn is_condition(service_error: &ServiceError) -> bool {
    matches!(service_error.status().as_u16(), 409 | 412) || is_absent(service_error)
}

/// Did another write of the same items come first? Then nothing was done.
pub(super) fn is_contended(service_error: &ServiceError) -> bool {
    service_error.status() == 449
}

/// Is the range of partitions that was named no longer there?
pub(super) fn is_range_gone(service_error: &ServiceError) -> bool {
    service_error.status() == 410
}

/// There is no such item, but a container.
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
