//! Where a service is reached, and whether it is Google's own.

use std::net::IpAddr;

use isobar_abstraction::{Environment, Error, Result};
use url::{Host, Url};

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

/// A URL of a service without a slash at its end. Errors: `Config`, naming where it came from.
pub(super) fn check_endpoint(from: &str, text: &str) -> Result<String> {
    let wrong = || Error::config(format!("{from} is no URL of a service, such as http://127.0.0.1:8080"));
    let url = Url::parse(text).map_err(|_| wrong())?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !bare {
        return Err(wrong());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// May a secret be sent there, and a token come from there, in clear text?
pub(crate) fn is_near(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    if url.scheme() == "https" {
        return true;
    }
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain == "metadata.google.internal",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local() || address.is_private(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback() || address.is_unicast_link_local(),
        None => false,
    }
}
