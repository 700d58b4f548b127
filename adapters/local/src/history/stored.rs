//! The history in a file between two starts: a reload of `isobar dev` is one, and what failed before it must be there to run
//! again after it.
//!
//! It has a line of JSON for each record, and is read only by this isobar: another form counts as no history.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::pub_sub::{Message, MessageId};
use isobar_abstraction::{Invocation, ObjectEvent, Tick, WriteEvent};
use serde::{Deserialize, Serialize};

use super::body::Captured;
use super::record::{Content, Ending, HeaderText, Line, Operation, Reason, Record};
use super::{History, LAST, hex};
use crate::store::folder;

/// In the data folder; for the owner only.
const FILE: &str = "history.jsonl";

/// The most bytes of records that are stored: a stop must be quick.
const LARGEST: usize = 4 * 1024 * 1024;

impl History {
    /// Stores the newest records in a data folder. A history is no reason for an error: where it cannot be stored, it is lost.
    ///
    /// Secret headers are stored only behind `isobar dev`, whose reloads need them: a request cannot run again without them.
    pub(crate) fn save(&self, folder: &Path, with_secrets: bool) {
        let Some(inner) = &self.0 else { return };
        let ring = inner.ring.lock();
        let (mut lines, mut size) = (Vec::new(), 0);
        for record in ring.records.iter().rev() {
            let Ok(line) = serde_json::to_string(&Stored::of(record, with_secrets)) else { continue };
            size += line.len() + 1;
            if size > LARGEST {
                break;
            }
            lines.push(line + "\n");
        }
        lines.reverse();
        let text = lines.concat();
        drop(ring);
        if let Err(error) = folder::write_whole(&folder.join(FILE), text.as_bytes()) {
            tracing::debug!(%error, "the history cannot be stored");
        }
    }

    /// Reads what the last process stored, and removes it.
    pub(crate) fn load(&self, folder: &Path) {
        let Some(inner) = &self.0 else { return };
        let file = folder.join(FILE);
        // Another program may have put something else there: a pipe has no end.
        let is_own =
            std::fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= LARGEST as u64);
        let Some(text) = is_own.then(|| std::fs::read_to_string(&file).ok()).flatten() else { return };
        let _ = std::fs::remove_file(&file);
        let records: Result<Vec<Stored>, _> = text.lines().map(serde_json::from_str).collect();
        let Some(records) =
            records.ok().and_then(|records| records.into_iter().map(Stored::record).collect::<Option<Vec<_>>>())
        else {
            return;
        };
        let mut ring = inner.ring.lock();
        for mut record in records {
            ring.last = ring.last.max(record.changed);
            record.counted = record.bytes();
            ring.bytes += record.counted;
            ring.records.push_back(record);
        }
        ring.records.make_contiguous().sort_by_key(|record| record.id);
        ring.forget();
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: u64,
    changed: u64,
    content: StoredContent,
    invocation: String,
    trace: String,
    attempt: u32,
    again: bool,
    started_ns: u64,
    /// Absent for one that the end of the process cut off.
    ended: Option<(u64, StoredEnding)>,
    reason: Option<(String, bool)>,
    lines: Vec<StoredLine>,
    operations: Vec<(u64, u64, String, String)>,
    more: usize,
}

#[derive(Serialize, Deserialize)]
enum StoredContent {
    Http { method: String, uri: String, headers: String, is_partial: bool, body: StoredBody },
    Message { topic: String, subscription: String, message: StoredMessage },
    Object { trigger: String, event: ObjectEvent },
    Write(WriteEvent),
    Schedule { schedule: String, due_ms: u64 },
    Invoke { function: String, payload: StoredBytes },
}

#[derive(Serialize, Deserialize)]
struct StoredMessage {
    id: String,
    body: StoredBytes,
    attributes: BTreeMap<String, String>,
    ordering_key: Option<String>,
    attempt: u32,
    published_ms: u64,
    trace_parent: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum StoredEnding {
    Response { status: u16, headers: String, body: Option<StoredBody> },
    Done(Option<StoredBytes>),
    Retry(String, u64),
    Dead(String),
    Failed(String),
    Gone,
}

/// Time since the start, level, target, message and fields.
type StoredLine = (u64, String, String, String, Vec<(String, String)>);

/// The recorded bytes, the size, and whether the body ended.
type StoredBody = (StoredBytes, u64, bool);

#[derive(Serialize, Deserialize)]
enum StoredBytes {
    Text(String),
    Hex(String),
}

impl StoredBytes {
    fn of(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Hex(hex(bytes)), |text| Self::Text(text.to_owned()))
    }

    fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Hex(digits) => {
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                digits.as_bytes().chunks(2).map(byte).collect()
            }
        }
    }
}

fn body_of(body: &Captured) -> StoredBody {
    body.read(|bytes, size, is_whole| (StoredBytes::of(bytes), size, is_whole))
}

fn body((bytes, size, is_whole): StoredBody) -> Option<Captured> {
    Some(Captured::of(bytes.bytes()?.into(), size, is_whole))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Stored {
    fn of(record: &Record, with_secrets: bool) -> Self {
        let line = |line: &Line| {
            let fields = line.fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
            (nanos(line.at), line.level.to_string(), line.target.to_string(), line.message.clone(), fields)
        };
        let operation = |it: &Operation| (nanos(it.start), nanos(it.took), it.resource.clone(), it.operation.clone());
        Self {
            id: record.id,
            changed: record.changed,
            content: StoredContent::of(&record.content, with_secrets),
            invocation: record.invocation.to_string(),
            trace: format!("{:x}", record.trace),
            attempt: record.attempt,
            again: record.again,
            started_ns: nanos(record.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()),
            ended: record.ended.as_ref().map(|(took, ending)| (nanos(*took), StoredEnding::of(ending))),
            reason: record.reason.as_ref().map(|reason| (reason.text.clone(), reason.is_error)),
            lines: record.lines.iter().map(line).collect(),
            operations: record.operations.iter().map(operation).collect(),
            more: record.more,
        }
    }

    /// The record; `None` where a part of it is not valid.
    fn record(self) -> Option<Record> {
        if self.id > self.changed || self.changed > LAST {
            return None;
        }
        let (took, ending) = self.ended.unwrap_or((0, StoredEnding::Gone));
        let line = |(at, level, target, message, fields): StoredLine| {
            let fields = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
            let at = Duration::from_nanos(at);
            Some(Line { at, level: level.parse().ok()?, target: target.into(), message, fields })
        };
        let operation = |(start, took, resource, operation)| {
            let (start, took) = (Duration::from_nanos(start), Duration::from_nanos(took));
            Operation { start, took, resource, operation }
        };
        Some(Record {
            id: self.id,
            changed: self.changed,
            content: self.content.content()?,
            invocation: Arc::from(self.invocation),
            trace: u128::from_str_radix(&self.trace, 16).ok()?,
            attempt: self.attempt,
            again: self.again,
            started: std::time::UNIX_EPOCH.checked_add(Duration::from_nanos(self.started_ns))?,
            at: Instant::now(),
            ended: Some((Duration::from_nanos(took), ending.ending()?)),
            reason: self.reason.map(|(text, is_error)| Reason { text, is_error }),
            lines: self.lines.into_iter().map(line).collect::<Option<_>>()?,
            operations: self.operations.into_iter().map(operation).collect(),
            more: self.more,
            counted: 0,
        })
    }
}

impl StoredContent {
    fn of(content: &Content, with_secrets: bool) -> Self {
        match content.clone() {
            Content::Http { method, uri, headers, body, is_partial } => {
                let stored = if with_secrets { headers.clone() } else { headers.without_secrets() };
                Self::Http {
                    method: method.to_string(),
                    uri,
                    is_partial: is_partial || stored.0.len() < headers.0.len(),
                    headers: stored.0,
                    body: body_of(&body),
                }
            }
            Content::Message { topic, subscription, message } => {
                let message = StoredMessage {
                    id: message.id.to_string(),
                    body: StoredBytes::of(&message.body),
                    attributes: message.attributes,
                    ordering_key: message.ordering_key,
                    attempt: message.attempt,
                    published_ms: to_millis(message.published_at),
                    trace_parent: message.trace_parent.map(|parent| parent.to_string()),
                };
                Self::Message { topic, subscription, message }
            }
            Content::Object { trigger, event } => Self::Object { trigger, event },
            Content::Write(event) => Self::Write(event),
            Content::Schedule(tick) => Self::Schedule { due_ms: to_millis(tick.due), schedule: tick.schedule },
            Content::Invoke(call) => Self::Invoke { payload: StoredBytes::of(&call.payload), function: call.function },
        }
    }

    fn content(self) -> Option<Content> {
        Some(match self {
            Self::Http { method, uri, headers, is_partial, body: stored } => Content::Http {
                method: Method::from_bytes(method.as_bytes()).ok()?,
                uri,
                headers: HeaderText(headers),
                is_partial,
                body: body(stored)?,
            },
            Self::Message { topic, subscription, message: stored } => {
                let (id, published) = (MessageId::new(stored.id), from_millis(stored.published_ms));
                let mut message = Message::new(id, stored.body.bytes()?, published);
                (message.attributes, message.ordering_key) = (stored.attributes, stored.ordering_key);
                message.attempt = stored.attempt;
                message.trace_parent = stored.trace_parent.and_then(|text| text.parse().ok());
                Content::Message { topic, subscription, message }
            }
            Self::Object { trigger, event } => Content::Object { trigger, event },
            Self::Write(event) => Content::Write(event),
            Self::Schedule { schedule, due_ms } => Content::Schedule(Tick::new(schedule, from_millis(due_ms))),
            Self::Invoke { function, payload } => Content::Invoke(Invocation::new(function, payload.bytes()?)),
        })
    }
}

impl StoredEnding {
    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Response { status, headers, body } => {
                Self::Response { status: status.as_u16(), headers: headers.0.clone(), body: body.as_ref().map(body_of) }
            }
            Ending::Done(answer) => Self::Done(answer.as_deref().map(StoredBytes::of)),
            Ending::Retry(reason, after) => Self::Retry(reason.clone(), nanos(*after)),
            Ending::Dead(reason) => Self::Dead(reason.clone()),
            Ending::Failed(reason) => Self::Failed(reason.clone()),
            Ending::Gone => Self::Gone,
        }
    }

    fn ending(self) -> Option<Ending> {
        Some(match self {
            Self::Response { status, headers, body: stored } => Ending::Response {
                status: StatusCode::from_u16(status).ok()?,
                headers: HeaderText(headers),
                body: stored.and_then(body),
            },
            Self::Done(answer) => Ending::Done(answer.and_then(StoredBytes::bytes)),
            Self::Retry(reason, after) => Ending::Retry(reason, Duration::from_nanos(after)),
            Self::Dead(reason) => Ending::Dead(reason),
            Self::Failed(reason) => Ending::Failed(reason),
            Self::Gone => Ending::Gone,
        })
    }
}
