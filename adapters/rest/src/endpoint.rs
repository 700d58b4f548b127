//! What is checked of the URL of a service before anything is sent there.

use std::net::IpAddr;

use http::Uri;
use isobar_abstraction::{Error, Result};
use url::{Host, Url};

/// `scheme://host`, `:port` and a path if there are any, without a slash at the end. The host is in lower case, and the
/// scheme's own port is left out. Errors: `Config`, naming where it came from.
pub fn check_endpoint(from: &str, url: &str) -> Result<String> {
    let wrong = || Error::config(format!("{from} is not of the form http://host:port or https://host"));
    let url = Url::parse(url).map_err(|_| wrong())?;
    let login = !url.username().is_empty() || url.password().is_some();
    let fits = ["http", "https"].contains(&url.scheme()) && url.has_host() && !login;
    let text = url.as_str().trim_end_matches('/');
    // What sends requests must take it too.
    if !fits || url.query().is_some() || url.fragment().is_some() || text.parse::<Uri>().is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// May a secret be sent there, and a token come from there, in clear text?
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

/// An endpoint to which a secret may go. Errors: `Config`, naming where it came from.
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
