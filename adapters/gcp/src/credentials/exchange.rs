//! Requests to Google's token endpoints and IAM, for tokens and signatures.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::{encode, encode_query};
use isobar_rest::{ServiceError, TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{SCOPE, Source, Token, in_seconds};
use crate::config::is_near;

/// Posts a form to a token endpoint. Errors: `Unauthenticated` if it rejects the request, with its code only.
pub(super) async fn request_token(
    source: &Source,
    operation: &'static str,
    from: &str,
    url: &str,
    form: &[(&str, &str)],
) -> Result<TemporaryCredential<Token>> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(PutPayload::from(encode_query(form)))
        .map_err(|_| Error::config(format!("the URL of {from} is malformed")))?;
    let answer = source.client.call_unsigned(operation, request, OAUTH).await?;
    read(from, answer.map_err(|service_error| service_error.credential_error(from))?.body())
}

/// Reads `{"access_token", "expires_in"}`, which never reaches an error.
pub(super) fn read(from: &str, body: &[u8]) -> Result<TemporaryCredential<Token>> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: u64,
    }
    let wrong = |_| Error::internal(format!("{from} did not return the expected JSON"));
    let Answer { access_token, expires_in } = serde_json::from_slice(body).map_err(wrong)?;
    Token::parse(from, &access_token, in_seconds(expires_in))
}

/// The credentials that `gcloud auth application-default login` writes.
#[derive(Deserialize)]
pub(super) struct User {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    #[serde(default = "token_uri")]
    pub(super) token_uri: String,
    #[serde(rename = "quota_project_id")]
    pub(super) quota_project: Option<String>,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

/// The token of a user. Source: RFC 6749, 6.
pub(super) async fn refresh(source: &Source, user: &User) -> Result<TemporaryCredential<Token>> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", user.client_id.as_str()),
        ("client_secret", &user.client_secret),
        ("refresh_token", &user.refresh_token),
    ];
    let found = request_token(source, "RefreshToken", "Google's token endpoint", &user.token_uri, &form).await;
    let found = found.map_err(|error| match error.kind() {
        ErrorKind::Unauthenticated => {
            let message = format!("{}: run `gcloud auth application-default login` again", error.message());
            Error::new(ErrorKind::Unauthenticated, message)
        }
        _ => error,
    })?;
    let token = Token::of_project(&found.value, user.quota_project.as_deref())?;
    Ok(TemporaryCredential { value: Arc::new(token), expires: found.expires })
}

/// The token of a service account, for the token of a caller that may impersonate it.
///
/// Source: `projects.serviceAccounts.generateAccessToken` of IAM's Service Account Credentials API.
pub(super) async fn impersonate(source: &Source, url: &str, caller: &Token) -> Result<TemporaryCredential<Token>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: String,
        expire_time: String,
    }
    let body = json!({"scope": [SCOPE], "lifetime": "3600s"});
    let answer: Answer = iam(source, "GenerateAccessToken", url, caller, &body).await?;
    let expires = chrono::DateTime::parse_from_rfc3339(&answer.expire_time);
    let expires = expires.map_err(|_| Error::internal("IAM returned a malformed expiration time"))?;
    Token::parse("IAM", &answer.access_token, SystemTime::from(expires))
}

/// The account in the URL `…/serviceAccounts/EMAIL:generateAccessToken`.
pub(super) fn impersonated(url: &str) -> Option<Arc<str>> {
    let (_, end) = url.rsplit_once("/serviceAccounts/")?;
    let email = end.strip_suffix(":generateAccessToken")?;
    email.contains('@').then(|| email.into())
}

/// Signs `text` through IAM.
///
/// Source: `projects.serviceAccounts.signBlob` of IAM's Service Account Credentials API.
pub(super) async fn sign_blob(source: &Source, email: &str, caller: &Token, text: &[u8]) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        signed_blob: String,
    }
    let email = encode(email);
    let url = format!("{}/v1/projects/-/serviceAccounts/{email}:signBlob", source.config.sources.iam);
    let body = json!({"payload": BASE64_STANDARD.encode(text)});
    let answer: Answer = iam(source, "SignBlob", &url, caller, &body).await?;
    BASE64_STANDARD.decode(answer.signed_blob).map_err(|_| Error::internal("IAM returned a malformed signature"))
}

async fn iam<T: DeserializeOwned>(
    source: &Source,
    operation: &'static str,
    url: &str,
    caller: &Token,
    body: &Value,
) -> Result<T> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, caller.authorization.clone())
        .body(PutPayload::from(body.to_string()))
        .map_err(|_| Error::config("the URL of IAM is malformed"))?;
    match source.client.call_unsigned(operation, request, OAUTH).await? {
        Ok(answer) => {
            serde_json::from_slice(answer.body()).map_err(|_| Error::internal("IAM did not return the expected JSON"))
        }
        Err(service_error) if service_error.status() == StatusCode::FORBIDDEN => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "IAM rejects {operation}: grant roles/iam.serviceAccountTokenCreator on the service account to the account \
                that runs this app, and enable the IAM Service Account Credentials API"
            ),
        )),
        Err(service_error) => Err(service_error.credential_error("IAM")),
    }
}

/// Errors: `Config` for a URL to which secrets would be sent without encryption.
pub(super) fn check_url(from: &str, url: &str) -> Result<()> {
    match is_near(url) {
        true => Ok(()),
        false => Err(Error::config(format!("{from}: `{}` must begin with https://", url.escape_debug()))),
    }
}

/// Servers whose error code is the field `error`. The rest of their responses may quote secrets of the request.
pub(super) const OAUTH: Unsigned = Unsigned(|answer: &Response<Bytes>| {
    let service_error = ServiceError::from_status(answer)?;
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = body["error"].as_str().unwrap_or_default().chars();
    let code = code.take_while(|it| it.is_ascii_alphanumeric() || *it == '_').take(60).collect();
    Some(ServiceError { code, ..service_error })
});
