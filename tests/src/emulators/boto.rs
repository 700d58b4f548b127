//! AWS's own library for Python, as a second opinion.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Python, installed::sources};

/// boto3, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct Boto {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Boto {
    /// Starts it, for the emulator at this endpoint. Errors: `Internal`.
    pub fn start(python: &Python, endpoint: &str) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join("boto.py")).arg(endpoint).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(broken)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("boto3 has no pipes"));
        };
        Ok(Self { child, pipes: Mutex::new((stdin, BufReader::new(stdout))) })
    }

    /// Calls an operation, in boto3's names. Errors: `Internal` with what boto3 says.
    pub fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value> {
        let call = json!({"service": service, "operation": operation, "input": input});
        let mut pipes = self.pipes.lock();
        let (stdin, stdout) = &mut *pipes;
        writeln!(stdin, "{call}").and_then(|()| stdin.flush()).map_err(broken)?;
        let mut line = String::new();
        if stdout.read_line(&mut line).map_err(broken)? == 0 {
            return Err(Error::internal(format!("{service} {operation}: boto3 has ended, and printed why")));
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(Error::internal(format!("{service} {operation}: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(source: std::io::Error) -> Error {
    Error::internal("boto3 cannot be spoken to").with_source(source)
}
