//! Configuration of the Google Cloud provider, read from the environment in this module only.
//!
//! # Names
//!
//! A resource without a URL has its logical name, after the prefix `ISOBAR_PREFIX` or that of the stage `ISOBAR_STAGE`:
//!
//! | resource | name on Google Cloud |
//! |---|---|
//! | table `links` | Firestore collection `links` of the database, TTL policy on `expireAt` of the collection group `links`; the keys of its writes in the topic `links--writes` |
//! | bucket `pages` | Cloud Storage bucket `pages`; its events in the topic `pages--events` |
//! | topic `clicks` | Pub/Sub topic `clicks` |
//! | subscription `default` of `clicks` | Pub/Sub subscription `clicks`, its dead letters in the topic and the subscription `clicks--dead` |
//! | subscription `index` of `clicks` | Pub/Sub subscription `clicks--index`, its dead letters in `clicks--index--dead` |
//! | object events `default` of `pages` | Pub/Sub subscription `pages--events`, its dead letters in `pages--events--dead` |
//! | object events `thumbs` of `pages` | Pub/Sub subscription `pages--events--thumbs`, its dead letters in `pages--events--thumbs--dead` |
//! | writes of `links` | Pub/Sub subscription `links--writes`, its dead letters in `links--writes--dead` |
//! | secret or configuration `token` | the latest version of the secret `token` in Secret Manager |
//!
//! A URL names another location: `firestore://links-prod?project=P&database=D`, `gs://pages-prod`,
//! `pubsub://clicks-prod?project=P`; `ISOBAR_SECRETS=gsm://PROJECT` another project for secrets and configuration. Each accepts
//! `endpoint=`, for an emulator: an endpoint with `http://` receives no token.
//!
//! # Variables
//!
//! | variable | meaning |
//! |---|---|
//! | `GOOGLE_CLOUD_PROJECT`, `GCP_PROJECT`, `GCLOUD_PROJECT` | the project; by default that of the credentials, or of the machine |
//! | `FIRESTORE_DATABASE` | the database of Firestore; by default `(default)` |
//! | `FIRESTORE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST`, `STORAGE_EMULATOR_HOST` | emulators, as `host:port` or a URL; no token is sent to them |
//! | `GOOGLE_APPLICATION_CREDENTIALS` | a file of credentials: the key of a service account, a user's credentials, or workload identity federation |
//! | `CLOUDSDK_CONFIG`, `HOME`, `APPDATA` | where `gcloud auth application-default login` stores a user's credentials |
//! | `GCE_METADATA_HOST` | the address of another metadata server |
//! | `PORT`, `K_SERVICE`, `FUNCTION_TARGET`, `FUNCTION_SIGNATURE_TYPE` | settings of Cloud Run and the functions framework, see the host |
//! | `ISOBAR_EVENT_AUDIENCE`, `ISOBAR_EVENT_SERVICE_ACCOUNT` | the accepted audiences and service accounts of tokens in calls of triggers, separated by commas |
//! | `ISOBAR_EVENT_KEYS` | the URL of the keys that sign those tokens, for tests |
//! | `SSL_CERT_FILE` | further certificate authorities, as PEM |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | proxies; also in lower case |

mod endpoint;
mod placement;
mod queue;
mod run;
mod sources;
#[cfg(test)]
mod tests;

use isobar_abstraction::Result;
use isobar_abstraction::driver::{Environment, Location, Prefix, ResourceKind, ResourceUrl};
use isobar_rest::ClientConfig;

use endpoint::Emulators;
pub(crate) use endpoint::{Access, Endpoint, is_near};
pub(crate) use placement::{Placement, SecretsPlacement};
pub(crate) use queue::QueuePlacement;
pub(crate) use run::Signature;
pub use run::{ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_KEYS, ISOBAR_EVENT_SERVICE_ACCOUNT, Settings};
pub(crate) use sources::Sources;

/// The variables that name the project, in order.
const PROJECT: [&str; 3] = ["GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT"];

/// The configuration of the provider.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GcpConfig {
    /// The prefix of the names of resources without a URL.
    pub prefix: Prefix,
    /// The project of resources whose URL names none; by default that of the credentials.
    pub project: Option<String>,
    /// The database of Firestore; by default `(default)`.
    pub database: Option<String>,
    /// Options of the HTTP client.
    pub client: ClientConfig,
    pub(crate) emulators: Emulators,
    /// The URL of the store of secrets and configuration; `None` for that of the project.
    pub(crate) secrets: Option<ResourceUrl>,
    /// The sources of credentials.
    pub(crate) sources: Sources,
    /// The resources with a configured URL, by which the host recognizes their events.
    pub(crate) locations: Vec<Location>,
    /// Settings of Cloud Run.
    pub(crate) run: Settings,
}

impl GcpConfig {
    /// Reads the environment. Errors: `Config`, naming the variable and what it must be.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let project = PROJECT.iter().find_map(|name| environment.var(name).map(|value| (*name, value)));
        let database = environment.var("FIRESTORE_DATABASE");
        let mut client = ClientConfig::default().with_proxies(environment);
        client.ca_bundle = environment.var("SSL_CERT_FILE").map(Into::into);
        Ok(Self {
            prefix: environment.prefix()?,
            project: project.map(|(name, value)| placement::check_project(name, value)).transpose()?,
            database: database.map(|value| placement::check_database("FIRESTORE_DATABASE", value)).transpose()?,
            client,
            emulators: Emulators::from_environment(environment)?,
            secrets: environment.secret_store()?,
            sources: Sources::from_environment(environment)?,
            locations: environment.locations()?.into_iter().map(|(_, at)| at).collect(),
            run: Settings::from_environment(environment)?,
        })
    }

    /// The location of a resource: the configured one, or the default.
    pub(crate) fn location(&self, kind: ResourceKind, name: &str) -> Location {
        let known = self.locations.iter().find(|at| at.kind() == kind && at.name() == name);
        known.cloned().unwrap_or_else(|| Location::new(kind, name))
    }
}
