//! Secrets and configuration: a JSON file that only its owner can read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{Prefix, ResourceKind};
use isobar_abstraction::{Error, Result};
use serde_json::{Map, Value};

use crate::store::folder;

/// The file `{"<key>": "<text>", …}`, which is read at each call. `null` is no value; any other that is not a string is
/// its JSON.
#[derive(Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    /// That of the keys.
    prefix: Prefix,
}

impl SecretFile {
    pub(crate) fn new(path: impl Into<PathBuf>, prefix: Prefix) -> Self {
        Self { path: path.into(), prefix }
    }

    /// Calls `visit` with each key and the length of its value.
    pub(crate) fn each(&self, mut visit: impl FnMut(&str, usize)) -> Result<()> {
        self.values()?.iter().for_each(|(key, value)| visit(key, text(value).map_or(0, |text| text.len())));
        Ok(())
    }

    fn value(&self, key: &str) -> Result<Option<String>> {
        Ok(self.values()?.get(key).and_then(text))
    }

    /// Errors: `Config` for a file that others can read, or that is not a JSON object; `Unavailable`.
    fn values(&self) -> Result<Map<String, Value>> {
        let path = self.path.display();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(Error::unavailable(format!("{path} cannot be read: {error}; correct it"))),
        };
        check_mode(&self.path)?;
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let place = format!("at line {line} column {column}");
            Error::config(format!(r#"{path} is not a JSON object, {place}; correct it to {{"KEY": "VALUE", …}}"#))
        })
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        json => Some(json.to_string()),
    }
}

/// For tools: sets the value of a key in a file of secrets, with the file and its folder where they are missing. A crash
/// leaves the old file or the new one.
///
/// Errors: `Config` for a file that others can read, or that is not a JSON object; `Unavailable`.
pub fn set_secret(file: &Path, key: &str, value: Value) -> Result<()> {
    let mut values = SecretFile::new(file, Prefix::default()).values()?;
    values.insert(key.to_owned(), value);
    let write = || {
        let file = std::path::absolute(file)?;
        if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
            folder::make(folder)?;
        }
        folder::write_whole(&file, format!("{:#}\n", Value::Object(values)).as_bytes())
    };
    write().map_err(|error| Error::unavailable(format!("{} cannot be written: {error}", file.display())))
}

#[async_trait]
impl SecretStore for SecretFile {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        self.value(key)
    }

    fn check(&self, key: &str, kind: ResourceKind) -> Result<Option<String>> {
        let value = self.value(key)?;
        value.map(Some).ok_or_else(|| Error::config(format!("it has no value; {}", self.how_to_set(key, kind))))
    }

    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String {
        let value = if kind == ResourceKind::Config { "{…}" } else { "\"…\"" };
        let prefix = self.prefix.get().unwrap_or_default();
        let (name, file) = (key.strip_prefix(&prefix).unwrap_or(key), self.path.display());
        let stage = self.prefix.stage().map_or_else(String::new, |stage| format!(" --stage {stage}"));
        format!(
            r#"run `isobar secrets set {name}{stage}`, add `"{key}": {value}` to the JSON object in {file} (mode 600)"#
        )
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
