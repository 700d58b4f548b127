//! Who we are to Google Cloud: application default credentials.
//!
//! Sources are asked in the order of Google's libraries: the file that `GOOGLE_APPLICATION_CREDENTIALS`
//! names, what `gcloud auth application-default login` left, the metadata server. The first that is there
//! decides: if it fails, its error is the answer, and not somebody else's token.
//!
//! `object_store` has providers for some of these. They keep a cache each, on a monotonic clock that
//! stands still while a machine is frozen, know storage only, and forget a good token when a renewal
//! fails. So they are not used.

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

/// What a token may do: everything that the roles of its account allow.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where tokens come from. Cheap to clone; clones share what was found.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    origin: Arc<Origin>,
    tokens: Arc<CredentialCache<Tokens>>,
}

/// An access token, as it is shown.
pub(crate) struct Token {
    /// `Bearer …`.
    pub(crate) authorization: HeaderValue,
    /// The project that a person's calls are counted for.
    pub(crate) quota_project: Option<HeaderValue>,
}

impl Credentials {
    pub(crate) fn new(config: &GcpConfig) -> Self {
        let client = Client::new(config.client.clone(), Arc::new(SystemClock));
        let kind = OnceCell::new();
        let (project, email) = (OnceCell::new(), OnceCell::new());
        let origin = Arc::new(Origin { config: config.clone(), client, kind, project, email });
        let tokens = Tokens(Arc::clone(&origin));
        Self { origin, tokens: Arc::new(CredentialCache::new(tokens, Arc::new(SystemClock))) }
    }

    /// A token that is good now. Errors: `Unauthenticated` where there is no source, with what was tried;
    /// `Config`; `Unavailable` and `Timeout` of the source.
    pub(crate) async fn token(&self) -> Result<Arc<Token>> {
        self.tokens.get().await
    }

    /// After a service has refused this token: is there another?
    pub(crate) async fn renew(&self, refused: &Arc<Token>) -> bool {
        self.tokens.renew(refused).await
    }

    /// The project of resources that name none. Errors: `Config` where nothing tells it.
    pub(crate) async fn project(&self) -> Result<Arc<str>> {
        self.origin.project.get_or_try_init(|| self.origin.find_project()).await.cloned()
    }

    /// The e-mail address of the service account that signs. Errors: `Config` where it is a person who
    /// runs this, whose credentials cannot sign.
    pub(crate) async fn email(&self) -> Result<Arc<str>> {
        self.origin.email.get_or_try_init(|| self.origin.find_email()).await.cloned()
    }

    /// Signs with the key of the service account, or has IAM do it: RSASSA-PKCS1-v1_5 with SHA-256.
    /// IAM wants the role `roles/iam.serviceAccountTokenCreator` on the account itself.
    pub(crate) async fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        if let Kind::ServiceAccount(key) = self.origin.kind().await? {
            return key.sign(text);
        }
        let (email, token) = (self.email().await?, self.token().await?);
        exchange::sign_blob(&self.origin, &email, &token, text).await
    }
}

/// Where credentials come from, and what was found there.
struct Origin {
    config: GcpConfig,
    client: Client,
    kind: OnceCell<Kind>,
    project: OnceCell<Arc<str>>,
    email: OnceCell<Arc<str>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("sources", &self.config.sources).finish_non_exhaustive()
    }
}

impl Origin {
    /// The source that is there. Files are read once: what changes in one needs a new start.
    async fn kind(&self) -> Result<&Kind> {
        self.kind.get_or_try_init(|| async { file::find(&self.config.sources) }).await
    }

    async fn find_project(&self) -> Result<Arc<str>> {
        let nothing = |why: &str| {
            Error::config(format!(
                "no project of Google Cloud: set GOOGLE_CLOUD_PROJECT, or `project=` in the URL ({why})"
            ))
        };
        if let Some(project) = &self.config.project {
            return Ok(project.as_str().into());
        }
        match self.kind().await? {
            Kind::Machine => metadata::text(self, "project/project-id").await?.map_err(nothing),
            Kind::ServiceAccount(key) => key.project.clone().ok_or_else(|| nothing("the key's file names none")),
            Kind::Person(person) => {
                person.quota_project.as_deref().map(Arc::from).ok_or_else(|| nothing("a person has none"))
            }
            Kind::External(_) | Kind::Impersonated(_) => Err(nothing("the credentials name none")),
        }
    }

    async fn find_email(&self) -> Result<Arc<str>> {
        match self.kind().await? {
            Kind::ServiceAccount(key) => Ok(Arc::clone(&key.email)),
            Kind::Machine => {
                let email = metadata::text(self, "instance/service-accounts/default/email").await?;
                email.map_err(|why| self.nothing_found(why))
            }
            Kind::External(external) => external.email().ok_or_else(no_signer),
            Kind::Impersonated(impersonated) => Ok(Arc::clone(&impersonated.email)),
            Kind::Person(_) => Err(no_signer()),
        }
    }

    async fn find_token(&self) -> Result<TemporaryCredential<Token>> {
        match self.kind().await? {
            Kind::ServiceAccount(key) => key.token(SystemTime::now()),
            Kind::Person(person) => exchange::refresh(self, person).await,
            Kind::External(external) => external::find(self, external).await,
            Kind::Impersonated(impersonated) => {
                let person = exchange::refresh(self, &impersonated.source).await?;
                exchange::impersonate(self, &impersonated.url, &person.value).await
            }
            Kind::Machine => metadata::token(self).await?.map_err(|why| self.nothing_found(why)),
        }
    }

    fn nothing_found(&self, machine: &str) -> Error {
        let person = match &self.config.sources.user {
            Some(path) => format!("{}: not there", path.display()),
            None => "not asked".to_owned(),
        };
        Error::new(
            ErrorKind::Unauthenticated,
            format!(
                "no credentials of Google Cloud; tried: GOOGLE_APPLICATION_CREDENTIALS: not set; a person's: {person}; \
                 the metadata server: {machine}. Run `gcloud auth application-default login`, or set \
                 GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"
            ),
        )
    }
}

fn no_signer() -> Error {
    Error::config(
        "a signed URL needs a service account: run as one, or set GOOGLE_APPLICATION_CREDENTIALS to the file of its key",
    )
}

/// The tokens of an origin.
#[derive(Debug)]
struct Tokens(Arc<Origin>);

#[async_trait]
impl CredentialSource for Tokens {
    type Value = Token;

    async fn find(&self) -> Result<TemporaryCredential<Token>> {
        self.0.find_token().await
    }
}

impl Token {
    /// What a source sent, which may not be what it should. Errors: `Internal`, showing no value.
    fn found(from: &str, text: &str, expires: SystemTime) -> Result<TemporaryCredential<Self>> {
        // RFC 6750, 2.1.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let wrong = || Error::internal(format!("{from} gave a malformed token"));
        if text.is_empty() || !text.bytes().all(fits) {
            return Err(wrong());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| wrong())?;
        authorization.set_sensitive(true);
        Ok(TemporaryCredential { value: Arc::new(Self { authorization, quota_project: None }), expires: Some(expires) })
    }

    /// The same, with the project that calls are counted for.
    fn of_project(&self, project: Option<&str>) -> Result<Self> {
        let quota_project = project.map(HeaderValue::from_str).transpose();
        let quota_project =
            quota_project.map_err(|_| Error::config("the quota_project_id of the credentials is malformed"))?;
        Ok(Self { authorization: self.authorization.clone(), quota_project })
    }
}

/// So many seconds from now, and no more than a day.
fn in_seconds(seconds: u64) -> SystemTime {
    later(SystemTime::now(), Duration::from_secs(seconds.min(86_400)))
}

#[cfg(test)]
mod tests;
