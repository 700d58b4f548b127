//! The inspector: shows what the app does and stores to people and tools, on a separate port: the dashboard and its API.
//!
//! It has the permissions of the app, so it listens on loopback only, requires the token of this start, and rejects
//! the requests of other web pages and of proxies.

mod act;
mod dashboard;
mod endpoints;
mod events;
mod guard;
mod items;
mod objects;
mod overview;
mod queues;
mod settings;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use isobar_abstraction::driver::{Hosted, Location, Provider, ResourceKind, Route, host};
use isobar_abstraction::{Cloud, Error, ErrorKind, EventQueue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Stop, recorded};
use crate::config::{Token, physical_name};
use crate::pub_sub::number_in;
use crate::state;

pub(super) use endpoints::router;
pub(super) use guard::admit;

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
    pub(super) provider: Arc<dyn Provider>,
    pub(super) app: Hosted,
    pub(super) token: Token,
    /// The address of the app.
    pub(super) url: String,
    /// When the host started, in milliseconds since 1970: what ran before that has no result.
    pub(super) since: u64,
    pub(super) stop: Stop,
}

/// The parameters of all endpoints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The guard has checked it.
    #[serde(rename = "token")]
    _token: Option<String>,
    partition: Option<String>,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
    /// The id of a record.
    before: Option<u64>,
    /// 1 for the beginning of each value.
    #[serde(default)]
    brief: u8,
    /// The version that an item must have.
    version: Option<String>,
    /// 1 for an item that must be absent.
    #[serde(default)]
    create: u8,
    expires_at: Option<String>,
    /// Only `/`: keys that contain it after the prefix become one entry.
    delimiter: Option<String>,
    /// 1 for an object as a file to store.
    #[serde(default)]
    download: u8,
    /// The attributes of a message, as a JSON object.
    attributes: Option<String>,
    /// The name of a queue of a source: a subscription of a topic, or object events of a bucket.
    queue: Option<String>,
    ordering_key: Option<String>,
    /// In seconds.
    #[serde(default)]
    delay: u64,
    /// The key of an object.
    key: Option<String>,
    content_type: Option<String>,
    /// The ids of dead letters, separated by commas; all without it.
    ids: Option<String>,
}

impl Parameters {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }

    /// Errors: `InvalidInput` for what is no id.
    fn ids(&self) -> Result<Option<Vec<String>>, Error> {
        let id = |id: &str| {
            let wrong = || Error::invalid_input(format!("`ids` contains `{}`, which is not an id", host::excerpt(id)));
            number_in(id).map(|_| id.to_owned()).ok_or_else(wrong)
        };
        self.ids.as_ref().map(|ids| ids.split(',').map(id).collect()).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<Self>::from_request_parts(parts, state).await;
        let wrong = |rejection: QueryRejection| {
            let text = rejection.body_text();
            let text = text.trim_start_matches("Failed to deserialize query string: ");
            Error::invalid_input(format!("the parameters are wrong: {text}; GET / lists them"))
        };
        Ok(query.map_err(wrong)?.0)
    }
}

impl Inspector {
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
        let message = recorded::reason(&error);
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
