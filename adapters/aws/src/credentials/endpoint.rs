//! Credentials from an endpoint near by: the container's, or the machine's own (IMDSv2).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::request::{Builder, Parts};
use http::{HeaderValue, Request, Response, StatusCode};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Call, Client, ClientConfig, Found, Judgement, Safety, Service, SystemClock};
use object_store::PutPayload;
use serde::Deserialize;

use super::{Credential, Sent};
use crate::AwsConfig;
use crate::config::{Authorization, Container};

/// What both endpoints answer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    /// Only the machine's own says it; `Success`, or what is wrong.
    code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
    account_id: Option<String>,
    role_arn: Option<String>,
}

impl Answer {
    /// What was sent is never shown: it may be half of a secret.
    fn read(from: &str, body: &[u8]) -> Result<Found<Credential>> {
        let wrong = |_| Error::internal(format!("{from} did not answer with the expected JSON"));
        let answer: Self = serde_json::from_slice(body).map_err(wrong)?;
        if let Some(code) = answer.code.filter(|code| code != "Success") {
            let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
            return Err(Error::new(ErrorKind::Unauthenticated, format!("{from} has no credentials: {code}")));
        }
        let sent = Sent {
            key_id: &answer.access_key_id,
            secret_key: &answer.secret_access_key,
            token: answer.token.as_deref(),
            expires: answer.expiration.as_deref(),
            account: answer.account_id.as_deref().or(answer.role_arn.as_deref().and_then(account_of)),
        };
        sent.check(from)
    }
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| account.len() == 12)
}

/// Source: "Container credential provider", AWS SDKs and Tools Reference Guide.
pub(super) async fn container(container: &Container, config: &AwsConfig) -> Result<Found<Credential>> {
    let near = near(config, Duration::from_secs(2), 3);
    let mut request = Request::get(&container.url).header(ACCEPT, "application/json");
    if let Some(authorization) = &container.authorization {
        request = request.header(AUTHORIZATION, shown(authorization)?);
    }
    let answer = send(&near, "GetContainerCredentials", request).await?;
    if !answer.status().is_success() {
        return Err(refused("the container's credentials endpoint", answer.status()));
    }
    Answer::read("the container's credentials endpoint", answer.body())
}

fn shown(authorization: &Authorization) -> Result<HeaderValue> {
    let (from, token) = match authorization {
        Authorization::Token(token) => ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.clone()),
        Authorization::File(path) => {
            let from = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
            let wrong = |error| Error::config(format!("the file of {from} cannot be read")).with_source(error);
            (from, std::fs::read_to_string(path).map_err(wrong)?)
        }
    };
    let wrong = |_| Error::config(format!("what {from} says cannot stand in a header"));
    let mut value = HeaderValue::from_str(token.trim_end()).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Asks the machine's own metadata service. The inner error says why it has no credentials.
///
/// Only version 2 is spoken: version 1 answers whoever can make a process send a GET.
pub(super) async fn instance(at: &str, config: &AwsConfig) -> Result<Result<Found<Credential>, &'static str>> {
    const LIFETIME: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    const TOKEN: &str = "x-aws-ec2-metadata-token";
    const ROLES: &str = "latest/meta-data/iam/security-credentials/";
    let from = "the instance metadata service";
    let near = near(config, Duration::from_secs(1), 2);
    let request = Request::put(format!("{at}/latest/api/token")).header(LIFETIME, "600");
    // Most machines that come here are not on EC2 at all.
    let Ok(answer) = send(&near, "GetMetadataToken", request).await else { return Ok(Err("does not answer")) };
    match answer.status() {
        status if status.is_success() => {}
        // It is there, and will give one later.
        status @ StatusCode::TOO_MANY_REQUESTS => return Err(refused(from, status)),
        status if status.is_server_error() => return Err(refused(from, status)),
        _ => return Ok(Err("does not give a token")),
    }
    let Ok(token) = HeaderValue::from_bytes(answer.body()) else { return Ok(Err("does not give a token")) };

    let request = Request::get(format!("{at}/{ROLES}")).header(TOKEN, &token);
    let answer = send(&near, "GetMetadataRole", request).await?;
    let role = match answer.status() {
        StatusCode::OK => String::from_utf8_lossy(answer.body()).lines().next().unwrap_or_default().trim().to_owned(),
        StatusCode::NOT_FOUND => return Ok(Err("the instance has no role")),
        status => return Err(refused(from, status)),
    };
    let request = Request::get(format!("{at}/{ROLES}{role}")).header(TOKEN, &token);
    let answer = send(&near, "GetMetadataCredentials", request).await?;
    if !answer.status().is_success() {
        return Err(refused(from, answer.status()));
    }
    Answer::read(from, answer.body()).map(Ok)
}

/// A client for what is one hop away: not through a proxy, and not for long.
fn near(config: &AwsConfig, timeout: Duration, attempts: u32) -> Client {
    let mut near = ClientConfig::default();
    near.ca_bundle.clone_from(&config.client.ca_bundle);
    near.connect_timeout = Duration::from_secs(1);
    near.attempt_timeout = timeout;
    near.max_attempts = attempts;
    Client::new(near, Arc::new(SystemClock))
}

async fn send(client: &Client, operation: &'static str, request: Builder) -> Result<Response<Bytes>> {
    let wrong = |error| Error::config("the endpoint of credentials is not a URL").with_source(error);
    let request = request.body(PutPayload::new()).map_err(wrong)?;
    let call = Call { operation, request, safety: Safety::Read, service: &Unsigned };
    Ok(client.call(call).await?.response)
}

fn refused(from: &str, status: StatusCode) -> Error {
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled { retry_after: None },
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Unauthenticated,
    };
    Error::new(kind, format!("{from} answered with status {}", status.as_u16()))
}

/// An endpoint that takes requests as they are.
struct Unsigned;

#[async_trait]
impl Service for Unsigned {
    async fn authorize(&self, _: &mut Parts, _: &PutPayload) -> Result<()> {
        Ok(())
    }

    fn judge(&self, response: &Response<Bytes>) -> Judgement {
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Judgement::Refused { after: None },
            status if status.is_server_error() => Judgement::Failed,
            _ => Judgement::Final,
        }
    }
}
