//! The configuration of a client. Adapters read their own variables in their `config.rs`; the
//! variables of proxies are the same for all adapters and are read here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use isobar_abstraction::driver::Environment;

/// The version of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only, the version of AWS's services.
    #[default]
    Http1,
    /// HTTP/2 where the server offers it over TLS, else HTTP/1.1. Without the crate's feature `http2`
    /// it is HTTP/1.1.
    Http2,
}

/// The configuration of a client. `Debug` shows which proxies are set, but not their URLs, which may
/// contain passwords.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The longest wait for a connection, including DNS, proxy and TLS.
    pub connect_timeout: Duration,
    /// The longest time of one attempt, from connecting to the last byte of the response.
    pub attempt_timeout: Duration,
    /// The idle time after which a pooled connection is not used again. Shorter than the idle timeouts of
    /// the services, so that they rarely close it first.
    pub idle_timeout: Duration,
    /// The most attempts of one call, including the first. An attempt on a dead pooled connection does
    /// not count: it is repeated immediately on a new one.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; doubled for each further one.
    pub min_backoff: Duration,
    /// The longest wait between two attempts, also where a service requests more.
    pub max_backoff: Duration,
    /// The largest response that is read into memory, in bytes.
    pub max_response_bytes: usize,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// A PEM file of certificates that are trusted instead of Mozilla's.
    pub ca_bundle: Option<PathBuf>,
    /// The proxy for `https://` URLs: `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`.
    pub https_proxy: Option<String>,
    /// The proxy for `http://` URLs.
    pub http_proxy: Option<String>,
    /// Hosts that are reached without a proxy, as `NO_PROXY` lists them. `localhost`, loopback and
    /// link-local addresses (`127.0.0.0/8`, `169.254.0.0/16`) never use a proxy.
    pub no_proxy: Option<String>,
}

impl ClientConfig {
    /// With the proxies of the environment, read as curl reads them: `https_proxy`, `http_proxy`,
    /// `all_proxy` and `no_proxy`. Each is also read in capitals, with lower priority.
    ///
    /// `HTTP_PROXY` is not read: under CGI it contains the client's `Proxy:` header
    /// (<https://httpoxy.org>).
    #[must_use]
    pub fn with_proxies(mut self, environment: &Environment) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| environment.var(name)).map(str::to_owned);
        self.https_proxy = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        self.http_proxy = first(&["http_proxy", "all_proxy", "ALL_PROXY"]);
        self.no_proxy = first(&["no_proxy", "NO_PROXY"]);
        self
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(45),
            max_attempts: 5,
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            max_response_bytes: 32 * 1024 * 1024,
            protocol: Protocol::Http1,
            ca_bundle: None,
            https_proxy: None,
            http_proxy: None,
            no_proxy: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_attempts", &self.max_attempts)
            .field("min_backoff", &self.min_backoff)
            .field("max_backoff", &self.max_backoff)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("protocol", &self.protocol)
            .field("ca_bundle", &self.ca_bundle)
            .field("https_proxy", &self.https_proxy.is_some())
            .field("http_proxy", &self.http_proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(vars: &[(&str, &str)]) -> [Option<String>; 3] {
        let vars = vars.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let config = ClientConfig::default().with_proxies(&Environment::new(vars, []));
        [config.https_proxy, config.http_proxy, config.no_proxy]
    }

    #[test]
    fn proxies_are_read_as_curl_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(proxies(&[]), [None, None, None]);
        assert_eq!(proxies(&[("HTTPS_PROXY", "a"), ("NO_PROXY", "n")]), [some("a"), None, some("n")]);
        assert_eq!(proxies(&[("HTTPS_PROXY", "a"), ("https_proxy", "b")]), [some("b"), None, None]);
        assert_eq!(proxies(&[("HTTP_PROXY", "evil"), ("http_proxy", "")]), [None, None, None]);
        assert_eq!(proxies(&[("http_proxy", "a"), ("ALL_PROXY", "b")]), [some("b"), some("a"), None]);
    }

    #[test]
    fn debug_hides_the_password_of_a_proxy() {
        let proxy = Some("http://user:secret@h:1".to_owned());
        let config = ClientConfig { https_proxy: proxy.clone(), http_proxy: proxy, ..ClientConfig::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
