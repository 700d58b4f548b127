//! An app as its user deploys it: built for AWS, zipped, and run by ministack behind its own HTTP API, queues and
//! Lambda runtime.
//!
//! Two doubles are between the app and the emulator. Time is real there: where a trial moves the clock, the expiry of
//! the stored items is moved back instead. And the deployment makes schedules, but a trial's `tick` calls the function
//! itself, with the event that EventBridge Scheduler would send.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Environment, Provider};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, EventQueue, Result, TestResponse};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::account::Account;
use super::{Services, events};
use crate::backends::aging::Aging;
use crate::backends::cloud::{CloudUnderTest, CloudWorld, new_prefix};
use crate::backends::dead_letters;
use crate::backends::stages::{Stages, variables_of};
use crate::backends::{handler_error, send, send_to, wait};
use crate::built;
use crate::emulators::Terraform;
use crate::server::not_a_request;
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

const ACCOUNT: &str = "000000000000";

/// Ministack checks no signature; it reads the service's name.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";

/// Longest wait for messages to be handled by a function that may start cold.
const DELIVERY_LIMIT: Duration = Duration::from_secs(45);

/// Ministack, and the binary of one app.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where ministack listens, such as `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// The Python that has boto3.
    pub python: PathBuf,
    /// The app, built with the feature `aws`.
    pub bootstrap: PathBuf,
    /// Variables for the app.
    pub environment: BTreeMap<String, String>,
    /// The command `isobar`, where it makes the deployment, with Terraform.
    pub isobar: Option<(PathBuf, Terraform)>,
}

/// Longest time until ministack has sent the events of a bucket and the stream of a table to the queues.
const LATEST: Duration = Duration::from_secs(3);

#[async_trait]
impl Harness for Deployed {
    fn name(&self) -> &'static str {
        "aws-deployed"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let prefix = match &self.isobar {
            Some(_) => format!("{}-{}", self.app(), new_prefix()),
            None => new_prefix(),
        };
        Ok(Box::new(self.clone().open_as(&prefix)?))
    }
}

#[async_trait]
impl Stages for Deployed {
    type Stage = DeployedTrial;

    async fn open_stages(&self, app: &str, stages: &[&str]) -> Result<Vec<CloudWorld<DeployedTrial>>> {
        let of = |stage| Self { environment: variables_of(stage), ..self.clone() };
        stages.iter().map(|stage| of(stage).open_as(&format!("{app}-{stage}-"))).collect()
    }
}

impl Deployed {
    fn open_as(self, prefix: &str) -> Result<CloudWorld<DeployedTrial>> {
        let services = Services { endpoint: self.endpoint.clone(), account: ACCOUNT };
        let account = Arc::new(Account::new(services, prefix)?);
        let config = AwsConfig::from_environment(&account.environment())?;
        let config = Mutex::new(config);
        Ok(CloudWorld(DeployedTrial { deployed: self, account, config, clock: ManualClock::default() }))
    }

    /// The package of the app.
    fn app(&self) -> String {
        self.bootstrap.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The resources of one trial, and the binary that runs on them.
#[derive(Debug)]
pub struct DeployedTrial {
    deployed: Deployed,
    account: Arc<Account>,
    config: Mutex<AwsConfig>,
    clock: ManualClock,
}

#[async_trait]
impl CloudUnderTest for DeployedTrial {
    type App = DeployedApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(AwsProvider::new(self.config.lock().clone()))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn run(&self, app: BuildApp) -> Result<DeployedApp> {
        let manifest = built::manifest(&self.deployed.bootstrap, app).await?;
        let deployment = match &self.deployed.isobar {
            Some(_) => self.terraform().await?,
            None => self.deploy(&manifest).await?,
        };
        let text = |name: &str| deployment[name].as_str().unwrap_or_default().to_owned();
        let (account, aging) = (Arc::clone(&self.account), Aging::new(&self.clock, self.provider()));
        let (function, api, clock) = (text("function"), text("api"), self.clock.clone());
        Ok(DeployedApp { provider: self.provider(), account, manifest, function, api, clock, aging })
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        Ok(self.account.set_parameter(key, value).await?)
    }
}

impl DeployedTrial {
    /// The variables by which a command on this machine finds the data.
    pub fn environment(&self) -> Environment {
        self.account.environment()
    }

    async fn deploy(&self, manifest: &Manifest) -> Result<Value> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators/deploy.py");
        let mut child = Command::new(&self.deployed.python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let schedules = manifest.schedules();
        let schedules = schedules.map(|it| Ok((it.name.clone(), isobar::aws::schedule_expression(&it.cron)?)));
        let schedules = schedules.collect::<Result<BTreeMap<_, _>>>()?;
        let input = json!({
            "manifest": manifest, "schedules": schedules, "bootstrap": self.deployed.bootstrap, "prefix": self.account.prefix,
            "endpoint": self.deployed.endpoint, "environment": self.deployed.environment,
        });
        if let Some(mut stdin) = child.stdin.take() {
            // Where the script has ended already, its stderr below has the reason.
            let _ = stdin.write_all(input.to_string().as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if !output.status.success() {
            return Err(Error::internal(format!("deploying: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl DeployedTrial {
    /// Deploys as a user does. The provider of the trial then has the variables that Terraform set.
    async fn terraform(&self) -> Result<Value> {
        let stage = self.account.prefix.trim_start_matches(&format!("{}-", self.deployed.app())).trim_end_matches('-');
        let printed = self.deployed.isobar("deploy", stage, &["--yes", "--json", "--dynamic", "--binary"]).await?;
        let deployed: Value = serde_json::from_slice(&printed)?;
        let state = std::fs::read(Path::new(deployed["folder"].as_str().unwrap_or_default()).join("terraform.tfstate"));
        let state: Value = serde_json::from_slice(&state.map_err(failed)?)?;
        let resources = state["resources"].as_array().into_iter().flatten();
        let function = resources.clone().find(|it| it["type"] == "aws_lambda_function").cloned().unwrap_or_default();
        let attributes = &function["instances"][0]["attributes"];
        let variables = attributes["environment"][0]["variables"].as_object().into_iter().flatten();
        let variables = variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let environment = variables.fold(self.account.environment(), |all, (name, value)| all.with_var(name, value));
        *self.config.lock() = AwsConfig::from_environment(&environment)?;
        let url = deployed["outputs"]["url"].as_str().unwrap_or_default();
        let api = url.trim_start_matches("http://").split('.').next().unwrap_or_default();
        Ok(json!({"function": attributes["arn"], "api": api}))
    }
}

impl Deployed {
    /// Runs the command for a stage of the app.
    pub async fn isobar(&self, command: &str, stage: &str, options: &[&str]) -> Result<Vec<u8>> {
        let (isobar, terraform) =
            self.isobar.as_ref().ok_or_else(|| Error::config("the trial has no command `isobar`"))?;
        let mut process = Command::new(isobar);
        process.arg(command).args(["--target", "aws", "--emulator", "ministack", "--package", &self.app()]);
        process.args(["--stage", stage]).args(options).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        if options.ends_with(&["--binary"]) {
            process.arg(&self.bootstrap);
        }
        process.env("ISOBAR_MINISTACK_URL", &self.endpoint).envs(terraform.variables()).kill_on_drop(true);
        let output = process.output().await.map_err(failed)?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Error::internal(format!("isobar {command}: {}", String::from_utf8_lossy(&output.stderr)))),
        }
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::internal("a process cannot be run").with_source(source)
}

/// The function, behind its API.
#[derive(Debug)]
pub struct DeployedApp {
    provider: Arc<dyn Provider>,
    account: Arc<Account>,
    manifest: Manifest,
    function: String,
    api: String,
    clock: ManualClock,
    aging: Aging,
}

#[async_trait]
impl RunningApp for DeployedApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Through the HTTP API. The request has the API's own host, by which ministack finds it; in the response it is
    /// replaced by the host that the caller requested.
    async fn http(&self, mut request: Request<Body>) -> HarnessResult<TestResponse> {
        self.aging.catch_up(&self.manifest).await?;
        let host = format!("{}.execute-api.localhost", self.api);
        let header = host.parse().map_err(|_| Error::invalid_input("not a host"))?;
        let requested = request.headers_mut().insert(http::header::HOST, header);
        let response = send_to(&self.account.services.endpoint, request).await?;
        let requested = requested.as_ref().and_then(|requested| requested.to_str().ok()).unwrap_or(&host);
        match std::str::from_utf8(&response.body) {
            Ok(text) if text.contains(&host) => {
                let body = text.replace(&host, requested);
                Ok(TestResponse::new(response.status, response.headers, body))
            }
            _ => Ok(response),
        }
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.call(events::invoke(function, &payload)?).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.call(events::tick(schedule, self.clock.now())).await?;
        Ok(())
    }

    /// Waits until ministack's event source mappings have emptied the queues.
    async fn deliver(&self) -> HarnessResult<()> {
        let may_be_late = self.manifest.objects().next().is_some() || self.manifest.writes().next().is_some();
        loop {
            wait::until("all messages are handled", DELIVERY_LIMIT, || self.queues_are_empty()).await?;
            if may_be_late {
                tokio::time::sleep(LATEST).await;
            }
            if self.queues_are_empty().await? {
                return Ok(());
            }
        }
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(dead_letters::list(&*self.provider, queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(dead_letters::put_back(&*self.provider, queue).await?)
    }
}

impl DeployedApp {
    async fn queues_are_empty(&self) -> Result<bool> {
        for queue in self.account.queues(&self.manifest) {
            if !self.account.is_empty(&queue).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn call(&self, event: String) -> Result<Bytes> {
        let name = self.function.rsplit(':').next().unwrap_or_default();
        let endpoint = &self.account.services.endpoint;
        let request = Request::post(format!("{endpoint}/2015-03-31/functions/{name}/invocations"))
            .header("authorization", AUTHORIZATION)
            .body(Body::from(event));
        let response = send(request.map_err(not_a_request)?).await?;
        if !response.status.is_success() {
            return Err(Error::internal(format!("Lambda did not call `{name}`: {}", response.text())));
        }
        if response.header("x-amz-function-error").is_some() {
            return Err(handler_error(&response.body));
        }
        // Ministack writes the function's JSON with spaces in it.
        Ok(response.json::<Value>()?.to_string().into())
    }
}
