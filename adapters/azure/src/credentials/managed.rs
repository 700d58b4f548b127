//! Tokens of a managed identity: from the endpoint of a Functions app, or from the metadata service of
//! the machine.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::encode_query;
use isobar_rest::{Client, RetryDecision, ServiceError, ServiceResult, TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;
use serde_json::Value;

use super::found;
use crate::AzureConfig;
use crate::config::Managed;

/// The response of both endpoints.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds since 1970: a string, or from some endpoints a number.
    expires_on: Value,
}

impl Answer {
    /// Reads a response. Errors: `Internal`, without the body, which may contain a secret.
    fn read(from: &str, body: &[u8]) -> Result<TemporaryCredential<str>> {
        let wrong = || Error::internal(format!("{from} did not return the expected JSON"));
        let answer: Self = serde_json::from_slice(body).map_err(|_| wrong())?;
        let expires = match &answer.expires_on {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        found(from, &answer.access_token, at(expires.ok_or_else(wrong)?).ok_or_else(wrong)?)
    }
}

/// The time this many seconds after 1970.
pub(super) fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds < 1 << 40)
}

fn query(version: &str, resource: &str, client_id: Option<&str>) -> String {
    let mut pairs = vec![("api-version", version), ("resource", resource)];
    pairs.extend(client_id.map(|id| ("client_id", id)));
    encode_query(&pairs)
}

/// Source: "REST endpoint reference",
/// <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>.
pub(super) async fn find(
    managed: &Managed,
    client_id: Option<&str>,
    resource: &str,
    config: &AzureConfig,
) -> Result<TemporaryCredential<str>> {
    let from = "the endpoint of the managed identity";
    let url = format!("{}?{}", managed.endpoint, query("2019-08-01", resource, client_id));
    let request = Request::get(url).header("x-identity-header", &managed.header).header("metadata", "true");
    let near = Client::for_metadata_server(&config.client, Duration::from_secs(10), 3);
    match ask(&near, "GetManagedIdentityToken", request).await? {
        Ok(answer) => Answer::read(from, answer.body()),
        Err(service_error) if [400, 404].contains(&service_error.status().as_u16()) => Err(no_identity(client_id)),
        Err(service_error) => Err(service_error.credential_error(from)),
    }
}

fn no_identity(client_id: Option<&str>) -> Error {
    let message = match client_id {
        Some(id) => {
            format!("the app has no managed identity with the client id {id}: assign it, or change AZURE_CLIENT_ID")
        }
        None => {
            "the app has no system-assigned managed identity: enable it, or set AZURE_CLIENT_ID to the client id of \
                 a user-assigned one"
                .to_owned()
        }
    };
    Error::new(ErrorKind::Unauthenticated, message)
}

/// A token from the machine's metadata service. The inner error says why it has none.
///
/// Source: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>.
pub(super) async fn machine(
    at: &str,
    client_id: Option<&str>,
    resource: &str,
    config: &AzureConfig,
) -> Result<Result<TemporaryCredential<str>, &'static str>> {
    let url = format!("{at}/metadata/identity/oauth2/token?{}", query("2018-02-01", resource, client_id));
    let from = "the metadata service of the machine";
    let attempt = async |attempts| {
        let near = Client::for_metadata_server(&config.client, Duration::from_secs(5), attempts);
        ask(&near, "GetMachineToken", Request::get(&url).header("metadata", "true")).await
    };
    // Most machines that reach this point are not on Azure: without a response there is no second attempt.
    let Ok(first) = attempt(1).await else { return Ok(Err("no response")) };
    let answer = match first {
        Err(service_error) if service_error.decision != RetryDecision::Final => attempt(3).await?,
        first => first,
    };
    match answer {
        Ok(answer) => Answer::read(from, answer.body()).map(Ok),
        Err(service_error) if matches!(service_error.kind, ErrorKind::Throttled | ErrorKind::Unavailable) => {
            Err(service_error.credential_error(from))
        }
        Err(service_error) if service_error.status() == StatusCode::BAD_REQUEST => {
            Ok(Err("the machine has no such identity"))
        }
        Err(_) => Ok(Err("returned no token")),
    }
}

async fn ask(client: &Client, operation: &'static str, request: Builder) -> Result<ServiceResult<Response<Bytes>>> {
    let wrong = |_| Error::config("the endpoint of the identity is not a URL");
    client.call_unsigned(operation, request.body(PutPayload::new()).map_err(wrong)?, Unsigned(service_error)).await
}

/// The service error of a response. Metadata services respond with 404 and 410 while they are updated.
fn service_error(answer: &Response<Bytes>) -> Option<ServiceError> {
    let service_error = ServiceError::from_status(answer)?;
    let is_updating = [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&answer.status());
    Some(if is_updating { ServiceError { decision: RetryDecision::Failed, ..service_error } } else { service_error })
}
