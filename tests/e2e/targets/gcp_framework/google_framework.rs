//! The input of a function of the framework, in the form in which `ours` reports events.

use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use isobar::clock::to_rfc3339;
use isobar::{Body, Result as Answered};
use isobar_e2e::emulators::Framework;
use serde_json::{Map, Value, json};

use super::events::Event;

/// The event that the function received, or the status of the response if it failed. An input that is neither a message nor
/// an event of an object is returned unchanged.
pub(super) async fn sent(framework: &Framework, signature: &str, event: &Event) -> Answered<Result<Value, u16>> {
    let url = format!("{}{}", framework.endpoint(signature)?, event.path);
    let request = event
        .headers
        .iter()
        .fold(Request::builder().method(event.method).uri(url), |request, (name, value)| request.header(*name, *value));
    let (status, body) = send(request.body(Body::from(event.body)).unwrap()).await;
    if status != 200 {
        return Ok(Err(status));
    }
    let body: Value = serde_json::from_slice(&body)?;
    let input = &body["input"];
    Ok(Ok(match signature {
        "event" => of_background(input),
        _ => of_cloud_event(input),
    }
    .unwrap_or_else(|| input.clone())))
}

pub(super) async fn send(request: Request<Body>) -> (u16, Vec<u8>) {
    let answer = Client::builder(TokioExecutor::new()).build_http::<Body>().request(request).await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn time(text: &Value) -> Option<String> {
    let time = chrono::DateTime::parse_from_rfc3339(text.as_str()?).ok()?;
    Some(to_rfc3339(time.into()))
}

fn of_cloud_event(event: &Value) -> Option<Value> {
    let kind = event["type"].as_str()?;
    if kind == "google.cloud.pubsub.topic.v1.messagePublished" {
        let message = &event["data"]["message"];
        return seen_message(message, &message["messageId"], &message["publishTime"]);
    }
    let change = kind.strip_prefix("google.cloud.storage.object.v1.")?;
    seen_object(&event["data"], change, &event["time"])
}

/// The context of a background function contains the fields that its message or object lacks. The framework does not convert
/// a structured event.
fn of_background(input: &Value) -> Option<Value> {
    let (data, context) = (&input["data"], &input["context"]);
    let Some(kind) = context["eventType"].as_str() else {
        let mut event = context.as_object()?.clone();
        event.insert("data".to_owned(), data.clone());
        return of_cloud_event(&Value::Object(event));
    };
    match kind {
        "google.pubsub.topic.publish" | "providers/cloud.pubsub/eventTypes/topic.publish" => {
            seen_message(data, &context["eventId"], &context["timestamp"])
        }
        "google.storage.object.delete" => seen_object(data, "deleted", &context["timestamp"]),
        "google.storage.object.finalize" | "providers/cloud.storage/eventTypes/object.change" => {
            seen_object(data, "finalized", &context["timestamp"])
        }
        _ => None,
    }
}

fn seen_message(message: &Value, id: &Value, published: &Value) -> Option<Value> {
    let attributes = message["attributes"].as_object().cloned().unwrap_or_else(Map::new);
    Some(json!({
        "id": id.as_str()?, "body": message["data"].as_str()?, "attributes": attributes, "time": time(published)?,
        "key": message["orderingKey"],
    }))
}

fn seen_object(object: &Value, change: &str, at: &Value) -> Option<Value> {
    let (change, size) = match change {
        "finalized" => ("created", json!(object["size"].as_str()?.parse::<u64>().ok()?)),
        "deleted" => ("deleted", Value::Null),
        _ => return None,
    };
    let (bucket, name) = (object["bucket"].as_str()?, object["name"].as_str()?);
    Some(json!({"bucket": bucket, "object": name, "change": change, "size": size, "time": time(at)?}))
}
