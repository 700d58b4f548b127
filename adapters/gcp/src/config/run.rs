//! Settings from Cloud Run and from the contract of the functions framework.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | the port to listen on; by default 8080 |
//! | `K_SERVICE` | the service; set on Cloud Run only |
//! | `FUNCTION_SIGNATURE_TYPE` | `http`, `event`, `cloudevent` or `typed`: the type of every request; by default `http` |
//! | `FUNCTION_TARGET` | the trigger that receives all events |
//! | [`ISOBAR_EVENT_AUDIENCE`] | the accepted audiences of tokens in calls of triggers, separated by commas |
//! | [`ISOBAR_EVENT_SERVICE_ACCOUNT`] | the e-mail addresses of the service accounts that may call triggers, separated by commas |
//! | [`ISOBAR_EVENT_KEYS`] | the URL of the keys that sign those tokens; by default Google's |

use std::net::Ipv4Addr;

use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};

use super::is_near;

/// The variable with the accepted audiences of tokens.
pub const ISOBAR_EVENT_AUDIENCE: &str = "ISOBAR_EVENT_AUDIENCE";

/// The variable with the service accounts that may call triggers. An audience alone proves nothing: Google issues a
/// token for any audience to any account.
pub const ISOBAR_EVENT_SERVICE_ACCOUNT: &str = "ISOBAR_EVENT_SERVICE_ACCOUNT";

/// The variable with the URL of the keys (JWKS) that sign tokens, for tests.
pub const ISOBAR_EVENT_KEYS: &str = "ISOBAR_EVENT_KEYS";

/// The URL of the keys of Google's accounts. <https://accounts.google.com/.well-known/openid-configuration>
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// Settings from Cloud Run and the functions framework.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The port to listen on.
    pub port: u16,
    /// The name of the service on Cloud Run.
    pub service: Option<String>,
    pub(crate) signature: Signature,
    /// The value of `FUNCTION_TARGET`.
    pub(crate) target: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) keys: String,
    /// Whether Pub/Sub is emulated outside Cloud Run: then tokens, which the emulator does not send, are not required,
    /// and only this machine can connect.
    pub(crate) emulated: bool,
}

/// The type of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Signature {
    #[default]
    Http,
    Event,
    Typed,
}

impl Default for Settings {
    fn default() -> Self {
        let (service, target, audiences, accounts) = Default::default();
        let (signature, keys, emulated) = (Signature::Http, KEYS.to_owned(), false);
        Self { port: 8_080, service, signature, target, audiences, accounts, keys, emulated }
    }
}

impl Settings {
    /// Errors: `Config`, naming the variable.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let service = environment.var("K_SERVICE").map(str::to_owned);
        let keys = environment.var(ISOBAR_EVENT_KEYS).unwrap_or(KEYS);
        if !is_near(keys) {
            return Err(Error::config(format!("{ISOBAR_EVENT_KEYS} must begin with https://")));
        }
        let audiences = list(environment, ISOBAR_EVENT_AUDIENCE);
        let emulated = environment.var("PUBSUB_EMULATOR_HOST").is_some() && service.is_none() && audiences.is_empty();
        Ok(Self {
            port: environment.parse("PORT", "a port from 0 to 65535")?.unwrap_or(8_080),
            signature: signature(environment)?,
            target: environment.var("FUNCTION_TARGET").map(str::to_owned),
            audiences,
            accounts: list(environment, ISOBAR_EVENT_SERVICE_ACCOUNT),
            keys: keys.to_owned(),
            service,
            emulated,
        })
    }

    /// The address to listen on: all interfaces, or loopback with an emulator. On Cloud Run only its front end connects.
    pub(crate) fn address(&self) -> Ipv4Addr {
        if self.emulated { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED }
    }
}

fn list(environment: &Environment, name: &str) -> Vec<String> {
    let words = environment.var(name).unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn signature(environment: &Environment) -> Result<Signature> {
    let signature = match environment.var("FUNCTION_SIGNATURE_TYPE") {
        None | Some("http") => Signature::Http,
        Some("event" | "cloudevent") => Signature::Event,
        Some("typed") => Signature::Typed,
        Some(other) => {
            let other = other.escape_debug();
            let expected = "http, event, cloudevent or typed";
            return Err(Error::config(format!("FUNCTION_SIGNATURE_TYPE is `{other}`; it must be {expected}")));
        }
    };
    if signature != Signature::Http && environment.var("FUNCTION_TARGET").is_none() {
        return Err(Error::config(
            "FUNCTION_SIGNATURE_TYPE is set without FUNCTION_TARGET: set it to the name of the trigger",
        ));
    }
    Ok(signature)
}
