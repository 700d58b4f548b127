//! Where a service is reached, and whether it is Google's own.

use isobar_abstraction::Result;
use isobar_abstraction::driver::Environment;
use isobar_rest::check_endpoint;
use url::Url;

/// What a request to a service shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// The token of who we are.
    Identity,
    /// Nothing: it is an emulator, and a token is nobody's business there.
    Anonymous,
}

/// A service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Without a slash at its end, such as `https://firestore.googleapis.com`.
    pub(crate) url: String,
    pub(crate) access: Access,
}

impl Endpoint {
    /// One of Google's own.
    pub(super) fn of_google(url: &str) -> Self {
        Self { url: url.to_owned(), access: Access::Identity }
    }

    /// One that somebody set. A token goes to `https://` only, so what is `http://` is shown none.
    /// Errors: `Config`, naming where it came from.
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

/// `host:port`, as Google's libraries have it, or a URL.
fn emulator(from: &str, text: &str) -> Result<Endpoint> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Ok(Endpoint { url: check_endpoint(from, &url)?, access: Access::Anonymous })
}

/// May a secret be sent there, and a token come from there, in clear text? To the metadata server too.
pub(crate) fn is_near(url: &str) -> bool {
    let is_metadata = |url: Url| url.host_str() == Some("metadata.google.internal");
    isobar_rest::is_near(url) || Url::parse(url).is_ok_and(is_metadata)
}
