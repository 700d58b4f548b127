//! The token of the inspector.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use isobar_abstraction::{Error, Result};

/// The secret that every request to the inspector must contain: of one start, or of the process in front.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A new token. Errors: `Internal` where the machine has no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("the operating system returned no random bytes for a token").with_source(error)
        })?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// A token with this text. Errors: `Config`, without the text, for one that does not fit into a URL.
    pub fn of(text: &str) -> Result<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match !text.is_empty() && text.bytes().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::config("the token of the inspector must have ASCII letters, digits, `-` and `_` only")),
        }
    }

    /// The text, which must not reach a log.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether the request contains it, as a bearer token or in its query.
    pub(crate) fn is_in<B>(&self, request: &Request<B>) -> bool {
        let bearer = |value: &HeaderValue| self.is(value.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default());
        let mut pairs = request.uri().query().unwrap_or_default().split('&');
        request.headers().get(AUTHORIZATION).is_some_and(bearer)
            || pairs.any(|pair| pair.strip_prefix("token=").is_some_and(|value| self.is(value.as_bytes())))
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, value: &[u8]) -> bool {
        let token = self.0.as_bytes();
        value.len() == token.len() && value.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}
