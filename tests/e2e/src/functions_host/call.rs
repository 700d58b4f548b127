//! The calls by which the host passes events to its handler: messages of queues and topics, changed documents, ticks of timers,
//! and requests.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::request::Parts;
use isobar::{Error, Result};
use serde_json::{Map, Value, json};

use super::files::Trigger;

/// A call of a function: `POST /{function}` with `{"Data", "Metadata"}`.
#[derive(Debug, Clone)]
pub struct Call {
    /// The function's name.
    pub function: String,
    /// The body of the call.
    pub payload: Value,
}

/// A message as a Storage Queue returns it.
#[derive(Debug, Clone)]
pub struct Queued {
    /// `MessageId`.
    pub id: String,
    /// `PopReceipt`.
    pub receipt: String,
    /// `MessageText`, as it is stored: in base64, unless `messageEncoding` of host.json is `none`.
    pub text: String,
    /// `DequeueCount`, from 1.
    pub dequeue_count: u32,
    /// `InsertionTime`, as the queue writes it; the host writes RFC 3339 with an offset.
    pub inserted: String,
}

/// A message as a subscription of Service Bus returns it.
#[derive(Debug, Clone, Default)]
pub struct ServiceBusMessage {
    /// `MessageId`.
    pub id: String,
    /// `LockToken`.
    pub lock: String,
    /// The body.
    pub body: Bytes,
    /// `DeliveryCount`, from 1.
    pub delivery_count: u32,
    /// `SequenceNumber`.
    pub sequence: u64,
    /// `SessionId`.
    pub session: Option<String>,
    /// `EnqueuedTimeUtc`, as RFC 3339; the host leaves out the offset.
    pub enqueued: String,
    /// The properties of its sender.
    pub properties: Vec<(String, String)>,
}

/// The host sends a value that is neither bytes nor an object as a string of JSON.
fn json_string(value: impl Into<Value>) -> Value {
    Value::String(value.into().to_string())
}

impl Trigger<'_> {
    fn call(&self, value: Value, mut metadata: Value) -> Call {
        let name = self.text("name").unwrap_or("input");
        metadata["sys"] =
            json!({"MethodName": self.function, "UtcNow": "2026-01-01T00:00:00Z", "RandGuid": super::new_id()});
        let data = Map::from_iter([(name.to_owned(), value)]);
        let payload = json!({"Data": data, "Metadata": metadata});
        Call { function: self.function.to_owned(), payload }
    }

    /// The value of a binding for bytes.
    fn binding_value(&self, bytes: &[u8]) -> Value {
        match self.text("dataType") {
            Some("binary") => Value::String(BASE64_STANDARD.encode(bytes)),
            _ => json_string(String::from_utf8_lossy(bytes)),
        }
    }

    /// The call for a message of a queue. Errors: `InvalidInput` if it is not base64: the host moves it to the poison queue.
    pub fn queue_message(&self, message: &Queued) -> Result<Call> {
        let bytes = BASE64_STANDARD
            .decode(&message.text)
            .map_err(|_| Error::invalid_input("the message is not base64; the host moves it to the poison queue"))?;
        let inserted = isobar::clock::parse(&message.inserted).map(|time| isobar::clock::to_utc(time).to_rfc3339());
        let mut metadata = json!({
            "DequeueCount": json_string(message.dequeue_count), "Id": json_string(message.id.as_str()),
            "InsertionTime": inserted, "ExpirationTime": inserted, "NextVisibleTime": inserted,
            "PopReceipt": json_string(message.receipt.as_str()),
        });
        // The fields of an object are merged into the metadata, and overwrite it.
        if self.text("dataType") != Some("binary")
            && let (Ok(Value::Object(fields)), Some(metadata)) =
                (serde_json::from_slice(&bytes), metadata.as_object_mut())
        {
            let fields = fields.into_iter().filter(|(_, value): &(String, Value)| !value.is_array());
            metadata.extend(
                fields.map(|(name, value)| if value.is_object() { (name, value) } else { (name, json_string(value)) }),
            );
        }
        Ok(self.call(self.binding_value(&bytes), metadata))
    }

    /// The call for a message of a subscription of Service Bus.
    pub fn service_bus_message(&self, message: &ServiceBusMessage) -> Call {
        let properties: Map<_, _> = message.properties.iter().map(|(name, it)| (name.clone(), json!(it))).collect();
        let metadata = json!({
            "MessageId": json_string(message.id.as_str()), "DeliveryCount": json_string(message.delivery_count),
            "SequenceNumber": json_string(message.sequence), "EnqueuedTimeUtc": message.enqueued.trim_end_matches('Z'),
            "LockToken": json_string(message.lock.as_str()),
            "SessionId": message.session.as_deref().map_or(Value::Null, json_string),
            "ApplicationProperties": properties, "UserProperties": properties,
        });
        self.call(self.binding_value(&message.body), metadata)
    }

    /// The call for changed documents of Cosmos DB, which the trigger passes as the text of an array. A published handler reads
    /// it in two steps for that: <https://github.com/abhirockzz/cosmosdb-go-sdk-helper/blob/main/functions/trigger/parse.go>.
    pub fn documents(&self, documents: &[Value]) -> Call {
        self.call(json_string(Value::from(documents).to_string()), json!({}))
    }

    /// The call for a tick of a timer that was due at this time, as RFC 3339.
    pub fn timer(&self, due: &str) -> Call {
        let status = json!({"Last": "0001-01-01T00:00:00", "Next": due, "LastUpdated": "0001-01-01T00:00:00"});
        let timer = json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": status, "IsPastDue": false});
        self.call(timer, json!({}))
    }

    /// The call for `POST /admin/functions/{name}` with this input.
    pub fn direct(&self, input: &str) -> Call {
        self.call(json_string(input), json!({}))
    }

    /// The call for an HTTP request, if requests are neither proxied nor forwarded.
    pub fn http(&self, parts: &Parts, body: &[u8]) -> Call {
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers: Map<String, Value> = Map::new();
        for name in parts.headers.keys() {
            let values = parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            headers.insert(name.as_str().to_owned(), values.collect());
        }
        let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let binary = kind.starts_with("application/octet-stream") || kind.starts_with("multipart/");
        let metadata = json!({"Headers": headers, "Query": {}});
        let mut value = json!({
            "Url": format!("http://{host}{path}"), "Method": parts.method.as_str(), "Query": {}, "Headers": headers,
            "Params": {}, "Identities": [],
        });
        if binary {
            value["Body"] = BASE64_STANDARD.encode(body).into();
        } else if !body.is_empty() {
            value["Body"] = String::from_utf8_lossy(body).into();
        }
        self.call(value, metadata)
    }
}
