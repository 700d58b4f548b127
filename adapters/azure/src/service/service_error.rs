//! How the errors of all services are read, and what their common codes mean.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.

use std::fmt;

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};
use serde_json::Value;

/// What is called, as errors say it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Such as ``the queue `clicks` of the storage account `acc` ``.
    pub(crate) name: String,
    /// What to do where it is not there.
    pub(crate) create: String,
    /// What to do where it is forbidden.
    pub(crate) grant: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Code and message of an error: `{"odata.error": {"code", "message": {"value"}}}` of tables, `{"code", "message"}` of
/// Cosmos DB, XML of the others; and a header that all storage services have.
fn told(answer: &Response<Bytes>) -> (String, String) {
    let (code, message) = match serde_json::from_slice::<Value>(answer.body()) {
        Ok(told) => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match &told["odata.error"] {
                Value::Null => (text(&told["code"]), text(&told["message"])),
                of_table => (text(&of_table["code"]), text(&of_table["message"]["value"])),
            }
        }
        Err(_) => {
            let text = String::from_utf8_lossy(answer.body());
            // `Detail` is Service Bus's word for a message.
            let message = element(&text, "message").or_else(|| element(&text, "detail"));
            (element(&text, "code").unwrap_or_default(), message.unwrap_or_default())
        }
    };
    let header = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
    let code = header.filter(|code| !code.is_empty()).unwrap_or(&code);
    (code.chars().filter(char::is_ascii_alphanumeric).take(60).collect(), message)
}

/// The text of the first element of this name, whatever its namespace and attributes.
fn element(xml: &str, wanted: &str) -> Option<String> {
    xml.split('<').find_map(|piece| {
        let (head, text) = piece.split_once('>')?;
        let name = head.split_whitespace().next()?.rsplit(':').next()?;
        let text = quick_xml::escape::unescape(text.trim()).map_or_else(|_| text.to_owned(), |text| text.into_owned());
        name.eq_ignore_ascii_case(wanted).then_some(text)
    })
}

/// Reads what an answer refuses by the codes that all services share, else by its status; `None` of a success.
pub(crate) fn read(answer: &Response<Bytes>) -> Option<ServiceError> {
    if answer.status().is_success() {
        return None;
    }
    let (code, message) = told(answer);
    let service_error = ServiceError::new(answer, code, &message);
    let (kind, decision) = match service_error.code.as_str() {
        "ServerBusy" => (ErrorKind::Throttled, RetryDecision::Throttled { after: None }),
        "OperationTimedOut" | "InternalError" => (ErrorKind::Unavailable, RetryDecision::Failed),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            (ErrorKind::Unauthenticated, RetryDecision::Final)
        }
        // Azurite's word for a wrong signature; the service's for a firewall.
        "AuthorizationFailure" if service_error.message.contains("failed to authenticate") => {
            (ErrorKind::Unauthenticated, RetryDecision::Final)
        }
        _ => (service_error.kind, service_error.decision),
    };
    Some(ServiceError { kind, decision, ..service_error })
}

/// The text of an error at a place. What a service says of credentials is not shown: it echoes what was signed.
pub(crate) fn explained(service_error: &ServiceError, place: &Place) -> String {
    let ServiceError { code, message, .. } = service_error;
    let status = service_error.status().as_u16();
    let code = if code.is_empty() { format!("status {status}") } else { code.clone() };
    let said = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    match service_error.kind {
        ErrorKind::NotFound => place.create.clone(),
        ErrorKind::Unauthenticated => format!(
            "{place} does not take the credentials ({code}): check the key, the signature or the identity, that they are \
             of this account, and that this machine's clock is right"
        ),
        ErrorKind::PermissionDenied => format!(
            "access to {place} is denied ({code}): {}; and let the account's firewall pass this machine",
            place.grant
        ),
        _ => format!("{place}: {said}"),
    }
}
