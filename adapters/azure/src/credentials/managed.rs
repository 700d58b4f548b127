//! Tokens of a managed identity: from the endpoint of a Functions app, or from the metadata service of
//! the machine.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::request::{Builder, Parts};
use http::{HeaderValue, Request, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Call, Client, ClientConfig, Found, Judgement, Safety, Service, SystemClock};
use object_store::PutPayload;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::found;
use crate::AzureConfig;
use crate::config::Managed;

/// What both endpoints answer.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds since 1970: a string, of some a number.
    expires_on: Value,
}

impl Answer {
    /// What was sent is never shown: it may be half of a secret.
    fn read(from: &str, body: &[u8]) -> Result<Found<str>> {
        let wrong = || Error::internal(format!("{from} did not answer with the expected JSON"));
        let answer: Self = serde_json::from_slice(body).map_err(|_| wrong())?;
        let expires = match &answer.expires_on {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        found(from, &answer.access_token, at(expires.ok_or_else(wrong)?).ok_or_else(wrong)?)
    }
}

/// So many seconds since 1970.
pub(super) fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds < 1 << 40)
}

fn query(version: &str, resource: &str, client_id: Option<&str>) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let client_id = client_id.map(|id| format!("&client_id={}", encoded(id))).unwrap_or_default();
    format!("api-version={version}&resource={}{client_id}", encoded(resource))
}

/// Source: "REST endpoint reference",
/// <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>.
pub(super) async fn find(
    managed: &Managed,
    client_id: Option<&str>,
    resource: &str,
    config: &AzureConfig,
) -> Result<Found<str>> {
    let from = "the endpoint of the managed identity";
    let url = format!("{}?{}", managed.endpoint, query("2019-08-01", resource, client_id));
    let wrong = |_| Error::config("what IDENTITY_HEADER says cannot stand in a header");
    let mut header = HeaderValue::from_str(&managed.header).map_err(wrong)?;
    header.set_sensitive(true);
    let request = Request::get(url).header("x-identity-header", header).header("metadata", "true");
    let answer = send(&near(config, Duration::from_secs(10), 3), "GetManagedIdentityToken", request).await?;
    match answer.status() {
        StatusCode::OK => Answer::read(from, answer.body()),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Err(no_identity(client_id)),
        status => Err(refused(from, status)),
    }
}

fn no_identity(client_id: Option<&str>) -> Error {
    let message = match client_id {
        Some(id) => format!("the app has no managed identity with the client id {id}, which AZURE_CLIENT_ID says"),
        None => {
            "the app has no managed identity of its own: enable it, or set AZURE_CLIENT_ID to that of another that \
                 was assigned to the app"
                .to_owned()
        }
    };
    Error::new(ErrorKind::Unauthenticated, message)
}

/// Asks the machine's own metadata service. The inner error says why it has no token.
///
/// Source: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>.
pub(super) async fn machine(
    at: &str,
    client_id: Option<&str>,
    resource: &str,
    config: &AzureConfig,
) -> Result<Result<Found<str>, &'static str>> {
    let url = format!("{at}/metadata/identity/oauth2/token?{}", query("2018-02-01", resource, client_id));
    let ask = async |attempts| {
        let near = near(config, Duration::from_secs(5), attempts);
        send(&near, "GetMachineToken", Request::get(&url).header("metadata", "true")).await
    };
    // Most machines that come here are not on Azure at all: nobody is asked twice who does not answer.
    let Ok(first) = ask(1).await else { return Ok(Err("does not answer")) };
    let answer = if is_late(first.status()) { ask(3).await? } else { first };
    match answer.status() {
        StatusCode::OK => Answer::read("the metadata service of the machine", answer.body()).map(Ok),
        StatusCode::TOO_MANY_REQUESTS => Err(refused("the metadata service of the machine", answer.status())),
        status if status.is_server_error() => Err(refused("the metadata service of the machine", status)),
        StatusCode::BAD_REQUEST => Ok(Err("the machine has no such identity")),
        _ => Ok(Err("does not give a token")),
    }
}

/// The metadata service says 404 and 410 while it is being updated.
fn is_late(status: StatusCode) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::TOO_MANY_REQUESTS].contains(&status)
        || status.is_server_error()
}

/// A client for what is one hop away: not through a proxy, and not for long.
fn near(config: &AzureConfig, timeout: Duration, attempts: u32) -> Client {
    let mut near = ClientConfig::default();
    near.ca_bundle.clone_from(&config.client.ca_bundle);
    near.connect_timeout = Duration::from_secs(1);
    near.attempt_timeout = timeout;
    near.max_attempts = attempts;
    Client::new(near, Arc::new(SystemClock))
}

async fn send(client: &Client, operation: &'static str, request: Builder) -> Result<Response<Bytes>> {
    let wrong = |_| Error::config("the endpoint of the identity is not a URL");
    let request = request.body(PutPayload::new()).map_err(wrong)?;
    let call = Call { operation, request, safety: Safety::Read, service: &Unsigned };
    Ok(client.call(call).await?.response)
}

pub(super) fn refused(from: &str, status: StatusCode) -> Error {
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled { retry_after: None },
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Unauthenticated,
    };
    Error::new(kind, format!("{from} answered with status {}", status.as_u16()))
}

/// An endpoint that takes requests as they are.
pub(super) struct Unsigned;

#[async_trait]
impl Service for Unsigned {
    async fn authorize(&self, _: &mut Parts, _: &PutPayload) -> Result<()> {
        Ok(())
    }

    fn judge(&self, response: &Response<Bytes>) -> Judgement {
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Judgement::Refused { after: None },
            status if is_late(status) => Judgement::Failed,
            _ => Judgement::Final,
        }
    }
}
