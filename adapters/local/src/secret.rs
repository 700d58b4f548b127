//! Secrets and configuration: a JSON file that only its owner can read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::{Error, Result};
use serde_json::{Map, Value};

/// The file `{"<key>": "<text>", …}`, which is read at each call. A value that is not a string is its JSON.
#[derive(Debug)]
pub(crate) struct SecretFile(PathBuf);

impl SecretFile {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Errors: `Config` for a file that others can read, or that is not a JSON object; `Unavailable`.
    fn value(&self, key: &str) -> Result<Option<String>> {
        let path = self.0.display();
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::unavailable(format!("{path} cannot be read")).with_source(error)),
        };
        check_mode(&self.0)?;
        let mut values: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::config(format!("{path} is not a JSON object of texts by key, at line {line} column {column}"))
        })?;
        Ok(values.remove(key).map(|value| match value {
            Value::String(text) => text,
            json => json.to_string(),
        }))
    }
}

#[async_trait]
impl SecretStore for SecretFile {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        self.value(key)
    }

    fn check(&self, key: &str, kind: ResourceKind) -> Result<()> {
        match self.value(key)? {
            Some(_) => Ok(()),
            None => Err(Error::config(format!("it has no value; {}", self.how_to_set(key, kind)))),
        }
    }

    fn how_to_set(&self, key: &str, _: ResourceKind) -> String {
        format!("add `{key}` to {} (mode 600)", self.0.display())
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Error::config(format!("others can read {path}, its mode is {mode:o}; run `chmod 600 {path}`")))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}
