//! The errors of all services: their formats, and the meaning of the common codes.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.

use std::fmt;

use bytes::Bytes;
use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_rest::{RetryDecision, ServiceError};
use serde_json::Value;

/// The resource of a call, as error messages name it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Such as ``the queue `clicks` of the storage account `acc` ``.
    pub(crate) name: String,
    /// The advice where it does not exist.
    pub(crate) create: String,
    /// The advice where access is denied.
    pub(crate) grant: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Code and message of an error: `{"odata.error": {"code", "message": {"value"}}}` of tables, `{"code", "message"}` of
/// Cosmos DB, `{"error": {"code", "message", "innererror": {"code"}}}` of Key Vault, XML of the others; the header
/// `x-ms-error-code` of all storage services takes precedence.
fn code_and_message(answer: &Response<Bytes>) -> (String, String) {
    let (code, message) = match serde_json::from_slice::<Value>(answer.body()) {
        Ok(body) => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match (&body["odata.error"], &body["error"]) {
                (Value::Null, Value::Null) => (text(&body["code"]), text(&body["message"])),
                (Value::Null, of_vault) => {
                    // The inner code is the cause of a `Forbidden`.
                    let inner = of_vault["innererror"]["code"].as_str().map(str::to_owned);
                    (inner.unwrap_or_else(|| text(&of_vault["code"])), text(&of_vault["message"]))
                }
                (of_table, _) => (text(&of_table["code"]), text(&of_table["message"]["value"])),
            }
        }
        Err(_) => {
            let text = String::from_utf8_lossy(answer.body());
            // Service Bus calls the message `Detail`.
            let message = element(&text, "message").or_else(|| element(&text, "detail"));
            (element(&text, "code").unwrap_or_default(), message.unwrap_or_default())
        }
    };
    let header = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
    let code = header.filter(|code| !code.is_empty()).unwrap_or(&code);
    (code.chars().filter(char::is_ascii_alphanumeric).take(60).collect(), message)
}

/// The text of the first element with this name, whatever its namespace and attributes.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    xml.split('<').find_map(|piece| {
        let (head, text) = piece.split_once('>')?;
        let local_name = head.split_whitespace().next()?.rsplit(':').next()?;
        let text = quick_xml::escape::unescape(text.trim()).map_or_else(|_| text.to_owned(), |text| text.into_owned());
        local_name.eq_ignore_ascii_case(name).then_some(text)
    })
}

/// The service error of a response, by the codes that all services share, else by its status; `None` for a success.
pub(crate) fn read(answer: &Response<Bytes>) -> Option<ServiceError> {
    if answer.status().is_success() {
        return None;
    }
    let (code, message) = code_and_message(answer);
    let service_error = ServiceError::new(answer, code, &message);
    let (kind, decision) = match service_error.code.as_str() {
        "ServerBusy" => (ErrorKind::Throttled, RetryDecision::Throttled { after: None }),
        "OperationTimedOut" | "InternalError" => (ErrorKind::Unavailable, RetryDecision::Failed),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            (ErrorKind::Unauthenticated, RetryDecision::Final)
        }
        // Azurite uses this code for a wrong signature, the service for its firewall.
        "AuthorizationFailure" if service_error.message.contains("failed to authenticate") => {
            (ErrorKind::Unauthenticated, RetryDecision::Final)
        }
        _ => (service_error.kind, service_error.decision),
    };
    Some(ServiceError { kind, decision, ..service_error })
}

/// The message of an error. A service's text about credentials is left out: it echoes the signed text.
pub(crate) fn explained(service_error: &ServiceError, place: &Place) -> String {
    let ServiceError { code, message, .. } = service_error;
    let status = service_error.status().as_u16();
    let code = if code.is_empty() { format!("status {status}") } else { code.clone() };
    let reported = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    match service_error.kind {
        ErrorKind::NotFound => place.create.clone(),
        ErrorKind::Unauthenticated => format!(
            "{place} rejected the credentials ({code}): check the key, the signature or the identity, that they are \
             of this account, and that this machine's clock is right"
        ),
        ErrorKind::PermissionDenied => format!(
            "access to {place} is denied ({code}): {}; and allow this machine in the account's firewall",
            place.grant
        ),
        _ => format!("{place}: {reported}"),
    }
}
