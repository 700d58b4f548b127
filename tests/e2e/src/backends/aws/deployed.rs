//! An app as its user deploys it: built for AWS, zipped, and run by ministack behind its own HTTP
//! API, queues and Lambda runtime.
//!
//! Nothing of ours stands between the app and the emulator, but for two doubles. Time is real there; where
//! a trial moves the clock, the expiry of what is stored is moved back instead. And schedules are made, but
//! a trial's `tick` calls the function itself, with the event that EventBridge Scheduler would send.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Derived, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Cloud, Error, ErrorKind, Result, TestResponse};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::account::Account;
use crate::backends::aging::Aging;
use crate::backends::{kind_named, send};
use crate::built;
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

const ACCOUNT: &str = "000000000000";

/// Ministack checks no signature; it reads the service's name.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";

/// Longest wait for messages to be handled by a function that may start cold.
const PATIENCE: Duration = Duration::from_secs(45);

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
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Harness for Deployed {
    fn name(&self) -> &'static str {
        "aws-deployed"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let prefix = format!("e{}-", WORLDS.fetch_add(1, Ordering::Relaxed));
        let account = Arc::new(Account::new(self.endpoint.clone(), ACCOUNT, prefix)?);
        let config = AwsConfig::from_environment(&account.environment())?;
        Ok(Box::new(DeployedWorld { deployed: self.clone(), account, config, clock: ManualClock::default() }))
    }
}

struct DeployedWorld {
    deployed: Deployed,
    account: Arc<Account>,
    config: AwsConfig,
    clock: ManualClock,
}

#[async_trait]
impl World for DeployedWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(AwsProvider::new(self.config.clone())))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    /// Deploys the binary; the app that is given must be the one that the binary is of.
    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        let manifest = built::manifest(&self.deployed.bootstrap, app).await?;
        let told = self.deploy(&manifest).await?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        Ok(Box::new(DeployedApp {
            account: Arc::clone(&self.account),
            manifest,
            function: text("function"),
            api: text("api"),
            clock: self.clock.clone(),
            provider: AwsProvider::new(self.config.clone()),
            aging: Aging::new(&self.clock),
        }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

impl DeployedWorld {
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
        let wanted = json!({
            "manifest": manifest, "schedules": schedules, "bootstrap": self.deployed.bootstrap, "prefix": self.account.prefix,
            "endpoint": self.deployed.endpoint, "environment": self.deployed.environment,
        });
        if let Some(mut stdin) = child.stdin.take() {
            // Where it has ended already, it says below why.
            let _ = stdin.write_all(wanted.to_string().as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if !output.status.success() {
            return Err(Error::internal(format!("deploying: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::internal("a process cannot be run").with_source(source)
}

struct DeployedApp {
    account: Arc<Account>,
    manifest: Manifest,
    function: String,
    api: String,
    clock: ManualClock,
    provider: AwsProvider,
    aging: Aging,
}

#[async_trait]
impl RunningApp for DeployedApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Through the HTTP API. Its own host stands in the request, which is how ministack knows it; where the
    /// app answers with it, the host that the caller asked for is put back.
    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        self.aging.catch_up(&self.provider, &self.manifest).await?;
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.account.endpoint).parse().map_err(not_a_url)?;
        let host = format!("{}.execute-api.localhost", self.api);
        let own = host.parse().map_err(|_| Error::invalid_input("not a host"))?;
        let asked = parts.headers.insert(http::header::HOST, own);
        let answer = send(Request::from_parts(parts, body)).await?;
        let asked = asked.as_ref().and_then(|asked| asked.to_str().ok()).unwrap_or(&host);
        match std::str::from_utf8(&answer.body) {
            Ok(text) if text.contains(&host) => {
                let body = Bytes::from(text.replace(&host, asked));
                Ok(TestResponse::new(answer.status, answer.headers, body))
            }
            _ => Ok(answer),
        }
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let payload: Value = serde_json::from_slice(&payload)?;
        Ok(self.call_function(&json!({"isobar": "invoke", "function": function, "payload": payload})).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let due = isobar::clock::to_rfc3339(self.clock.now());
        self.call_function(&json!({"isobar": "schedule", "schedule": schedule, "due": due})).await?;
        Ok(())
    }

    /// Waits until ministack's own event source mappings have emptied the queues.
    async fn deliver(&self) -> HarnessResult<()> {
        let began = Instant::now();
        while !self.is_quiet().await? {
            if began.elapsed() > PATIENCE {
                return Err(Error::new(ErrorKind::Timeout, "the messages are not handled").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        for queue in self.queues_of(kind, name).map(|(plain, end)| Derived::DeadLetters.of(&plain) + end) {
            let wanted = json!({
                "QueueUrl": self.account.queue_url(&queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 1,
                "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
            });
            let told = self.account.json("AmazonSQS.ReceiveMessage", &wanted).await?;
            for message in told["Messages"].as_array().into_iter().flatten() {
                letters.push(isobar::aws::dead_letter(message)?);
            }
        }
        Ok(letters)
    }
}

impl DeployedApp {
    /// The queues of a topic or bucket, and what a platform has their names end with.
    fn queues_of(&self, kind: ResourceKind, name: &str) -> impl Iterator<Item = (String, &'static str)> + use<> {
        let name = format!("{}{name}", self.account.prefix);
        let (name, ends): (_, &[&str]) = match kind {
            ResourceKind::Bucket => (Derived::Events.of(&name), &[""]),
            _ => (name, &["", ".fifo"]),
        };
        ends.iter().map(move |end| (name.clone(), *end))
    }

    async fn is_quiet(&self) -> Result<bool> {
        let topics = self.manifest.messages().map(|it| (ResourceKind::Topic, it.topic.as_str()));
        let buckets = self.manifest.objects().map(|it| (ResourceKind::Bucket, it.bucket.as_str()));
        for (kind, name) in topics.chain(buckets) {
            for queue in self.queues_of(kind, name).map(|(queue, end)| queue + end) {
                let wanted = json!({"QueueUrl": self.account.queue_url(&queue), "AttributeNames": ["All"]});
                let told = self.account.json("AmazonSQS.GetQueueAttributes", &wanted).await?;
                let count = |name: &str| told["Attributes"][name].as_str().and_then(|text| text.parse::<u64>().ok());
                let waiting = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"].map(count);
                if waiting != [Some(0), Some(0)] {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn call_function(&self, event: &Value) -> Result<Bytes> {
        let name = self.function.rsplit(':').next().unwrap_or_default();
        let request = Request::post(format!("{}/2015-03-31/functions/{name}/invocations", self.account.endpoint))
            .header("authorization", AUTHORIZATION)
            .body(Body::from(event.to_string()));
        let response = send(request.map_err(not_a_url)?).await?;
        if !response.status.is_success() {
            return Err(Error::internal(format!("Lambda did not call `{name}`: {}", response.text())));
        }
        let told: Value = response.json()?;
        if response.header("x-amz-function-error").is_none() {
            // Ministack writes the function's JSON anew, with spaces in it.
            return Ok(told.to_string().into());
        }
        Err(Error::new(kind_named(&told["errorType"]), told["errorMessage"].as_str().unwrap_or_default()))
    }
}

fn not_a_url(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid_input("not a URL").with_source(source)
}
