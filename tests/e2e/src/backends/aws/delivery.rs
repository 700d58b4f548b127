//! What Lambda does around a function: its event source mappings, and its direct calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use isobar::aws::{Lambda, LambdaCall, LambdaReply};
use isobar::clock::{ManualClock, to_rfc3339};
use isobar::driver::{Clock, Derived, Limits, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, Result, TestResponse};
use serde_json::{Value, json};

use super::account::Account;
use super::tap::{LONGEST, Tap};
use super::{REGION, events};
use isobar_conformance::{HarnessResult, RunningApp};

/// What the queues of a deployment hide a message for that the function said nothing of.
const VISIBILITY: u64 = 30;

/// An app on Lambda's host.
pub(super) struct AwsApp {
    pub(super) lambda: Lambda,
    pub(super) manifest: Arc<Manifest>,
    pub(super) account: Arc<Account>,
    pub(super) clock: ManualClock,
    pub(super) tap: Arc<Tap>,
}

static INVOCATIONS: AtomicU64 = AtomicU64::new(1);

impl AwsApp {
    async fn call(&self, event: &Value) -> Result<Bytes> {
        self.handle(&serde_json::to_vec(event)?).await
    }

    async fn handle(&self, event: &[u8]) -> Result<Bytes> {
        let id = format!("invocation-{}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        let arn = format!("arn:aws:lambda:{REGION}:{}:function:{}", self.account.number, self.manifest.app);
        // The function's timeout is the portable one.
        let call = LambdaCall::new(id, self.clock.now() + Limits::PORTABLE.event_timeout, arn);
        match self.lambda.handle(event, call).await? {
            LambdaReply::Json(answer) => Ok(answer),
            LambdaReply::Stream(_) => Err(Error::internal("this function does not stream")),
        }
    }

    /// The queues that an event source mapping polls.
    fn queues(&self) -> Vec<String> {
        let prefix = &self.account.prefix;
        let topics = self.manifest.messages();
        let topics = topics.flat_map(|it| ["", ".fifo"].map(|end| format!("{prefix}{}{end}", it.topic)));
        topics.chain(self.manifest.objects().map(|it| prefix.clone() + &Derived::Events.of(&it.bucket))).collect()
    }

    async fn receive(&self, queue: &str, most: u32) -> Result<Vec<Value>> {
        let wanted = json!({
            "QueueUrl": self.account.queue_url(queue), "MaxNumberOfMessages": most, "VisibilityTimeout": LONGEST,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"], "WaitTimeSeconds": 0,
        });
        let told = self.account.json("AmazonSQS.ReceiveMessage", &wanted).await?;
        Ok(told["Messages"].as_array().cloned().unwrap_or_default())
    }

    async fn delete(&self, queue: &str, message: &Value) -> Result<()> {
        let wanted = json!({"QueueUrl": self.account.queue_url(queue), "ReceiptHandle": message["ReceiptHandle"]});
        self.account.json("AmazonSQS.DeleteMessage", &wanted).await.map(drop)
    }

    /// Polls a queue once. Returns whether there was anything.
    async fn poll(&self, queue: &str) -> Result<bool> {
        self.show(queue).await?;
        // As the README of the adapter wants it: one message of a FIFO queue at a time.
        let messages = self.receive(queue, if queue.ends_with(".fifo") { 1 } else { 10 }).await?;
        if messages.is_empty() {
            return Ok(false);
        }
        let arn = self.account.queue_arn(queue);
        // Before the function says anything: it may end in the middle of it, with its process.
        messages.iter().for_each(|message| self.hide(queue, message));
        let records: Vec<_> = messages.iter().map(|message| events::record(message, &arn)).collect();
        let failed = match self.call(&json!({ "Records": records })).await {
            Ok(answer) => failed(&answer)?,
            // All of them come again.
            Err(_) => messages.iter().filter_map(|it| it["MessageId"].as_str().map(str::to_owned)).collect(),
        };
        for message in &messages {
            if !message["MessageId"].as_str().is_some_and(|id| failed.contains(id)) {
                self.account.taken.lock().retain(|(_, receipt)| message["ReceiptHandle"] != **receipt);
                self.delete(queue, message).await?;
            }
        }
        Ok(true)
    }

    /// Hides a message as long as its queue does.
    fn hide(&self, queue: &str, message: &Value) {
        let receipt = message["ReceiptHandle"].as_str().unwrap_or_default();
        self.tap.hide(receipt, VISIBILITY);
        self.account.taken.lock().push((queue.to_owned(), receipt.to_owned()));
    }

    /// Shows what was hidden long enough.
    async fn show(&self, queue: &str) -> Result<()> {
        let hidden =
            self.account.taken.lock().iter().filter(|(of, _)| of == queue).map(|it| it.1.clone()).collect::<Vec<_>>();
        for receipt in self.tap.due(&hidden) {
            self.account.taken.lock().retain(|(_, known)| *known != receipt);
            let wanted = json!({
                "QueueUrl": self.account.queue_url(queue), "ReceiptHandle": receipt, "VisibilityTimeout": 0,
            });
            self.account.json("AmazonSQS.ChangeMessageVisibility", &wanted).await?;
        }
        Ok(())
    }

    fn dead_queues(&self, kind: ResourceKind, name: &str) -> Vec<(String, String)> {
        let name = format!("{}{name}", self.account.prefix);
        match kind {
            ResourceKind::Bucket => {
                let events = Derived::Events.of(&name);
                vec![(Derived::DeadLetters.of(&events), events)]
            }
            _ => ["", ".fifo"].map(|end| (Derived::DeadLetters.of(&name) + end, format!("{name}{end}"))).to_vec(),
        }
    }

    /// Takes dead letters out of their queue, and keeps them: reading must not lose them.
    async fn collect_dead(&self, queue: &str) -> Result<()> {
        loop {
            let messages = self.receive(queue, 10).await?;
            if messages.is_empty() {
                return Ok(());
            }
            self.account.dead.lock().extend(messages.into_iter().map(|message| (queue.to_owned(), message)));
        }
    }

    /// Sends a dead letter to the queue it came from as it is, as SQS's own redrive does.
    async fn put_back(&self, queue: &str, letter: &Value) -> Result<()> {
        let mut wanted = json!({"QueueUrl": self.account.queue_url(queue), "MessageBody": letter["Body"]});
        if let Some(attributes) = letter["MessageAttributes"].as_object() {
            wanted["MessageAttributes"] = attributes.clone().into();
        }
        if queue.ends_with(".fifo") {
            wanted["MessageGroupId"] = letter["Attributes"]["MessageGroupId"].clone();
            wanted["MessageDeduplicationId"] =
                format!("again-{}", letter["MessageId"].as_str().unwrap_or_default()).into();
        }
        self.account.json("AmazonSQS.SendMessage", &wanted).await.map(drop)
    }
}

/// The ids in a partial batch response.
fn failed(answer: &[u8]) -> Result<BTreeSet<String>> {
    let told: Value = serde_json::from_slice(answer)?;
    let failures = told["batchItemFailures"].as_array();
    let failures = failures.ok_or_else(|| Error::internal(format!("not a partial batch response: {told}")))?;
    Ok(failures.iter().filter_map(|it| it["itemIdentifier"].as_str().map(str::to_owned)).collect())
}

#[async_trait]
impl RunningApp for AwsApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| Error::invalid_input("no body").with_source(error))?.to_bytes();
        Ok(events::response(&self.call(&events::http(&parts, &body)).await?)?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let payload =
            std::str::from_utf8(&payload).map_err(|error| Error::invalid_input("no JSON").with_source(error))?;
        let payload = if payload.is_empty() { String::new() } else { format!(",\"payload\":{payload}") };
        let event = format!("{{\"isobar\":\"invoke\",\"function\":{}{payload}}}", json!(function));
        Ok(self.handle(event.as_bytes()).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let due = to_rfc3339(self.clock.now());
        self.call(&json!({"isobar": "schedule", "schedule": schedule, "due": due})).await?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        // ministack sends the events of a bucket from a thread of its own, after its answer.
        let mut may_be_late = self.manifest.objects().next().is_some();
        loop {
            let mut any = false;
            for queue in self.queues() {
                while self.poll(&queue).await? {
                    any = true;
                }
            }
            match any {
                true => {}
                false if may_be_late => {
                    may_be_late = false;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                false => return Ok(()),
            }
        }
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        for (queue, _) in self.dead_queues(kind, name) {
            self.collect_dead(&queue).await?;
            let dead = self.account.dead.lock().clone();
            for (_, message) in dead.iter().filter(|(of, _)| *of == queue) {
                letters.push(isobar::aws::dead_letter(message)?);
            }
        }
        Ok(letters)
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> HarnessResult<usize> {
        let mut count = 0;
        for (dead, queue) in self.dead_queues(kind, name) {
            self.collect_dead(&dead).await?;
            let letters: Vec<_> = self.account.dead.lock().extract_if(.., |(of, _)| *of == dead).collect();
            for (_, letter) in letters {
                self.put_back(&queue, &letter).await?;
                self.delete(&dead, &letter).await?;
                count += 1;
            }
        }
        Ok(count)
    }
}
