//! Secrets and configuration: values that an app reads and a person sets.

mod cache;
pub(crate) mod config;
pub(crate) mod driver;
mod source;
mod value;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::access::Access;
use crate::handle::Resource;
use crate::resource::ResourceKind;
use crate::{Error, Result};

pub use config::Config;
pub use value::SecretValue;

use cache::Cache;
pub(crate) use source::Source;

/// A secret: a text that a person sets outside of the code, such as an API token. Cheap to clone.
///
/// [`Cloud::secret`](crate::Cloud::secret) opens it. Its value is that of the variable `ISOBAR_SECRET_<NAME>`, such as
/// `ISOBAR_SECRET_API_TOKEN` for `api-token`; without the variable it is in a store, under the key `<prefix><name>`:
///
/// | `ISOBAR_SECRETS` | store |
/// |---|---|
/// | not set | that of the host: Parameter Store on AWS, Secret Manager on Google Cloud, the file `secrets.json` of the data folder on a laptop, none on Azure |
/// | `ssm://` | AWS Systems Manager Parameter Store |
/// | `secretsmanager://` | AWS Secrets Manager |
/// | `keyvault://VAULT` | Azure Key Vault |
/// | `gsm://PROJECT` | Google Cloud Secret Manager |
///
/// A value has at most 4,096 bytes, the limit of
/// [Parameter Store](https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html).
/// One line break at its end is removed, because a file or a pipe adds it. An empty value is an error.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::memory::MemoryProvider;
/// use isobar_abstraction::{App, Cloud, Error, TestClient};
///
/// fn app(cloud: &Cloud) -> App {
///     App::new("caller")
///         .with_state(cloud.secret("api-token"))
///         .on_invoke("length", async |token, (): (), _cx| Ok::<_, Error>(token.get().await?.reveal().len()))
///         .build()
/// }
///
/// let missing = TestClient::new(app).unwrap_err();
/// assert!(missing.message().contains("secret `api-token`"));
///
/// let provider = MemoryProvider::default();
/// provider.set_secret("api-token", "s3cret");
/// let client = TestClient::on(provider, app)?;
/// assert_eq!(client.invoke::<usize>("length", &()).await?, 6);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Secret(Stored<SecretValue>);

impl Secret {
    pub(crate) fn new(resource: Resource<Source>, is_optional: Arc<AtomicBool>) -> Self {
        Self(Stored::new(resource, is_optional, |text, _| Ok(SecretValue::new(text))))
    }

    /// Lets the app start without a value, on every provider. Then [`find`](Self::find) returns `None`.
    #[must_use]
    pub fn optional(self) -> Self {
        self.0.is_optional.store(true, Ordering::Relaxed);
        self
    }

    /// The value. It is read from the store at the first call, and again when it is 5 minutes old, so a rotated secret is
    /// noticed after that time. While the store is down, the old value is returned.
    ///
    /// Errors: `Config` if it has no value, with the variable and the command that set one; `PermissionDenied`, `Throttled`,
    /// `Unavailable` or `Timeout`, after at most 10 seconds, of the store; `TooLarge`.
    pub async fn get(&self) -> Result<SecretValue> {
        self.0.get().await
    }

    /// The value; `None` if it has none. Otherwise like [`get`](Self::get). A missing value is searched again after 10
    /// seconds.
    pub async fn find(&self) -> Result<Option<SecretValue>> {
        self.0.find().await
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.resource.fmt(f)
    }
}

/// A cached value of a store, as a `V`.
pub(crate) struct Stored<V> {
    resource: Resource<Source>,
    is_optional: Arc<AtomicBool>,
    parse: Parse<V>,
    cache: Arc<Cache<V>>,
}

/// Reads the text of a value. An error contains the name of its place, the second argument, and not the text.
pub(crate) type Parse<V> = fn(&str, &str) -> Result<V>;

impl<V> Clone for Stored<V> {
    fn clone(&self) -> Self {
        let (is_optional, cache) = (Arc::clone(&self.is_optional), Arc::clone(&self.cache));
        Self { resource: self.resource.clone(), is_optional, parse: self.parse, cache }
    }
}

impl<V: Clone> Stored<V> {
    fn new(resource: Resource<Source>, is_optional: Arc<AtomicBool>, parse: Parse<V>) -> Self {
        Self { resource: resource.with_access(Access::Read), is_optional, parse, cache: Arc::default() }
    }

    async fn get(&self) -> Result<V> {
        let found = self.find().await?;
        found.ok_or_else(|| match self.resource.driver("get", Access::Read) {
            Ok(source) => self.resource.explain("get", source.missing(self.resource.kind)),
            Err(error) => error,
        })
    }

    async fn find(&self) -> Result<Option<V>> {
        let read = self.resource.run("get", Access::Read, async |source| {
            let Some(text) = source.read().await? else { return Ok(None) };
            let name = source.name();
            (self.parse)(checked(&text, &name, self.resource.limits.secret_bytes)?, &name).map(Some)
        });
        self.cache.get(&*self.resource.clock, read).await
    }
}

/// A value without the line break at its end. Errors: `Config` for an empty one, `TooLarge`.
fn checked<'a>(text: &'a str, name: &str, limit: u64) -> Result<&'a str> {
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.trim().is_empty() {
        return Err(Error::config(format!("the value of {name} is empty; set another one")));
    }
    let size = text.len() as u64;
    if size > limit { Err(Error::too_large(&format!("the value of {name} in bytes"), size, limit)) } else { Ok(text) }
}

/// Checks at the start of an app what is known without a call. Errors: `Config`, `TooLarge`.
pub(crate) fn check<V>(
    source: &Source,
    kind: ResourceKind,
    limit: u64,
    is_optional: bool,
    parse: Parse<V>,
) -> Result<()> {
    let (name, text) = match source.check(kind) {
        Ok(Some(text)) => (source.name(), text),
        Ok(None) => return Ok(()),
        Err(_) if is_optional => return Ok(()),
        Err(error) => return Err(error),
    };
    checked(&text, &name, limit).and_then(|text| parse(text, &name)).map(drop)
}

#[cfg(test)]
mod tests;
