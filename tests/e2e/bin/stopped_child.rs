//! A Lambda function that sends SIGTERM to itself, as Lambda does to stop it, while it handles an event.

use std::process::{Command, ExitCode};
use std::time::Duration;

use isobar::prelude::*;
use serde_json::{Value, json};

fn main() -> ExitCode {
    isobar::main(|_: &Cloud| App::new("stopped").on_invoke("stop", stop))
}

async fn stop(_: Value, cx: Context) -> Result<Value> {
    let id = std::process::id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    if !sent.is_ok_and(|status| status.success()) {
        return Err(isobar::Error::internal("cannot run `kill`"));
    }
    // The signal arrives meanwhile: only a process that survives it responds.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = cx.remaining().map(|left| left.as_secs());
    Ok(json!({"invocation": cx.invocation_id(), "left": left}))
}
