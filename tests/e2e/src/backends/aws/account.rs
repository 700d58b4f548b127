//! What the deployment makes on AWS: tables, buckets, topics, queues. Here it is made when it is
//! opened first, since a trial does not declare before.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::aws::{AwsConfig, AwsProvider, Safety};
use isobar::driver::{Derived, ResourceKind};
use isobar::manifest::Manifest;
use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::REGION;
use crate::backends::provisioned::Deployment;
use crate::front::not_a_request;

/// The emulated account, and the names of one trial in it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) endpoint: String,
    pub(super) number: &'static str,
    pub(super) prefix: String,
    /// Locked while one is made: who opens it at the same time waits until it is there.
    made: tokio::sync::Mutex<BTreeSet<String>>,
    subscribed: Mutex<BTreeSet<String>>,
    /// Messages that are hidden: their queue and receipt.
    pub(super) taken: Mutex<Vec<(String, String)>>,
    /// Dead letters that were read: their queue and message.
    pub(super) dead: Mutex<Vec<(String, Value)>>,
    admin: Option<AwsProvider>,
}

impl Account {
    pub(super) fn new(endpoint: String, number: &'static str, prefix: String) -> Result<Self> {
        let (made, subscribed, taken, dead) = Default::default();
        let account = Self { endpoint, number, prefix, made, subscribed, taken, dead, admin: None };
        let admin = AwsProvider::new(AwsConfig::from_environment(&account.environment())?);
        Ok(Self { admin: Some(admin), ..account })
    }

    /// Calls a service as who deploys.
    pub(super) async fn call(&self, service: &'static str, request: Request<Bytes>) -> Result<Bytes> {
        let admin = self.admin.as_ref().ok_or_else(|| Error::internal("no account"))?;
        Ok(admin.service(service, None)?.call("deploy", Safety::Idempotent, request).await?.into_body())
    }

    /// Calls an operation of a service that speaks JSON.
    pub(super) async fn json(&self, target: &str, input: &Value) -> Result<Value> {
        let service = if target.starts_with("AmazonSQS") { "sqs" } else { "dynamodb" };
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(Bytes::from(input.to_string()));
        let answer = self.call(service, request.map_err(not_a_request)?).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(super) fn queue_url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.endpoint, self.number)
    }

    pub(super) fn queue_arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{}:{queue}", self.number)
    }

    /// Without a time to live: an emulator's clock is not that of the trial.
    async fn make_table(&self, name: &str) -> Result<()> {
        let keys = ["pk", "sk"].map(|key| json!({"AttributeName": key, "AttributeType": "S"}));
        let table = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": keys,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        });
        self.json("DynamoDB_20120810.CreateTable", &table).await.map(drop)
    }

    async fn make_topic(&self, name: &str) -> Result<()> {
        for end in ["", ".fifo"] {
            self.make_queue(&format!("{name}{end}")).await?;
            let fifo =
                if end.is_empty() { "" } else { "&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true" };
            self.sns(&format!("Action=CreateTopic&Version=2010-03-31&Name={name}{end}{fifo}")).await?;
            let (topic, queue) =
                (format!("arn:aws:sns:{REGION}:{}:{name}{end}", self.number), self.queue_arn(&format!("{name}{end}")));
            self.sns(&format!(
                "Action=Subscribe&Version=2010-03-31&TopicArn={topic}&Protocol=sqs&Endpoint={queue}\
                 &Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true"
            ))
            .await?;
        }
        Ok(())
    }

    async fn make_queue(&self, name: &str) -> Result<()> {
        let (plain, fifo) = name.strip_suffix(".fifo").map_or((name, ""), |plain| (plain, ".fifo"));
        for queue in [Derived::DeadLetters.of(plain) + fifo, name.to_owned()] {
            let attributes = if fifo.is_empty() { json!({}) } else { json!({"FifoQueue": "true"}) };
            self.json("AmazonSQS.CreateQueue", &json!({"QueueName": queue, "Attributes": attributes})).await?;
        }
        Ok(())
    }

    /// Leads the events of buckets to their queues, as the deployment does.
    pub(super) async fn subscribe(&self, manifest: &Manifest) -> Result<()> {
        for trigger in manifest.messages() {
            self.make(ResourceKind::Topic, &trigger.topic).await?;
        }
        for trigger in manifest.objects() {
            self.make(ResourceKind::Bucket, &trigger.bucket).await?;
            let bucket = format!("{}{}", self.prefix, trigger.bucket);
            if !self.subscribed.lock().insert(bucket.clone()) {
                continue;
            }
            let queue = Derived::Events.of(&bucket);
            self.make_queue(&queue).await?;
            let arn = self.queue_arn(&queue);
            let wanted = format!(
                "<NotificationConfiguration><QueueConfiguration><Queue>{arn}</Queue><Event>s3:ObjectCreated:*</Event>\
                 <Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>"
            );
            self.s3(Method::PUT, &format!("/{bucket}?notification="), wanted).await?;
        }
        Ok(())
    }

    async fn sns(&self, form: &str) -> Result<()> {
        let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        self.call("sns", request.body(Bytes::from(form.to_owned())).map_err(not_a_request)?).await.map(drop)
    }

    async fn s3(&self, method: Method, path: &str, body: String) -> Result<()> {
        let request = Request::builder().method(method).uri(path).body(Bytes::from(body));
        self.call("s3", request.map_err(not_a_request)?).await.map(drop)
    }
}

#[async_trait]
impl Deployment for Account {
    async fn make(&self, kind: ResourceKind, name: &str) -> Result<()> {
        let name = format!("{}{name}", self.prefix);
        let resource = format!("{kind} {name}");
        let mut made = self.made.lock().await;
        if made.contains(&resource) {
            return Ok(());
        }
        match kind {
            ResourceKind::Table => self.make_table(&name).await?,
            ResourceKind::Bucket => self.s3(Method::PUT, &format!("/{name}"), String::new()).await?,
            ResourceKind::Topic => self.make_topic(&name).await?,
            _ => return Err(kind.not_opened("aws")),
        }
        made.insert(resource);
        Ok(())
    }
}
