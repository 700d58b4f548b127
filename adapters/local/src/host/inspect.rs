//! The inspector: shows stored data and waiting messages to people and tools, on a separate port.
//!
//! It has the permissions of the app, so it listens on loopback only, requires the token of this start, and rejects
//! the requests of web pages and proxies ([`check_loopback`]).

use std::error::Error as _;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use isobar_abstraction::blob::{ListCursor, ObjectInfo};
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::{Hosted, Location, Provider, ResourceKind, Route, host};
use isobar_abstraction::key_value::{Cursor, Entry};
use isobar_abstraction::{Cloud, Error, ErrorKind, EventQueue};
use isobar_serve::check_loopback;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{Token, physical_name};
use crate::profile::PROFILE;
use crate::pub_sub::Row;
use crate::{blob, key_value, state};

pub(super) type Answer = Result<Indented, Failure>;

/// JSON for people.
pub(super) struct Indented(pub(super) Value);

impl IntoResponse for Indented {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], format!("{:#}\n", self.0)).into_response()
    }
}

/// The state of the endpoints.
pub(super) struct Inspector {
    pub(super) state: Arc<state::State>,
    provider: Arc<dyn Provider>,
    pub(super) app: Hosted,
    token: Token,
}

/// The parameters of all endpoints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The guard has checked it.
    #[serde(rename = "token")]
    _token: Option<String>,
    pub(super) partition: Option<String>,
    #[serde(default)]
    pub(super) sort: String,
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
    /// The name of a queue of a source: a subscription of a topic, or object events of a bucket.
    queue: Option<String>,
    pub(super) ordering_key: Option<String>,
    /// In seconds.
    #[serde(default)]
    pub(super) delay: u64,
    /// The key of an object.
    pub(super) key: Option<String>,
    pub(super) content_type: Option<String>,
    /// The ids of dead letters, separated by commas; all without it.
    ids: Option<String>,
}

impl Parameters {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }

    pub(super) fn ids(&self) -> Option<Vec<String>> {
        self.ids.as_ref().map(|ids| ids.split(',').map(str::to_owned).collect())
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

    /// A cloud with the resources where the configuration of the app places them.
    pub(super) fn cloud(&self) -> Cloud {
        let route = |at: &Location| Route::new(Arc::clone(&self.provider), at.clone(), &[]);
        let own = self.state.config.placed.iter().filter(|at| physical_name(at).is_ok());
        Cloud::with_routes(Arc::clone(&self.provider), own.map(route).collect())
    }

    /// Errors: `NotFound` for a resource that the app does not use.
    pub(super) fn check_declared(&self, kind: ResourceKind, name: &str) -> Result<(), Error> {
        let declared = || self.app.manifest.of_kind(kind).map(|resource| resource.name.as_str());
        if declared().any(|declared| declared == name) {
            return Ok(());
        }
        let names = list(&mut declared());
        Err(Error::not_found(format!("the app has no {kind} `{}`; it has {names}", host::excerpt(name))))
    }

    /// The stored queue of a source that the app handles, or whose messages are left from before. Errors: `NotFound`.
    pub(super) fn queue(&self, kind: ResourceKind, source: &str, parameters: &Parameters) -> Result<EventQueue, Error> {
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
pub(super) async fn guard(State(inspector): State<Arc<Inspector>>, request: Request<Body>, next: Next) -> Response {
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

pub(super) async fn overview(State(inspector): State<Arc<Inspector>>) -> Answer {
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
            "POST /tables/{table}?partition=&sort=  (calls the handler of writes)",
            "GET /buckets/{bucket}?prefix=&limit=&after=",
            "PUT /buckets/{bucket}?key=&content_type=  (the body is the object)",
            "GET /topics/{topic}?queue=&limit=",
            "POST /topics/{topic}?ordering_key=&delay=  (the body is the message; the delay is in seconds)",
            "POST /schedules/{schedule}",
            "POST /functions/{function}  (the body is the request, as JSON)",
            "GET /dead-letters/{topics|buckets|tables}/{name}?queue=&limit=",
            "POST /dead-letters/{topics|buckets|tables}/{name}?queue=&ids=  (puts them back)",
            "DELETE /dead-letters/{topics|buckets|tables}/{name}?queue=&ids=  (deletes them)",
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

pub(super) async fn items(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    parameters: Parameters,
) -> Answer {
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

pub(super) async fn objects_of(
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

pub(super) async fn messages(
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

pub(super) async fn dead_letters(
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

pub(super) fn kind_of(kind: &str) -> Result<ResourceKind, Error> {
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
pub(super) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let message = causes.fold(error.message().to_owned(), |text, cause| format!("{text}: {cause}"));
        let detail = format!("{error:?}");
        let body = json!({"error": error.kind().name(), "message": message, "detail": detail});
        (status(error.kind()), Json(body)).into_response()
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
