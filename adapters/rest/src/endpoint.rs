//! Checks of the URL of a service before a request is sent to it.

use std::net::IpAddr;

use http::Uri;
use isobar_abstraction::{Error, Result};
use url::{Host, Url};

/// Returns `scheme://host`, with `:port` and a path if the URL has them, without a final slash. The host is in lower
/// case, and the default port of the scheme is left out. Errors: `Config`, naming `from`, the source of the URL.
pub fn check_endpoint(from: &str, url: &str) -> Result<String> {
    let wrong = || Error::config(format!("{from} must have the form http://host:port or https://host"));
    let url = Url::parse(url).map_err(|_| wrong())?;
    let login = !url.username().is_empty() || url.password().is_some();
    let fits = ["http", "https"].contains(&url.scheme()) && url.has_host() && !login;
    let text = url.as_str().trim_end_matches('/');
    // The HTTP client must accept the URL too.
    if !fits || url.query().is_some() || url.fragment().is_some() || text.parse::<Uri>().is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// Whether secrets may be sent to this URL and read from it: `https`, or a loopback, link-local or private address.
pub fn is_safe_for_secrets(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    if url.scheme() == "https" {
        return true;
    }
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local() || address.is_private(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback() || address.is_unicast_link_local(),
        None => false,
    }
}

/// Returns an endpoint that is safe for secrets. Errors: `Config`, naming `from`, the source of the URL.
pub fn check_safe_for_secrets(from: &str, url: &str) -> Result<String> {
    let endpoint = check_endpoint(from, url)?;
    if is_safe_for_secrets(&endpoint) {
        return Ok(endpoint);
    }
    Err(Error::config(format!("{from} must be https://, or http:// of a loopback, link-local or private address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_a_host() {
        assert_eq!(check_endpoint("X", "http://LocalHost:4566/").unwrap(), "http://localhost:4566");
        assert_eq!(check_endpoint("X", "https://vpce-1.example/base/").unwrap(), "https://vpce-1.example/base");
        assert_eq!(check_endpoint("X", "http://[::1]:8000").unwrap(), "http://[::1]:8000");
        assert_eq!(check_endpoint("X", "https://a.example:443").unwrap(), "https://a.example");
        for bad in [
            "http://h:99999",
            "http://1.2.3.256",
            "http://a b",
            "",
            "localhost:4566",
            "ftp://a",
            "http://",
            "http://u:secret@h",
            "http://h?x=1",
            "http://h#f",
            "/x",
        ] {
            let error = check_endpoint("AWS_ENDPOINT_URL_S3", bad).unwrap_err();
            assert!(error.message().starts_with("AWS_ENDPOINT_URL_S3 "), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }
}
