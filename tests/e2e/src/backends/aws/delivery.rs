//! What Lambda does around a function: its event source mappings, and its direct calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::aws::{AwsProvider, Lambda, LambdaCall, LambdaReply};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Limits};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, EventQueue, Result, TestResponse};
use serde_json::{Value, json};

use super::account::Account;
use super::queue_proxy::QueueProxy;
use super::{REGION, events};
use crate::backends::dead_letters;
use crate::backends::provisioned::Deployment;
use crate::backends::read_body;
use isobar_conformance::{HarnessResult, RunningApp};

/// Visibility timeout of a deployment's queues, in seconds, where the function sets no other.
const VISIBILITY: u64 = 30;

/// An app on Lambda's host.
#[derive(Debug)]
pub struct AwsApp {
    pub(super) lambda: Lambda,
    pub(super) provider: AwsProvider,
    pub(super) manifest: Arc<Manifest>,
    pub(super) account: Arc<Account>,
    pub(super) clock: ManualClock,
    pub(super) proxy: Arc<QueueProxy>,
}

impl AwsApp {
    async fn call(&self, event: &[u8]) -> Result<Bytes> {
        static INVOCATIONS: AtomicU64 = AtomicU64::new(1);
        let id = format!("invocation-{}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        let account = self.account.services.account;
        let arn = format!("arn:aws:lambda:{REGION}:{account}:function:{}", self.manifest.app);
        // The function's timeout is the portable one.
        let call = LambdaCall::new(id, self.clock.now() + Limits::PORTABLE.event_timeout, arn);
        match self.lambda.handle(event, call).await? {
            LambdaReply::Json(output) => Ok(output),
            LambdaReply::Stream(_) => Err(Error::internal("this function does not stream")),
        }
    }

    /// Polls a queue once. Returns whether there were messages.
    async fn poll(&self, queue: &str) -> Result<bool> {
        for message in self.proxy.hidden.take_due(queue) {
            self.account.show(queue, &message.receipt).await?;
        }
        // As the adapter's README requires: one message of a FIFO queue at a time.
        let mut messages = self.account.receive(queue, if queue.ends_with(".fifo") { 1 } else { 10 }).await?;
        if messages.is_empty() {
            return Ok(false);
        }
        let receipt = |message: &Value| message["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
        let id = |message: &Value| message["MessageId"].as_str().unwrap_or_default().to_owned();
        // Before the function runs: it may end in the middle, with its process.
        messages.iter().for_each(|message| self.proxy.hide(queue, &receipt(message), VISIBILITY));
        messages.iter_mut().for_each(|message| self.proxy.mark_received(message));
        let arn = self.account.queue_arn(queue);
        let records: Vec<_> = messages.iter().map(|message| events::record(message, &arn)).collect();
        let failed = match self.call(json!({ "Records": records }).to_string().as_bytes()).await {
            Ok(output) => failed(&output)?,
            // All of them are delivered again.
            Err(_) => messages.iter().map(id).collect(),
        };
        for message in messages.iter().filter(|message| !failed.contains(&id(message))) {
            self.proxy.hidden.forget(&receipt(message));
            self.account.delete(queue, message).await?;
        }
        Ok(true)
    }

    /// Reads the stream of a table once. Returns whether the function has handled records.
    async fn poll_stream(&self, table: &str) -> Result<bool> {
        let records = self.account.records(table).await?;
        if records.is_empty() {
            return Ok(false);
        }
        match self.call(json!({ "Records": records }).to_string().as_bytes()).await {
            Ok(output) if failed(&output)?.is_empty() => {
                self.account.pass(table, &records);
                Ok(true)
            }
            // The next call has the same records.
            _ => Ok(false),
        }
    }
}

/// The ids in a partial batch response.
fn failed(output: &[u8]) -> Result<BTreeSet<String>> {
    let response: Value = serde_json::from_slice(output)?;
    let failures = response["batchItemFailures"].as_array();
    let failures = failures.ok_or_else(|| Error::internal(format!("not a partial batch response: {response}")))?;
    Ok(failures.iter().filter_map(|it| it["itemIdentifier"].as_str().map(str::to_owned)).collect())
}

#[async_trait]
impl RunningApp for AwsApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        let (parts, body) = request.into_parts();
        let event = events::http(&parts, &read_body(body).await?);
        Ok(events::response(&self.call(event.to_string().as_bytes()).await?)?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.call(events::invoke(function, &payload)?.as_bytes()).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.call(events::tick(schedule, self.clock.now()).as_bytes()).await?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        // ministack sends the events of a bucket from another thread, after its response.
        let mut may_be_late = self.manifest.objects().next().is_some();
        loop {
            let mut any = false;
            for trigger in self.manifest.writes() {
                while self.poll_stream(&self.account.physical(&trigger.table)).await? {
                    any = true;
                }
            }
            for queue in self.account.queues(&self.manifest) {
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

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(dead_letters::list(&self.provider, queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(dead_letters::put_back(&self.provider, queue).await?)
    }
}
