//! What the environment says to the Azure provider. Read here and nowhere else.
//!
//! # Names
//!
//! A resource without a URL of its own has its logical name, with [`ISOBAR_PREFIX`] before it:
//!
//! | resource | name on Azure |
//! |---|---|
//! | table `links` | container `links` of the Cosmos DB database, partition key `/p`, default TTL -1 |
//! | bucket `pages` | container `pages` of the storage account |
//! | topic `clicks` | Service Bus topic `clicks`, its subscription `clicks` |
//!
//! A URL names another place, or the cheaper service: `cosmos://links-prod?account=NAME&database=DB`,
//! `aztable://links?account=NAME`, `az://pages-prod?account=NAME`, `servicebus://clicks-prod?namespace=NAME`,
//! `azqueue://clicks?account=NAME`. All of them take `endpoint=`, which an emulator needs. What another
//! account than the configured one holds is reached by identity.
//!
//! # Variables
//!
//! | variable | what it says |
//! |---|---|
//! | `AZURE_STORAGE_CONNECTION_STRING` | the storage account; without it Functions' own, `AzureWebJobsStorage` |
//! | `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN` | the same in parts; without a key or a token by identity |
//! | `AzureWebJobsStorage__accountName` | Functions' own account, by identity |
//! | `AZURE_COSMOS_CONNECTION_STRING` | the Cosmos DB account |
//! | `AZURE_COSMOS_ENDPOINT`, `AZURE_COSMOS_KEY` | the same in parts; without a key by identity |
//! | `AZURE_COSMOS_DATABASE` | the database; `isobar` without it |
//! | `AZURE_SERVICEBUS_CONNECTION_STRING` | the Service Bus namespace, with a policy's key or a signature |
//! | `AZURE_SERVICEBUS__fullyQualifiedNamespace` | the same by identity, as the Functions host is told: its host |
//! | `AZURE_SERVICEBUS_NAMESPACE` | the same by identity: its name, or its host; it counts more |
//! | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `AZURE_CLIENT_ID` | the managed identity of a Functions app |
//! | `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_AUTHORITY_HOST` | workload identity |
//! | `AZURE_TENANT_ID` | also the tenant for which the Azure CLI is asked, on a laptop |
//! | `AZURE_POD_IDENTITY_AUTHORITY_HOST` | another place of the machine's metadata service |
//! | `SSL_CERT_FILE` | further certificate authorities, as PEM |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | the way to Azure; also all in small letters |

mod account;
mod functions;
mod place;
mod sources;
#[cfg(test)]
mod tests;

use isobar_abstraction::Result;
use isobar_abstraction::driver::{Environment, check_prefix};
use isobar_rest::ClientConfig;

pub(crate) use account::{Access, CosmosAccount, Secret, ServiceBusNamespace, StorageAccount};
pub(crate) use functions::{FunctionsHost, TriggerSecret};
pub use functions::{ISOBAR_TRIGGER_SECRET, ISOBAR_TRIGGER_SECRET_OLD};
pub(crate) use place::{Placed, check_queue};
pub(crate) use sources::{Cli, Managed, Sources, Workload};

/// The variable with what stands before the names of all resources.
pub const ISOBAR_PREFIX: &str = "ISOBAR_PREFIX";

/// What the provider is made of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AzureConfig {
    /// What stands before the names of resources that have no URL.
    pub prefix: String,
    /// How requests are sent.
    pub client: ClientConfig,
    pub(crate) storage: Option<StorageAccount>,
    pub(crate) cosmos: Option<CosmosAccount>,
    pub(crate) service_bus: Option<ServiceBusNamespace>,
    /// Where identities come from.
    pub(crate) sources: Sources,
    /// What the Functions host says.
    pub(crate) functions: Option<FunctionsHost>,
}

impl AzureConfig {
    /// Reads the environment. Errors: `Config`, naming the variable and what it must be.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let prefix = environment.var(ISOBAR_PREFIX).map(|prefix| check_prefix(ISOBAR_PREFIX, prefix)).transpose()?;
        let mut client = ClientConfig::default().with_proxies(environment);
        client.ca_bundle = environment.var("SSL_CERT_FILE").map(Into::into);
        Ok(Self {
            prefix: prefix.unwrap_or_default(),
            client,
            storage: StorageAccount::from_environment(environment)?,
            cosmos: CosmosAccount::from_environment(environment)?,
            service_bus: ServiceBusNamespace::from_environment(environment)?,
            sources: Sources::from_environment(environment)?,
            functions: FunctionsHost::from_environment(environment)?,
        })
    }
}
