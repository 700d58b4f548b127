//! What a deployment puts beside a handler: host.json, and a function.json for each function.

use std::time::Duration;

use isobar::{Error, Result};
use serde_json::Value;

/// host.json, and the function.json of each function, by its name.
#[derive(Clone)]
pub struct Files {
    /// host.json.
    pub host: Value,
    /// Names of functions, and their function.json.
    pub functions: Vec<(String, Value)>,
}

/// Without names, which are secrets of isobar's apps.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("host", &self.host).finish_non_exhaustive()
    }
}

/// How HTTP comes to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Proxying,
    Forwarding,
    Json,
}

/// A function, as what triggers it.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// Its name.
    pub function: &'a str,
    /// The binding that triggers it.
    pub binding: &'a Value,
    /// Of how many bindings.
    pub bindings: usize,
}

impl<'a> Trigger<'a> {
    fn of((function, file): &'a (String, Value)) -> Option<Self> {
        let bindings = file["bindings"].as_array()?;
        let mut triggers = bindings.iter().filter(|binding| binding["direction"] == "in");
        let binding = triggers.next().filter(|_| triggers.next().is_none())?;
        Some(Self { function, binding, bindings: bindings.len() })
    }

    /// What a text of its binding says.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.binding[name].as_str()
    }
}

impl Files {
    /// All functions.
    pub fn triggers(&self) -> impl Iterator<Item = Trigger<'_>> {
        self.functions.iter().filter_map(Trigger::of)
    }

    /// The function whose name is this and a secret, such as `schedule-sweep`. Errors: `NotFound`.
    pub fn named(&self, plain: &str) -> Result<Trigger<'_>> {
        let is = |trigger: &Trigger<'_>| trigger.function.rsplit_once('-').is_some_and(|(head, _)| head == plain);
        self.triggers().find(is).ok_or_else(|| Error::not_found(format!("no function `{plain}`")))
    }

    /// The rules that the host starts with. Errors: `Config`.
    pub(super) fn check(&self) -> Result<()> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for function in &self.functions {
            let name = &function.0;
            let named = name.len() <= 128 && name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !named || !name.chars().all(fits) || Trigger::of(function).is_none() {
                return Err(Error::config("a function has no valid name, or not one trigger"));
            }
        }
        if self.host["customHandler"]["http"]["routes"].is_array() && !self.functions.is_empty() {
            return Err(Error::config("Only one configuration source is supported"));
        }
        Ok(())
    }

    pub(super) fn mode(&self) -> Mode {
        let on = |name: &str| self.host["customHandler"][name].as_bool().unwrap_or_default();
        match (on("enableProxyingHttpRequest"), on("enableForwardingHttpRequest")) {
            (true, _) => Mode::Proxying,
            (false, true) => Mode::Forwarding,
            (false, false) => Mode::Json,
        }
    }

    /// `functionTimeout`, and 5 minutes without it.
    pub(super) fn function_timeout(&self) -> Result<Duration> {
        Ok(time_span(&self.host["functionTimeout"])?.unwrap_or(Duration::from_secs(300)))
    }

    /// How long a handler may take until it answers probes, and 30 s where nothing is said.
    pub(super) fn initialization_timeout(&self) -> Result<Duration> {
        let told = time_span(&self.host["customHandler"]["initializationTimeout"])?;
        Ok(told.unwrap_or(Duration::from_secs(30)))
    }
}

/// `hh:mm:ss`.
fn time_span(told: &Value) -> Result<Option<Duration>> {
    let Some(text) = told.as_str() else { return Ok(None) };
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(Some(Duration::from_secs((hours * 60 + minutes) * 60 + seconds))),
        _ => Err(Error::config(format!("`{text}` is no time span"))),
    }
}
