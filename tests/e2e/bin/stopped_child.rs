//! A Lambda function that has Lambda's own signal to stop come while it has something to do.

use std::process::{Command, ExitCode};
use std::time::Duration;

use isobar::prelude::*;
use serde_json::{Value, json};

fn main() -> ExitCode {
    isobar::main(|_: &Cloud| App::new("stopped").on_invoke("stop", stop))
}

async fn stop(_: Value, cx: Context) -> Result<Value> {
    let id = std::process::id().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status();
    if !told.is_ok_and(|status| status.success()) {
        return Err(isobar::Error::internal("there is no `kill`"));
    }
    // The signal is heard meanwhile: only who lives on answers.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = cx.remaining().map(|left| left.as_secs());
    Ok(json!({"invocation": cx.invocation_id(), "left": left}))
}
