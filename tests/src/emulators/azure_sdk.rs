//! Azure's own libraries for Python, as a second opinion.

use std::process::Command;

use isobar::Result;
use serde_json::{Value, json};

use super::spoken::Spoken;
use super::{Python, installed::sources};

/// The libraries, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct AzureSdk(Spoken);

impl AzureSdk {
    /// Starts them, with the settings that `emulators/azure_sdk.py` names and these variables. Errors: `Internal`.
    pub fn start(python: &Python, settings: &Value, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join("azure_sdk.py")).arg(settings.to_string()).envs(variables.iter().copied());
        Spoken::start("Azure's library", command).map(Self)
    }

    /// Calls an operation of `emulators/azure_sdk.py`. Errors: `Internal` with what the library says.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        self.0.call(operation, &json!({"operation": operation, "input": input}))
    }
}
