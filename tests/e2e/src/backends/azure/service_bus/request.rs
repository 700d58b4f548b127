//! The requests that the double answers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use isobar::Body;
use isobar::clock::to_rfc3339;
use serde_json::{Map, Value, json};

use super::store::{Delivery, Sent, Store};
use super::{Shared, auth};
use crate::server::response_of;

/// The largest message, and the largest batch, in bytes with properties.
const MOST_BYTES: usize = 262_144;

const BATCH: &str = "application/vnd.microsoft.servicebus.json";

/// The status of a service error, and its reason.
type Rejection = (u16, String);

pub(super) fn handle(shared: &Shared, parts: &Parts, body: &Bytes) -> Response<Body> {
    let path = parts.uri.path().trim_end_matches('/');
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Err(reason) = auth::check(shared, header, path) {
        return rejection(401, &reason);
    }
    answer(shared, &parts.method, path, &parts.headers, body).unwrap_or_else(|(status, why)| rejection(status, &why))
}

fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, Rejection> {
    let (now, counted) = (shared.clock.now(), path.trim_start_matches('/'));
    if method == Method::GET {
        let counts = shared.store.lock().counts(counted, now);
        return counts.map(description).ok_or((404, format!("Entity '{counted}' was not found.")));
    }
    let (entity, rest) =
        path.trim_start_matches('/').split_once("/messages").ok_or((400, "the path has no /messages".to_owned()))?;
    let mut store = shared.store.lock();
    let missing = || (404, format!("The messaging entity '{entity}' could not be found."));
    if (method, rest) == (&Method::POST, "") {
        let sent = sent(headers, body)?;
        return if store.send(entity, &sent, now) { Ok(status(201)) } else { Err(missing()) };
    }
    let sessions = store.requires_sessions(entity).ok_or_else(missing)?;
    if sessions {
        return Err((
            400,
            "messages of an entity that requires sessions cannot be received without a session".to_owned(),
        ));
    }
    match rest {
        "/head" => received(shared, &mut store, method, entity, now),
        _ => settled(&mut store, method, entity, rest, now),
    }
}

/// Receives a message, and deletes or locks it.
fn received(
    shared: &Shared,
    store: &mut Store,
    method: &Method,
    entity: &str,
    now: SystemTime,
) -> Result<Response<Body>, Rejection> {
    if ![Method::DELETE, Method::POST].contains(method) {
        return Err(unknown(method));
    }
    let Some(delivery) = store.receive(entity, now) else { return Ok(status(204)) };
    if method == Method::POST {
        return Ok(delivered(201, shared, &delivery));
    }
    store.complete(entity, &delivery.lock, now);
    Ok(delivered(200, shared, &delivery))
}

/// Completes or unlocks a message whose lock is valid.
fn settled(
    store: &mut Store,
    method: &Method,
    entity: &str,
    rest: &str,
    now: SystemTime,
) -> Result<Response<Body>, Rejection> {
    let (_, lock) =
        rest.trim_start_matches('/').split_once('/').ok_or((400, "the path has no lock token".to_owned()))?;
    let valid = match *method {
        Method::DELETE => store.complete(entity, lock, now),
        Method::PUT => store.unlock(entity, lock, now, Duration::ZERO),
        _ => return Err(unknown(method)),
    };
    if valid { Ok(status(200)) } else { Err((404, "the lock is not valid, or no longer".to_owned())) }
}

fn unknown(method: &Method) -> Rejection {
    (405, format!("{method} is not allowed for this path"))
}

/// The messages that a request sends.
fn sent(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Sent>, Rejection> {
    let bad = |why: &str| (400, why.to_owned());
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = match kind {
        BATCH => {
            let items: Vec<Map<String, Value>> =
                serde_json::from_slice(body).map_err(|_| bad("the batch is not a JSON array of objects"))?;
            items.into_iter().map(item).collect::<Result<Vec<_>, _>>()?
        }
        _ if kind.starts_with(BATCH) => return Err(bad("the content type of a batch must have no parameters")),
        _ => vec![single(headers, body)?],
    };
    if sent.is_empty() {
        return Err(bad("the batch has no messages"));
    }
    let bytes = |message: &Sent| {
        let properties = message.properties.iter().map(|(name, value)| name.len() + value.len());
        message.body.len() + properties.sum::<usize>()
    };
    if sent.iter().map(bytes).sum::<usize>() > MOST_BYTES {
        return Err((403, format!("The message size exceeds the limit of {MOST_BYTES} bytes.")));
    }
    Ok(sent)
}

fn item(mut item: Map<String, Value>) -> Result<Sent, Rejection> {
    let bad = |why: &str| (400, why.to_owned());
    if item.keys().any(|name| !["Body", "BrokerProperties", "UserProperties"].contains(&name.as_str())) {
        return Err(bad("a message of a batch has an unknown member"));
    }
    let Some(Value::String(body)) = item.remove("Body") else { return Err(bad("a message has no text as its Body")) };
    let properties = match item.remove("UserProperties") {
        None => BTreeMap::new(),
        Some(Value::Object(properties)) => properties.into_iter().map(|(name, value)| (name, text(value))).collect(),
        Some(_) => return Err(bad("UserProperties is not an object")),
    };
    message(&item.remove("BrokerProperties").unwrap_or_else(|| json!({})), body.into(), properties)
}

fn single(headers: &HeaderMap, body: &Bytes) -> Result<Sent, Rejection> {
    let properties = headers.get("brokerproperties");
    let properties = properties.map_or(Ok(json!({})), |value| serde_json::from_slice(value.as_bytes()));
    let properties = properties.map_err(|_| (400, "BrokerProperties is not JSON".to_owned()))?;
    let known = ["authorization", "content-type", "content-length", "host", "user-agent", "accept", "brokerproperties"];
    let custom = headers.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let custom =
        custom.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.trim_matches('"').to_owned())));
    message(&properties, body.clone(), custom.collect())
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn message(broker: &Value, body: Bytes, properties: BTreeMap<String, String>) -> Result<Sent, Rejection> {
    let text = |name: &str| broker[name].as_str().map(str::to_owned);
    let wrong = |name: &str| (400, format!("{name} is malformed or too long"));
    let (id, session) = (text("MessageId").unwrap_or_default(), text("SessionId"));
    if id.chars().count() > 128 {
        return Err(wrong("MessageId"));
    }
    if session.as_ref().is_some_and(|session| session.is_empty() || session.chars().count() > 128) {
        return Err(wrong("SessionId"));
    }
    let scheduled = match &broker["ScheduledEnqueueTimeUtc"] {
        Value::Null => None,
        Value::String(time) => Some(rfc1123(time).ok_or_else(|| wrong("ScheduledEnqueueTimeUtc"))?),
        _ => return Err(wrong("ScheduledEnqueueTimeUtc")),
    };
    Ok(Sent { body, properties, id, session, scheduled })
}

/// A time such as `Sun, 06 Nov 1994 08:49:37 GMT`, the documented form.
fn rfc1123(text: &str) -> Option<SystemTime> {
    let time = chrono::DateTime::parse_from_rfc2822(text).ok().filter(|_| text.ends_with(" GMT"))?;
    Some(time.into())
}

fn delivered(status: u16, shared: &Shared, delivery: &Delivery) -> Response<Body> {
    let Delivery { path, id, sequence, count, lock, .. } = delivery;
    let properties = json!({
        "MessageId": id, "SessionId": delivery.session, "SequenceNumber": sequence, "DeliveryCount": count,
        "LockToken": lock, "EnqueuedTimeUtc": to_rfc3339(delivery.enqueued),
    });
    let location = format!("http://{}/{path}/messages/{sequence}/{lock}", shared.host);
    let builder = Response::builder()
        .status(status)
        .header("BrokerProperties", properties.to_string())
        .header("Location", location);
    let builder = delivery.properties.iter().fold(builder, |builder, (name, value)| {
        // What becomes of other characters is not documented.
        let value = Value::String(value.clone()).to_string().replace(|it: char| !it.is_ascii(), "?");
        builder.header(name, value)
    });
    builder.body(Body::from(delivery.body.clone())).unwrap_or_else(|_| rejection(500, "a property is not a header"))
}

/// The part of the description of an entity that states counts.
fn description([active, scheduled, dead]: [usize; 3]) -> Response<Body> {
    status(200).map(|_| {
        Body::from(format!(
            "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\"><SubscriptionDescription>\
             <CountDetails xmlns:d2p1=\"http://schemas.microsoft.com/netservices/2011/06/servicebus\">\
             <d2p1:ActiveMessageCount>{active}</d2p1:ActiveMessageCount>\
             <d2p1:DeadLetterMessageCount>{dead}</d2p1:DeadLetterMessageCount>\
             <d2p1:ScheduledMessageCount>{scheduled}</d2p1:ScheduledMessageCount></CountDetails>\
             </SubscriptionDescription></content></entry>"
        ))
    })
}

fn status(status: u16) -> Response<Body> {
    response_of(StatusCode::from_u16(status).unwrap_or_default(), Body::empty())
}

fn rejection(code: u16, why: &str) -> Response<Body> {
    let why = why.replace('&', "&amp;").replace('<', "&lt;");
    status(code).map(|_| Body::from(format!("<Error><Code>{code}</Code><Detail>{why}</Detail></Error>")))
}
