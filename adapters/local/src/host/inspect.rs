//! The inspector: shows stored data and waiting messages to people and tools, on a separate port.
//!
//! It has the permissions of the app, so it listens on loopback only, requires the token of this start, and rejects
//! the requests of web pages and proxies ([`check_loopback`]).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use isobar_abstraction::blob::{ListCursor, ObjectInfo};
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::{Hosted, Location, Provider, ResourceKind, Route, host};
use isobar_abstraction::key_value::{Cursor, Entry};
use isobar_abstraction::pub_sub::Outgoing;
use isobar_abstraction::{Cloud, Error, ErrorKind, Event, EventQueue, Invocation, Tick};
use isobar_serve::check_loopback;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::Token;
use crate::config::physical_name;
use crate::profile::PROFILE;
use crate::pub_sub::Row;
use crate::{blob, event, key_value, state};

/// Bodies that the endpoints read at most; the app's own limits are smaller.
const LARGEST: usize = 16 * 1024 * 1024;

type Answer = Result<Indented, Failure>;

/// JSON for people.
struct Indented(Value);

impl IntoResponse for Indented {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], format!("{:#}\n", self.0)).into_response()
    }
}

/// The state of the endpoints.
pub(super) struct Inspector {
    state: Arc<state::State>,
    provider: Arc<dyn Provider>,
    app: Hosted,
    token: Token,
}

/// The parameters of all endpoints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The guard has checked it.
    #[serde(rename = "token")]
    _token: Option<String>,
    partition: Option<String>,
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
    /// The name of a queue of a source: a subscription of a topic, or object events of a bucket.
    queue: Option<String>,
    ordering_key: Option<String>,
    /// In seconds.
    #[serde(default)]
    delay: u64,
}

impl Parameters {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<Self>::from_request_parts(parts, state).await;
        let wrong =
            |rejection: QueryRejection| Error::invalid_input(format!("{rejection}; GET / lists the parameters"));
        Ok(query.map_err(wrong)?.0)
    }
}

impl Inspector {
    pub(super) fn new(state: Arc<state::State>, provider: Arc<dyn Provider>, app: Hosted, token: Token) -> Self {
        Self { state, provider, app, token }
    }

    pub(super) fn router(self) -> Router {
        let inspector = Arc::new(self);
        Router::new()
            .route("/", get(overview))
            .route("/tables/{table}", get(items))
            .route("/buckets/{bucket}", get(objects_of))
            .route("/topics/{topic}", get(messages).post(publish))
            .route("/schedules/{schedule}", post(fire))
            .route("/functions/{function}", post(invoke))
            .route("/dead-letters/{kind}/{name}", get(dead_letters).post(redrive))
            .fallback(async || (StatusCode::NOT_FOUND, "no such endpoint; GET / lists them\n"))
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(middleware::from_fn_with_state(Arc::clone(&inspector), guard))
            .with_state(inspector)
    }

    /// A cloud with the resources where the configuration of the app places them.
    fn cloud(&self) -> Cloud {
        let route = |at: &Location| Route::new(Arc::clone(&self.provider), at.clone(), &[]);
        let own = self.state.config.placed.iter().filter(|at| physical_name(at).is_ok());
        Cloud::with_routes(Arc::clone(&self.provider), own.map(route).collect())
    }

    /// Errors: `NotFound` for a resource that the app does not use.
    fn check_declared(&self, kind: ResourceKind, name: &str) -> Result<(), Error> {
        let declared = || self.app.manifest.of_kind(kind).map(|resource| resource.name.as_str());
        if declared().any(|declared| declared == name) {
            return Ok(());
        }
        let names = list(&mut declared());
        Err(Error::not_found(format!("the app has no {kind} `{}`; it has {names}", host::excerpt(name))))
    }

    /// The stored queue of a source that the app handles, or whose messages are left from before. Errors: `NotFound`.
    fn queue(&self, kind: ResourceKind, source: &str, parameters: &Parameters) -> Result<EventQueue, Error> {
        let queue = EventQueue::of(kind, source);
        let queue = parameters.queue.as_ref().map_or(queue.clone(), |name| queue.named(name));
        let stored = self.state.config.physical(&queue);
        let states = self.state.queue.states()?;
        if states.iter().any(|(known, ..)| *known == stored) {
            return Ok(stored);
        }
        self.check_declared(kind, source)?;
        let of_source = states.iter().filter(|(known, ..)| (known.kind(), known.source()) == (kind, stored.source()));
        let names = list(&mut of_source.map(|(known, ..)| known.name()));
        let (kind, name) = (queue.kind(), host::excerpt(queue.name()));
        Err(Error::not_found(format!(
            "{kind} `{source}` has no queue `{name}`; it has {names}: add `?queue=` and a name"
        )))
    }
}

fn list(names: &mut dyn Iterator<Item = &str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Accepts local tools that have the token.
async fn guard(State(inspector): State<Arc<Inspector>>, request: Request<Body>, next: Next) -> Response {
    let mut response = if let Err(why) = check_loopback(request.uri(), request.headers()) {
        (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
    } else if !inspector.token.is_in(&request) {
        let help = "send the token of this start, as `Authorization: Bearer` or `?token=`; inspector.json in the data \
                    folder has it\n";
        (StatusCode::UNAUTHORIZED, help).into_response()
    } else {
        next.run(request).await
    };
    // The URL contains the token, and the responses are not cacheable.
    for (name, value) in
        [(REFERRER_POLICY, "no-referrer"), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn overview(State(inspector): State<Arc<Inspector>>) -> Answer {
    let store = &inspector.state.store;
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
            "GET /tables/{table}?partition=&prefix=&limit=&after=",
            "GET /buckets/{bucket}?prefix=&limit=&after=",
            "GET /topics/{topic}?queue=&limit=",
            "POST /topics/{topic}?ordering_key=&delay=  (the body is the message; the delay is in seconds)",
            "POST /schedules/{schedule}",
            "POST /functions/{function}  (the body is the request, as JSON)",
            "GET /dead-letters/{topics|buckets|tables}/{name}?queue=&limit=",
            "POST /dead-letters/{topics|buckets|tables}/{name}?queue=  (puts them back)",
        ],
    })))
}

fn queues(inspector: &Inspector) -> Result<Vec<Value>, Error> {
    let (queue, config) = (&inspector.state.queue, &inspector.state.config);
    let now = inspector.state.clock.now();
    let describe = |(queue, counts, next_due): (EventQueue, Row, Option<SystemTime>)| {
        let queue = config.logical(&queue);
        json!({
            "kind": queue.kind().name(),
            "name": queue.source(),
            "queue": queue.name(),
            "waiting": counts.waiting,
            "running": counts.leased,
            "dead": counts.dead,
            "due": next_due.is_some_and(|due| due <= now),
            "next_due": next_due.map(to_rfc3339),
        })
    };
    Ok(queue.states()?.into_iter().map(describe).collect())
}

async fn items(State(inspector): State<Arc<Inspector>>, Path(table): Path<String>, parameters: Parameters) -> Answer {
    let table = inspector.cloud().table::<Bytes>(&table);
    let after = parameters.after.as_deref().map(str::parse::<Cursor>).transpose()?;
    let page = match &parameters.partition {
        Some(partition) => {
            table
                .query(partition.as_str())
                .prefix(&parameters.prefix)
                .limit(parameters.limit())
                .after(after)
                .page()
                .await?
        }
        None => table.scan().limit(parameters.limit()).after(after).page().await?,
    };
    let item = |entry: &Entry<Bytes>| {
        json!({
            "partition": entry.key.partition,
            "sort": entry.key.sort,
            "value": readable(&entry.value),
            "version": entry.version,
            "expires_at": entry.expires_at.map(to_rfc3339),
        })
    };
    Ok(Indented(json!({"items": page.items.iter().map(item).collect::<Vec<_>>(), "next": page.next})))
}

/// JSON as JSON, text as text, and of everything else its size.
fn readable(bytes: &[u8]) -> Value {
    let text = || std::str::from_utf8(bytes).ok().map(Value::from);
    serde_json::from_slice(bytes).ok().or_else(text).unwrap_or_else(|| json!(format!("{} bytes", bytes.len())))
}

async fn objects_of(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
) -> Answer {
    let after = parameters.after.as_deref().map(str::parse::<ListCursor>).transpose()?;
    let page = inspector
        .cloud()
        .bucket(&bucket)
        .list(&parameters.prefix)
        .limit(parameters.limit())
        .after(after)
        .page()
        .await?;
    let object = |info: &ObjectInfo| json!({"key": info.key, "size": info.size, "modified": to_rfc3339(info.modified)});
    Ok(Indented(json!({"objects": page.objects.iter().map(object).collect::<Vec<_>>(), "next": page.next})))
}

async fn messages(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    parameters: Parameters,
) -> Answer {
    let queue = &inspector.state.queue;
    let of = inspector.queue(ResourceKind::Topic, &topic, &parameters)?;
    let counts = queue.counts(&of)?;
    let message = |message: isobar_abstraction::driver::pub_sub::Message<Bytes>| {
        json!({
            "id": message.id,
            "body": readable(&message.body),
            "attributes": message.attributes,
            "ordering_key": message.ordering_key,
            "attempt": message.attempt,
            "published_at": to_rfc3339(message.published_at),
        })
    };
    let waiting: Vec<_> = queue.peek(&of, parameters.limit())?.into_iter().map(message).collect();
    Ok(Indented(json!({"waiting": counts.waiting, "running": counts.leased, "dead": counts.dead, "messages": waiting})))
}

async fn publish(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    parameters: Parameters,
    body: Bytes,
) -> Answer {
    let mut message = Outgoing::new(body);
    message.ordering_key = parameters.ordering_key;
    message.delay = Duration::from_secs(parameters.delay);
    inspector.check_declared(ResourceKind::Topic, &topic)?;
    let id = inspector.cloud().topic::<Bytes>(&topic).publish(message).await?;
    Ok(Indented(json!({"id": id})))
}

async fn fire(State(inspector): State<Arc<Inspector>>, Path(schedule): Path<String>) -> Answer {
    let clock = &inspector.state.clock;
    let cx = event::context(clock, PROFILE.limits.event_timeout);
    let tick = Event::Schedule(Tick::new(schedule.as_str(), clock.now()));
    host::handle(inspector.app.function.as_ref(), tick, cx).await?.into_result()?;
    Ok(Indented(json!({"schedule": schedule, "outcome": "ack"})))
}

async fn invoke(
    State(inspector): State<Arc<Inspector>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Response, Failure> {
    let cx = event::context(&inspector.state.clock, PROFILE.limits.event_timeout).with_trace_of(&headers);
    let answer = host::invoke(inspector.app.function.as_ref(), Invocation::new(function, payload), cx).await?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

async fn dead_letters(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    let dead_letters = inspector.state.queue.dead_letters(&queue, parameters.limit())?;
    let describe = |dead_letter: &isobar_abstraction::driver::pub_sub::DeadLetter| {
        json!({
            "id": dead_letter.id,
            "attempts": dead_letter.attempts,
            "reason": dead_letter.reason,
            "died_at": to_rfc3339(dead_letter.died_at),
            "body": String::from_utf8_lossy(&dead_letter.body),
            "body_hex": std::str::from_utf8(&dead_letter.body).is_err().then(|| hex(&dead_letter.body)),
            "attributes": dead_letter.attributes,
        })
    };
    Ok(Indented(json!({"dead_letters": dead_letters.iter().map(describe).collect::<Vec<_>>()})))
}

/// Hexadecimal, for bodies that are not text.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn redrive(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    let redriven = inspector.state.queue.redrive(&queue, None).await?;
    Ok(Indented(json!({"redriven": redriven})))
}

fn kind_of(kind: &str) -> Result<ResourceKind, Error> {
    match kind {
        "topics" => Ok(ResourceKind::Topic),
        "buckets" => Ok(ResourceKind::Bucket),
        "tables" => Ok(ResourceKind::Table),
        other => {
            let other = host::excerpt(other);
            Err(Error::not_found(format!("`{other}` has no dead letters; use `topics`, `buckets` or `tables`")))
        }
    }
}

/// An error with its kind and all details, for users of this machine.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let detail = format!("{:?}", self.0);
        (status(self.0.kind()), Json(json!({"error": self.0.kind().name(), "detail": detail}))).into_response()
    }
}

/// The status of an error.
pub(super) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::Config => StatusCode::BAD_REQUEST,
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
