//! The tokens of an identity on Azure.
//!
//! Sources are tried in the order of Azure's SDKs: workload identity, the app's managed identity, a person's Azure
//! CLI, the machine's metadata service. The first configured source decides: if it fails, its error is returned, not
//! the token of another identity.
//!
//! `object_store` has providers for some of these. Each has its own cache, on a monotonic clock that stops while a
//! machine is frozen; they support storage only, and drop a valid token when a renewal fails. So they are not used.

mod cli;
pub(crate) mod cosmos;
mod managed;
mod service_bus;
pub(crate) mod shared_key;
mod workload;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Client, CredentialCache, CredentialSource, SystemClock, TemporaryCredential};

use crate::AzureConfig;
use crate::config::Sources;
use service_bus::Signatures;

/// The tokens and signatures of the provider. Cheap to clone; clones share one cache.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    tokens: Arc<[CredentialCache<OfAudience>; 6]>,
    signatures: Arc<Signatures>,
}

/// The service that a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    /// Blobs, queues and tables of a storage account.
    Storage,
    /// Cosmos DB.
    Cosmos,
    /// Service Bus.
    ServiceBus,
    /// Key Vault of Azure's public cloud.
    KeyVault,
    /// Key Vault of Azure China.
    KeyVaultOfChina,
    /// Key Vault of Azure US Government.
    KeyVaultOfGovernment,
}

impl Audience {
    /// Entra's name of the service.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Storage => "https://storage.azure.com",
            Self::Cosmos => "https://cosmos.azure.com",
            Self::ServiceBus => "https://servicebus.azure.net",
            Self::KeyVault => "https://vault.azure.net",
            Self::KeyVaultOfChina => "https://vault.azure.cn",
            Self::KeyVaultOfGovernment => "https://vault.usgovcloudapi.net",
        }
    }

    /// The audience of a vault, which is the part of its host after its name; of another host, that of the public cloud.
    ///
    /// <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>
    pub(crate) fn of_vault(endpoint: &str) -> Self {
        let parent = endpoint.split_once('.').map(|(_, parent)| format!("https://{parent}"));
        let sovereign = [Self::KeyVaultOfChina, Self::KeyVaultOfGovernment];
        let cloud = sovereign.into_iter().find(|audience| parent.as_deref() == Some(audience.resource()));
        cloud.unwrap_or(Self::KeyVault)
    }
}

impl Credentials {
    pub(crate) fn new(config: &AzureConfig) -> Self {
        let client = Client::new(config.client.clone(), Arc::new(SystemClock));
        let chain = Arc::new(Chain { config: config.clone(), client });
        let of =
            |audience| CredentialCache::new(OfAudience { chain: Arc::clone(&chain), audience }, Arc::new(SystemClock));
        let audiences = [
            Audience::Storage,
            Audience::Cosmos,
            Audience::ServiceBus,
            Audience::KeyVault,
            Audience::KeyVaultOfChina,
            Audience::KeyVaultOfGovernment,
        ];
        let tokens = Arc::new(audiences.map(of));
        Self { tokens, signatures: Arc::default() }
    }

    /// A token that is valid now. Errors: `Unauthenticated` without a source, listing those that were tried;
    /// `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn token(&self, audience: Audience) -> Result<Arc<str>> {
        self.of(audience).get().await
    }

    /// The signatures of Service Bus.
    pub(crate) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// Renews a token that a service rejected. Returns whether there is another one.
    pub(crate) async fn renew(&self, audience: Audience, rejected: &Arc<str>) -> bool {
        self.of(audience).renew(rejected).await
    }

    fn of(&self, audience: Audience) -> &CredentialCache<OfAudience> {
        let [storage, cosmos, service_bus, vault, china, government] = &*self.tokens;
        match audience {
            Audience::Storage => storage,
            Audience::Cosmos => cosmos,
            Audience::ServiceBus => service_bus,
            Audience::KeyVault => vault,
            Audience::KeyVaultOfChina => china,
            Audience::KeyVaultOfGovernment => government,
        }
    }
}

/// Checks a token from a source. Errors: `Internal`, without the value.
fn found(from: &str, token: &str, expires: SystemTime) -> Result<TemporaryCredential<str>> {
    // The characters of RFC 6750, 2.1, which JWTs consist of.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(fits) {
        return Err(Error::internal(format!("{from} returned a malformed token")));
    }
    Ok(TemporaryCredential { value: token.into(), expires: Some(expires) })
}

/// All sources, in order.
#[derive(Debug)]
struct Chain {
    config: AzureConfig,
    client: Client,
}

#[derive(Debug)]
struct OfAudience {
    chain: Arc<Chain>,
    audience: Audience,
}

#[async_trait]
impl CredentialSource for OfAudience {
    type Value = str;

    async fn find(&self) -> Result<TemporaryCredential<str>> {
        self.chain.find(self.audience.resource()).await
    }
}

impl Chain {
    async fn find(&self, resource: &str) -> Result<TemporaryCredential<str>> {
        let Sources { workload, managed, cli, metadata, client_id } = &self.config.sources;
        if let Some(workload) = workload {
            return workload::find(workload, resource, &self.client).await;
        }
        if let Some(managed) = managed {
            return managed::find(managed, client_id.as_deref(), resource, &self.config).await;
        }
        let person = match cli {
            Some(cli) => match cli::find(cli, resource).await? {
                Ok(found) => return Ok(found),
                Err(why) => why,
            },
            None => "not on this machine",
        };
        let machine = match metadata {
            Some(at) => match managed::machine(at, client_id.as_deref(), resource, &self.config).await? {
                Ok(found) => return Ok(found),
                Err(why) => why,
            },
            None => "not used in a Functions app",
        };
        Err(nothing_found(person, machine))
    }
}

fn nothing_found(person: &str, machine: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        format!(
            "no identity on Azure; tried: AZURE_FEDERATED_TOKEN_FILE: not set; IDENTITY_ENDPOINT and IDENTITY_HEADER: \
             not set; Azure CLI: {person}; metadata of the machine: {machine}. Give the app a managed identity, or set \
             the account's connection string, or run `az login`"
        ),
    )
}

#[cfg(test)]
mod tests;
