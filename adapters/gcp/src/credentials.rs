//! Who we are to Google Cloud.

use std::sync::Arc;

use isobar_abstraction::{Error, Result};

use crate::GcpConfig;

/// Where tokens come from. Cheap to clone; clones share what was found.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    config: GcpConfig,
}

/// What a service account signed.
pub(crate) struct Signed {
    /// The service account's e-mail address.
    pub(crate) email: String,
    /// RSA-SHA256 of what was to be signed.
    pub(crate) signature: Vec<u8>,
}

impl Credentials {
    pub(crate) fn new(config: &GcpConfig) -> Self {
        Self { config: config.clone() }
    }

    /// An access token that is good now. Errors: `Unauthenticated` where there is no source, with what was
    /// tried; `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn token(&self) -> Result<Arc<str>> {
        Err(Error::internal("no token yet"))
    }

    /// After a service has refused this token: is there another?
    pub(crate) async fn renew(&self, _refused: &Arc<str>) -> bool {
        false
    }

    /// The project of resources that name none. Errors: `Config` where nothing tells it.
    pub(crate) async fn project(&self) -> Result<Arc<str>> {
        self.config.project.as_deref().map(Arc::from).ok_or_else(|| Error::config("no project"))
    }

    /// The e-mail address of the service account that signs, which stands in what is signed.
    pub(crate) async fn email(&self) -> Result<Arc<str>> {
        Err(Error::internal("no signature yet"))
    }

    /// Signs with the service account's key, or has IAM do it.
    pub(crate) async fn sign(&self, _text: &[u8]) -> Result<Signed> {
        Err(Error::internal("no signature yet"))
    }
}
