//! The choice of a proxy by host.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use isobar_abstraction::{Error, Result};

use crate::ClientConfig;

/// The proxies of a client.
///
/// `https` uses a tunnel (`CONNECT`), `http` is forwarded. Loopback and link-local addresses never use a
/// proxy: they are those of emulators, the platforms' metadata servers and the Lambda runtime.
pub(crate) struct Proxies(Option<Matcher>);

impl Proxies {
    /// Errors: `Config` where a proxy is not `http://HOST:PORT`.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self> {
        let (https, http) = (config.https_proxy.as_deref(), config.http_proxy.as_deref());
        check("https", https)?;
        check("http", http)?;
        if https.is_none() && http.is_none() {
            return Ok(Self(None));
        }
        let matcher = Matcher::builder()
            .https(https.unwrap_or_default())
            .http(http.unwrap_or_default())
            .no(config.no_proxy.as_deref().unwrap_or_default());
        Ok(Self(Some(matcher.build())))
    }

    /// The proxy for this URL, if it uses one.
    pub(crate) fn of(&self, uri: &Uri) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        if uri.host().is_none_or(is_local) { None } else { matcher.intercept(uri) }
    }
}

/// The error does not contain the value, which may include a password.
fn check(scheme: &str, proxy: Option<&str>) -> Result<()> {
    let Some(proxy) = proxy else { return Ok(()) };
    let matcher = Matcher::builder().all(proxy).build();
    let intercept = matcher.intercept(&Uri::from_static("http://isobar.invalid/"));
    match intercept {
        Some(intercept) if intercept.uri().scheme() == Some(&Scheme::HTTP) && has_address(intercept.uri()) => Ok(()),
        _ => Err(Error::config(format!(
            "the proxy for {scheme} must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
        ))),
    }
}

/// Checks the host and port: `http::Uri` accepts an empty host and a port that is not a number.
fn has_address(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let has_port = authority.port_u16().is_some() || authority.as_str() == authority.host();
    has_port && !authority.host().is_empty()
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no_proxy: &str) -> Proxies {
        let config = ClientConfig {
            https_proxy: Some("http://user:secret@proxy.test:3128".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            ..ClientConfig::default()
        };
        Proxies::new(&config).unwrap()
    }

    fn uses_proxy(proxies: &Proxies, uri: &'static str) -> bool {
        proxies.of(&Uri::from_static(uri)).is_some()
    }

    #[test]
    fn hosts_of_no_proxy_and_local_addresses_use_no_proxy() {
        let proxies = proxies("amazonaws.com, 10.0.0.0/8");
        assert!(uses_proxy(&proxies, "https://example.org/"));
        assert!(!uses_proxy(&proxies, "http://example.org/"), "only https has a proxy");
        for direct in ["https://s3.eu-west-1.amazonaws.com/", "https://10.1.2.3/", "https://127.0.0.1:4566/"] {
            assert!(!uses_proxy(&proxies, direct), "{direct}");
        }
        for direct in ["https://localhost/", "https://[::1]/", "https://169.254.169.254/latest"] {
            assert!(!uses_proxy(&proxies, direct), "{direct}");
        }
    }

    #[test]
    fn a_malformed_proxy_is_a_config_error_without_its_password() {
        for proxy in ["http://user:secret@:", "socks5://user:secret@h:1", "https://user:secret@h:1", "user:secret"] {
            let config = ClientConfig { http_proxy: Some(proxy.to_owned()), ..ClientConfig::default() };
            let Err(error) = Proxies::new(&config) else { panic!("{proxy}") };
            assert_eq!(error.kind(), isobar_abstraction::ErrorKind::Config);
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
