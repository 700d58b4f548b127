//! `/.isobar/`: what is stored and what waits, for people and tests.
//!
//! On loopback it refuses foreign `Host` and `Origin` headers, so that no page on the web can reach
//! it through a browser (DNS rebinding); bound elsewhere, it asks for the token printed at start.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use http::{HeaderName, StatusCode};
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::pub_sub::Outgoing;
use isobar_abstraction::{Cloud, Error, Event, Hosted, Invocation, Reply, Tick};
use serde::Deserialize;
use serde_json::{Value, json};

use super::signed::{self, Refused};
use crate::profile::PROFILE;
use crate::pub_sub::{Counts, Source};
use crate::{LocalProvider, blob, event, key_value};

/// Bodies that the endpoints read at most; the app's own limits are smaller.
const LARGEST: usize = 16 * 1024 * 1024;

type Answer = Result<Indented, Refused>;

/// JSON for people.
struct Indented(Value);

impl IntoResponse for Indented {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], format!("{:#}\n", self.0)).into_response()
    }
}

/// What the endpoints know.
pub(super) struct Inspector {
    provider: LocalProvider,
    app: Hosted,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
}

impl Paging {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }
}

impl Inspector {
    pub(super) fn new(provider: LocalProvider, app: Hosted, token: Option<String>) -> Self {
        Self { provider, app, token }
    }

    pub(super) fn router(self) -> Router {
        let objects = signed::router(self.provider.clone());
        let inspector = Arc::new(self);
        Router::new()
            .route("/.isobar", get(overview))
            .route("/.isobar/", get(overview))
            .route("/.isobar/tables/{table}", get(items))
            .route("/.isobar/buckets/{bucket}", get(objects_of))
            .route("/.isobar/topics/{topic}", get(messages).post(publish))
            .route("/.isobar/schedules/{schedule}", post(fire))
            .route("/.isobar/functions/{function}", post(invoke))
            .route("/.isobar/dead-letters/{kind}/{name}", get(dead_letters).post(redrive))
            .fallback(async || (StatusCode::NOT_FOUND, "no such endpoint; see GET /.isobar/\n"))
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(middleware::from_fn_with_state(Arc::clone(&inspector), guard))
            .with_state(inspector)
            .merge(objects)
    }

    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider.clone()))
    }
}

/// Lets nobody in but this machine's own tools, or who has the token.
async fn guard(State(inspector): State<Arc<Inspector>>, request: Request<Body>, next: Next) -> Response {
    let refused = match &inspector.token {
        Some(token) if has_token(request.headers(), token) => None,
        Some(_) => Some((StatusCode::UNAUTHORIZED, "send `Authorization: Bearer` with the token printed at start\n")),
        None if is_local(request.headers()) => None,
        None => Some((StatusCode::FORBIDDEN, "only for this machine: the Host or Origin header names another\n")),
    };
    match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    }
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    sent.is_some_and(|sent| sent.len() == token.len() && same(sent, token.as_bytes()))
}

/// Takes as long for a wrong first byte as for a wrong last one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn is_local(headers: &HeaderMap) -> bool {
    let local =
        |name: HeaderName| headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(names_this_machine));
    local(HOST) && local(ORIGIN) && headers.contains_key(HOST)
}

/// Is it `localhost`, `127.0.0.1` or `[::1]`, with or without scheme and port?
fn names_this_machine(value: &str) -> bool {
    let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")).unwrap_or(value);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    matches!(name, Some("localhost" | "127.0.0.1" | "::1"))
}

async fn overview(State(inspector): State<Arc<Inspector>>) -> Answer {
    let store = inspector.provider.store();
    let named = |(name, count): (String, u64)| json!({"name": name, "count": count});
    let queues = queues(&inspector)?;
    Ok(Indented(json!({
        "app": inspector.app.manifest.app,
        "provider": PROFILE.provider,
        "data": store.folder().display().to_string(),
        "tables": key_value::tables(store)?.into_iter().map(named).collect::<Vec<_>>(),
        "buckets": blob::buckets(store)?.into_iter().map(named).collect::<Vec<_>>(),
        "queues": queues,
        "manifest": *inspector.app.manifest,
        "endpoints": [
            "GET /.isobar/tables/{table}?partition=&prefix=&limit=&after=",
            "GET /.isobar/buckets/{bucket}?prefix=&limit=&after=",
            "GET /.isobar/topics/{topic}",
            "POST /.isobar/topics/{topic}  (the body is the message)",
            "POST /.isobar/schedules/{schedule}",
            "POST /.isobar/functions/{function}  (the body is the request, as JSON)",
            "GET /.isobar/dead-letters/{topics|buckets}/{name}",
            "POST /.isobar/dead-letters/{topics|buckets}/{name}  (puts them back)",
        ],
    })))
}

fn queues(inspector: &Inspector) -> Result<Vec<Value>, Error> {
    let queue = inspector.provider.queue();
    let now = inspector.provider.system_clock().now();
    let describe = |(source, counts, next_due): (Source, Counts, Option<SystemTime>)| {
        json!({
            "kind": source.kind(),
            "name": source.name(),
            "waiting": counts.waiting,
            "running": counts.leased,
            "dead": counts.dead,
            "due": next_due.is_some_and(|due| due <= now),
            "next_due": next_due.map(to_rfc3339),
        })
    };
    Ok(queue.states()?.into_iter().map(describe).collect())
}

#[derive(Deserialize)]
struct Partition {
    partition: Option<String>,
}

async fn items(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    Query(only): Query<Partition>,
    Query(paging): Query<Paging>,
) -> Answer {
    let table = inspector.cloud().table::<Bytes>(&table);
    let after = paging.after.as_deref().map(str::parse).transpose()?;
    let page = match only.partition {
        Some(partition) => {
            let query = table.query(partition).prefix(&paging.prefix).limit(paging.limit());
            if let Some(after) = after { query.after(after) } else { query }.page().await?
        }
        None => {
            let scan = table.scan().limit(paging.limit());
            if let Some(after) = after { scan.after(after) } else { scan }.page().await?
        }
    };
    let item = |entry: &isobar_abstraction::key_value::Entry<Bytes>| {
        json!({
            "partition": entry.key.partition,
            "sort": entry.key.sort,
            "value": readable(&entry.value),
            "version": entry.version,
            "expires_at": entry.expires_at.map(to_rfc3339),
        })
    };
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Indented(json!({"items": page.items.iter().map(item).collect::<Vec<_>>(), "next": next})))
}

/// JSON as JSON, text as text, and of everything else its size.
fn readable(bytes: &[u8]) -> Value {
    let text = || std::str::from_utf8(bytes).ok().map(Value::from);
    serde_json::from_slice(bytes).ok().or_else(text).unwrap_or_else(|| json!(format!("{} bytes", bytes.len())))
}

async fn objects_of(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut list = inspector.cloud().bucket(&bucket).list(&paging.prefix).limit(paging.limit());
    if let Some(after) = paging.after.as_deref().map(str::parse).transpose()? {
        list = list.after(after);
    }
    let page = list.page().await?;
    let object = |info: &isobar_abstraction::blob::ObjectInfo| json!({"key": info.key, "size": info.size, "modified": to_rfc3339(info.modified)});
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Indented(json!({"objects": page.objects.iter().map(object).collect::<Vec<_>>(), "next": next})))
}

async fn messages(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    Query(paging): Query<Paging>,
) -> Answer {
    let queue = inspector.provider.queue();
    let source = Source::topic(&topic);
    let counts = queue.counts(&source)?;
    let message = |message: isobar_abstraction::pub_sub::Message<Bytes>| {
        json!({
            "id": message.id,
            "body": readable(&message.body),
            "attributes": message.attributes,
            "ordering_key": message.ordering_key,
            "attempt": message.attempt,
            "published_at": to_rfc3339(message.published_at),
        })
    };
    let waiting: Vec<_> = queue.peek(&source, paging.limit())?.into_iter().map(message).collect();
    Ok(Indented(json!({"waiting": counts.waiting, "running": counts.leased, "dead": counts.dead, "messages": waiting})))
}

#[derive(Deserialize)]
struct Publishing {
    ordering_key: Option<String>,
}

async fn publish(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    Query(publishing): Query<Publishing>,
    body: Bytes,
) -> Answer {
    let mut message = Outgoing::new(body);
    message.ordering_key = publishing.ordering_key;
    let id = inspector.cloud().topic::<Bytes>(&topic).publish(message).await?;
    Ok(Indented(json!({"id": id})))
}

async fn fire(State(inspector): State<Arc<Inspector>>, Path(schedule): Path<String>) -> Answer {
    let clock = inspector.provider.system_clock();
    event::tick(inspector.app.function.as_ref(), clock, Tick::new(schedule.as_str(), clock.now())).await?;
    Ok(Indented(json!({"schedule": schedule, "outcome": "ack"})))
}

async fn invoke(
    State(inspector): State<Arc<Inspector>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Response, Refused> {
    let timeout = PROFILE.limits.event_timeout;
    let cx = event::traced(event::context(inspector.provider.system_clock(), timeout), &headers);
    let call = inspector.app.function.call(Event::Invoke(Invocation::new(function, payload)), cx);
    match event::within(timeout, call).await? {
        Reply::Invoke(answer) => Ok(([(CONTENT_TYPE, "application/json")], answer).into_response()),
        _ => Err(event::wrong_reply().into()),
    }
}

async fn dead_letters(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Answer {
    let letters = inspector.provider.queue().dead_letters(&source(&kind, &name)?, paging.limit())?;
    let letter = |letter: &isobar_abstraction::pub_sub::DeadLetter| {
        json!({
            "id": letter.id,
            "attempts": letter.attempts,
            "reason": letter.reason,
            "died_at": to_rfc3339(letter.died_at),
            "body": String::from_utf8_lossy(&letter.body),
            "body_hex": std::str::from_utf8(&letter.body).is_err().then(|| hex(&letter.body)),
            "attributes": letter.attributes,
        })
    };
    Ok(Indented(json!({"dead_letters": letters.iter().map(letter).collect::<Vec<_>>()})))
}

/// For bodies that are not text, in which something else would be read.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn redrive(State(inspector): State<Arc<Inspector>>, Path((kind, name)): Path<(String, String)>) -> Answer {
    let redriven = inspector.provider.queue().redrive(&source(&kind, &name)?, None).await?;
    Ok(Indented(json!({"redriven": redriven})))
}

fn source(kind: &str, name: &str) -> Result<Source, Error> {
    match kind {
        "topics" => Ok(Source::topic(name)),
        "buckets" => Ok(Source::bucket(name)),
        _ => Err(Error::not_found("dead letters are of `topics` or `buckets`")),
    }
}
