//! The driver trait of secrets and configuration.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::resource::ResourceKind;
use crate::{Error, Result};

/// A store of secrets and configuration: texts by key, such as a vault.
///
/// The portable types do the rest: names, the prefix of keys, variables with values, the cache, timeouts and limits.
///
/// Implementers:
/// - must return the current version of a value, not a cached one;
/// - must never put a value into an error, a log or `Debug`;
/// - must return an error for a value that is not UTF-8.
#[async_trait]
pub trait SecretStore: Debug + Send + Sync + 'static {
    /// Reads the value of a key; `None` if the store has no such key, or only deleted values of it.
    async fn get(&self, key: &str) -> Result<Option<String>>;

    /// Checks a key at the start of an app, without a call. The value, if it is known without one.
    ///
    /// Errors: `Config` if the store cannot have this key, or if it is known without a call that it has no value. The message
    /// ends with the next step, because `, or set ISOBAR_SECRET_…` is added.
    fn check(&self, key: &str, kind: ResourceKind) -> Result<Option<String>> {
        let _ = (key, kind);
        Ok(None)
    }

    /// How a person sets the value of a key, as the last part of an error: ``run `vault write shop-api-token …` ``.
    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String;
}

/// The store of a provider that has none until `ISOBAR_SECRETS` contains a URL: no key has a value.
#[derive(Debug, Clone, Copy)]
pub struct NoSecretStore {
    /// The URL that a person can set, such as `keyvault://VAULT`.
    pub example: &'static str,
}

#[async_trait]
impl SecretStore for NoSecretStore {
    async fn get(&self, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    fn check(&self, key: &str, kind: ResourceKind) -> Result<Option<String>> {
        Err(Error::config(format!("no store of values is configured; {}", self.how_to_set(key, kind))))
    }

    fn how_to_set(&self, _: &str, _: ResourceKind) -> String {
        format!("set ISOBAR_SECRETS={}", self.example)
    }
}
