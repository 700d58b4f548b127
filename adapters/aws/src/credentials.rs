//! Who we are to AWS.
//!
//! Sources are asked in the order of AWS's SDKs: the environment, another identity provider's
//! token, a person's profile, the container, the machine. The first that is set up decides: if it
//! fails, its error is the answer, and not somebody else's credentials.
//!
//! `object_store` has providers for some of these. They keep an own cache each, on a monotonic clock
//! that stands still while a Lambda function is frozen, and forget good credentials when a renewal
//! fails. So they are not used.

mod endpoint;
mod profile;
mod web_identity;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Client, CredentialCache, CredentialSource, Found, SystemClock};

use crate::AwsConfig;
use crate::config::{Credential, fixed_credential};

/// Where credentials come from. Cheap to clone; clones share what was found.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// From the environment: nothing is asked, nothing is renewed.
    Fixed(Arc<Credential>),
    /// From a source that is asked at the first use, and again before what it gave expires.
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

    /// Credentials that are good now. Errors: `Unauthenticated` where there are none, with what was
    /// tried; `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn get(&self) -> Result<Arc<Credential>> {
        match self {
            Self::Fixed(fixed) => Ok(Arc::clone(fixed)),
            Self::Cached(cache) => cache.get().await,
        }
    }

    /// Forgets credentials that a service called expired. Is there a chance of others?
    pub(crate) fn reject(&self, expired: &Arc<Credential>) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Cached(cache) => cache.reject(expired),
        }
    }

    /// The account, where the source of what was last found told it.
    pub(crate) fn account(&self) -> Option<String> {
        match self {
            Self::Fixed(_) => None,
            Self::Cached(cache) => cache.held()?.account.clone(),
        }
    }
}

/// What a source sent, which may not be what it should.
struct Sent<'a> {
    key_id: &'a str,
    secret_key: &'a str,
    token: Option<&'a str>,
    /// As RFC 3339 has it; forever without it.
    expires: Option<&'a str>,
    account: Option<&'a str>,
}

impl Sent<'_> {
    /// Errors: `Internal`, naming the source and showing no value.
    fn check(self, from: &str) -> Result<Found<Credential>> {
        let wrong = |what: &str| Error::internal(format!("{from} gave a malformed {what}"));
        let named = ["access key id", "secret access key", "session token"];
        let token = self.token.filter(|token| !token.is_empty());
        let credential = fixed_credential(named, self.key_id, self.secret_key, token);
        let credential = credential.map_err(|_| wrong("credential"))?;
        let expires = self.expires.map(|text| chrono::DateTime::parse_from_rfc3339(text).map(SystemTime::from));
        Ok(Found {
            value: Arc::new(Credential { account: self.account.map(str::to_owned), ..credential }),
            expires: expires.transpose().map_err(|_| wrong("time of expiration"))?,
        })
    }
}

/// All sources but the environment's own credentials, in order.
#[derive(Debug)]
pub(crate) struct Chain {
    config: AwsConfig,
    client: Client,
}

#[async_trait]
impl CredentialSource for Chain {
    type Value = Credential;

    async fn find(&self) -> Result<Found<Credential>> {
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
                Err(why) => why,
            },
            None => "not asked",
        };
        Err(self.nothing_found(instance))
    }
}

impl Chain {
    fn nothing_found(&self, instance: &str) -> Error {
        let profile = match &self.config.sources.shared_files {
            Some(files) => format!("profile `{}`: no credentials in it", files.profile),
            None => "profile: not on this machine".to_owned(),
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
