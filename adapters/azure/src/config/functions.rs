//! The settings of the custom handler, from the Functions host and the app settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::driver::{Environment, Location, ResourceKind};
use isobar_abstraction::{Error, Result};
use ring::hmac;

use crate::profile::PROFILE;

/// The app setting with the secret part of the functions' names.
pub const ISOBAR_TRIGGER_SECRET: &str = "ISOBAR_TRIGGER_SECRET";

/// The app setting with the previous secret, which is valid too during a rotation.
pub const ISOBAR_TRIGGER_SECRET_OLD: &str = "ISOBAR_TRIGGER_SECRET_OLD";

/// The variable that overrides `functionTimeout` of host.json.
const TIMEOUT: &str = "AzureFunctionsJobHost__functionTimeout";

/// The longest timeout, also where the platform sets no limit.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The settings of the custom handler, from the Functions host and the app settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct FunctionsHost {
    /// The port to listen on: `FUNCTIONS_CUSTOMHANDLER_PORT`. `None` outside of Functions.
    pub(crate) port: Option<u16>,
    /// The secret part of the functions' names.
    pub(crate) secret: Option<TriggerSecret>,
    /// The previous secret, which the host uses until the functions are deployed again.
    pub(crate) old_secret: Option<TriggerSecret>,
    /// The resources with a configured location, by which the host recognizes their events.
    pub(crate) placed: Vec<Location>,
    /// The app settings with the accounts of the bindings.
    pub(crate) connections: Connections,
    timeout: Option<Duration>,
}

/// The names of app settings, or their prefixes.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) storage: &'static str,
    pub(crate) service_bus: &'static str,
    pub(crate) cosmos: &'static str,
}

impl Default for Connections {
    fn default() -> Self {
        Self { storage: "AzureWebJobsStorage", service_bus: "AZURE_SERVICEBUS", cosmos: "AZURE_COSMOS" }
    }
}

impl Connections {
    /// The setting that the account was read from. With an identity, it is the prefix of further settings, such as
    /// `AZURE_SERVICEBUS__fullyQualifiedNamespace`.
    fn from_environment(environment: &Environment) -> Self {
        let mut connections = Self::default();
        if environment.var("AZURE_STORAGE_CONNECTION_STRING").is_some() {
            connections.storage = "AZURE_STORAGE_CONNECTION_STRING";
        } else if environment.var("AZURE_STORAGE_ACCOUNT").is_some() {
            connections.storage = "AZURE_STORAGE";
        }
        if environment.var("AZURE_SERVICEBUS_CONNECTION_STRING").is_some() {
            connections.service_bus = "AZURE_SERVICEBUS_CONNECTION_STRING";
        }
        if environment.var("AZURE_COSMOS_CONNECTION_STRING").is_some() {
            connections.cosmos = "AZURE_COSMOS_CONNECTION_STRING";
        }
        connections
    }
}

impl FunctionsHost {
    /// Errors: `Config`, with the variable, never with the value of a secret.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        let secret = |variable| environment.var(variable).map(|text| TriggerSecret::new(variable, text)).transpose();
        let (new, old) = (secret(ISOBAR_TRIGGER_SECRET)?, secret(ISOBAR_TRIGGER_SECRET_OLD)?);
        if new.is_none() && old.is_some() {
            return Err(Error::config(format!(
                "{ISOBAR_TRIGGER_SECRET_OLD} is set without {ISOBAR_TRIGGER_SECRET}: set {ISOBAR_TRIGGER_SECRET} to the \
                 new secret"
            )));
        }
        Ok(Some(Self {
            port: environment.parse("FUNCTIONS_CUSTOMHANDLER_PORT", "a port")?,
            secret: new,
            old_secret: old,
            placed: environment.locations()?.into_iter().map(|(_, at)| at).collect(),
            connections: Connections::from_environment(environment),
            timeout: environment.var(TIMEOUT).map(timeout).transpose()?,
        }))
    }

    /// Whether a text is the secret or the previous one, in constant time.
    pub(crate) fn accepts(&self, candidate: &str) -> bool {
        let is = |secret: &Option<TriggerSecret>| secret.as_ref().is_some_and(|secret| secret.is(candidate));
        is(&self.secret) | is(&self.old_secret)
    }

    /// The time after which the Functions host aborts an invocation and kills the process.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(PROFILE.limits.event_timeout)
    }

    /// The configured location of a resource.
    pub(crate) fn location(&self, kind: ResourceKind, name: &str) -> Location {
        let placed = self.placed.iter().find(|at| at.kind() == kind && at.name() == name);
        placed.cloned().unwrap_or_else(|| Location::new(kind, name))
    }
}

/// Parses `hh:mm:ss`, `d.hh:mm:ss`, or `-1` for no limit, as .NET writes a time span.
fn timeout(text: &str) -> Result<Duration> {
    let parsed = || {
        let (days, clock) =
            text.split_once('.').map_or((0, text), |(days, clock)| (days.parse().unwrap_or(366), clock));
        let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
        match parts?[..] {
            [hours @ 0..=23, minutes @ 0..=59, seconds @ 0..=59] if days <= 365 => {
                Some(Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
            }
            _ => None,
        }
    };
    let timeout = if text.trim() == "-1" { Some(LONGEST) } else { parsed() };
    timeout
        .filter(|timeout| *timeout >= Duration::from_secs(1))
        .map(|timeout| timeout.min(LONGEST))
        .ok_or_else(|| Error::config(format!("{TIMEOUT} is `{}`; it must be hh:mm:ss, or -1", text.escape_debug())))
}

/// A secret shared by the Functions host and this app.
#[derive(Clone)]
pub(crate) struct TriggerSecret(Arc<str>);

impl fmt::Debug for TriggerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TriggerSecret")
    }
}

impl TriggerSecret {
    /// The allowed lengths: a name of a function has 128 characters, of which kind and logical names need at most 90.
    pub(crate) const SIZES: std::ops::RangeInclusive<usize> = 32..=64;

    /// The secret in `variable`. Errors: `Config`, without the text.
    pub(crate) fn new(variable: &str, text: &str) -> Result<Self> {
        if Self::has_form(text) {
            return Ok(Self(text.into()));
        }
        let message = format!("{variable} must be 32 to 64 of a-z and 0-9, as random as a key");
        Err(Error::config(message))
    }

    /// Whether a text has the form of a secret.
    pub(crate) fn has_form(text: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        Self::SIZES.contains(&text.len()) && text.bytes().all(fits)
    }

    /// Whether a text is this secret, in constant time.
    pub(crate) fn is(&self, candidate: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let own = hmac::sign(&key, self.0.as_bytes());
        hmac::verify(&key, candidate.as_bytes(), own.as_ref()).is_ok()
    }

    /// The text, only for the names of functions in the files of a deployment.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_must_be_long_and_is_never_in_debug_or_errors() {
        let text = "0123456789abcdef0123456789abcdef";
        let secret = TriggerSecret::new(ISOBAR_TRIGGER_SECRET, text).unwrap();
        assert!(secret.is(text) && !secret.is("") && !secret.is(&text[1..]) && !secret.is(&format!("{text}0")));
        assert_eq!(format!("{secret:?}"), "TriggerSecret");
        for bad in ["hunter2hunter2hunter2", "ABCDEF0123456789ABCDEF0123456789", "a-b", &"a".repeat(65)] {
            let error = TriggerSecret::new(ISOBAR_TRIGGER_SECRET, bad).unwrap_err();
            assert!(error.message().contains(ISOBAR_TRIGGER_SECRET) && !format!("{error:?}").contains(bad), "{error}");
        }
    }

    #[test]
    fn a_timeout_is_a_time_span_of_dotnet() {
        let of = |text| timeout(text).map(|it| it.as_secs()).ok();
        assert_eq!(
            ["00:05:00", "1.00:00:01", "-1", "00:00:01"].map(of),
            [Some(300), Some(86_400), Some(86_400), Some(1)]
        );
        for bad in ["", "5", "00:60:00", "x.00:00:01", "00:00:00", "99999999999999999999:00:00", "00:-1:00", "1.2.3"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn locations_are_read_by_resource_name() {
        let environment = Environment::default().with_var("ISOBAR_TOPIC_MY_CLICKS", "azqueue://other?account=acc");
        let host = FunctionsHost::from_environment(&environment).unwrap().unwrap();
        assert_eq!(host.location(ResourceKind::Topic, "my-clicks").physical_name(), "other");
        assert_eq!(host.location(ResourceKind::Topic, "other").physical_name(), "other");
        let environment = Environment::default().with_var("ISOBAR_BUCKET_PAGES", "nonsense");
        assert!(FunctionsHost::from_environment(&environment).unwrap_err().message().contains("ISOBAR_BUCKET_PAGES"));
    }
}
