//! Secrets and configuration in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::resource::ResourceKind;
use crate::secret::driver::SecretStore;
use crate::{Error, Result};

/// The values by key. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct MemorySecrets(Arc<Mutex<HashMap<String, String>>>);

impl MemorySecrets {
    pub(crate) fn set(&self, key: &str, value: &str) {
        self.0.lock().insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn remove(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

/// Keys only.
impl fmt::Debug for MemorySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.lock().keys()).finish()
    }
}

#[async_trait]
impl SecretStore for MemorySecrets {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn check(&self, key: &str, kind: ResourceKind) -> Result<Option<String>> {
        let value = self.0.lock().get(key).cloned();
        value.map(Some).ok_or_else(|| Error::config(format!("it has no value; {}", self.how_to_set(key, kind))))
    }

    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String {
        let method = if kind == ResourceKind::Config { "set_config" } else { "set_secret" };
        format!("call `{method}(\"{key}\", …)` of the `MemoryProvider`")
    }
}
