//! What Cloud Run and the functions framework's contract say in the environment.
//!
//! | variable | what it says |
//! |---|---|
//! | `PORT` | where to listen; 8080 without it |
//! | `K_SERVICE` | the service; that this is Cloud Run |
//! | `FUNCTION_SIGNATURE_TYPE` | `http`, `event`, `cloudevent` or `typed`: what every request is; without it HTTP |
//! | `FUNCTION_TARGET` | the trigger that all events are for |
//! | [`ISOBAR_EVENT_AUDIENCE`] | the audiences of the tokens that triggers are called with, with commas between them |
//! | [`ISOBAR_EVENT_SERVICE_ACCOUNT`] | the e-mail addresses of the service accounts that may call triggers, with commas |
//! | [`ISOBAR_EVENT_KEYS`] | where the keys are that sign those tokens; Google's without it |

use std::net::Ipv4Addr;

use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};

use super::is_near;

/// The variable with the audiences of tokens.
pub const ISOBAR_EVENT_AUDIENCE: &str = "ISOBAR_EVENT_AUDIENCE";

/// The variable with the service accounts that may call triggers. An audience alone proves nothing: anybody can
/// have Google make out a token for any audience.
pub const ISOBAR_EVENT_SERVICE_ACCOUNT: &str = "ISOBAR_EVENT_SERVICE_ACCOUNT";

/// The variable with the URL of the keys (JWKS) that sign tokens, for tests.
pub const ISOBAR_EVENT_KEYS: &str = "ISOBAR_EVENT_KEYS";

/// The keys of Google's accounts. <https://accounts.google.com/.well-known/openid-configuration>
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// What Cloud Run and the functions framework say in the environment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen.
    pub port: u16,
    /// The service on Cloud Run.
    pub service: Option<String>,
    pub(crate) signature: Signature,
    /// `FUNCTION_TARGET`.
    pub(crate) target: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) keys: String,
    /// Pub/Sub is emulated, and this is no service: tokens, which the emulator does not send, are not asked
    /// for, and nobody but this machine can connect.
    pub(crate) emulated: bool,
}

/// What every request is.
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

    /// The address to listen on: for everybody on Cloud Run, whose front end alone can reach it.
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
            let wanted = "http, event, cloudevent or typed";
            return Err(Error::config(format!("FUNCTION_SIGNATURE_TYPE is `{other}`; it must be {wanted}")));
        }
    };
    if signature != Signature::Http && environment.var("FUNCTION_TARGET").is_none() {
        return Err(Error::config(
            "FUNCTION_SIGNATURE_TYPE is set, and FUNCTION_TARGET does not name the trigger that events are for",
        ));
    }
    Ok(signature)
}
