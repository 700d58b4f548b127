//! Where an identity's tokens may come from.

use std::path::PathBuf;

use isobar_abstraction::{Environment, Result};

/// The sources that are set up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The managed identity of a Functions app.
    pub(crate) managed: Option<Managed>,
    pub(crate) workload: Option<Workload>,
    /// Of a managed identity that is not the app's only one.
    pub(crate) client_id: Option<String>,
}

/// `IDENTITY_ENDPOINT` and what it wants to be shown.
#[derive(Clone)]
pub(crate) struct Managed {
    pub(crate) endpoint: String,
    pub(crate) header: String,
}

impl std::fmt::Debug for Managed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Managed").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A token of another issuer, which Entra takes for one of its own.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) authority: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) token_file: PathBuf,
}

impl Sources {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let owned = |name: &str| environment.var(name).map(str::to_owned);
        let managed = match (owned("IDENTITY_ENDPOINT"), owned("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => Some(Managed { endpoint, header }),
            _ => None,
        };
        let client_id = owned("AZURE_CLIENT_ID");
        let authority = owned("AZURE_AUTHORITY_HOST").unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        let workload = match (owned("AZURE_FEDERATED_TOKEN_FILE"), owned("AZURE_TENANT_ID"), client_id.clone()) {
            (Some(file), Some(tenant), Some(client_id)) => {
                Some(Workload { authority, tenant, client_id, token_file: file.into() })
            }
            _ => None,
        };
        Ok(Self { managed, workload, client_id })
    }
}
