//! Records as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::pub_sub::Message;
use serde_json::{Map, Value, json};

use super::History;
use super::body::Captured;
use super::record::{Content, Ending, HIDDEN, HeaderText, Line, Operation, Record, is_secret};

use bytes::Bytes;

/// The most bytes of a text in the details of a record.
const TEXT: usize = 64 * 1024;

/// The most other records of a trace, and the most operations of each.
const TRACE: usize = 100;

/// Records that changed, and the number of the last change.
pub(crate) struct Changes {
    pub(crate) cursor: u64,
    pub(crate) records: Vec<Value>,
}

impl History {
    /// Up to `limit` records that changed after this number, in the order of their ids: those that changed first, so that a reader
    /// that is behind misses none; without a number the newest. A number that this process has not reached counts as none.
    pub(crate) fn changes(&self, after: Option<u64>, limit: usize) -> Changes {
        let Some(inner) = &self.0 else { return Changes { cursor: 0, records: Vec::new() } };
        let ring = inner.ring.lock();
        let Some(after) = after.filter(|after| *after <= ring.last) else {
            let newest = ring.records.range(ring.records.len().saturating_sub(limit)..);
            return Changes { cursor: ring.last, records: newest.map(summary).collect() };
        };
        let mut changed: Vec<_> = ring.records.iter().filter(|record| record.changed > after).collect();
        let mut cursor = ring.last;
        if changed.len() > limit {
            changed.sort_unstable_by_key(|record| record.changed);
            changed.truncate(limit);
            cursor = changed.last().map_or(cursor, |record| record.changed);
            changed.sort_unstable_by_key(|record| record.id);
        }
        Changes { cursor, records: changed.into_iter().map(summary).collect() }
    }

    /// Up to `limit` records before this one, the newest first, and whether there are more.
    pub(crate) fn before(&self, id: Option<u64>, limit: usize) -> (Vec<Value>, bool) {
        let Some(inner) = &self.0 else { return (Vec::new(), false) };
        let ring = inner.ring.lock();
        let mut older = ring.records.iter().rev().skip_while(|record| id.is_some_and(|id| record.id >= id));
        let records = older.by_ref().take(limit).map(summary).collect();
        (records, older.next().is_some())
    }

    /// When a schedule was run last, as far as the history reaches.
    pub(crate) fn last_run(&self, schedule: &str) -> Option<SystemTime> {
        let ring = self.0.as_ref()?.ring.lock();
        let is_run = |record: &&Record| matches!(&record.content, Content::Schedule(tick) if tick.schedule == schedule);
        ring.records.iter().rev().find(is_run).map(|record| record.started)
    }

    /// All that is known of a record; `None` where it is no longer there.
    pub(crate) fn details(&self, id: u64) -> Option<Value> {
        let ring = self.0.as_ref()?.ring.lock();
        let record = ring.records.iter().find(|record| record.id == id)?;
        // A client can send any number of requests with one trace.
        let others = ring.records.iter().filter(|other| other.trace == record.trace && other.id != id).take(TRACE);
        let mut trace: Vec<_> = others.chain([record]).collect();
        trace.sort_unstable_by_key(|record| record.id);
        let of_trace = |record: &Record| {
            let most = if record.id == id { usize::MAX } else { TRACE };
            json!({"record": summary(record), "operations": operations(record, most)})
        };
        Some(json!({
            "record": summary(record),
            "request": request(&record.content),
            "response": record.ended.as_ref().and_then(|(_, ending)| response(ending)),
            "lines": record.lines.iter().map(line).collect::<Vec<_>>(),
            "operations": operations(record, usize::MAX),
            "more": record.more,
            "trace": trace.into_iter().map(of_trace).collect::<Vec<_>>(),
        }))
    }
}

fn summary(record: &Record) -> Value {
    let (status, tone, reason) = state(record);
    let reason = reason.or_else(|| record.reason.as_ref().filter(|_| tone != "ok").map(|reason| reason.text.clone()));
    json!({
        "id": record.id,
        "kind": record.content.kind(),
        "title": record.content.title(),
        "message": if let Content::Message { message, .. } = &record.content { Some(message.id.as_str()) } else { None },
        "trace": format!("{:032x}", record.trace),
        "invocation": *record.invocation,
        "started": since_1970(record.started),
        "took": record.ended.as_ref().map(|(took, _)| millis(*took)),
        "status": status,
        "tone": tone,
        "attempt": record.attempt,
        "reason": reason,
        "again": record.again,
        "can_run_again": record.content.is_whole(),
    })
}

/// The status of a record, its tone and the reason that its end contains.
fn state(record: &Record) -> (String, &'static str, Option<String>) {
    let Some((_, ending)) = &record.ended else { return ("running".to_owned(), "running", None) };
    match ending {
        Ending::Response { status, .. } => {
            let tone = match status.as_u16() {
                500.. => "error",
                400.. => "warn",
                _ => "ok",
            };
            (status.as_u16().to_string(), tone, None)
        }
        Ending::Done(_) => ("ok".to_owned(), "ok", None),
        Ending::Retry(reason, after) => {
            let after = format!("{reason} (again in {:.1} s)", after.as_secs_f32());
            ("retry".to_owned(), "warn", Some(after))
        }
        Ending::Dead(reason) => ("dead".to_owned(), "error", Some(reason.clone())),
        Ending::Failed(reason) => ("failed".to_owned(), "error", Some(reason.clone())),
        Ending::Gone => ("gone".to_owned(), "warn", Some("it ended before its result".to_owned())),
    }
}

fn request(content: &Content) -> Value {
    match content {
        Content::Http { method, uri, headers, body, .. } => {
            json!({"method": method.as_str(), "uri": uri, "headers": header_list(headers), "body": captured(body)})
        }
        Content::Message { topic, subscription, message } => {
            let Message { id, body, attributes, ordering_key, published_at, .. } = message;
            json!({
                "topic": topic,
                "queue": subscription,
                "id": id.as_str(),
                "published_at": to_rfc3339(*published_at),
                "attributes": attributes,
                "ordering_key": ordering_key,
                "body": body_text(body, body.len() as u64, true),
            })
        }
        Content::Object { trigger, event } => {
            json!({"bucket": event.bucket, "queue": trigger, "key": event.key, "change": event.change})
        }
        Content::Write(event) => json!({"table": event.table, "key": event.key}),
        Content::Schedule(tick) => json!({"schedule": tick.schedule, "due": to_rfc3339(tick.due)}),
        Content::Invoke(call) => {
            json!({"function": call.function, "body": body_text(&call.payload, call.payload.len() as u64, true)})
        }
    }
}

fn response(ending: &Ending) -> Option<Value> {
    match ending {
        Ending::Response { status, headers, body } => Some(json!({
            "status": status.as_u16(),
            "headers": header_list(headers),
            "body": body.as_ref().map(captured),
        })),
        Ending::Done(Some(answer)) => Some(json!({"body": body_text(answer, Bytes::len(answer) as u64, true)})),
        _ => None,
    }
}

fn header_list(headers: &HeaderText) -> Vec<[&str; 2]> {
    headers.iter().map(|(name, value)| [name, if is_secret(name) { HIDDEN } else { value }]).collect()
}

fn captured(body: &Captured) -> Value {
    body.read(body_text)
}

/// A body as text, or as hexadecimal digits where it is not text; only its beginning where it is long.
fn body_text(bytes: &[u8], size: u64, is_whole: bool) -> Value {
    let mut object = Map::from_iter([("size".to_owned(), size.into())]);
    let mut cut = !is_whole || bytes.len() > TEXT;
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert("text".to_owned(), text[..text.floor_char_boundary(TEXT)].into()),
        // The end of a body that is not whole may be a part of a character.
        Err(error) if !is_whole && error.error_len().is_none() && error.valid_up_to() > 0 => {
            let text = String::from_utf8_lossy(&bytes[..error.valid_up_to().min(TEXT)]);
            object.insert("text".to_owned(), text.trim_end_matches('\u{fffd}').into())
        }
        Err(_) => {
            cut |= bytes.len() > TEXT / 16;
            object.insert("hex".to_owned(), hex(&bytes[..bytes.len().min(TEXT / 16)]).into())
        }
    };
    if cut {
        object.insert("cut".to_owned(), true.into());
    }
    Value::Object(object)
}

/// Hexadecimal digits, for bytes that are not text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(line: &Line) -> Value {
    let fields = line.fields.iter().map(|(name, value)| (name.to_string(), value.as_str().into()));
    json!({
        "at_ms": millis(line.at),
        "level": line.level.as_str(),
        "target": line.target,
        "message": line.message,
        "fields": Map::from_iter(fields),
    })
}

fn operations(record: &Record, most: usize) -> Vec<Value> {
    let describe = |it: &Operation| {
        json!({
            "start_ms": millis(it.start),
            "took_ms": millis(it.took),
            "resource": it.resource,
            "operation": it.operation,
        })
    };
    record.operations.iter().take(most).map(describe).collect()
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn since_1970(time: SystemTime) -> f64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
