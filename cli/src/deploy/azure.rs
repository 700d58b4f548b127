//! What a stage on Azure needs besides Terraform: the command `az`, which publishes the program.

use std::path::PathBuf;

use serde::Deserialize;
use tokio::process::Command;

use super::line::Line;
use super::stage::Stage;
use super::{Outputs, command, http, ran, text};
use crate::failure::Failure;
use crate::output::Output;

/// Publishes the program. What the function app runs is not in the state, so this is done each time.
pub(super) async fn publish(stage: &Stage, outputs: &Outputs, output: &Output) -> Result<(), Failure> {
    output.step("Publishing", "app.zip");
    let (group, app) = (text(outputs, "resource_group")?, text(outputs, "function_app")?);
    let mut retries = stage.retries();
    loop {
        let mut az = az()?;
        az.current_dir(&stage.folder).args(["functionapp", "deployment", "source", "config-zip"]);
        az.args(["--resource-group", group, "--name", app, "--src", "app.zip", "--output", "none"]);
        let Err(failure) = ran(&mut az, "the program cannot be published").await else { return Ok(()) };
        let pause = retries.next().filter(|_| failure.to_string().contains("403")).ok_or(failure)?;
        output.step("Waiting", super::NEW_ROLES);
        tokio::time::sleep(pause).await;
    }
}

#[derive(Deserialize)]
struct Answer {
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    rows: Vec<[String; 3]>,
}

pub(super) async fn lines(outputs: &Outputs, from: &str) -> Result<Vec<Line>, Failure> {
    let query = format!(
        "union traces, (exceptions | extend message = outerMessage) | where timestamp >= datetime({from}) | top 1000 by timestamp desc | \
         project tostring(itemId), tostring(timestamp), tostring(message)"
    );
    let mut az = az()?;
    az.args(["monitor", "app-insights", "query", "--app", text(outputs, "insights")?, "--output", "json"]);
    az.args(["--resource-group", text(outputs, "resource_group")?, "--analytics-query", &query]);
    let read = ran(&mut az, "the logs cannot be read").await?;
    let answer: Answer = serde_json::from_slice(&read)
        .map_err(|error| Failure::new("the answer of `az monitor` is not known").because(&error))?;
    let rows = answer.tables.into_iter().flat_map(|table| table.rows);
    Ok(rows.map(|[id, time, text]| Line { id, time, text }).collect())
}

pub(super) async fn invoke(outputs: &Outputs, function: &str, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut az = az()?;
    az.args(["functionapp", "keys", "list", "--query", "functionKeys.default", "--output", "tsv"]);
    az.args(["--resource-group", text(outputs, "resource_group")?, "--name", text(outputs, "function_app")?]);
    let key = ran(&mut az, "the key of the functions cannot be read").await?;
    http::invoke(text(outputs, "url")?, function, ("x-functions-key", String::from_utf8_lossy(&key).trim()), request)
        .await
}

pub(super) fn az() -> Result<Command, Failure> {
    let program: PathBuf = command("az", "https://learn.microsoft.com/cli/azure/install-azure-cli")?;
    Ok(Command::new(program))
}
