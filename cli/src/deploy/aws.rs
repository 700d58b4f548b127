//! Logs and calls of a stage on AWS, by the command `aws`.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isobar::clock::to_rfc3339;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::line::Line;
use super::stage::Stage;
use super::{Outputs, ran};
use crate::failure::Failure;
use crate::package;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    events: Vec<LogEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEvent {
    #[serde(default)]
    event_id: String,
    /// In milliseconds.
    timestamp: u64,
    message: String,
}

/// What Lambda writes at the start and the end of each invocation.
const FRAMES: [&str; 3] = ["START RequestId:", "END RequestId:", "INIT_START "];

pub(super) async fn lines(stage: &Stage, outputs: &Outputs, from: SystemTime) -> Result<Vec<Line>, Failure> {
    let from = from.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis()).to_string();
    let mut lines = Vec::new();
    let groups = outputs.get("log_groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for group in groups {
        let args = ["logs", "filter-log-events", "--log-group-name", group, "--start-time", &from, "--output", "json"];
        let read = ran(command(stage, outputs)?.args(args), "the logs cannot be read").await?;
        let page: Page = serde_json::from_slice(&read)
            .map_err(|error| Failure::new("the answer of `aws logs` is not known").because(&error))?;
        let events = page.events.into_iter();
        lines.extend(events.filter(|it| !FRAMES.iter().any(|frame| it.message.starts_with(frame))).map(LogEvent::line));
    }
    Ok(lines)
}

impl LogEvent {
    fn line(self) -> Line {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.timestamp)).unwrap_or(UNIX_EPOCH);
        Line { id: self.event_id, time: to_rfc3339(time), text: self.message.replace('\t', " ") }
    }
}

pub(super) async fn invoke(
    stage: &Stage,
    outputs: &Outputs,
    function: &str,
    request: &[u8],
) -> Result<Vec<u8>, Failure> {
    let functions = outputs.get("functions").and_then(Value::as_object);
    let name = functions.and_then(|all| all.get("app").or_else(|| all.get("invokes"))).and_then(Value::as_str);
    let name = name.ok_or_else(|| Failure::new("the stage has no function that can be called"))?;
    let request: Value = match request.is_empty() {
        true => Value::Null,
        false => {
            serde_json::from_slice(request).map_err(|error| Failure::new("the request is no JSON").because(&error))?
        }
    };
    let event = json!({"isobar": "invoke", "function": function, "payload": request}).to_string();
    let folder = stage.folder.join(".terraform");
    let file = |name: &str| folder.join(format!("isobar-{name}-{}", std::process::id()));
    let (event_file, answer) = (file("event"), file("answer"));
    let failed = |error: std::io::Error| Failure::new("the call cannot be stored").because(&error);
    // Both can have data of the app, which other users of the machine must not read.
    for (path, content) in [(&event_file, event.as_bytes()), (&answer, b"")] {
        package::replace(path, content, true).map_err(failed)?;
    }
    let payload = format!("fileb://{}", event_file.display());
    let mut aws = command(stage, outputs)?;
    // It is called once: a function may have effects, and may take longer than the command waits by default.
    aws.env("AWS_MAX_ATTEMPTS", "1").args(["--cli-read-timeout", "0"]);
    aws.args(["lambda", "invoke", "--function-name", name, "--payload", &payload, "--output", "json"]).arg(&answer);
    let called = ran(&mut aws, &format!("function `{function}` cannot be called")).await;
    let text = std::fs::read(&answer);
    let _ = (std::fs::remove_file(&event_file), std::fs::remove_file(&answer));
    let (called, text) = (called?, text.map_err(failed)?);
    let called: Value = serde_json::from_slice(&called).unwrap_or_default();
    match called.get("FunctionError") {
        None => Ok(text),
        Some(_) => Err(Failure::new(format!("function `{function}` failed: {}", String::from_utf8_lossy(&text)))
            .hint(format!("isobar logs {}", stage.options()))),
    }
}

pub(super) fn command(stage: &Stage, outputs: &Outputs) -> Result<Command, Failure> {
    let region = outputs.get("region").and_then(Value::as_str).unwrap_or_default();
    let (program, variables) = stage.aws(region)?;
    let mut command = Command::new(program);
    command.envs(variables).env("AWS_PAGER", "").stdin(Stdio::null());
    Ok(command)
}
