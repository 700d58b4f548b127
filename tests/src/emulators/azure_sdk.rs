//! Azure's own libraries for Python, as a second opinion.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Python, installed::sources};

/// The libraries, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct AzureSdk {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl AzureSdk {
    /// Starts them, with the settings that `emulators/azure_sdk.py` names and these variables. Errors: `Internal`.
    pub fn start(python: &Python, settings: &Value, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join("azure_sdk.py")).arg(settings.to_string()).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(broken)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("Azure's libraries have no pipes"));
        };
        Ok(Self { child, pipes: Mutex::new((stdin, BufReader::new(stdout))) })
    }

    /// Calls an operation of `emulators/azure_sdk.py`. Errors: `Internal` with what the library says.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        let call = json!({"operation": operation, "input": input});
        let mut pipes = self.pipes.lock();
        let (stdin, stdout) = &mut *pipes;
        writeln!(stdin, "{call}").and_then(|()| stdin.flush()).map_err(broken)?;
        let mut line = String::new();
        if stdout.read_line(&mut line).map_err(broken)? == 0 {
            return Err(Error::internal(format!("{operation}: Azure's libraries have ended, and printed why")));
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(Error::internal(format!("{operation}: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Drop for AzureSdk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(source: std::io::Error) -> Error {
    Error::internal("Azure's libraries cannot be spoken to").with_source(source)
}
