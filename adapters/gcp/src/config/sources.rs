//! Sources of credentials.

use std::path::PathBuf;

use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};
use isobar_rest::check_endpoint;

use super::is_near;

/// The URL of the metadata server on Google Cloud.
const METADATA: &str = "http://metadata.google.internal";

/// IAM's Service Account Credentials API.
const IAM: &str = "https://iamcredentials.googleapis.com";

/// The sources that the environment names. A source of `None` is not used.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names.
    pub(crate) file: Option<PathBuf>,
    /// The file that `gcloud auth application-default login` writes. It may be missing.
    pub(crate) user: Option<PathBuf>,
    /// The URL of the metadata server, without a trailing slash.
    pub(crate) metadata: Option<String>,
    /// The URL of IAM, which signs for an account whose key is not available.
    pub(crate) iam: String,
}

/// No sources.
impl Default for Sources {
    fn default() -> Self {
        Self { file: None, user: None, metadata: None, iam: IAM.to_owned() }
    }
}

impl Sources {
    /// Errors: `Config`, naming the variable.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let file = environment.var("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
        // A service on Cloud Run has its own identity.
        let hosted = environment.var("K_SERVICE").is_some();
        let user = if hosted { None } else { user(environment) };
        Ok(Self { file, user, metadata: Some(metadata(environment)?), ..Self::default() })
    }
}

fn user(environment: &Environment) -> Option<PathBuf> {
    let folder = match (environment.var("CLOUDSDK_CONFIG"), environment.var("APPDATA"), environment.var("HOME")) {
        (Some(folder), ..) => PathBuf::from(folder),
        (None, Some(data), _) => PathBuf::from(data).join("gcloud"),
        (None, None, home) => PathBuf::from(home?).join(".config").join("gcloud"),
    };
    Some(folder.join("application_default_credentials.json"))
}

fn metadata(environment: &Environment) -> Result<String> {
    // The form that Google's libraries accept: a host, with or without a port.
    let variable = "GCE_METADATA_HOST";
    let Some(host) = environment.var(variable) else { return Ok(METADATA.to_owned()) };
    let endpoint = check_endpoint(variable, &format!("http://{host}"))?;
    if is_near(&endpoint) {
        return Ok(endpoint);
    }
    Err(Error::config(format!(
        "{variable} is `{}`; it must be a loopback, link-local or private address",
        host.escape_debug()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Sources> {
        let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
        Sources::from_environment(&vars.iter().fold(Environment::default(), with_var))
    }

    #[test]
    fn a_service_does_not_use_a_users_credentials() {
        let laptop = of(&[("HOME", "/home/ada")]).unwrap();
        let file = "/home/ada/.config/gcloud/application_default_credentials.json";
        assert_eq!(laptop.user, Some(PathBuf::from(file)));
        assert_eq!(laptop.metadata.as_deref(), Some("http://metadata.google.internal"));
        let service = of(&[("HOME", "/root"), ("K_SERVICE", "app")]).unwrap();
        assert!(service.user.is_none() && service.metadata.is_some());
        let moved = of(&[("CLOUDSDK_CONFIG", "/c"), ("HOME", "/home/ada")]).unwrap();
        assert_eq!(moved.user, Some(PathBuf::from("/c/application_default_credentials.json")));
    }

    #[test]
    fn the_metadata_server_must_be_nearby() {
        assert_eq!(of(&[("GCE_METADATA_HOST", "127.0.0.1:8080")]).unwrap().metadata.unwrap(), "http://127.0.0.1:8080");
        for afar in ["8.8.8.8", "metadata.example", "a b", "u@127.0.0.1"] {
            assert!(of(&[("GCE_METADATA_HOST", afar)]).unwrap_err().message().contains("GCE_METADATA_HOST"), "{afar}");
        }
    }
}
