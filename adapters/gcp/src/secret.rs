//! Secrets and configuration in Secret Manager.
//!
//! <https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError};
use object_store::PutPayload;
use serde::Deserialize;

use crate::State;
use crate::config::SecretsPlacement;
use crate::service::GoogleService;

/// Opens the secrets of a project, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
    Ok(Arc::new(SecretManager { state: Arc::clone(state), at: state.config.secrets(url)? }))
}

/// The secrets of a project.
#[derive(Debug)]
struct SecretManager {
    state: Arc<State>,
    at: SecretsPlacement,
}

#[derive(Deserialize)]
struct Answer {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    /// Absent for an empty value.
    #[serde(default)]
    data: String,
}

impl SecretManager {
    async fn project(&self) -> Result<Arc<str>> {
        match &self.at.project {
            Some(project) => Ok(project.as_str().into()),
            None => self.state.credentials.project().await,
        }
    }
}

/// Whether there is no value: no secret, no version of it, or the latest version is disabled or destroyed.
fn is_missing(service_error: &ServiceError) -> bool {
    let is = |state: &str| service_error.message.contains(&format!("is in {state} state"));
    match service_error.code.as_str() {
        // A response without a message is not of Secret Manager.
        "NOT_FOUND" => !service_error.message.is_empty(),
        "FAILED_PRECONDITION" => is("DISABLED") || is("DESTROYED"),
        _ => false,
    }
}

/// The error of a rejected read. Google also reports a missing secret so, to an account without the role.
fn explain(service_error: ServiceError, project: &str, key: &str) -> Error {
    let kind = match service_error.kind {
        kind @ ErrorKind::PermissionDenied => kind,
        // Such as a disabled encryption key.
        ErrorKind::Conflict => return Error::config(service_error.explanation),
        _ => return service_error.into(),
    };
    let is_disabled = String::from_utf8_lossy(service_error.response.body()).contains("SERVICE_DISABLED");
    let advice = match is_disabled {
        true => format!("enable it with `gcloud services enable secretmanager.googleapis.com --project {project}`"),
        false => {
            "grant the account that runs this app the role roles/secretmanager.secretAccessor, and check that the \
                  secret exists"
                .to_owned()
        }
    };
    Error::new(kind, format!("the secret `{key}` of Secret Manager: {}: {advice}", service_error.message))
}

/// The text of a response. Errors: `Config` for bytes that are not UTF-8; without their source, which may quote it.
fn text(key: &str, answer: &[u8]) -> Result<String> {
    let malformed = || Error::internal(format!("the answer for the secret `{key}` is not of Secret Manager"));
    let Answer { payload } = serde_json::from_slice(answer).map_err(|_| malformed())?;
    let bytes = BASE64_STANDARD.decode(payload.data).map_err(|_| malformed())?;
    let binary = |_| {
        Error::config(format!(
            "the secret `{key}` of Secret Manager is not UTF-8: isobar reads text; encode the bytes, for example in base64"
        ))
    };
    String::from_utf8(bytes).map_err(binary)
}

#[async_trait]
impl SecretStore for SecretManager {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let project = self.project().await?;
        let resource = format!("the secret `{key}` of Secret Manager");
        let service = GoogleService::new(Arc::clone(&self.state), self.at.endpoint.clone(), resource);
        let url = service.url(&format!("/v1/projects/{project}/secrets/{key}/versions/latest:access"));
        let invalid = |error| Error::config("the endpoint of Secret Manager is not a URL").with_source(error);
        let request = Request::get(url).body(PutPayload::new()).map_err(invalid)?;
        match service.call("AccessSecretVersion", Safety::Read, request).await? {
            Ok(answer) => text(key, answer.body()).map(Some),
            Err(service_error) if is_missing(&service_error) => Ok(None),
            Err(service_error) => Err(explain(service_error, &project, key)),
        }
    }

    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String {
        let value = if kind == ResourceKind::Config { "JSON" } else { "VALUE" };
        let project = self.at.project.as_deref().unwrap_or("PROJECT");
        format!(
            "run `gcloud secrets create {key} --project {project}` once, and `printf %s {value} | gcloud secrets \
             versions add {key} --data-file=- --project {project}`"
        )
    }
}
