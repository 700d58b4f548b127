//! Secrets and configuration in Key Vault.
//!
//! <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::driver::secret::{NoSecretStore, SecretStore};
use isobar_abstraction::driver::{ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, check_safe_for_secrets};
use object_store::PutPayload;
use serde::Deserialize;

use crate::State;
use crate::service::{self, AzureService, Place};

/// The version of the protocol: one that the vaults of all clouds have.
const VERSION: &str = "7.4";

/// The code of a key without a value, also of a deleted one. A 404 without it is not a vault's.
const MISSING: &str = "SecretNotFound";

/// Opens the vault of a URL, without connecting. Azure has no default vault. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
    match url {
        Some(url) => Ok(Arc::new(KeyVault::new(Arc::clone(state), url)?)),
        None => Ok(Arc::new(NoSecretStore { example: "keyvault://VAULT" })),
    }
}

/// A vault of Key Vault.
#[derive(Debug)]
struct KeyVault {
    state: Arc<State>,
    name: String,
    /// Without a trailing slash, such as `https://name.vault.azure.net`.
    endpoint: String,
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

impl KeyVault {
    fn new(state: Arc<State>, url: &ResourceUrl) -> Result<Self> {
        url.check_store(&["keyvault"], &["endpoint"])?;
        let name = check_vault(url.name())?;
        let endpoint = match url.parameter("endpoint") {
            Some(endpoint) => check_safe_for_secrets(&format!("the endpoint of keyvault://{name}"), endpoint)?,
            None => format!("https://{name}.vault.azure.net"),
        };
        Ok(Self { state, name, endpoint })
    }

    fn place(&self, key: &str) -> Place {
        let Self { name: vault, endpoint, .. } = self;
        Place {
            name: format!("the secret `{key}` of the vault `{vault}`"),
            create: format!("{endpoint} is not a vault: check its name and the endpoint"),
            grant: "grant the identity the role Key Vault Secrets User on the vault",
        }
    }
}

/// Checks the name of a vault. Errors: `Config`.
///
/// <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers>
fn check_vault(name: &str) -> Result<String> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let hyphens = name.contains("--") || name.ends_with('-');
    if (3..=24).contains(&name.len()) && fits && !hyphens && name.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        return Ok(name.to_owned());
    }
    Err(Error::config(format!(
        "`keyvault://{}` does not name a vault: its name must be 3 to 24 of a-z, A-Z, 0-9 and single -, begin with a \
         letter and not end with -",
        name.escape_debug()
    )))
}

/// The service error of a response. A disabled secret is `PermissionDenied`, too.
fn service_error(answer: &Response<Bytes>, place: &Place) -> Option<ServiceError> {
    let service_error = service::read(answer)?;
    let explanation = match service_error.code.as_str() {
        "SecretDisabled" => format!("{place} is disabled: enable it, or set a new version"),
        _ => service::explained(&service_error, place),
    };
    Some(ServiceError { explanation, ..service_error })
}

#[async_trait]
impl SecretStore for KeyVault {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let service = AzureService::key_vault(&self.state, &self.endpoint, service_error, self.place(key));
        let request = Request::get(service.url(&format!("/secrets/{key}?api-version={VERSION}")));
        match service.call("GetSecret", Safety::Read, request, PutPayload::new()).await? {
            Ok(answer) => {
                // Without its source, which may quote the value.
                let malformed = |_| Error::internal(format!("{}: the answer is not of Key Vault", self.place(key)));
                serde_json::from_slice(answer.body()).map(|Answer { value }| Some(value)).map_err(malformed)
            }
            Err(error) if error.kind == ErrorKind::NotFound && error.code == MISSING => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String {
        let value = if kind == ResourceKind::Config { "JSON" } else { "VALUE" };
        format!("run `az keyvault secret set --vault-name {} --name {key} --value {value}`", self.name)
    }
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::Provider;

    use super::*;
    use crate::credentials::Audience;
    use crate::{AzureConfig, AzureProvider};

    fn opened(url: &str) -> Result<Arc<dyn SecretStore>> {
        AzureProvider::new(AzureConfig::default()).secrets(Some(&ResourceUrl::parse_store(url)?))
    }

    #[test]
    fn a_wrong_url_is_an_error_that_names_it() {
        for good in ["keyvault://v-1", "keyvault://Vault", "keyvault://v-1?endpoint=https://v-1.vault.azure.cn"] {
            opened(good).unwrap();
        }
        for (bad, named) in [
            ("keyvault://", "3 to 24"),
            ("cosmos://abc", "use keyvault://"),
            ("keyvault://ab", "`keyvault://ab`"),
            ("keyvault://1abc", "1abc"),
            ("keyvault://a--b", "a--b"),
            ("keyvault://abc-", "abc-"),
            ("keyvault://a_bc", "a_bc"),
            ("keyvault://a234567890123456789012345", "a234567890123456789012345"),
            ("keyvault://abc?region=x", "region"),
            ("keyvault://abc?endpoint=http://abc.example", "https://"),
        ] {
            let error = opened(bad).unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.message().contains(named), "{bad}: {error}");
        }
    }

    #[test]
    fn a_token_is_for_the_cloud_of_the_vault() {
        for (endpoint, expected) in [
            ("https://v.vault.azure.net", Audience::KeyVault),
            ("https://v.vault.azure.cn", Audience::KeyVaultOfChina),
            ("https://v.vault.usgovcloudapi.net", Audience::KeyVaultOfGovernment),
            ("https://v.vault.azure.cn.example", Audience::KeyVault),
            ("http://127.0.0.1:8080", Audience::KeyVault),
        ] {
            assert_eq!(Audience::of_vault(endpoint), expected, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn a_missing_vault_is_an_error_at_start() {
        let store = AzureProvider::new(AzureConfig::default()).secrets(None).unwrap();
        let error = store.check("dev-token", ResourceKind::Secret).unwrap_err();
        assert!(error.message().contains("ISOBAR_SECRETS=keyvault://VAULT"), "{error}");
        assert_eq!(store.get("dev-token").await.unwrap(), None);
    }
}
