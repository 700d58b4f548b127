//! AWS's own library for Python, as a second opinion.

use std::process::Command;

use isobar::Result;
use serde_json::{Value, json};

use super::spoken::Spoken;
use super::{Python, installed::sources};

/// boto3, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct Boto(Spoken);

impl Boto {
    /// Starts it, for the emulator at this endpoint. Errors: `Internal`.
    pub fn start(python: &Python, endpoint: &str) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join("boto.py")).arg(endpoint);
        Spoken::start("boto3", command).map(Self)
    }

    /// Calls an operation, in boto3's names. Errors: `Internal` with what boto3 says.
    pub fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value> {
        let call = json!({"service": service, "operation": operation, "input": input});
        self.0.call(&format!("{service} {operation}"), &call)
    }
}
