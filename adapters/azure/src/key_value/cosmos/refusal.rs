//! The error that Cosmos DB answered: whether to try again, and what it is to a caller.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb>; the sub-statuses,
//! and what of a failed write was surely not done, from Azure's own driver (`azure_data_cosmos_driver` 1.0).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::Judgement;
use serde::Deserialize;

use super::batch;

/// The largest item, and the largest request. Source: "Azure Cosmos DB service quotas".
pub(super) const REQUEST_BYTES: u64 = 2_097_152;

/// Longest message that is kept, in characters.
const LONGEST: usize = 300;

/// The error that Cosmos DB answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) substatus: u32,
    /// What it said, fit to be shown.
    message: String,
    retry_after: Option<Duration>,
    /// Under which Azure's support finds the request.
    activity: String,
    /// Which write of a batch it is about.
    pub(super) write: Option<usize>,
    /// May the call, or an earlier attempt of it, have been applied?
    pub(super) uncertain: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// What was refused, also a write of a batch, which as a whole is answered with 207.
    pub(super) fn of(response: &Response<Bytes>) -> Option<Self> {
        if response.status() == StatusCode::MULTI_STATUS {
            return Some(Self::of_batch(response));
        }
        (!response.status().is_success()).then(|| Self::read(response))
    }

    fn read(response: &Response<Bytes>) -> Self {
        let headers = response.headers();
        let body: Body = serde_json::from_slice(response.body()).unwrap_or_default();
        Self {
            status: response.status().as_u16(),
            substatus: text(headers, "x-ms-substatus").and_then(|text| text.trim().parse().ok()).unwrap_or_default(),
            message: shown(&body.message),
            retry_after: number(headers, "x-ms-retry-after-ms").and_then(millis),
            activity: text(headers, "x-ms-activity-id").unwrap_or_default().chars().take(64).collect(),
            write: None,
            uncertain: false,
        }
    }

    fn of_batch(response: &Response<Bytes>) -> Self {
        let whole = Self::read(response);
        let Some((write, outcome)) = batch::culprit(response.body()) else {
            return Self { message: "the answer to a transaction tells of no write".to_owned(), ..whole };
        };
        Self {
            status: outcome.status_code,
            substatus: outcome.sub_status_code,
            message: "a write of the transaction".to_owned(),
            retry_after: outcome.retry_after_milliseconds.and_then(millis).or(whole.retry_after),
            write: Some(write),
            ..whole
        }
    }

    /// The same of a call that may have been applied.
    pub(super) fn uncertain(self, uncertain: bool) -> Self {
        Self { uncertain, ..self }
    }

    /// Whether to try again. 410 (the partition moves), 429 and 449 come before anything is done; 503 and
    /// 408 leave it open, as does a batch that tells of no write.
    pub(super) fn judge(&self) -> Judgement {
        match (self.status, self.substatus) {
            (429 | 449 | 410, _) | (404, READ_SESSION) => Judgement::Refused { after: self.retry_after },
            (207 | 408 | 500.., _) => Judgement::Failed,
            _ => Judgement::Final,
        }
    }

    /// Is what a condition asked for not there, or what it forbade?
    pub(super) fn is_condition(&self) -> bool {
        matches!(self.status, 409 | 412) || self.is_absent()
    }

    /// Did another write of the same items come first? Then nothing was done.
    pub(super) fn is_contended(&self) -> bool {
        self.status == 449
    }

    /// Is the range of partitions that was named no longer there?
    pub(super) fn is_range_gone(&self) -> bool {
        self.status == 410
    }

    /// There is no such item, but a container.
    pub(super) fn is_absent(&self) -> bool {
        self.status == 404 && self.substatus != READ_SESSION && !self.lacks_container()
    }

    /// The real service says 1003; its emulators only have words.
    fn lacks_container(&self) -> bool {
        let said = |words: &str| self.message.contains(words);
        let named = ["Owner resource", "Container '", "Database '"].iter().any(|words| said(words));
        self.status == 404 && (self.substatus == NO_OWNER || named)
    }

    /// The error of a refusal that is not about a condition. `place` is what was called.
    pub(super) fn explain(self, place: &Place<'_>) -> Error {
        let error = Error::new(self.kind(), self.told(place)).with_origin(Origin::Service);
        if self.uncertain { error.with_outcome_unknown() } else { error }
    }

    fn kind(&self) -> ErrorKind {
        match (self.status, self.substatus) {
            (404, READ_SESSION) | (403, WRITE_FORBIDDEN | NO_ACCOUNT) | (408 | 410 | 500.., _) => {
                ErrorKind::Unavailable
            }
            (400, OTHER_PARTITION) => ErrorKind::Config,
            (403, FULL_PARTITION) => ErrorKind::TooLarge { limit: 20 * 1024 * 1024 * 1024 },
            (429, _) => ErrorKind::Throttled { retry_after: self.retry_after },
            (449, _) => ErrorKind::Throttled { retry_after: None },
            (400, _) => ErrorKind::InvalidInput,
            (401, _) => ErrorKind::Unauthenticated,
            (403, _) => ErrorKind::PermissionDenied,
            (404, _) => ErrorKind::NotFound,
            (409 | 412 | 424, _) => ErrorKind::Conflict,
            (413, _) => ErrorKind::TooLarge { limit: REQUEST_BYTES },
            _ => ErrorKind::Internal,
        }
    }

    fn told(&self, place: &Place<'_>) -> String {
        let Self { status, substatus, message, activity, .. } = self;
        let code = if *substatus == 0 { status.to_string() } else { format!("{status}/{substatus}") };
        match (*status, *substatus) {
            (404, READ_SESSION) => format!("{place}: no replica is as far as the last write yet ({code}): try again"),
            (404, _) if self.lacks_container() => place.how_to_create(),
            // What the service says of it quotes what was signed.
            (401, _) => format!(
                "{place}: Cosmos DB does not take the key or the token ({code}): check AZURE_COSMOS_KEY or the identity, \
                 that they are of this account, and that this machine's clock is right"
            ),
            (400, OTHER_PARTITION) => {
                format!("{place} has another partition key than `/p` ({code}): {}", place.how_to_create())
            }
            (403, FULL_PARTITION) => {
                format!("{place}: the partition holds 20 GB, the most it can ({code}): spread its keys")
            }
            (403, WRITE_FORBIDDEN) => {
                format!(
                    "{place}: this region of the account takes no writes now ({code}): use the account's own endpoint"
                )
            }
            (403, NO_ACCOUNT) => format!("{place}: the account is not in this region now ({code})"),
            (403, _) => format!(
                "{place}: {code}: {message}: let the account's firewall pass this machine, or give the identity the role \
                 `Cosmos DB Built-in Data Contributor` (az cosmosdb sql role assignment create)"
            ),
            (413, _) => format!("{place}: the request is over {REQUEST_BYTES} bytes, the most that Cosmos DB takes"),
            (429, _) => format!("{place}: the container's throughput is used up ({code}): give it more, or slow down"),
            (449, _) => format!("{place}: other writes of the same items are under way ({code})"),
            _ => format!("{place}: {code}: {message} (activity {activity})"),
        }
    }
}

const READ_SESSION: u32 = 1002;
const NO_OWNER: u32 = 1003;
const OTHER_PARTITION: u32 = 1001;
const WRITE_FORBIDDEN: u32 = 3;
const NO_ACCOUNT: u32 = 1008;
const FULL_PARTITION: u32 = 1014;

/// What is called, as errors say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) endpoint: &'a str,
    pub(super) database: &'a str,
    pub(super) container: &'a str,
}

impl Place<'_> {
    fn how_to_create(&self) -> String {
        let Self { endpoint, database, container } = self;
        let host = endpoint.split("://").last().unwrap_or_default();
        let account = host.split('.').next().filter(|_| host.contains(".documents.")).unwrap_or("ACCOUNT");
        format!(
            "there is no container `{container}` with the partition key `/p` in the database `{database}` of {endpoint}: create \
             it with `az cosmosdb sql container create --account-name {account} --resource-group GROUP --database-name \
             {database} --name {container} --partition-key-path /p --partition-key-version 2 --ttl -1`"
        )
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "container `{}` of `{}` at {}", self.container, self.database, self.endpoint)
    }
}

/// One line of a certain length: what follows are the traces of replicas.
fn shown(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(LONGEST).collect()
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
