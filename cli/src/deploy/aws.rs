//! Logs and calls of a stage on AWS, by the command `aws`.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::stage::Stage;
use super::{log_line, ran};
use crate::failure::Failure;
use crate::output::Output;

/// Between two requests for new lines.
const PAUSE: Duration = Duration::from_secs(2);

/// CloudWatch can show a line this long after its time.
const LATE: i64 = 10_000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    events: Vec<Line>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    event_id: String,
    timestamp: i64,
    message: String,
}

impl Line {
    /// A line of the app, or the report of an invocation; `None` for the start and the end of one.
    fn readable(&self) -> Option<String> {
        let text = self.message.trim_end();
        let is_frame =
            ["START RequestId:", "END RequestId:", "INIT_START "].iter().any(|start| text.starts_with(start));
        (!is_frame).then(|| log_line(text))
    }
}

pub(super) async fn logs(
    stage: &Stage,
    outputs: &Map<String, Value>,
    since: u64,
    follow: bool,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let groups: Vec<&str> =
        outputs.get("log_groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut from = i64::try_from(now.saturating_sub(since)).unwrap_or(0) * 1000;
    let mut printed: Vec<Line> = Vec::new();
    loop {
        let mut lines = Vec::new();
        for group in &groups {
            lines.extend(read(stage, outputs, group, from).await?);
        }
        lines.sort_by_key(|line| line.timestamp);
        lines.retain(|line| !printed.contains(line));
        for line in &lines {
            match output.json {
                true => {
                    output.line(&json!({"time_ms": line.timestamp, "message": line.message.trim_end()}).to_string())
                }
                false => line.readable().into_iter().for_each(|text| output.line(&text)),
            }
        }
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        printed.extend(lines);
        let newest = printed.iter().map(|line| line.timestamp).max().unwrap_or(from);
        from = from.max(newest - LATE);
        printed.retain(|line| line.timestamp >= from);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        }
    }
}

async fn read(stage: &Stage, outputs: &Map<String, Value>, group: &str, from: i64) -> Result<Vec<Line>, Failure> {
    let from = from.to_string();
    let args = ["logs", "filter-log-events", "--log-group-name", group, "--start-time", &from, "--output", "json"];
    let text = ran(command(stage, outputs)?.args(args), "the logs cannot be read").await?;
    let page: Page = serde_json::from_slice(&text)
        .map_err(|error| Failure::new("the answer of `aws logs` is not known").because(&error))?;
    Ok(page.events)
}

pub(super) async fn invoke(
    stage: &Stage,
    outputs: &Map<String, Value>,
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
    let (event_file, answer) = (folder.join("isobar-event"), folder.join("isobar-answer"));
    let failed = |error: std::io::Error| Failure::new("the call cannot be stored").because(&error);
    std::fs::write(&event_file, event).map_err(failed)?;
    let payload = format!("fileb://{}", event_file.display());
    let mut aws = command(stage, outputs)?;
    aws.args(["lambda", "invoke", "--function-name", name, "--payload", &payload, "--output", "json"]).arg(&answer);
    let called = ran(&mut aws, &format!("function `{function}` cannot be called")).await;
    let text = std::fs::read(&answer);
    // Both can have data of the app.
    let _ = (std::fs::remove_file(&event_file), std::fs::remove_file(&answer));
    let (called, text) = (called?, text.map_err(failed)?);
    let called: Value = serde_json::from_slice(&called).unwrap_or_default();
    match called.get("FunctionError") {
        None => Ok(text),
        Some(_) => Err(Failure::new(format!("function `{function}` failed: {}", String::from_utf8_lossy(&text)))
            .hint(format!("isobar logs {}", stage.options()))),
    }
}

pub(super) fn command(stage: &Stage, outputs: &Map<String, Value>) -> Result<Command, Failure> {
    let region = outputs.get("region").and_then(Value::as_str).unwrap_or_default();
    let (program, variables) = stage.aws(region)?;
    let mut command = Command::new(program);
    command.envs(variables).env("AWS_PAGER", "").stdin(Stdio::null());
    Ok(command)
}
