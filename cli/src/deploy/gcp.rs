//! What a stage on Google Cloud needs besides Terraform: its image in a registry, and the command `gcloud`.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::process::Command;

use super::line::{Line, MOST};
use super::stage::Stage;
use super::terraform::Terraform;
use super::{Outputs, apply_all, command, http, ran, text};
use crate::failure::Failure;
use crate::output::Output;
use crate::package;

const VALUES: &str = "-var-file=../terraform.tfvars";

/// Makes the registry, and sends the image to it.
pub(super) async fn publish(stage: &Stage, output: &Output) -> Result<(), Failure> {
    let folder = stage.folder.join("registry");
    let terraform = Terraform::find(&folder, output)?;
    terraform.init().await?;
    let plan = terraform.plan(&[VALUES]).await?;
    if plan.has_changes() {
        apply_all(&terraform, stage, &[VALUES], &plan, output).await?;
    }
    let outputs = terraform.outputs().await?;
    let repository = text(&outputs, "repository")?;
    let mut gcloud = gcloud()?;
    let token =
        ran(gcloud.args(["auth", "print-access-token", "--quiet"]), "gcloud has no token for the registry").await?;
    let token = String::from_utf8_lossy(&token);
    package::push(&stage.folder.join("image"), repository, Some(token.trim()), output).await?;
    Ok(())
}

/// Deletes the registry with its images.
pub(super) async fn end(stage: &Stage, output: &Output) -> Result<(), Failure> {
    let folder = stage.folder.join("registry");
    if !folder.join("terraform.tfstate").is_file() && !folder.join(".terraform").is_dir() {
        return Ok(());
    }
    let terraform = Terraform::find(&folder, output)?;
    terraform.init().await?;
    let values = ["-destroy", VALUES];
    let plan = terraform.plan(&values).await?;
    match plan.has_changes() {
        true => apply_all(&terraform, stage, &values, &plan, output).await,
        false => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    insert_id: String,
    timestamp: String,
    #[serde(default)]
    text_payload: Option<String>,
    #[serde(default)]
    json_payload: Option<Map<String, Value>>,
    #[serde(default)]
    http_request: Option<Request>,
}

/// The log entry of Cloud Run itself for a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    request_method: String,
    #[serde(default)]
    request_url: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    latency: String,
}

pub(super) async fn lines(outputs: &Outputs, from: &str) -> Result<Vec<Line>, Failure> {
    let services = outputs.get("services").and_then(Value::as_object).into_iter().flatten();
    let services: Vec<String> =
        services.filter_map(|(_, name)| name.as_str()).map(|name| format!("\"{name}\"")).collect();
    let filter = format!(
        "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=({}) AND timestamp>=\"{from}\"",
        services.join(" OR ")
    );
    let mut gcloud = gcloud()?;
    gcloud.args(["logging", "read", &filter, "--project", text(outputs, "project")?, "--order", "desc"]);
    gcloud.args(["--limit", &MOST.to_string(), "--format", "json", "--quiet"]);
    let read = ran(&mut gcloud, "the logs cannot be read").await?;
    let entries: Vec<Entry> = serde_json::from_slice(&read)
        .map_err(|error| Failure::new("the answer of `gcloud logging` is not known").because(&error))?;
    Ok(entries.into_iter().map(Entry::line).collect())
}

impl Entry {
    fn line(self) -> Line {
        let text = match (self.text_payload, self.json_payload, self.http_request) {
            (Some(text), ..) => text,
            (_, Some(mut fields), _) => {
                // Cloud Logging keeps the time of the line outside of it.
                fields.entry("timestamp").or_insert_with(|| self.timestamp.clone().into());
                Value::Object(fields).to_string()
            }
            (.., Some(it)) => format!("{} {} {} {}", it.request_method, it.request_url, it.status, it.latency),
            _ => String::new(),
        };
        Line { id: self.insert_id, time: self.timestamp, text }
    }
}

pub(super) async fn invoke(
    stage: &Stage,
    outputs: &Outputs,
    function: &str,
    request: &[u8],
) -> Result<Vec<u8>, Failure> {
    let urls = outputs.get("urls").and_then(Value::as_object);
    let url = urls.and_then(|all| all.get("app").or_else(|| all.get("invokes"))).and_then(Value::as_str);
    let url =
        url.ok_or_else(|| Failure::new("the stage has no service that can be called").hint(stage.deploy_hint()))?;
    let account = format!("--impersonate-service-account={}", text(outputs, "calling_account")?);
    let audience = format!("--audiences={url}");
    let mut gcloud = gcloud()?;
    gcloud.args(["auth", "print-identity-token", &audience, &account, "--include-email", "--quiet"]);
    let token = ran(
        &mut gcloud,
        "gcloud has no token of the calling account; that needs the role roles/iam.serviceAccountTokenCreator on it",
    )
    .await?;
    let authorization = format!("Bearer {}", String::from_utf8_lossy(&token).trim());
    http::invoke(url, function, ("authorization", &authorization), request).await
}

pub(super) fn gcloud() -> Result<Command, Failure> {
    let program: PathBuf = command("gcloud", "https://cloud.google.com/sdk/docs/install")?;
    Ok(Command::new(program))
}
