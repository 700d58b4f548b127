//! Events that are nearly those that AWS sends.

use std::fmt::Write;

use fastrand::Rng;
use serde_json::{Value, json};

/// An event, and whether what was secret in it still stands where it stood.
pub(crate) struct Mutant {
    pub event: Vec<u8>,
    pub in_place: bool,
}

/// Mutates one of the seeds. The same numbers make the same event.
pub(crate) fn mutant(seeds: &[Value], rng: &mut Rng) -> Mutant {
    let mut event = rng.choice(seeds).unwrap().clone();
    let mut in_place = true;
    for _ in 0..rng.usize(1..4) {
        match rng.u8(0..9) {
            0..4 => swap(node(&mut event, rng), rng),
            4 => remove(node(&mut event, rng), rng),
            5 => repeat(node(&mut event, rng), rng),
            6 => nest(node(&mut event, rng), rng),
            7 => add(node(&mut event, rng), rng),
            _ => {
                let mut other = rng.choice(seeds).unwrap().clone();
                *node(&mut event, rng) = node(&mut other, rng).take();
                in_place = false;
            }
        }
    }
    let mut text = String::new();
    write(&event, rng, &mut text);
    let mut event = text.into_bytes();
    if rng.u8(0..3) == 0 {
        (0..rng.usize(1..6)).for_each(|_| damage(&mut event, rng));
        in_place = false;
    }
    Mutant { event, in_place }
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
    "?",
    "#",
    "\u{fffe}",
    "\u{1f600}",
    "/",
    "//",
    "../..",
    "GET",
    "HEAD",
    "2.0",
    "1.0",
    "$default",
    "AP/+",
    "AP/",
    "true",
    "-1",
    "0",
    "99999999999999999999",
    "<xml>",
    "> later",
    "aws:sqs",
    "aws:sns",
    "aws:s3",
    "aws.s3",
    "s3:TestEvent",
    "Object Created",
    "Scheduled Event",
    "invoke",
    "ping",
    "schedule",
    "size",
    "sweep",
    "ObjectCreated:Put",
    "ObjectRemoved:Delete",
    "2026-13-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "arn:aws:sqs:eu-west-1:123456789012:clicks",
    "arn:aws:sns:eu-west-1:123456789012:clicks",
    "arn:aws:sqs:eu-west-1:123456789012:pages--events",
    "arn:aws:sqs:::clicks",
    "arn:aws:sqs:x.y/z:1:clicks",
    "arn",
    "{\"enc\":\"base64\"}",
    "{\"dead\":{}}",
    "{\"at\":18446744073709551615}",
    "00-0-0-00",
];

const NAMES: &[&str] = &[
    "isobar",
    "function",
    "payload",
    "Records",
    "eventSource",
    "EventSource",
    "eventSourceARN",
    "messageId",
    "body",
    "isBase64Encoded",
    "requestContext",
    "elb",
    "http",
    "version",
    "httpMethod",
    "resource",
    "headers",
    "cookies",
    "multiValueHeaders",
    "pathParameters",
    "isobar.meta",
    "stringValue",
    "MessageGroupId",
    "Sns",
    "detail",
    "warmer",
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
