//! Calls that are nearly those that Google Cloud makes.

use std::fmt::Write;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::app::Call;

/// A call, and whether what was secret in it still stands where it stood.
pub(crate) struct Mutant {
    pub call: Call,
    pub in_place: bool,
}

/// Mutates one of the seeds. The same numbers make the same call.
pub(crate) fn mutant(seeds: &[Call], rng: &mut Rng) -> Mutant {
    let (mut headers, body) = rng.choice(seeds).unwrap().clone();
    let mut in_place = true;
    let mut body = match serde_json::from_slice::<Value>(&body) {
        Ok(event) => {
            let (text, same) = json_mutant(event, seeds, rng);
            in_place &= same;
            text.into_bytes()
        }
        Err(_) => body,
    };
    if rng.u8(0..3) == 0 {
        (0..rng.usize(1..6)).for_each(|_| damage(&mut body, rng));
        in_place = false;
    }
    if rng.u8(0..3) == 0 {
        in_place &= mutate_headers(&mut headers, seeds, rng);
    }
    Mutant { call: (headers, body), in_place }
}

fn json_mutant(mut event: Value, seeds: &[Call], rng: &mut Rng) -> (String, bool) {
    let mut in_place = true;
    for _ in 0..rng.usize(0..4) {
        match rng.u8(0..9) {
            0..4 => swap(node(&mut event, rng), rng),
            4 => remove(node(&mut event, rng), rng),
            5 => repeat(node(&mut event, rng), rng),
            6 => nest(node(&mut event, rng), rng),
            7 => add(node(&mut event, rng), rng),
            _ => {
                let (_, other) = rng.choice(seeds).unwrap();
                let mut other = serde_json::from_slice(other).unwrap_or(Value::Null);
                *node(&mut event, rng) = node(&mut other, rng).take();
                in_place = false;
            }
        }
    }
    let mut text = String::new();
    write(&event, rng, &mut text);
    (text, in_place)
}

/// Headers are lost, changed, doubled, and taken from other calls. Does what is secret stand where it stood?
fn mutate_headers(headers: &mut Vec<(String, String)>, seeds: &[Call], rng: &mut Rng) -> bool {
    for _ in 0..rng.usize(1..4) {
        if headers.is_empty() {
            break;
        }
        let place = rng.usize(0..headers.len());
        match rng.u8(0..5) {
            0 => drop(headers.remove(place)),
            1 => headers[place].1 = (*rng.choice(WORDS).unwrap()).to_owned(),
            2 => headers[place].1.push_str(rng.choice(WORDS).unwrap()),
            3 => headers.push((headers[place].0.clone(), (*rng.choice(WORDS).unwrap()).to_owned())),
            _ => headers.extend(rng.choice(seeds).unwrap().0.clone()),
        }
    }
    true
}

/// Any value in an event but the whole of it: what is no event at all is soon refused.
fn node<'a>(event: &'a mut Value, rng: &mut Rng) -> &'a mut Value {
    if event.as_object().is_none_or(serde_json::Map::is_empty) {
        return below(event, rng);
    }
    let fields = event.as_object_mut().unwrap();
    let place = rng.usize(0..fields.len());
    below(fields.values_mut().nth(place).unwrap(), rng)
}

fn below<'a>(value: &'a mut Value, rng: &mut Rng) -> &'a mut Value {
    let size = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(values) => values.len(),
        _ => 0,
    };
    if size == 0 || rng.u8(0..5) == 0 {
        return value;
    }
    let place = rng.usize(0..size);
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(place),
        Value::Array(values) => values.get_mut(place),
        _ => None,
    };
    below(child.unwrap(), rng)
}

const WORDS: &[&str] = &[
    "",
    "\u{0}",
    "\r\nx: y",
    "%",
    "%zz",
    "%ff",
    "%2F",
    "%00",
    "\"",
    "\"quoted\"",
    "\"a\\\"",
    "\u{fffe}",
    "\u{1f600}",
    "/",
    "//",
    "../..",
    "3",
    "-1",
    "4294967295",
    "99999999999999999999",
    "aGVsbG8=",
    "aGVsbG8",
    "PHhtbD4=",
    "PiBsYXRlcg==",
    "{}",
    "[]",
    "1.0",
    "0.3",
    "google.cloud.pubsub.topic.v1.messagePublished",
    "google.cloud.storage.object.v1.finalized",
    "google.cloud.storage.object.v1.deleted",
    "com.example.order",
    "google.storage.object.delete",
    "providers/cloud.storage/eventTypes/object.change",
    "not_exists",
    "projects/_/buckets/pages/objects/a#1",
    "projects/p/subscriptions/clicks",
    "OBJECT_DELETE",
    "OBJECT_FINALIZE",
    "pages",
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "2026-01-01T00:00:10Z",
    "2026-13-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "00-0-0-00",
];

const NAMES: &[&str] = &[
    "message",
    "subscription",
    "deliveryAttempt",
    "data",
    "data_base64",
    "attributes",
    "messageId",
    "message_id",
    "orderingKey",
    "publishTime",
    "isobar-for",
    "isobar-due",
    "isobar-attempts",
    "isobar-id",
    "isobar-ordering-key",
    "isobar-published-at",
    "traceparent",
    "context",
    "eventId",
    "eventType",
    "resource",
    "timestamp",
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "bucket",
    "name",
    "size",
    "resourceState",
    "bucketId",
    "objectId",
    "overwrittenByGeneration",
];

/// Another value, of any type.
fn swap(value: &mut Value, rng: &mut Rng) {
    let word = || json!(WORDS[0]);
    *value = match rng.u8(0..12) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(..)),
        3 => json!(u64::MAX),
        4 => json!(-0.5e300),
        5 => json!([]),
        6 => json!({}),
        7 => json!([rng.choice(WORDS).map_or_else(word, |it| json!(it)), null, 7]),
        8 => json!({(*rng.choice(NAMES).unwrap()): rng.choice(WORDS)}),
        9 => json!(rng.choice(WORDS).unwrap().repeat(if rng.u8(0..30) == 0 { 5_000 } else { rng.usize(0..20) })),
        _ => json!(rng.choice(WORDS)),
    };
}

fn remove(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(rng.usize(0..fields.len())).cloned();
            name.and_then(|name| fields.remove(&name));
        }
        Value::Array(values) if !values.is_empty() => drop(values.remove(rng.usize(0..values.len()))),
        other => *other = Value::Null,
    }
}

/// A field that others have.
fn add(value: &mut Value, rng: &mut Rng) {
    let name = *rng.choice(NAMES).unwrap();
    match value {
        Value::Object(fields) => swap(fields.entry(name).or_insert(Value::Null), rng),
        other => *other = json!({(name): other.take()}),
    }
}

/// An element once more, or a value as an array of itself.
fn repeat(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Array(values) if !values.is_empty() => {
            let value = values[rng.usize(0..values.len())].clone();
            values.extend(std::iter::repeat_n(value, rng.usize(1..30)));
        }
        other => *other = json!([other.clone(), other.clone()]),
    }
}

/// A value some levels deeper.
fn nest(value: &mut Value, rng: &mut Rng) {
    for _ in 0..rng.usize(1..200) {
        *value = if rng.bool() { json!([value.take()]) } else { json!({(*rng.choice(NAMES).unwrap()): value.take()}) };
    }
}

/// JSON, in which now and then a name stands twice or a value is deeper than any parser follows.
fn write(value: &Value, rng: &mut Rng, text: &mut String) {
    match value {
        _ if rng.u16(0..2_000) == 0 => {
            let depth = rng.usize(1..50_000);
            let _ = write!(text, "{}{}", "[".repeat(depth), "]".repeat(depth));
        }
        Value::Object(fields) => {
            text.push('{');
            for (name, value) in fields {
                if rng.u8(0..40) == 0 {
                    let _ = write!(text, "{}:{},", json!(name), json!(rng.choice(WORDS)));
                }
                text.push_str(&serde_json::to_string(name).unwrap());
                text.push(':');
                write(value, rng, text);
                text.push(',');
            }
            closed(text, '}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write(value, rng, text);
                text.push(',');
            }
            closed(text, ']');
        }
        other => text.push_str(&serde_json::to_string(other).unwrap()),
    }
}

fn closed(text: &mut String, end: char) {
    if text.ends_with(',') {
        text.pop();
    }
    text.push(end);
}

/// What lines and disks do to bytes.
fn damage(event: &mut Vec<u8>, rng: &mut Rng) {
    if event.is_empty() {
        return event.push(rng.u8(..));
    }
    let place = rng.usize(0..event.len());
    match rng.u8(0..6) {
        0 => event[place] ^= 1 << rng.u8(0..8),
        1 => event[place] = rng.u8(..),
        2 => event.truncate(place),
        3 => drop(event.remove(place)),
        4 => event.insert(place, *rng.choice(b"{}[]\",:\\\0\xff\xc30e-").unwrap()),
        _ => {
            let end = (place + rng.usize(0..64)).min(event.len());
            let slice = event[place..end].to_vec();
            let at = rng.usize(0..event.len());
            event.splice(at..at, slice);
        }
    }
}
