//! The logs of a stage.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use isobar::clock::to_rfc3339;
use serde_json::json;

use super::line::{Line, MOST};
use super::stage::Stage;
use super::{LogsArgs, Outputs, aws, azure, gcp};
use crate::failure::Failure;
use crate::output::Output;
use crate::package::CloudTarget;

/// Between two requests for new lines.
const PAUSE: Duration = Duration::from_secs(2);

/// A cloud can show a line this long after its time.
const LATE: Duration = Duration::from_secs(15);

pub(super) async fn print(
    stage: &Stage,
    outputs: &Outputs,
    args: &LogsArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut from = SystemTime::now().checked_sub(args.since).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut printed: Vec<Line> = Vec::new();
    loop {
        let request_time = SystemTime::now();
        let mut lines = match stage.target {
            CloudTarget::Aws => aws::lines(stage, outputs, from).await?,
            CloudTarget::Azure => azure::lines(outputs, &to_rfc3339(from)).await?,
            CloudTarget::Gcp => gcp::lines(outputs, &to_rfc3339(from)).await?,
        };
        if stage.target != CloudTarget::Aws && lines.len() >= MOST {
            output.warning(&format!("only the newest {MOST} lines are shown; ask for a shorter time with --since"));
        }
        lines.sort_by(|a, b| a.time.cmp(&b.time));
        let known = std::mem::replace(&mut printed, lines.clone());
        for line in lines.iter().filter(|line| !known.contains(line)) {
            let text = line.text.trim_end();
            match output.json {
                true => output.line(&json!({"time": line.time, "message": text}).to_string()),
                false => output.line(&line.readable()),
            }
        }
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        // What is printed is asked for again, as long as other lines of that time can still appear.
        from = from.max(request_time.checked_sub(LATE).unwrap_or(from));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        }
    }
}
