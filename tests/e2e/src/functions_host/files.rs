//! The files that a deployment puts next to a handler: host.json, and a function.json for each function.

use std::time::Duration;

use isobar::{Error, Result};
use serde_json::Value;

/// host.json, and the function.json of each function, by its name.
#[derive(Clone)]
pub struct Files {
    /// The content of host.json.
    pub host: Value,
    /// The names of functions, with the content of their function.json.
    pub functions: Vec<(String, Value)>,
}

/// Leaves out the names of functions, which contain secrets.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The way in which HTTP requests reach the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Proxying,
    Forwarding,
    Json,
}

/// A function, by its trigger.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// The name of the function.
    pub function: &'a str,
    /// The binding that triggers the function.
    pub binding: &'a Value,
    /// The number of its bindings.
    pub bindings: usize,
    /// The retry policy; null without one.
    pub retry: &'a Value,
}

impl<'a> Trigger<'a> {
    fn of((function, file): &'a (String, Value)) -> Option<Self> {
        let bindings = file["bindings"].as_array()?;
        let mut triggers = bindings.iter().filter(|binding| binding["direction"] == "in");
        let binding = triggers.next().filter(|_| triggers.next().is_none())?;
        Some(Self { function, binding, bindings: bindings.len(), retry: &file["retry"] })
    }

    /// A string in the binding.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.binding[name].as_str()
    }
}

impl Files {
    /// The triggers of all functions.
    pub fn triggers(&self) -> impl Iterator<Item = Trigger<'_>> {
        self.functions.iter().filter_map(Trigger::of)
    }

    /// The function whose name is this prefix, such as `schedule-sweep`, and a secret. Errors: `NotFound`.
    pub fn named(&self, prefix: &str) -> Result<Trigger<'_>> {
        let has_prefix =
            |trigger: &Trigger<'_>| trigger.function.rsplit_once('-').is_some_and(|(head, _)| head == prefix);
        self.triggers().find(has_prefix).ok_or_else(|| Error::not_found(format!("there is no function `{prefix}-…`")))
    }

    /// Checks the rules of the host for its files. Errors: `Config`.
    pub(super) fn check(&self) -> Result<()> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for function in &self.functions {
            let name = &function.0;
            let has_name = name.len() <= 128 && name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !has_name || !name.chars().all(is_valid) || Trigger::of(function).is_none() {
                return Err(Error::config("a function has an invalid name, or not exactly one trigger"));
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

    /// `functionTimeout`; 5 minutes by default.
    pub(super) fn function_timeout(&self) -> Result<Duration> {
        Ok(time_span(&self.host["functionTimeout"])?.unwrap_or(Duration::from_secs(300)))
    }

    /// The time within which a handler must respond to probes; 30 s by default.
    pub(super) fn initialization_timeout(&self) -> Result<Duration> {
        let timeout = time_span(&self.host["customHandler"]["initializationTimeout"])?;
        Ok(timeout.unwrap_or(Duration::from_secs(30)))
    }
}

/// Reads a time of the form `hh:mm:ss`.
fn time_span(value: &Value) -> Result<Option<Duration>> {
    let Some(text) = value.as_str() else { return Ok(None) };
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(Some(Duration::from_secs((hours * 60 + minutes) * 60 + seconds))),
        _ => Err(Error::config(format!("`{text}` is not a time of the form hh:mm:ss"))),
    }
}
