//! The text of a secret.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// The value of a secret. `Debug` shows `***`, and there is no `Display`. Cheap to clone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::memory::MemoryProvider;
/// use isobar_abstraction::Cloud;
/// use std::sync::Arc;
/// let provider = MemoryProvider::default();
/// provider.set_secret("api-token", "s3cret");
/// let token = Cloud::new(Arc::new(provider)).secret("api-token").get().await?;
/// assert_eq!(token.reveal(), "s3cret");
/// assert!(token.matches("s3cret"));
/// assert_eq!(format!("{token:?}"), "***");
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SecretValue(Arc<str>);

impl SecretValue {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the place where it leaves the app: a header, a signature.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Is this the secret? The comparison takes the same time for each text of the same length, so that a sender cannot
    /// guess the secret byte by byte.
    pub fn matches(&self, text: impl AsRef<[u8]>) -> bool {
        self.0.as_bytes().ct_eq(text.as_ref()).into()
    }

    /// Replaces the secret in a text by `***`, for an error or a log line with the answer of a service.
    pub fn hide_in(&self, text: &str) -> String {
        text.replace(&*self.0, "***")
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
