//! The credentials of the process on AWS.
//!
//! The order of the sources is that of AWS's SDKs: the environment, the token of another identity
//! provider, a profile in `~/.aws`, the container, the machine. The first configured source is used: if it
//! fails, its error is returned, and no later source is tried.
//!
//! `object_store` has providers for some of these sources. They are not used: each has a cache on a
//! monotonic clock, which stops while a Lambda function is frozen, and drops valid credentials when a
//! renewal fails.

mod endpoint;
mod profile;
mod web_identity;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Client, CredentialCache, CredentialSource, SystemClock, TemporaryCredential};

use crate::AwsConfig;
use crate::config::{Credential, fixed_credential};

/// The source of credentials. Cheap to clone; clones share the cached credentials.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// From the environment: no requests, no renewal.
    Fixed(Arc<Credential>),
    /// From a source that is read at the first use and again before the credentials expire.
    Cached(Arc<CredentialCache<Chain>>),
}

impl Credentials {
    pub(crate) fn new(config: &AwsConfig, client: Client) -> Self {
        match &config.sources.fixed {
            Some(fixed) => Self::Fixed(Arc::clone(fixed)),
            None => {
                let chain = Chain { config: config.clone(), client };
                Self::Cached(Arc::new(CredentialCache::new(chain, Arc::new(SystemClock))))
            }
        }
    }

    /// Valid credentials. Errors: `Unauthenticated` without any, with a list of the tried sources;
    /// `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn get(&self) -> Result<Arc<Credential>> {
        match self {
            Self::Fixed(fixed) => Ok(Arc::clone(fixed)),
            Self::Cached(cache) => cache.get().await,
        }
    }

    /// Drops credentials that a service reported as expired. Returns whether the source may have new ones.
    pub(crate) fn reject(&self, expired: &Arc<Credential>) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Cached(cache) => cache.reject(expired),
        }
    }

    /// The account, if the source of the current credentials reported it.
    pub(crate) fn account(&self) -> Option<String> {
        match self {
            Self::Fixed(_) => None,
            Self::Cached(cache) => cache.current()?.account.clone(),
        }
    }
}

/// Credentials from a source before validation.
struct SourceCredentials<'a> {
    key_id: &'a str,
    secret_key: &'a str,
    token: Option<&'a str>,
    /// The time of expiration in RFC 3339; `None` for credentials that do not expire.
    expires: Option<&'a str>,
    account: Option<&'a str>,
}

impl SourceCredentials<'_> {
    /// Validates the values. Errors: `Internal` with the name of the source and without values.
    fn check(self, from: &str) -> Result<TemporaryCredential<Credential>> {
        let malformed = |what: &str| Error::internal(format!("{from} returned a malformed {what}: check that source"));
        let names = ["access key id", "secret access key", "session token"];
        let token = self.token.filter(|token| !token.is_empty());
        let credential = fixed_credential(names, self.key_id, self.secret_key, token);
        let credential = credential.map_err(|_| malformed("credential"))?;
        let expires = self.expires.map(|text| chrono::DateTime::parse_from_rfc3339(text).map(SystemTime::from));
        Ok(TemporaryCredential {
            value: Arc::new(Credential { account: self.account.map(str::to_owned), ..credential }),
            expires: expires.transpose().map_err(|_| malformed("time of expiration"))?,
        })
    }
}

/// All sources except credentials in the environment, in order.
#[derive(Debug)]
pub(crate) struct Chain {
    config: AwsConfig,
    client: Client,
}

#[async_trait]
impl CredentialSource for Chain {
    type Value = Credential;

    async fn find(&self) -> Result<TemporaryCredential<Credential>> {
        let sources = &self.config.sources;
        if let Some(identity) = &sources.web_identity {
            return web_identity::find(identity, &self.config, &self.client).await;
        }
        if let Some(files) = &sources.shared_files
            && let Some(found) = profile::find(files).await?
        {
            return Ok(found);
        }
        if let Some(container) = &sources.container {
            return endpoint::container(container, &self.config).await;
        }
        let instance = match &sources.metadata {
            Some(at) => match endpoint::instance(at, &self.config).await? {
                Ok(found) => return Ok(found),
                Err(reason) => reason,
            },
            None => "disabled",
        };
        Err(self.not_found(instance))
    }
}

impl Chain {
    fn not_found(&self, instance: &str) -> Error {
        let profile = match &self.config.sources.shared_files {
            Some(files) => format!("profile `{}`: no credentials", files.profile),
            None => "profile: no files on this machine".to_owned(),
        };
        Error::new(
            ErrorKind::Unauthenticated,
            format!(
                "no AWS credentials; tried: AWS_ACCESS_KEY_ID: not set; AWS_WEB_IDENTITY_TOKEN_FILE and \
                 AWS_ROLE_ARN: not set; {profile}; AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI: not set; \
                 instance metadata: {instance}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                 AWS_PROFILE, or run `aws configure`"
            ),
        )
    }
}

#[cfg(test)]
mod tests;
