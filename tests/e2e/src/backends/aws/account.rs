//! What a deployment makes on AWS: tables, buckets, topics and queues. Here each is made when it is first opened, since
//! a trial does not declare resources before.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use isobar::aws::{AwsConfig, AwsProvider, Safety};
use isobar::driver::{Derived, Environment, ResourceKind};
use isobar::{EventQueue, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{REGION, Services, environment};
use crate::backends::provisioned::{Deployment, Made};
use crate::server::not_a_request;

/// The emulated account, and the names of one trial in it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) services: Services,
    pub(super) prefix: String,
    /// By table.
    pub(super) streams: Mutex<HashMap<String, Stream>>,
    made: Made,
    admin: AwsProvider,
}

/// The stream of a table, and the place of its event source mapping in it.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) arn: String,
    /// The sequence number of the last record that the function has handled.
    pub(super) last: Option<Value>,
}

/// The queue of the dead letters of a queue.
fn dead_letters_of(queue: &str) -> String {
    let (plain, fifo) = queue.strip_suffix(".fifo").map_or((queue, ""), |plain| (plain, ".fifo"));
    Derived::DeadLetters.of(plain) + fifo
}

impl Account {
    pub(super) fn new(services: Services, prefix: &str) -> Result<Self> {
        let admin = AwsProvider::new(AwsConfig::from_environment(&environment(&services, prefix))?);
        let (made, streams) = Default::default();
        Ok(Self { services, prefix: prefix.to_owned(), streams, made, admin })
    }

    pub(super) fn environment(&self) -> Environment {
        environment(&self.services, &self.prefix)
    }

    async fn call(&self, service: &'static str, request: Request<Bytes>) -> Result<Bytes> {
        Ok(self.admin.service(service, None)?.call("deploy", Safety::Idempotent, request).await?.into_body())
    }

    /// Calls an operation of SQS, of Parameter Store, of DynamoDB or of its streams.
    pub(super) async fn json(&self, target: &str, input: &Value) -> Result<Value> {
        let service = match target.split_once('.') {
            Some(("AmazonSQS", _)) => "sqs",
            Some(("AmazonSSM", _)) => "ssm",
            _ => "dynamodb",
        };
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(Bytes::from(input.to_string()));
        let output = self.call(service, request.map_err(not_a_request)?).await?;
        Ok(serde_json::from_slice(&output)?)
    }

    /// Sets a parameter, also one that is larger than isobar's limit; `None` deletes it.
    pub(super) async fn set_parameter(&self, key: &str, value: Option<&str>) -> Result<()> {
        let (target, input) = match value {
            Some(value) => {
                let (kind, tier) = ("SecureString", "Intelligent-Tiering");
                let input = json!({"Name": key, "Value": value, "Type": kind, "Tier": tier, "Overwrite": true});
                ("AmazonSSM.PutParameter", input)
            }
            None => ("AmazonSSM.DeleteParameter", json!({"Name": key})),
        };
        self.json(target, &input).await.map(drop)
    }

    async fn sns(&self, form: &str) -> Result<()> {
        let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        self.call("sns", request.body(Bytes::from(form.to_owned())).map_err(not_a_request)?).await.map(drop)
    }

    async fn s3(&self, path: &str, body: String) -> Result<()> {
        let request = Request::builder().method(Method::PUT).uri(path).body(Bytes::from(body));
        self.call("s3", request.map_err(not_a_request)?).await.map(drop)
    }

    /// A table without a time to live: an emulator's clock is not that of the trial.
    async fn create_table(&self, name: &str) -> Result<()> {
        let keys = ["pk", "sk"].map(|key| json!({"AttributeName": key, "AttributeType": "S"}));
        let table = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": keys,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        });
        self.json("DynamoDB_20120810.CreateTable", &table).await.map(drop)
    }

    async fn create_topic(&self, name: &str) -> Result<()> {
        let fifo = if name.ends_with(".fifo") {
            "&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true"
        } else {
            ""
        };
        self.sns(&format!("Action=CreateTopic&Version=2010-03-31&Name={name}{fifo}")).await
    }

    async fn subscribe_queue(&self, topic: &str, queue: &str) -> Result<()> {
        self.sns(&format!(
            "Action=Subscribe&Version=2010-03-31&TopicArn={}&Protocol=sqs&Endpoint={}\
             &Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true",
            self.topic_arn(topic),
            self.queue_arn(queue)
        ))
        .await
    }

    /// The bucket notifies one topic, which has a queue for each trigger.
    async fn notify(&self, bucket: &str, topic: &str) -> Result<()> {
        self.create_topic(topic).await?;
        let arn = self.topic_arn(topic);
        let configuration = format!(
            "<NotificationConfiguration><TopicConfiguration><Topic>{arn}</Topic><Event>s3:ObjectCreated:*</Event>\
             <Event>s3:ObjectRemoved:*</Event></TopicConfiguration></NotificationConfiguration>"
        );
        self.s3(&format!("/{bucket}?notification="), configuration).await
    }

    fn topic_arn(&self, topic: &str) -> String {
        format!("arn:aws:sns:{REGION}:{}:{topic}", self.services.account)
    }

    /// A queue, and the one of its dead letters.
    async fn create_queue(&self, name: &str) -> Result<()> {
        for queue in [dead_letters_of(name), name.to_owned()] {
            let attributes = if name.ends_with(".fifo") { json!({"FifoQueue": "true"}) } else { json!({}) };
            self.json("AmazonSQS.CreateQueue", &json!({"QueueName": queue, "Attributes": attributes})).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Deployment for Account {
    fn made(&self) -> &Made {
        &self.made
    }

    fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn create(&self, kind: ResourceKind, name: &str) -> Result<()> {
        match kind {
            ResourceKind::Table => self.create_table(name).await,
            ResourceKind::Bucket => self.s3(&format!("/{name}"), String::new()).await,
            ResourceKind::Topic => {
                self.create_topic(name).await?;
                self.create_topic(&format!("{name}.fifo")).await
            }
            _ => Err(kind.not_opened("aws")),
        }
    }

    async fn route(&self, trigger: &EventQueue, source: &str) -> Result<()> {
        for queue in self.queues_of(trigger) {
            self.create_queue(&queue).await?;
            match trigger.kind() {
                ResourceKind::Bucket => {
                    let topic = Derived::Events.of(source);
                    self.notify(source, &topic).await?;
                    self.subscribe_queue(&topic, &queue).await?;
                }
                ResourceKind::Topic => {
                    let end = if queue.ends_with(".fifo") { ".fifo" } else { "" };
                    self.subscribe_queue(&format!("{source}{end}"), &queue).await?;
                }
                _ => self.enable_stream(source).await?,
            }
        }
        Ok(())
    }
}
