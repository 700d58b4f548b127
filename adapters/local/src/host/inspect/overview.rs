//! The app, its resources and their counts; to a browser the dashboard.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::{Error, EventQueue};
use serde_json::{Value, json};

use super::guard::accepts_page;
use super::{Failure, Indented, Inspector, dashboard};
use crate::profile::{self, PROFILE};
use crate::pub_sub::Row;
use crate::{blob, key_value};

/// What `GET /` says of the API.
const ENDPOINTS: &[&str] = &[
    "GET /events?after=  (server-sent events: what the app handles, and the counts)",
    "GET /requests?before=&limit=",
    "GET /requests/{id}",
    "POST /requests/{id}  (runs it again)",
    "GET /tables/{table}?partition=&prefix=&limit=&after=&brief=",
    "POST /tables/{table}?partition=&sort=  (calls the handler of writes)",
    "GET /tables/{table}/item?partition=&sort=",
    "PUT /tables/{table}/item?partition=&sort=&version=&create=&expires_at=  (the body is the value)",
    "DELETE /tables/{table}/item?partition=&sort=&version=",
    "GET /buckets/{bucket}?prefix=&delimiter=&limit=&after=",
    "PUT /buckets/{bucket}?key=&content_type=  (the body is the object)",
    "GET /buckets/{bucket}/about?key=",
    "GET /buckets/{bucket}/object?key=&download=",
    "DELETE /buckets/{bucket}/object?key=",
    "GET /topics/{topic}?queue=&limit=",
    "POST /topics/{topic}?ordering_key=&delay=&attributes=  (the body is the message; the delay is in seconds)",
    "GET /queues/{topics|buckets|tables}/{name}?queue=&limit=",
    "GET /dead-letters/{topics|buckets|tables}/{name}?queue=&limit=&after=",
    "POST /dead-letters/{topics|buckets|tables}/{name}?queue=&ids=  (puts them back)",
    "DELETE /dead-letters/{topics|buckets|tables}/{name}?queue=&ids=  (deletes them)",
    "GET /schedules",
    "POST /schedules/{schedule}",
    "POST /functions/{function}  (the body is the request, as JSON)",
    "GET /settings",
];

pub(super) async fn overview(State(inspector): State<Arc<Inspector>>, headers: HeaderMap) -> Result<Response, Failure> {
    if accepts_page(&headers) {
        return Ok(dashboard::page());
    }
    let config = &inspector.state.config;
    let mut overview = json!({
        "app": inspector.app.manifest.app,
        "provider": PROFILE.provider,
        "url": inspector.url,
        "data": inspector.state.store.folder().display().to_string(),
        "as": config.imitates.as_ref().map(profile::describe),
        "chaos": config.chaos,
        "manifest": *inspector.app.manifest,
        "endpoints": ENDPOINTS,
    });
    if let (Value::Object(overview), Value::Object(counts)) = (&mut overview, counts(&inspector)?) {
        overview.extend(counts);
    }
    Ok(Indented(overview).into_response())
}

/// The numbers of items, objects and messages.
pub(super) fn counts(inspector: &Inspector) -> Result<Value, Error> {
    let (store, config) = (&inspector.state.store, &inspector.state.config);
    let named = |kind, (name, count): (String, u64)| {
        // Any queue of a source has its logical name.
        let name = config.logical(&EventQueue::of(kind, name)).source().to_owned();
        json!({"name": name, "count": count})
    };
    let tables = key_value::tables(store)?.into_iter().map(|table| named(ResourceKind::Table, table));
    let buckets = blob::buckets(store)?.into_iter().map(|bucket| named(ResourceKind::Bucket, bucket));
    Ok(json!({
        "tables": tables.collect::<Vec<_>>(),
        "buckets": buckets.collect::<Vec<_>>(),
        "queues": queues(inspector)?,
        "since": inspector.since,
        "unrecorded": inspector.state.history.unrecorded(),
    }))
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
