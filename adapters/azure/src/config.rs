//! The configuration of the Azure provider, read from the environment here and nowhere else.
//!
//! # Names
//!
//! Without a URL, a resource has its logical name with the prefix `ISOBAR_PREFIX` or that of the stage `ISOBAR_STAGE` before it:
//!
//! | resource | name on Azure |
//! |---|---|
//! | table `links` | container `links` of the Cosmos DB database, partition key `/p`, default TTL -1 |
//! | bucket `pages` | container `pages` of the storage account |
//! | topic `clicks` | Service Bus topic `clicks`, its subscription `clicks`; `clicks--index` for the subscription `index` |
//!
//! A URL names another resource, or the cheaper service: `cosmos://links-prod?account=NAME&database=DB`,
//! `aztable://links?account=NAME`, `az://pages-prod?account=NAME`, `servicebus://clicks-prod?namespace=NAME`,
//! `azqueue://clicks?account=NAME`. All of them accept `endpoint=`, which an emulator needs. Resources in
//! another account than the configured one are accessed by identity.
//!
//! Secrets and configuration are secrets with the name `<prefix><name>` in the vault of `ISOBAR_SECRETS=keyvault://VAULT`,
//! which is accessed by identity; Azure has no default vault. A vault of another cloud is
//! `keyvault://VAULT?endpoint=https://VAULT.vault.azure.cn`.
//!
//! # Variables
//!
//! | variable | meaning |
//! |---|---|
//! | `AZURE_STORAGE_CONNECTION_STRING` | the storage account; if unset, Functions' own, `AzureWebJobsStorage` |
//! | `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN` | the same in parts; by identity without a key or a token |
//! | `AzureWebJobsStorage__accountName` | Functions' own account, by identity |
//! | `AZURE_COSMOS_CONNECTION_STRING` | the Cosmos DB account |
//! | `AZURE_COSMOS_ENDPOINT`, `AZURE_COSMOS_KEY` | the same in parts; by identity without a key |
//! | `AZURE_COSMOS__accountEndpoint` | the endpoint by identity, in the setting that the Functions host reads |
//! | `AZURE_COSMOS_DATABASE` | the database; `isobar` by default |
//! | `AZURE_SERVICEBUS_CONNECTION_STRING` | the Service Bus namespace, with a policy's key or a signature |
//! | `AZURE_SERVICEBUS__fullyQualifiedNamespace` | the same by identity: its host name, in the setting that the Functions host reads |
//! | `AZURE_SERVICEBUS_NAMESPACE` | the same by identity: its name, or its host name; takes precedence |
//! | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `AZURE_CLIENT_ID` | the managed identity of a Functions app |
//! | `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_AUTHORITY_HOST` | workload identity |
//! | `AZURE_TENANT_ID` | also the tenant of the Azure CLI's token, on a laptop |
//! | `AZURE_POD_IDENTITY_AUTHORITY_HOST` | another URL of the machine's metadata service |
//! | `SSL_CERT_FILE` | additional certificate authorities, as PEM |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | the proxy to Azure; also all in lower case |

mod account;
mod functions;
mod place;
mod sources;
#[cfg(test)]
mod tests;
mod trigger;

use isobar_abstraction::Result;
use isobar_abstraction::driver::{Environment, Prefix, ResourceUrl};
use isobar_rest::ClientConfig;

pub(crate) use account::{Access, CosmosAccount, Secret, ServiceBusNamespace, StorageAccount};
pub(crate) use functions::{FunctionsHost, TriggerSecret};
pub use functions::{ISOBAR_TRIGGER_SECRET, ISOBAR_TRIGGER_SECRET_OLD};
pub(crate) use place::{Placed, check_queue};
pub(crate) use sources::{Cli, Managed, Sources, Workload};
pub(crate) use trigger::no_queue;

/// The configuration of the provider.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AzureConfig {
    /// The prefix of the names of resources that have no URL.
    pub prefix: Prefix,
    /// The configuration of the HTTP client.
    pub client: ClientConfig,
    pub(crate) storage: Option<StorageAccount>,
    pub(crate) cosmos: Option<CosmosAccount>,
    pub(crate) service_bus: Option<ServiceBusNamespace>,
    /// The URL of the vault of secrets and configuration.
    pub(crate) secrets: Option<ResourceUrl>,
    /// The sources of an identity's tokens.
    pub(crate) sources: Sources,
    /// The settings of the Functions host.
    pub(crate) functions: Option<FunctionsHost>,
}

impl AzureConfig {
    /// Reads the environment. Errors: `Config`, naming the variable and what it must be.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let mut client = ClientConfig::default().with_proxies(environment);
        client.ca_bundle = environment.var("SSL_CERT_FILE").map(Into::into);
        Ok(Self {
            prefix: environment.prefix()?,
            client,
            storage: StorageAccount::from_environment(environment)?,
            cosmos: CosmosAccount::from_environment(environment)?,
            service_bus: ServiceBusNamespace::from_environment(environment)?,
            secrets: environment.secret_store()?,
            sources: Sources::from_environment(environment)?,
            functions: FunctionsHost::from_environment(environment)?,
        })
    }
}
