//! How a client is set up. Adapters read their own variables in their own `config.rs`; those of
//! proxies are the same everywhere and read here, and so are the endpoints that they name.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use isobar_abstraction::driver::Environment;

/// What to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only: what AWS's services speak.
    #[default]
    Http1,
    /// HTTP/2 where the server offers it over TLS, else HTTP/1.1. Without the crate's feature `http2`
    /// it is HTTP/1.1.
    Http2,
}

/// How a client is set up. `Debug` shows which proxies there are, but not their URLs, which may hold
/// passwords.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Longest wait for a connection: DNS, proxy and TLS included.
    pub connect_timeout: Duration,
    /// Longest wait for one attempt: from connecting to the last byte of the answer.
    pub attempt_timeout: Duration,
    /// A pooled connection that has not been used for so long is not used again. Shorter than what
    /// services grant, so that they are rarely the first to close it.
    pub idle_timeout: Duration,
    /// Most attempts of one call, the first included. None of them: an attempt on a pooled connection
    /// that proves dead, which is made again at once on a new one.
    pub max_attempts: u32,
    /// Longest wait before the second attempt; doubled for each further one.
    pub min_backoff: Duration,
    /// Longest wait between two attempts, also where a service asks for more.
    pub max_backoff: Duration,
    /// Largest answer that is read into memory.
    pub max_response_bytes: usize,
    /// What to speak.
    pub protocol: Protocol,
    /// Certificates in PEM that are trusted instead of Mozilla's.
    pub ca_bundle: Option<PathBuf>,
    /// The proxy for `https://` URLs: `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`.
    pub https_proxy: Option<String>,
    /// The proxy for `http://` URLs.
    pub http_proxy: Option<String>,
    /// Hosts that are reached without a proxy, as `NO_PROXY` lists them. This machine and its link
    /// (`localhost`, `127.0.0.0/8`, `169.254.0.0/16`) always are.
    pub no_proxy: Option<String>,
}

impl ClientConfig {
    /// With the proxies that the environment names, as curl reads them: `https_proxy`, `http_proxy`,
    /// `all_proxy` and `no_proxy`, each of them also in capitals, which count less.
    ///
    /// `HTTP_PROXY` is not read: under CGI it holds the `Proxy:` header of whoever asks
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
    fn debug_keeps_the_password_of_a_proxy() {
        let proxy = Some("http://user:secret@h:1".to_owned());
        let config = ClientConfig { https_proxy: proxy.clone(), http_proxy: proxy, ..ClientConfig::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
