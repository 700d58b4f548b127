//! The history over HTTP: a stream of changes, records with all details, and running one again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use isobar_abstraction::Error;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::overview::counts;
use super::{Answer, Failure, Indented, Inspector, Parameters};
use crate::history::{Changes, Reader};
use crate::host::{Stop, recorded};

/// How many records the first part of a stream and each later one has at most.
const FIRST: usize = 500;
const LATER: usize = 2_000;

/// The least time between two parts: a reader gets what happens in it together.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the counts of stored data are read while a client reads the stream.
const COUNTS: Duration = Duration::from_millis(250);

/// When a browser connects again after the end of the stream, in milliseconds: a reload of `isobar dev` is short.
const RETRY_MS: u32 = 250;

/// How often something is sent, so that a connection to a process that ended is noticed.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>) until the host stops.
pub(super) async fn stream_changes(
    State(inspector): State<Arc<Inspector>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(parameters.after);
    let cursor = last.map(|last| last.parse::<u64>()).transpose();
    let cursor = cursor.map_err(|_| Error::invalid_input("`after` is not a number; use the `id` of the last event"))?;
    let feed = Feed {
        reader: inspector.state.history.reader(),
        stop: inspector.stop.clone(),
        inspector,
        cursor,
        counts: Value::Null,
        is_first: true,
    };
    let parts = stream::unfold(feed, async |mut feed| {
        let part = feed.next().await?;
        Some((Ok::<_, Failed>(part), feed))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(parts)).into_response())
}

type Failed = std::convert::Infallible;

/// The stream of one reader.
struct Feed {
    inspector: Arc<Inspector>,
    reader: Reader,
    stop: Stop,
    cursor: Option<u64>,
    /// The last counts that were sent.
    counts: Value,
    is_first: bool,
}

impl Feed {
    /// The next part; `None` where the host stops.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.is_first) {
            let records = self.changes(FIRST).unwrap_or_default();
            let counts = self.changed_counts().unwrap_or_default();
            return Some(format!("retry: {RETRY_MS}\n\n{records}{counts}").into());
        }
        sleep(PAUSE).await;
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            let changed = self.reader.0.clone();
            let changed = async {
                match changed.changed() {
                    Some(changed) => changed.await,
                    None => std::future::pending().await,
                }
            };
            let mut changed = std::pin::pin!(changed);
            // Registers before the look at the history: what changes after that look is not missed.
            let _ = futures_util::poll!(&mut changed);
            let part = self.changes(LATER).unwrap_or_default() + &self.changed_counts().unwrap_or_default();
            if !part.is_empty() {
                return Some(part.into());
            }
            let soon = (Instant::now() + COUNTS).min(heartbeat);
            tokio::select! {
                _ = timeout_at(soon, changed) => {}
                () = self.stop.wait() => return None,
            }
            if Instant::now() >= heartbeat {
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
    }

    /// The records that changed; `None` without one, but for the first part, whose number a reader needs.
    fn changes(&mut self, limit: usize) -> Option<String> {
        let is_first = self.cursor.is_none();
        let Changes { cursor, records } = self.reader.0.changes(self.cursor, limit);
        self.cursor = Some(cursor);
        (is_first || !records.is_empty()).then(|| event("records", Some(cursor), &json!({"records": records})))
    }

    /// The counts, if they are not those that were sent last. A store that fails ends the host itself.
    fn changed_counts(&mut self) -> Option<String> {
        let counts = counts(&self.inspector).ok().filter(|counts| *counts != self.counts)?;
        self.counts = counts;
        Some(event("counts", None, &self.counts))
    }
}

fn event(name: &str, id: Option<u64>, data: &Value) -> String {
    // JSON in one line has no line break.
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("event: {name}\n{id}data: {data}\n\n")
}

pub(super) async fn records(State(inspector): State<Arc<Inspector>>, parameters: Parameters) -> Answer {
    let (records, more) = inspector.state.history.before(parameters.before, parameters.limit());
    Ok(Indented(json!({"records": records, "more": more})))
}

pub(super) async fn record(State(inspector): State<Arc<Inspector>>, Path(id): Path<u64>) -> Answer {
    Ok(Indented(inspector.state.history.details(id).ok_or_else(|| gone(id))?))
}

/// Runs the event of a record again. The response has the id of the new record.
pub(super) async fn run_again(State(inspector): State<Arc<Inspector>>, Path(id): Path<u64>) -> Answer {
    let content = inspector.state.history.content(id).ok_or_else(|| gone(id))?;
    let id = recorded::again(&inspector.state, Arc::clone(&inspector.app.function), content);
    Ok(Indented(json!({"id": id})))
}

fn gone(id: u64) -> Error {
    Error::not_found(format!("the request {id} is no longer kept, or not as a whole; send it again with its client"))
}
