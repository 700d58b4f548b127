//! Application default credentials.
//!
//! Sources are tried in the order of Google's libraries: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, the file
//! of `gcloud auth application-default login`, the metadata server. The first source that exists is used: if it fails,
//! its error is returned, and no other source is tried, which could be another identity.
//!
//! The credential providers of `object_store` are not used: each has its own cache, on a monotonic clock that stops
//! while a machine is frozen; they support storage only, and drop a valid token when a renewal fails.

mod exchange;
mod external;
mod file;
mod key;
mod metadata;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::HeaderValue;
use isobar_abstraction::clock::later;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Client, CredentialCache, CredentialSource, SystemClock, TemporaryCredential};
use tokio::sync::OnceCell;

use crate::GcpConfig;
use file::Kind;

/// The scope of tokens: everything that the roles of the account allow.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The credentials of the provider. Cheap to clone; clones share tokens.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    source: Arc<Source>,
    tokens: Arc<CredentialCache<Tokens>>,
}

/// An access token.
pub(crate) struct Token {
    /// The value of the header `authorization`: `Bearer` and the token.
    pub(crate) authorization: HeaderValue,
    /// The project whose quota the calls of a user's credentials count against.
    pub(crate) quota_project: Option<HeaderValue>,
}

impl Credentials {
    pub(crate) fn new(config: &GcpConfig) -> Self {
        let client = Client::new(config.client.clone(), Arc::new(SystemClock));
        let kind = OnceCell::new();
        let (project, email) = (OnceCell::new(), OnceCell::new());
        let source = Arc::new(Source { config: config.clone(), client, kind, project, email });
        let tokens = Tokens(Arc::clone(&source));
        Self { source, tokens: Arc::new(CredentialCache::new(tokens, Arc::new(SystemClock))) }
    }

    /// A valid token. Errors: `Unauthenticated` without a source, with the sources that were tried; `Config`;
    /// `Unavailable` and `Timeout` of the source.
    pub(crate) async fn token(&self) -> Result<Arc<Token>> {
        self.tokens.get().await
    }

    /// Renews the token that a service rejected. Returns whether there is another one.
    pub(crate) async fn renew(&self, rejected: &Arc<Token>) -> bool {
        self.tokens.renew(rejected).await
    }

    /// The project of resources that name none. Errors: `Config` if no source contains it.
    pub(crate) async fn project(&self) -> Result<Arc<str>> {
        self.source.project.get_or_try_init(|| self.source.find_project()).await.cloned()
    }

    /// The e-mail address of the service account that signs. Errors: `Config` for a user's credentials, which cannot
    /// sign.
    pub(crate) async fn email(&self) -> Result<Arc<str>> {
        self.source.email.get_or_try_init(|| self.source.find_email()).await.cloned()
    }

    /// Signs with the key of the service account, or through IAM: RSASSA-PKCS1-v1_5 with SHA-256. IAM requires the role
    /// `roles/iam.serviceAccountTokenCreator` on the account itself.
    pub(crate) async fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        if let Kind::ServiceAccount(key) = self.source.kind().await? {
            return key.sign(text);
        }
        let (email, token) = (self.email().await?, self.token().await?);
        exchange::sign_blob(&self.source, &email, &token, text).await
    }
}

/// The source of credentials and its cached properties.
struct Source {
    config: GcpConfig,
    client: Client,
    kind: OnceCell<Kind>,
    project: OnceCell<Arc<str>>,
    email: OnceCell<Arc<str>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("sources", &self.config.sources).finish_non_exhaustive()
    }
}

impl Source {
    /// The first source that exists. Files are read once: a change requires a restart.
    async fn kind(&self) -> Result<&Kind> {
        self.kind.get_or_try_init(|| async { file::find(&self.config.sources) }).await
    }

    async fn find_project(&self) -> Result<Arc<str>> {
        let no_project = |why: &str| {
            Error::config(format!(
                "no project of Google Cloud ({why}): set GOOGLE_CLOUD_PROJECT, or `project=` in the URL"
            ))
        };
        if let Some(project) = &self.config.project {
            return Ok(project.as_str().into());
        }
        match self.kind().await? {
            Kind::Metadata => metadata::text(self, "project/project-id").await?.map_err(no_project),
            Kind::ServiceAccount(key) => key.project.clone().ok_or_else(|| no_project("the key file names none")),
            Kind::User(user) => {
                user.quota_project.as_deref().map(Arc::from).ok_or_else(|| no_project("a user's credentials name none"))
            }
            Kind::External(_) | Kind::Impersonated(_) => Err(no_project("the credentials name none")),
        }
    }

    async fn find_email(&self) -> Result<Arc<str>> {
        match self.kind().await? {
            Kind::ServiceAccount(key) => Ok(Arc::clone(&key.email)),
            Kind::Metadata => {
                let email = metadata::text(self, "instance/service-accounts/default/email").await?;
                email.map_err(|why| self.no_credentials(why))
            }
            Kind::External(external) => external.email().ok_or_else(no_signer),
            Kind::Impersonated(impersonated) => Ok(Arc::clone(&impersonated.email)),
            Kind::User(_) => Err(no_signer()),
        }
    }

    async fn find_token(&self) -> Result<TemporaryCredential<Token>> {
        match self.kind().await? {
            Kind::ServiceAccount(key) => key.token(SystemTime::now()),
            Kind::User(user) => exchange::refresh(self, user).await,
            Kind::External(external) => external::find(self, external).await,
            Kind::Impersonated(impersonated) => {
                let user = exchange::refresh(self, &impersonated.user).await?;
                exchange::impersonate(self, &impersonated.url, &user.value).await
            }
            Kind::Metadata => metadata::token(self).await?.map_err(|why| self.no_credentials(why)),
        }
    }

    fn no_credentials(&self, machine: &str) -> Error {
        let user = match &self.config.sources.user {
            Some(path) => format!("{} does not exist", path.display()),
            None => "not tried".to_owned(),
        };
        Error::new(
            ErrorKind::Unauthenticated,
            format!(
                "no credentials of Google Cloud; tried: GOOGLE_APPLICATION_CREDENTIALS: not set; a user's: {user}; \
                 the metadata server: {machine}. Run `gcloud auth application-default login`, or set \
                 GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"
            ),
        )
    }
}

fn no_signer() -> Error {
    Error::config(
        "a signed URL needs a service account: run as one, or set GOOGLE_APPLICATION_CREDENTIALS to its key file",
    )
}

/// Fetches tokens from the source.
#[derive(Debug)]
struct Tokens(Arc<Source>);

#[async_trait]
impl CredentialSource for Tokens {
    type Value = Token;

    async fn find(&self) -> Result<TemporaryCredential<Token>> {
        self.0.find_token().await
    }
}

impl Token {
    /// A token from a source, validated. Errors: `Internal`, without the value.
    fn parse(from: &str, text: &str, expires: SystemTime) -> Result<TemporaryCredential<Self>> {
        // RFC 6750, 2.1.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let wrong = || Error::internal(format!("{from} returned a malformed token"));
        if text.is_empty() || !text.bytes().all(fits) {
            return Err(wrong());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| wrong())?;
        authorization.set_sensitive(true);
        Ok(TemporaryCredential { value: Arc::new(Self { authorization, quota_project: None }), expires: Some(expires) })
    }

    /// The same token with a quota project.
    fn of_project(&self, project: Option<&str>) -> Result<Self> {
        let quota_project = project.map(HeaderValue::from_str).transpose();
        let quota_project =
            quota_project.map_err(|_| Error::config("the quota_project_id of the credentials is malformed"))?;
        Ok(Self { authorization: self.authorization.clone(), quota_project })
    }
}

/// The time after this number of seconds, at most a day from now.
fn in_seconds(seconds: u64) -> SystemTime {
    later(SystemTime::now(), Duration::from_secs(seconds.min(86_400)))
}

#[cfg(test)]
mod tests;
