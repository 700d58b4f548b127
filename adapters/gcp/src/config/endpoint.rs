//! Endpoints of services, and whether they receive tokens.

use isobar_abstraction::Result;
use isobar_abstraction::driver::Environment;
use isobar_rest::check_endpoint;
use url::Url;

/// The authentication of requests to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// A token of the app's credentials.
    Identity,
    /// No authentication, for emulators: they must not receive a token.
    Anonymous,
}

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The base URL without a trailing slash, such as `https://firestore.googleapis.com`.
    pub(crate) url: String,
    pub(crate) access: Access,
}

impl Endpoint {
    /// An endpoint of Google.
    pub(super) fn of_google(url: &str) -> Self {
        Self { url: url.to_owned(), access: Access::Identity }
    }

    /// A configured endpoint. Tokens are sent by `https://` only, so an endpoint with `http://` receives none.
    /// Errors: `Config`, naming the source `from`.
    pub(super) fn parse(from: &str, text: &str) -> Result<Self> {
        let url = check_endpoint(from, text)?;
        let access = if url.starts_with("https://") { Access::Identity } else { Access::Anonymous };
        Ok(Self { url, access })
    }
}

/// The emulators that the environment names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emulators {
    pub(super) firestore: Option<Endpoint>,
    pub(super) pub_sub: Option<Endpoint>,
    pub(super) storage: Option<Endpoint>,
}

impl Emulators {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let emulator = |name: &str| environment.var(name).map(|value| emulator(name, value)).transpose();
        Ok(Self {
            firestore: emulator("FIRESTORE_EMULATOR_HOST")?,
            pub_sub: emulator("PUBSUB_EMULATOR_HOST")?,
            storage: emulator("STORAGE_EMULATOR_HOST")?,
        })
    }
}

/// Parses `host:port`, the form that Google's libraries accept, or a URL.
fn emulator(from: &str, text: &str) -> Result<Endpoint> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Ok(Endpoint { url: check_endpoint(from, &url)?, access: Access::Anonymous })
}

/// Whether secrets may be sent to this URL, and tokens received from it, without encryption: also true for the metadata
/// server.
pub(crate) fn is_near(url: &str) -> bool {
    let is_metadata = |url: Url| url.host_str() == Some("metadata.google.internal");
    isobar_rest::is_safe_for_secrets(url) || Url::parse(url).is_ok_and(is_metadata)
}
