//! A program that answers calls in JSON, a line each: a cloud's own library, as a second opinion.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::Value;

/// The library, in a process that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Spoken {
    name: &'static str,
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Spoken {
    /// Starts it. Errors: `Internal`.
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(broken(name))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal(format!("{name} has no pipes")));
        };
        Ok(Self { name, child, pipes: Mutex::new((stdin, BufReader::new(stdout))) })
    }

    /// Sends one call, of which errors tell what it is. Errors: `Internal` with what the library says.
    pub(super) fn call(&self, what: &str, call: &Value) -> Result<Value> {
        let name = self.name;
        let mut pipes = self.pipes.lock();
        let (stdin, stdout) = &mut *pipes;
        writeln!(stdin, "{call}").and_then(|()| stdin.flush()).map_err(broken(name))?;
        let mut line = String::new();
        if stdout.read_line(&mut line).map_err(broken(name))? == 0 {
            return Err(Error::internal(format!("{what}: {name} has ended, and printed why")));
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(Error::internal(format!("{what}: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(name: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::internal(format!("{name} cannot be spoken to")).with_source(source)
}
