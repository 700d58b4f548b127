//! Workload identity: tokens of Entra in exchange for the token of another issuer.

use std::time::{Duration, SystemTime};

use http::Request;
use http::header::CONTENT_TYPE;
use isobar_abstraction::clock::later;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::encode_query;
use isobar_rest::{Client, RetryDecision, ServiceError, TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;
use serde_json::Value;

use super::found;
use crate::config::Workload;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

/// A token from Entra. Source: "Access token request with a federated credential",
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.
///
/// Errors: `Config` where the token's file cannot be read, `Unauthenticated` where Entra rejects the token.
pub(super) async fn find(workload: &Workload, resource: &str, client: &Client) -> Result<TemporaryCredential<str>> {
    let Workload { authority, tenant, client_id, token_file } = workload;
    // The platform that mounts the file replaces its content: it is read each time.
    let unreadable = |error: std::io::Error| {
        Error::config("the file in AZURE_FEDERATED_TOKEN_FILE cannot be read").with_source(error)
    };
    let token = std::fs::read_to_string(token_file).map_err(unreadable)?;
    let form = encode_query(&[
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", &format!("{resource}/.default")),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", token.trim()),
    ]);
    let request = Request::post(format!("{authority}/{tenant}/oauth2/v2.0/token"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(PutPayload::from(form))
        .map_err(|_| Error::config("AZURE_AUTHORITY_HOST is not a URL"))?;
    let answer = client.call_unsigned("GetWorkloadToken", request, Unsigned::default()).await?;
    let response = answer.map_err(|service_error| explained(workload, &service_error))?;
    let malformed = |_| Error::internal("Entra did not return the expected JSON");
    let Answer { access_token, expires_in } = serde_json::from_slice(response.body()).map_err(malformed)?;
    found("Entra", &access_token, later(SystemTime::now(), Duration::from_secs(expires_in.min(30 * 86_400))))
}

/// The error of Entra. Of its description only the code is reported: the text may quote the token.
fn explained(Workload { tenant, client_id, .. }: &Workload, service_error: &ServiceError) -> Error {
    if service_error.decision != RetryDecision::Final {
        return service_error.credential_error("Entra");
    }
    let body: Value = serde_json::from_slice(service_error.response.body()).unwrap_or_default();
    let word = |name: &str| {
        let text = body[name].as_str().unwrap_or_default().chars();
        text.take_while(|it| it.is_ascii_alphanumeric() || *it == '_').take(60).collect::<String>()
    };
    let code = Some(word("error_description")).filter(|code| code.starts_with("AADSTS")).unwrap_or_default();
    let codes = [word("error"), code].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", ");
    let message = format!(
        "Entra returned no token for the client {client_id} of the tenant {tenant} (status {}: {codes}): check that the \
         issuer and the subject of its federated credentials are those of the token",
        service_error.status().as_u16()
    );
    Error::new(ErrorKind::Unauthenticated, message)
}
