//! What the environment says to the Google Cloud provider. Read here and nowhere else.
//!
//! # Names
//!
//! A resource without a URL of its own has its logical name, with [`ISOBAR_PREFIX`] before it:
//!
//! | resource | name on Google Cloud |
//! |---|---|
//! | table `links` | Firestore collection `links` of the database, TTL policy on `expireAt` of the collection group `links` |
//! | bucket `pages` | Cloud Storage bucket `pages`; its events in the topic `pages--events`, their dead letters in `pages--events--dead` |
//! | topic `clicks` | Pub/Sub topic `clicks`, its dead letters in the topic `clicks--dead` |
//!
//! A URL names another place: `firestore://links-prod?project=P&database=D`, `gs://pages-prod`,
//! `pubsub://clicks-prod?project=P`. All of them take `endpoint=`, which an emulator needs: to such an
//! endpoint no token is sent if it is `http://`.
//!
//! # Variables
//!
//! | variable | what it says |
//! |---|---|
//! | `GOOGLE_CLOUD_PROJECT`, `GCP_PROJECT`, `GCLOUD_PROJECT` | the project; without it that of the credentials, or of the machine |
//! | `FIRESTORE_DATABASE` | the database of Firestore; `(default)` without it |
//! | `FIRESTORE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST`, `STORAGE_EMULATOR_HOST` | emulators, as `host:port` or a URL; no token is sent to them |
//! | `GOOGLE_APPLICATION_CREDENTIALS` | a file of credentials: a service account's key, a person's, or of workload identity federation |
//! | `CLOUDSDK_CONFIG`, `HOME`, `APPDATA` | where `gcloud auth application-default login` left a person's credentials |
//! | `GCE_METADATA_HOST` | another place of the metadata server |
//! | `PORT`, `K_SERVICE`, `FUNCTION_TARGET`, `FUNCTION_SIGNATURE_TYPE` | what Cloud Run and the functions framework say; see the host |
//! | `ISOBAR_EVENT_AUDIENCE`, `ISOBAR_EVENT_SERVICE_ACCOUNT` | whose calls of triggers are taken: the audiences and the service accounts of tokens, with commas |
//! | `ISOBAR_EVENT_KEYS` | where the keys are that sign those tokens, for tests |
//! | `SSL_CERT_FILE` | further certificate authorities, as PEM |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | the way to Google; also all in small letters |

mod endpoint;
mod place;
mod run;
mod sources;
#[cfg(test)]
mod tests;

use isobar_abstraction::Result;
use isobar_abstraction::driver::{Environment, Location, ResourceKind, check_prefix};
use isobar_rest::ClientConfig;

use endpoint::Emulators;
pub(crate) use endpoint::{Access, Endpoint, is_near};
pub(crate) use place::Placed;
pub(crate) use run::Signature;
pub use run::{ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_KEYS, ISOBAR_EVENT_SERVICE_ACCOUNT, Settings};
pub(crate) use sources::Sources;

/// The variable with what stands before the names of all resources.
pub const ISOBAR_PREFIX: &str = "ISOBAR_PREFIX";

/// The variables that name the project, in order.
const PROJECT: [&str; 3] = ["GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT"];

/// What the provider is made of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GcpConfig {
    /// What stands before the names of resources that have no URL.
    pub prefix: String,
    /// The project of resources whose URL names none. Without it that of the credentials.
    pub project: Option<String>,
    /// The database of Firestore; `(default)` without it.
    pub database: Option<String>,
    /// How requests are sent.
    pub client: ClientConfig,
    pub(crate) emulators: Emulators,
    /// Where credentials come from.
    pub(crate) sources: Sources,
    /// Resources that configuration placed, for the host to know their events by.
    pub(crate) placed: Vec<Location>,
    /// What Cloud Run says.
    pub(crate) run: Settings,
}

impl GcpConfig {
    /// Reads the environment. Errors: `Config`, naming the variable and what it must be.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let prefix = environment.var(ISOBAR_PREFIX).map(|prefix| check_prefix(ISOBAR_PREFIX, prefix)).transpose()?;
        let project = PROJECT.iter().find_map(|name| environment.var(name).map(|value| (*name, value)));
        let database = environment.var("FIRESTORE_DATABASE");
        let mut client = ClientConfig::default().with_proxies(environment);
        client.ca_bundle = environment.var("SSL_CERT_FILE").map(Into::into);
        Ok(Self {
            prefix: prefix.unwrap_or_default(),
            project: project.map(|(name, value)| place::check_project(name, value)).transpose()?,
            database: database.map(|value| place::check_database("FIRESTORE_DATABASE", value)).transpose()?,
            client,
            emulators: Emulators::from_environment(environment)?,
            sources: Sources::from_environment(environment)?,
            placed: environment.locations()?.into_iter().map(|(_, at)| at).collect(),
            run: Settings::from_environment(environment)?,
        })
    }

    /// The resource, at the place that configuration gave it.
    pub(crate) fn location(&self, kind: ResourceKind, name: &str) -> Location {
        let known = self.placed.iter().find(|at| at.kind() == kind && at.name() == name);
        known.cloned().unwrap_or_else(|| Location::new(kind, name))
    }
}
