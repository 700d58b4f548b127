//! Credentials of a role for the token of another identity provider: `AssumeRoleWithWebIdentity` of STS.

use http::Request;
use http::header::CONTENT_TYPE;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::encode_query;
use isobar_rest::{Client, RetryDecision, ServiceError, TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;

use super::SourceCredentials;
use super::endpoint::account_of;
use crate::config::{Credential, WebIdentity};
use crate::{AwsConfig, service_error};

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    result: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    credentials: Session,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Session {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

/// Exchanges the token for credentials. Errors: `Config` if the file of the token cannot be read,
/// `Unauthenticated` if STS rejects the token.
pub(super) async fn find(
    identity: &WebIdentity,
    config: &AwsConfig,
    client: &Client,
) -> Result<TemporaryCredential<Credential>> {
    // Read each time, because the platform renews the token in the file.
    let unreadable = |error: std::io::Error| {
        Error::config("the file of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: check its path and permissions")
            .with_source(error)
    };
    let token = std::fs::read_to_string(&identity.token_file).map_err(unreadable)?;
    let region = config.region()?;
    let form = encode_query(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", &identity.role_arn),
        ("RoleSessionName", &identity.session_name),
        ("WebIdentityToken", token.trim()),
    ]);
    let wrong = |error: http::Error| {
        Error::config("the endpoint of STS is not a URL: check AWS_ENDPOINT_URL_STS").with_source(error)
    };
    let request = Request::post(format!("{}/", config.endpoint("sts", &region)))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(PutPayload::from(form))
        .map_err(wrong)?;
    // This operation of STS is unsigned.
    let sts = Unsigned(|answer| service_error::read(answer, "STS"));
    let response = client.call_unsigned("AssumeRoleWithWebIdentity", request, sts).await?;
    let response = response.map_err(|service_error| rejection(&service_error, identity))?;
    let malformed =
        |_| Error::internal("STS returned something else than the expected XML: check AWS_ENDPOINT_URL_STS");
    let text = std::str::from_utf8(response.body()).unwrap_or_default();
    let Session { access_key_id, secret_access_key, session_token, expiration } =
        quick_xml::de::from_str::<Answer>(text).map_err(malformed)?.result.credentials;
    let credentials = SourceCredentials {
        key_id: &access_key_id,
        secret_key: &secret_access_key,
        token: Some(&session_token),
        expires: Some(&expiration),
        account: account_of(&identity.role_arn),
    };
    credentials.check("STS")
}

fn rejection(service_error: &ServiceError, identity: &WebIdentity) -> Error {
    let kind = match service_error.decision {
        RetryDecision::Final => ErrorKind::Unauthenticated,
        RetryDecision::Throttled { .. } | RetryDecision::Failed => ErrorKind::Unavailable,
    };
    let (code, message, role) = (&service_error.code, &service_error.message, &identity.role_arn);
    Error::new(
        kind,
        format!("STS rejected the request for the role {role}: {code}: {message}: check the role's trust policy"),
    )
}
