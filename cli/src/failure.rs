//! The failure of a command: what happened, and the next step.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Ends a command. It is printed as `error: MESSAGE`, its causes, and `hint: HINT`.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with the exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, code: 1 }
    }

    /// The end after Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self { code: 130, ..Self::new("interrupted") }
    }

    /// The next step.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error with its sources.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        self.causes.push(error.to_string());
        match error.source() {
            Some(source) => self.because(source),
            None => self,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    pub(crate) fn causes(&self) -> &[String] {
        &self.causes
    }

    pub(crate) fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<isobar::Error> for Failure {
    fn from(error: isobar::Error) -> Self {
        let message = match error.resource() {
            Some(resource) => format!("{resource}: {}", error.message()),
            None => error.message().to_owned(),
        };
        let failure = Self::new(message);
        match Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        }
    }
}

/// Reads a data file. redb can panic at a damaged one; the provider returns that as an error, which is all that is printed.
pub(crate) fn quietly<T>(read: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = read();
    std::panic::set_hook(hook);
    result
}
