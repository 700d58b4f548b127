//! The paths of the inspector.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use http::StatusCode;

use super::act::{drop_dead_letters, fire, invoke, publish, put_object, redrive, written};
use super::inspect::{Inspector, dead_letters, guard, items, messages, objects_of, overview};

/// Bodies that the endpoints read at most; the app's own limits are smaller. An object is a stream without this limit.
const LARGEST: usize = 16 * 1024 * 1024;

pub(super) fn router(inspector: Inspector) -> Router {
    let inspector = Arc::new(inspector);
    Router::new()
        .route("/", get(overview))
        .route("/tables/{table}", get(items).post(written))
        .route("/buckets/{bucket}", get(objects_of).put(put_object))
        .route("/topics/{topic}", get(messages).post(publish))
        .route("/schedules/{schedule}", post(fire))
        .route("/functions/{function}", post(invoke))
        .route("/dead-letters/{kind}/{name}", get(dead_letters).post(redrive).delete(drop_dead_letters))
        .fallback(async || (StatusCode::NOT_FOUND, "no such endpoint; GET / lists them\n"))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&inspector), guard))
        .with_state(inspector)
}
