//! The sources of an identity's tokens.

use std::path::PathBuf;

use http::HeaderValue;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};
use isobar_rest::check_safe_for_secrets;

/// The metadata service of a virtual machine. <https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service>
const METADATA: &str = "http://169.254.169.254";

/// The authority of Azure's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The sources that the environment names. A source that is `None` is not used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Workload identity.
    pub(crate) workload: Option<Workload>,
    /// The managed identity of a Functions app.
    pub(crate) managed: Option<Managed>,
    /// The Azure CLI of a person.
    pub(crate) cli: Option<Cli>,
    /// The metadata service of the machine.
    pub(crate) metadata: Option<String>,
    /// The client id of a managed identity that is not the app's only one.
    pub(crate) client_id: Option<String>,
}

/// `IDENTITY_ENDPOINT` and the header that it requires.
#[derive(Debug, Clone)]
pub(crate) struct Managed {
    pub(crate) endpoint: String,
    /// The sensitive value of `IDENTITY_HEADER`: `Debug` does not show it.
    pub(crate) header: HeaderValue,
}

/// A token of another issuer, which Entra exchanges for its own.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// The URL of Entra without a trailing slash.
    pub(crate) authority: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) token_file: PathBuf,
}

/// The environment of the process `az`. `Debug` shows no values.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    pub(crate) environment: Environment,
    pub(crate) tenant: Option<String>,
}

impl Sources {
    /// Errors: `Config`, with the variable.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        // A Functions app has its own identity or none; a person's or the machine's is never its own.
        let hosted = environment.var("FUNCTIONS_CUSTOMHANDLER_PORT").is_some();
        let word = |name: &str| environment.var(name).map(|word| check_word(name, word)).transpose();
        let (tenant, client_id) = (word("AZURE_TENANT_ID")?, word("AZURE_CLIENT_ID")?);
        Ok(Self {
            workload: workload(environment, tenant.as_ref(), client_id.as_ref())?,
            managed: managed(environment)?,
            cli: (!hosted && environment.var("PATH").is_some())
                .then(|| Cli { environment: environment.clone(), tenant: tenant.clone() }),
            metadata: if hosted { None } else { Some(metadata(environment)?) },
            client_id,
        })
    }
}

/// Checks a GUID or a domain, which becomes part of URLs and of a program's arguments. Errors: `Config`.
fn check_word(from: &str, word: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if word.len() <= 255
        && word.bytes().all(fits)
        && word.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return Ok(word.to_owned());
    }
    Err(Error::config(format!("{from} is `{}`; it must be a GUID or a domain", word.escape_debug())))
}

fn managed(environment: &Environment) -> Result<Option<Managed>> {
    // An endpoint without the header is that of Azure Arc, which has another protocol.
    let (Some(endpoint), Some(header)) = (environment.var("IDENTITY_ENDPOINT"), environment.var("IDENTITY_HEADER"))
    else {
        return Ok(None);
    };
    let endpoint = check_safe_for_secrets("IDENTITY_ENDPOINT", endpoint)?;
    let wrong = |_| Error::config("IDENTITY_HEADER is not the value of an HTTP header");
    let mut header = HeaderValue::from_str(header).map_err(wrong)?;
    header.set_sensitive(true);
    Ok(Some(Managed { endpoint, header }))
}

fn metadata(environment: &Environment) -> Result<String> {
    // The variable of Azure's SDKs.
    let variable = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    environment.var(variable).map_or_else(|| Ok(METADATA.to_owned()), |moved| check_safe_for_secrets(variable, moved))
}

fn workload(
    environment: &Environment,
    tenant: Option<&String>,
    client_id: Option<&String>,
) -> Result<Option<Workload>> {
    let Some(token_file) = environment.var("AZURE_FEDERATED_TOKEN_FILE") else { return Ok(None) };
    let missing = |name: &str| Error::config(format!("AZURE_FEDERATED_TOKEN_FILE is set, and {name} is not"));
    let variable = "AZURE_AUTHORITY_HOST";
    let authority = check_safe_for_secrets(variable, environment.var(variable).unwrap_or(AUTHORITY))?;
    Ok(Some(Workload {
        authority,
        tenant: tenant.ok_or_else(|| missing("AZURE_TENANT_ID"))?.clone(),
        client_id: client_id.ok_or_else(|| missing("AZURE_CLIENT_ID"))?.clone(),
        token_file: token_file.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Sources> {
        let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
        Sources::from_environment(&vars.iter().fold(Environment::default(), with_var))
    }

    #[test]
    fn a_secret_is_never_sent_in_clear_text_to_a_remote_host() {
        let endpoint = |url| of(&[("IDENTITY_ENDPOINT", url), ("IDENTITY_HEADER", "hush")]);
        for near in [
            "http://127.0.0.1:41056/MSI/token/",
            "http://localhost:42356/msi/token",
            "http://169.254.255.2:8081/msi/token",
            "http://172.16.0.3:8081/msi/token",
            "http://[::1]/msi/token",
            "https://identity.example/token",
        ] {
            let sources = endpoint(near).unwrap();
            assert_eq!(sources.managed.as_ref().unwrap().endpoint, near.trim_end_matches('/'));
            assert!(!format!("{sources:?}").contains("hush"));
        }
        for remote in [
            "http://identity.example/token",
            "http://8.8.8.8/token",
            "ftp://127.0.0.1/",
            "token",
            "http://a@127.0.0.1/",
        ] {
            let error = endpoint(remote).unwrap_err();
            assert!(error.message().contains("IDENTITY_ENDPOINT") && !error.message().contains("hush"), "{error}");
        }
        assert!(of(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://identity.example")]).is_err());
        let header = [("IDENTITY_ENDPOINT", "http://127.0.0.1/"), ("IDENTITY_HEADER", "hush\r\nX: y")];
        assert!(!of(&header).unwrap_err().message().contains("hush"));
    }

    #[test]
    fn an_incomplete_workload_identity_is_an_error_that_names_the_missing_variable() {
        let file = ("AZURE_FEDERATED_TOKEN_FILE", "/token");
        assert!(of(&[file]).unwrap_err().message().contains("AZURE_TENANT_ID"));
        assert!(of(&[file, ("AZURE_TENANT_ID", "t")]).unwrap_err().message().contains("AZURE_CLIENT_ID"));
        let all = [
            file,
            ("AZURE_TENANT_ID", "t.example"),
            ("AZURE_CLIENT_ID", "0f-1"),
            ("AZURE_AUTHORITY_HOST", "https://login.example/"),
        ];
        let workload = of(&all).unwrap().workload.unwrap();
        assert_eq!((workload.authority.as_str(), workload.tenant.as_str()), ("https://login.example", "t.example"));
        for wrong in ["http://login.example/", "login.example"] {
            assert!(of(&[all[0], all[1], all[2], ("AZURE_AUTHORITY_HOST", wrong)]).is_err());
        }
        for wrong in ["../other", "-x", "a b", ""] {
            let found = of(&[("AZURE_TENANT_ID", wrong)]);
            assert!(found.is_err() || wrong.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_functions_app_uses_neither_the_cli_nor_the_machine() {
        let laptop = [("PATH", "/usr/bin"), ("HOME", "/home/ada")];
        let sources = of(&laptop).unwrap();
        assert!(sources.cli.is_some() && sources.metadata.as_deref() == Some("http://169.254.169.254"));
        let hosted = of(&[laptop[0], laptop[1], ("FUNCTIONS_CUSTOMHANDLER_PORT", "8080")]).unwrap();
        assert!(hosted.cli.is_none() && hosted.metadata.is_none() && hosted.managed.is_none());
        let moved = of(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:81/")]).unwrap();
        assert_eq!((moved.metadata.as_deref(), moved.cli.is_none()), (Some("http://127.0.0.1:81"), true));
    }

    #[test]
    fn an_identity_endpoint_without_its_header_is_ignored() {
        assert!(
            of(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:40342/metadata/identity/oauth2/token")])
                .unwrap()
                .managed
                .is_none()
        );
    }
}
