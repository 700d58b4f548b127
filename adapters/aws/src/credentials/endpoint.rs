//! Credentials from a local endpoint: the container's or the machine's (IMDSv2).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::request::Builder;
use http::{HeaderValue, Request, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Client, RetryDecision, ServiceResult, TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;

use super::SourceCredentials;
use crate::AwsConfig;
use crate::config::{Authorization, Container, Credential};

/// The JSON of both endpoints and of the AWS CLI.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CredentialResponse {
    /// From the machine's endpoint only: `Success` or an error.
    code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
    account_id: Option<String>,
    role_arn: Option<String>,
}

impl CredentialResponse {
    /// Reads credentials. Errors do not contain the body, which may contain a part of a secret.
    pub(super) fn read(from: &str, body: &[u8]) -> Result<TemporaryCredential<Credential>> {
        let wrong =
            |_| Error::internal(format!("{from} returned something else than the expected JSON: check that source"));
        let answer: Self = serde_json::from_slice(body).map_err(wrong)?;
        if let Some(code) = answer.code.filter(|code| code != "Success") {
            let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
            return Err(Error::new(ErrorKind::Unauthenticated, format!("{from} has no credentials: {code}")));
        }
        let credentials = SourceCredentials {
            key_id: &answer.access_key_id,
            secret_key: &answer.secret_access_key,
            token: answer.token.as_deref(),
            expires: answer.expiration.as_deref(),
            account: answer.account_id.as_deref().or(answer.role_arn.as_deref().and_then(account_of)),
        };
        credentials.check(from)
    }
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| account.len() == 12)
}

/// Credentials from the container's endpoint.
///
/// Source: "Container credential provider", AWS SDKs and Tools Reference Guide.
pub(super) async fn container(container: &Container, config: &AwsConfig) -> Result<TemporaryCredential<Credential>> {
    let from = "the container's credentials endpoint";
    let near = Client::for_metadata_server(&config.client, Duration::from_secs(2), 3);
    let mut request = Request::get(&container.url).header(ACCEPT, "application/json");
    if let Some(authorization) = &container.authorization {
        request = request.header(AUTHORIZATION, authorization_header(authorization)?);
    }
    let answer = get_or_put(&near, "GetContainerCredentials", request).await?;
    CredentialResponse::read(from, answer.map_err(|service_error| service_error.credential_error(from))?.body())
}

fn authorization_header(authorization: &Authorization) -> Result<HeaderValue> {
    let (from, token) = match authorization {
        Authorization::Token(token) => ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.clone()),
        Authorization::File(path) => {
            let from = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
            let wrong = |error| {
                Error::config(format!("the file of {from} cannot be read: check its path and permissions"))
                    .with_source(error)
            };
            (from, std::fs::read_to_string(path).map_err(wrong)?)
        }
    };
    let wrong = |_| Error::config(format!("the token of {from} contains a character that is invalid in a header"));
    let mut value = HeaderValue::from_str(token.trim_end()).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Credentials from the machine's metadata service. The inner error is the reason why it has none.
///
/// Only version 2 is used: with version 1, anyone that makes a process send a GET gets the credentials.
pub(super) async fn instance(
    at: &str,
    config: &AwsConfig,
) -> Result<Result<TemporaryCredential<Credential>, &'static str>> {
    const LIFETIME: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    const TOKEN: &str = "x-aws-ec2-metadata-token";
    const ROLES: &str = "latest/meta-data/iam/security-credentials/";
    let from = "the instance metadata service";
    let near = Client::for_metadata_server(&config.client, Duration::from_secs(1), 2);
    let request = Request::put(format!("{at}/latest/api/token")).header(LIFETIME, "600");
    // Most machines that reach this line are not on EC2.
    let Ok(answer) = get_or_put(&near, "GetMetadataToken", request).await else { return Ok(Err("no response")) };
    let token = match answer {
        Ok(answer) => HeaderValue::from_bytes(answer.body()).ok(),
        Err(service_error) if service_error.decision == RetryDecision::Final => None,
        // The service exists and will return a token later.
        Err(service_error) => return Err(service_error.credential_error(from)),
    };
    let Some(token) = token else { return Ok(Err("no token")) };

    let request = Request::get(format!("{at}/{ROLES}")).header(TOKEN, &token);
    let role = match get_or_put(&near, "GetMetadataRole", request).await? {
        Ok(answer) => String::from_utf8_lossy(answer.body()).lines().next().unwrap_or_default().trim().to_owned(),
        Err(service_error) if service_error.status() == StatusCode::NOT_FOUND => {
            return Ok(Err("the instance has no role"));
        }
        Err(service_error) => return Err(service_error.credential_error(from)),
    };
    let request = Request::get(format!("{at}/{ROLES}{role}")).header(TOKEN, &token);
    let answer = get_or_put(&near, "GetMetadataCredentials", request).await?;
    CredentialResponse::read(from, answer.map_err(|service_error| service_error.credential_error(from))?.body()).map(Ok)
}

async fn get_or_put(
    client: &Client,
    operation: &'static str,
    request: Builder,
) -> Result<ServiceResult<Response<Bytes>>> {
    let wrong = |error| Error::config("the endpoint of the credentials is not a URL").with_source(error);
    client.call_unsigned(operation, request.body(PutPayload::new()).map_err(wrong)?, Unsigned::default()).await
}
