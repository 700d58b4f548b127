//! Typed configuration.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;

use super::{Source, Stored};
use crate::handle::Resource;
use crate::{Error, Result};

/// A configuration: JSON that a person sets outside of the code, read as a `T`. Cheap to clone.
///
/// [`Cloud::config`](crate::Cloud::config) opens it. Its value is that of the variable `ISOBAR_CONFIG_<NAME>`, or in the same
/// stores, with the same limits, as a [`Secret`](crate::Secret).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::Cloud;
/// use isobar_abstraction::memory::MemoryProvider;
/// use serde::Deserialize;
/// use std::sync::Arc;
///
/// #[derive(Debug, Deserialize)]
/// struct Settings {
///     api: String,
///     retries: u32,
/// }
///
/// let provider = MemoryProvider::default();
/// provider.set_config("settings", r#"{"api": "https://api.example.org", "retries": 3}"#);
/// let settings = Cloud::new(Arc::new(provider.clone())).config::<Settings>("settings");
/// assert_eq!(settings.get().await?.retries, 3);
///
/// provider.set_config("settings", r#"{"api": "https://api.example.org", "retries": "many"}"#);
/// let settings = Cloud::new(Arc::new(provider)).config::<Settings>("settings");
/// let error = settings.get().await.unwrap_err();
/// let expected = "the field `retries` of the key `settings` does not fit: expected u32, at line 1 column 52";
/// assert_eq!(error.message(), expected);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
pub struct Config<T>(Stored<Arc<T>>);

impl<T> Clone for Config<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: DeserializeOwned> Config<T> {
    pub(crate) fn new(resource: Resource<Source>, is_optional: Arc<AtomicBool>) -> Self {
        Self(Stored::new(resource, is_optional, parse))
    }

    /// Lets the app start without a value, on every provider. Then [`find`](Self::find) returns `None`.
    #[must_use]
    pub fn optional(self) -> Self {
        self.0.is_optional.store(true, Ordering::Relaxed);
        self
    }

    /// The value, with the cache and the errors of [`Secret::get`](crate::Secret::get).
    ///
    /// Errors too: `Config` for JSON that is not a `T`, with the field and without its value.
    pub async fn get(&self) -> Result<Arc<T>> {
        self.0.get().await
    }

    /// The value; `None` if it has none. Otherwise like [`get`](Self::get).
    pub async fn find(&self) -> Result<Option<Arc<T>>> {
        self.0.find().await
    }
}

impl<T> fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.resource.fmt(f)
    }
}

/// Errors: `Config` with the field, the expected type and the position, never with the value.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<Arc<T>> {
    let json = &mut serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
        let path = error.path().to_string();
        wrong(name, &path, error.inner())
    })?;
    json.end().map_err(|error| wrong(name, ".", &error))?;
    Ok(Arc::new(value))
}

fn wrong(name: &str, path: &str, error: &serde_json::Error) -> Error {
    let place = format!("at line {} column {}", error.line(), error.column());
    if !error.is_data() {
        // A shell and `.env` remove the double quotes of JSON that is not in single ones.
        return Error::config(format!(
            "the value of {name} is not JSON, {place}; a shell and .env need single quotes around it"
        ));
    }
    let field = if path == "." { format!("the value of {name}") } else { format!("the field `{path}` of {name}") };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" {place}")).unwrap_or(&text);
    // The other messages of serde and all those of an app's own types may contain the value.
    if text.starts_with("missing field `") || text.starts_with("duplicate field `") {
        return Error::config(format!("{field} does not fit: {text}, {place}"));
    }
    let of_serde = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `", "unknown field `"];
    let expected = of_serde.iter().any(|start| text.starts_with(start)).then(|| text.rsplit_once(", expected "));
    let expected = expected.flatten().map_or_else(String::new, |(_, expected)| format!(" expected {expected},"));
    Error::config(format!("{field} does not fit:{expected} {place}"))
}
