//! Triggers, fired by hand: what the host makes of what a queue, a topic or a clock brings.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar::{Error, Result};
use serde_json::{Map, Value, json};

use super::{Core, FunctionsHost};

/// A message as a Storage Queue gives it out.
#[derive(Debug, Clone)]
pub struct Queued {
    /// `MessageId`.
    pub id: String,
    /// `MessageText`, as it is stored; the host decodes base64 where host.json says so.
    pub text: String,
    /// `DequeueCount`, from 1.
    pub dequeue_count: u32,
    /// `InsertionTime`, as RFC 3339.
    pub inserted: String,
}

/// A message as a subscription of Service Bus gives it out.
#[derive(Debug, Clone, Default)]
pub struct ServiceBusMessage {
    /// `MessageId`.
    pub id: String,
    /// The body.
    pub body: Bytes,
    /// `DeliveryCount`, from 1.
    pub delivery_count: u32,
    /// `SessionId`.
    pub session: Option<String>,
    /// `EnqueuedTimeUtc`, as RFC 3339.
    pub enqueued: String,
    /// The properties of its sender.
    pub properties: Vec<(String, String)>,
}

/// What is neither bytes nor an object becomes a string that holds JSON.
fn doubled(value: impl Into<Value>) -> Value {
    Value::String(value.into().to_string())
}

/// The value of a binding for bytes.
fn bound(trigger: &Value, bytes: &[u8]) -> Value {
    match trigger["dataType"].as_str() {
        Some("binary") => Value::String(BASE64_STANDARD.encode(bytes)),
        _ => doubled(String::from_utf8_lossy(bytes)),
    }
}

impl FunctionsHost {
    /// Hands a message of a queue to the function that is triggered by it. `Ok` means that the host
    /// deletes it; an error that it becomes visible again. Errors: `NotFound` without such a function.
    pub async fn queue_message(&self, queue: &str, message: &Queued) -> Result<()> {
        let (function, trigger) = self.triggered("queueTrigger", |trigger| trigger["queueName"] == queue)?;
        let plain = self.core.app.host["extensions"]["queues"]["messageEncoding"] == "none";
        let bytes = match plain {
            true => message.text.clone().into_bytes(),
            false => BASE64_STANDARD
                .decode(&message.text)
                .map_err(|_| Error::invalid("the message is not base64; the host moves it to the poison queue"))?,
        };
        let mut metadata = json!({
            "DequeueCount": doubled(message.dequeue_count), "Id": doubled(message.id.as_str()),
            "InsertionTime": message.inserted, "ExpirationTime": message.inserted, "NextVisibleTime": message.inserted,
            "PopReceipt": doubled("AgAAAA=="),
        });
        // What is an object is merged into the metadata, and overwrites it.
        if trigger["dataType"] != "binary"
            && let (Ok(Value::Object(fields)), Some(metadata)) =
                (serde_json::from_slice(&bytes), metadata.as_object_mut())
        {
            let fields: Map<_, _> = fields.into_iter().filter(|(_, value)| !value.is_array()).collect();
            metadata.extend(fields.into_iter().map(|(name, value)| match value {
                Value::Object(_) => (name, value),
                other => (name, doubled(other)),
            }));
        }
        self.fire(function, trigger, bound(trigger, &bytes), metadata).await
    }

    /// Hands a message of a topic's subscription to its function. `Ok` means that the host completes it;
    /// an error that it abandons it.
    pub async fn service_bus_message(&self, topic: &str, message: &ServiceBusMessage) -> Result<()> {
        let (function, trigger) = self.triggered("serviceBusTrigger", |trigger| trigger["topicName"] == topic)?;
        let properties: Map<_, _> = message.properties.iter().map(|(name, it)| (name.clone(), json!(it))).collect();
        let metadata = json!({
            "MessageId": doubled(message.id.as_str()), "DeliveryCount": doubled(message.delivery_count),
            "SequenceNumber": doubled(12), "EnqueuedTimeUtc": message.enqueued, "LockToken": doubled(super::new_id()),
            "SessionId": message.session.as_deref().map_or(Value::Null, doubled),
            "ApplicationProperties": properties, "UserProperties": properties,
        });
        self.fire(function, trigger, bound(trigger, &message.body), metadata).await
    }

    /// Hands an event of Event Grid to the function `function` names without its secret, such as
    /// `bucket-pages`: through the queue into which Event Grid delivers, or directly where the function
    /// is an `eventGridTrigger`.
    pub async fn event_grid(&self, function: &str, event: &Value) -> Result<()> {
        let (name, trigger) = self.named(function)?;
        if let Some(queue) = trigger["queueName"].as_str() {
            let text = BASE64_STANDARD.encode(event.to_string());
            let inserted = event["eventTime"].as_str().unwrap_or_default().to_owned();
            return self.queue_message(queue, &Queued { id: super::new_id(), text, dequeue_count: 1, inserted }).await;
        }
        self.fire(name, trigger, event.clone(), json!({ "data": event["data"] })).await
    }

    /// Fires a timer, as `schedule-sweep`. `due` is RFC 3339.
    pub async fn timer(&self, function: &str, due: &str) -> Result<()> {
        let (name, trigger) = self.named(function)?;
        let timer = json!({
            "Schedule": {"AdjustForDST": true}, "IsPastDue": false,
            "ScheduleStatus": {"Last": "0001-01-01T00:00:00", "Next": due, "LastUpdated": "0001-01-01T00:00:00"},
        });
        self.fire(name, trigger, timer, json!({})).await
    }

    /// `POST /admin/functions/{name}` with this input: the host tells no answer, but here it is.
    pub async fn direct(&self, function: &str, input: &str) -> Result<Value> {
        let (name, trigger) = self.named(function)?;
        let binding = trigger["name"].as_str().unwrap_or("input");
        self.core.call(name, &json!({"Data": {binding: doubled(input)}, "Metadata": {"sys": sys(name)}})).await
    }

    async fn fire(&self, function: &str, trigger: &Value, value: Value, mut metadata: Value) -> Result<()> {
        metadata["sys"] = sys(function);
        let binding = trigger["name"].as_str().unwrap_or("message");
        self.core.call(function, &json!({"Data": {binding: value}, "Metadata": metadata})).await.map(drop)
    }

    /// The function whose name begins so, and its trigger.
    fn named(&self, plain: &str) -> Result<(&str, &Value)> {
        let is = |name: &str| name.rsplit_once('-').is_some_and(|(head, _)| head == plain);
        let found = self.core.app.functions.iter().find(|(name, _)| is(name));
        let (name, function) = found.ok_or_else(|| Error::not_found(format!("no function `{plain}`")))?;
        Ok((name, Core::trigger(function)))
    }

    fn triggered(&self, kind: &str, is: impl Fn(&Value) -> bool) -> Result<(&str, &Value)> {
        let all = self.core.app.functions.iter().map(|(name, function)| (name.as_str(), Core::trigger(function)));
        let found = all.into_iter().find(|(_, trigger)| trigger["type"] == kind && is(trigger));
        found.ok_or_else(|| Error::not_found(format!("no function has such a {kind}")))
    }
}

fn sys(function: &str) -> Value {
    json!({"MethodName": function, "UtcNow": "2026-01-01T00:00:00Z", "RandGuid": super::new_id()})
}
