//! A cloud's own libraries for Python, as a second implementation to compare with: a program of `emulators/` that answers
//! calls in JSON, one on each line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Python, installed::sources};

/// The libraries, in a process that ends when this is dropped.
#[derive(Debug)]
pub struct Library {
    program: &'static str,
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Library {
    /// Starts `boto.py`, `azure_sdk.py`, `google_sdk.py` or `account.py`, with the settings that its head describes. Errors: `Internal`.
    pub fn start(python: &Python, program: &'static str, settings: &Value, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(sources().join(program)).arg(settings.to_string()).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(broken(program))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal(format!("{program} has no pipes")));
        };
        Ok(Self { program, child, pipes: Mutex::new((stdin, BufReader::new(stdout))) })
    }

    /// Calls an operation of the program. Errors: `Internal` with the message of the library.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        let program = self.program;
        let mut pipes = self.pipes.lock();
        let (stdin, stdout) = &mut *pipes;
        let call = json!({"operation": operation, "input": input});
        writeln!(stdin, "{call}").and_then(|()| stdin.flush()).map_err(broken(program))?;
        let mut line = String::new();
        if stdout.read_line(&mut line).map_err(broken(program))? == 0 {
            return Err(Error::internal(format!("{operation}: {program} has ended; its error output is above")));
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(Error::internal(format!("{operation}: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(name: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::internal(format!("cannot exchange lines with {name}")).with_source(source)
}
