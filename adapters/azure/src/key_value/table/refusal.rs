//! The error that Table Storage answered: whether to try again, and what it is to a caller.
//!
//! Sources: <https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes> and
//! <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Origin};
use isobar_rest::Judgement;
use serde::Deserialize;

use super::batch;

/// The largest request. Source: "Performing entity group transactions".
const REQUEST_BYTES: u64 = 4 * 1024 * 1024;

/// The largest entity. Source: "Understanding the Table service data model".
const ENTITY_BYTES: u64 = 1024 * 1024;

/// The error that the service answered.
pub(super) struct Refusal {
    pub(super) code: String,
    /// What it said, in one line. Not fit to be shown where it is about a signature: it echoes it.
    message: String,
    status: StatusCode,
    /// Which write of a transaction it is about.
    pub(super) write: Option<usize>,
    /// May the call, or an earlier attempt of it, have been applied?
    pub(super) uncertain: bool,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too many requests; nothing was done.
    Throttled,
    /// The service failed, and what was asked for may have been done.
    Failed,
    /// There is no such row, in a table that there is.
    Absent,
    /// There is a row already.
    Taken,
    /// The row is not of the version that was asked for.
    Changed,
    MissingTable,
    Missing,
    Unauthenticated,
    Denied,
    TooLarge,
    Invalid,
    Unsupported,
    Other,
}

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "odata.error")]
    error: ToldError,
}

#[derive(Debug, Deserialize)]
struct ToldError {
    code: String,
    message: ToldMessage,
}

#[derive(Debug, Deserialize)]
struct ToldMessage {
    value: String,
}

impl Refusal {
    /// What was refused, also a write of a transaction, which as a whole is always answered with 202.
    pub(super) fn of(answer: &Response<Bytes>) -> Option<Self> {
        let (status, body) = (answer.status(), answer.body());
        if status == StatusCode::ACCEPTED {
            let part = batch::parts(answer.body()).into_iter().find(|part| !part.status.is_success())?;
            let mut refusal = Self::read(part.status, None, part.body.as_bytes());
            let told = refusal.message.split_once(':').and_then(|(at, rest)| Some((at.parse().ok()?, rest.to_owned())));
            if let Some((write, message)) = told {
                (refusal.write, refusal.message) = (Some(write), message);
            }
            return Some(refusal);
        }
        let code = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
        (!status.is_success()).then(|| Self::read(status, code, body))
    }

    fn read(status: StatusCode, code: Option<&str>, body: &[u8]) -> Self {
        let (told, message) = match serde_json::from_slice::<Told>(body) {
            Ok(Told { error }) => (error.code, error.message.value),
            // What stands before the tables, such as authentication, answers XML.
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                (tag(&text, "code").unwrap_or_default(), tag(&text, "message").unwrap_or_default())
            }
        };
        let code = code.filter(|code| !code.is_empty()).map_or(told, str::to_owned);
        // Further lines are the id and the time of the request.
        let message = message.lines().next().unwrap_or_default().chars().take(300).collect();
        Self { code, message, status, write: None, uncertain: false }
    }

    /// The same of a call that may have been applied.
    pub(super) fn uncertain(self, uncertain: bool) -> Self {
        Self { uncertain, ..self }
    }

    pub(super) fn meaning(&self) -> Meaning {
        match self.code.as_str() {
            "ServerBusy" => Meaning::Throttled,
            // Of those that say 503 too, only the one above has surely done nothing.
            "OperationTimedOut" | "InternalError" => Meaning::Failed,
            "ResourceNotFound" | "EntityNotFound" => Meaning::Absent,
            "EntityAlreadyExists" => Meaning::Taken,
            "UpdateConditionNotSatisfied" | "ConditionNotMet" => Meaning::Changed,
            "TableNotFound" | "TableBeingDeleted" => Meaning::MissingTable,
            "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
                Meaning::Unauthenticated
            }
            // Azurite's word for a wrong signature; the service's for a firewall.
            "AuthorizationFailure" if self.message.contains("failed to authenticate") => Meaning::Unauthenticated,
            "EntityTooLarge" | "PropertyValueTooLarge" | "RequestBodyTooLarge" | "ContentLengthExceeded" => {
                Meaning::TooLarge
            }
            _ => of_status(self.status.as_u16()),
        }
    }

    /// Did a condition not hold?
    pub(super) fn is_condition(&self) -> bool {
        matches!(self.meaning(), Meaning::Absent | Meaning::Taken | Meaning::Changed)
    }

    /// Whether to try again.
    pub(super) fn judge(&self) -> Judgement {
        match self.meaning() {
            Meaning::Throttled => Judgement::Refused { after: None },
            Meaning::Failed => Judgement::Failed,
            _ => Judgement::Final,
        }
    }

    /// The error of what the caller did not treat itself.
    pub(super) fn explain(self, table: &str, account: &str) -> Error {
        let kind = self.kind();
        let message = self.told(table, account);
        let error = Error::new(kind, message).with_origin(Origin::Service);
        if self.uncertain { error.with_outcome_unknown() } else { error }
    }

    fn size_limit(&self) -> u64 {
        match self.code.as_str() {
            "EntityTooLarge" => ENTITY_BYTES,
            "PropertyValueTooLarge" => 64 * 1024,
            _ => REQUEST_BYTES,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.meaning() {
            Meaning::Throttled => ErrorKind::Throttled { retry_after: None },
            Meaning::Failed => ErrorKind::Unavailable,
            Meaning::MissingTable | Meaning::Missing => ErrorKind::NotFound,
            Meaning::Absent | Meaning::Changed => ErrorKind::Conflict,
            Meaning::Taken => ErrorKind::AlreadyExists,
            Meaning::Unauthenticated => ErrorKind::Unauthenticated,
            Meaning::Denied => ErrorKind::PermissionDenied,
            Meaning::TooLarge => ErrorKind::TooLarge { limit: self.size_limit() },
            Meaning::Invalid => ErrorKind::InvalidInput,
            Meaning::Unsupported => ErrorKind::Unsupported,
            Meaning::Other => ErrorKind::Internal,
        }
    }

    fn told(&self, table: &str, account: &str) -> String {
        let Self { code, message, .. } = self;
        let code = if code.is_empty() { format!("status {}", self.status.as_u16()) } else { code.clone() };
        match self.meaning() {
            Meaning::MissingTable => format!(
                "there is no table `{table}` in the storage account `{account}` ({code}): create it with \
                 `az storage table create --name {table} --account-name {account}`, the library never does"
            ),
            Meaning::Missing => format!(
                "the storage account `{account}` has nothing where table `{table}` should be ({code}): check its \
                 table endpoint"
            ),
            Meaning::Unauthenticated => format!(
                "the storage account `{account}` does not take the credentials ({code}): check the key or the shared \
                 access signature, or the identity, and that this machine's clock is right"
            ),
            Meaning::Denied => format!(
                "access to table `{table}` of the storage account `{account}` is denied ({code}): grant the role \
                 `Storage Table Data Contributor` to who runs this, which may take minutes to count, or give the shared \
                 access signature the permissions `raud` on tables; and check the account's firewall"
            ),
            Meaning::Throttled => format!("the storage account `{account}` is busy ({code}): {message}"),
            Meaning::Absent => format!("there is no such item in table `{table}` ({code})"),
            _ => format!("table `{table}` of the storage account `{account}`: {code}: {message}"),
        }
    }
}

/// What is left where no code is known: what the status means. A 503 without the code of a busy server
/// may be of anything on the way.
fn of_status(status: u16) -> Meaning {
    match status {
        400 => Meaning::Invalid,
        401 => Meaning::Unauthenticated,
        403 => Meaning::Denied,
        404 => Meaning::Missing,
        412 => Meaning::Changed,
        413 => Meaning::TooLarge,
        429 => Meaning::Throttled,
        501 => Meaning::Unsupported,
        408 | 500.. => Meaning::Failed,
        _ => Meaning::Other,
    }
}

/// The text of the first element of this name, whatever its namespace and attributes.
fn tag(xml: &str, wanted: &str) -> Option<String> {
    xml.split('<').find_map(|piece| {
        let (head, text) = piece.split_once('>')?;
        let name = head.split_whitespace().next()?;
        let name = name.rsplit(':').next()?;
        name.eq_ignore_ascii_case(wanted).then(|| text.trim().to_owned())
    })
}
