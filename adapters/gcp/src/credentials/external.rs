//! Workload identity federation: exchanges a token of another provider for one of Google's.
//!
//! Source: AIP-4117, and "Workload identity federation" in IAM's documentation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::Request;
use http::header::{HeaderName, HeaderValue};
use isobar_abstraction::{Error, Result};
use isobar_rest::{TemporaryCredential, Unsigned};
use object_store::PutPayload;
use serde::Deserialize;
use serde_json::Value;

use super::exchange::{self, check_url};
use super::{SCOPE, Source, Token};

#[derive(Deserialize)]
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: SubjectSource,
}

/// The source of the other provider's token.
#[derive(Deserialize)]
struct SubjectSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    r#type: String,
    subject_token_field_name: Option<String>,
}

impl External {
    /// Errors: `Config`, naming the supported kinds of sources.
    pub(super) fn parse(from: &str, text: &[u8]) -> Result<Self> {
        let lacks = |_| {
            Error::config(format!(
                "{from} is of the type `external_account`, but lacks one of audience, subject_token_type, token_url \
                 and credential_source"
            ))
        };
        let external: Self = serde_json::from_slice(text).map_err(lacks)?;
        let SubjectSource { file, url, .. } = &external.credential_source;
        if file.is_none() && url.is_none() {
            return Err(Error::config(format!(
                "{from}: credential_source must be a `file` or a `url`; programs, certificates and signatures of AWS \
                 are not supported"
            )));
        }
        let urls = [Some(&external.token_url), external.service_account_impersonation_url.as_ref()];
        urls.into_iter().flatten().try_for_each(|url| check_url(from, url))?;
        Ok(external)
    }

    /// The account that is impersonated.
    pub(super) fn email(&self) -> Option<Arc<str>> {
        exchange::impersonated(self.service_account_impersonation_url.as_deref()?)
    }
}

pub(super) async fn find(source: &Source, external: &External) -> Result<TemporaryCredential<Token>> {
    let subject = subject(source, &external.credential_source).await?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", external.audience.as_str()),
        ("scope", SCOPE),
        ("subject_token_type", &external.subject_token_type),
        ("subject_token", &subject),
    ];
    let from = "the Security Token Service";
    let federated = exchange::request_token(source, "ExchangeToken", from, &external.token_url, &form).await?;
    match &external.service_account_impersonation_url {
        None => Ok(federated),
        Some(url) => exchange::impersonate(source, url, &federated.value).await,
    }
}

/// The other provider's token, read or requested each time, since it is short-lived.
async fn subject(source: &Source, subject_source: &SubjectSource) -> Result<String> {
    let text = match (&subject_source.file, &subject_source.url) {
        (Some(file), _) => {
            let unreadable = |error: std::io::Error| {
                Error::config(format!("the token in {} cannot be read", file.display())).with_source(error)
            };
            std::fs::read_to_string(file).map_err(unreadable)?
        }
        (None, url) => request_subject(source, url.as_deref().unwrap_or_default(), subject_source).await?,
    };
    let wrong = || Error::config("the token of credential_source does not have its `format`");
    match &subject_source.format {
        Some(format) if format.r#type == "json" => {
            let name = format.subject_token_field_name.as_deref().ok_or_else(wrong)?;
            let value: Value = serde_json::from_str(&text).map_err(|_| wrong())?;
            value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong)
        }
        _ => Ok(text.trim().to_owned()),
    }
}

async fn request_subject(source: &Source, url: &str, subject_source: &SubjectSource) -> Result<String> {
    let wrong = |_| Error::config("the `url` of credential_source is malformed");
    let mut request = Request::get(url).body(PutPayload::new()).map_err(wrong)?;
    for (name, value) in &subject_source.headers {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        let (Ok(name), Ok(mut value)) = pair else {
            let name = name.escape_debug();
            return Err(Error::config(format!("the header `{name}` of credential_source is malformed")));
        };
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    let answer = source.client.call_unsigned("GetSubjectToken", request, Unsigned::default()).await?;
    let answer = answer.map_err(|service_error| service_error.credential_error("the `url` of credential_source"))?;
    String::from_utf8(answer.into_body().into())
        .map_err(|_| Error::internal("the `url` of credential_source did not return text"))
}
