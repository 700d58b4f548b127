//! Google's own libraries for Python, as a second opinion.

use std::process::Command;

use isobar::Result;
use serde_json::{Value, json};

use super::spoken::Spoken;
use super::{Python, installed::sources};

/// The libraries, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct GoogleSdk(Spoken);

impl GoogleSdk {
    /// Starts them, with the settings that `emulators/google_sdk.py` names. Errors: `Internal`.
    pub fn start(python: &Python, settings: &Value) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join("google_sdk.py")).arg(settings.to_string());
        Spoken::start("Google's library", command).map(Self)
    }

    /// Calls an operation of `emulators/google_sdk.py`. Errors: `Internal` with what the library says.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        self.0.call(operation, &json!({"operation": operation, "input": input}))
    }
}
