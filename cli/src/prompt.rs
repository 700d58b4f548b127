//! Prompts, which Ctrl-C ends.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::output::Output;

/// Shows again what is typed when it is dropped.
struct NoEcho;

impl NoEcho {
    fn start() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        stty("echo");
        // The end of the line was not shown either.
        let _ = writeln!(std::io::stderr());
    }
}

/// Changes the terminal of standard input, where the program `stty` exists.
fn stty(setting: &str) {
    let _ = Command::new("stty").arg(setting).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Reads a line from the terminal that is not shown; `None` after Ctrl-C.
pub(crate) async fn hidden(prompt: &str) -> Result<Option<String>, Failure> {
    let _ = write!(std::io::stderr(), "{prompt}");
    let _no_echo = NoEcho::start();
    read().await
}

/// Reads a line from the terminal; `None` after Ctrl-C.
pub(crate) async fn line(prompt: &str) -> Result<Option<String>, Failure> {
    let _ = write!(std::io::stderr(), "{prompt}");
    read().await
}

async fn read() -> Result<Option<String>, Failure> {
    let (sender, line) = oneshot::channel();
    // A thread, because a read of a terminal cannot be cancelled: after Ctrl-C it ends with the process.
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = sender.send(std::io::stdin().read_line(&mut line).map(|_| line));
    });
    tokio::select! {
        line = line => match line {
            Ok(Ok(line)) => Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned())),
            Ok(Err(error)) => Err(Failure::new("the terminal cannot be read").because(&error)),
            Err(_) => Err(Failure::new("the terminal cannot be read")),
        },
        _ = tokio::signal::ctrl_c() => Ok(None),
    }
}

/// Asks whether the command may continue. Failures: Ctrl-C.
pub(crate) async fn consent(question: &str, output: &Output) -> Result<bool, Failure> {
    let Some(answer) = line(&format!("{question} [y/N] ")).await? else {
        output.note("");
        return Err(Failure::interrupted());
    };
    let is_yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !is_yes {
        output.note("nothing was changed");
    }
    Ok(is_yes)
}

/// The next step where there is no terminal, and a plan.
pub(crate) const SEE_PLAN: &str = "look at the plan with --plan, and add --yes";

/// Failures: there is no terminal for the question.
pub(crate) fn check_terminal(hint: &str) -> Result<(), Failure> {
    match std::io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::new("there is no terminal to ask for consent").hint(hint)),
    }
}
