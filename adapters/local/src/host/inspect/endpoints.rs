//! The paths of the inspector.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use http::StatusCode;

use super::Inspector;
use super::act::{drop_dead_letters, fire, invoke, publish, put_object, redrive, written};
use super::dashboard::file;
use super::events::{record, records, run_again, stream_changes};
use super::guard::{LARGEST, guard};
use super::items::{delete_item, item, items, put_item};
use super::objects::{about, content, delete_object, objects};
use super::overview::overview;
use super::queues::{dead_letters, messages, queue};
use super::settings::{schedules, settings};

pub(in crate::host) fn router(inspector: Inspector) -> Router {
    let inspector = Arc::new(inspector);
    Router::new()
        .route("/", get(overview))
        .route("/{file}", get(file))
        .route("/events", get(stream_changes))
        .route("/requests", get(records))
        .route("/requests/{id}", get(record).post(run_again))
        .route("/tables/{table}", get(items).post(written))
        .route("/tables/{table}/item", get(item).put(put_item).delete(delete_item))
        .route("/buckets/{bucket}", get(objects).put(put_object))
        .route("/buckets/{bucket}/about", get(about))
        .route("/buckets/{bucket}/object", get(content).delete(delete_object))
        .route("/topics/{topic}", get(messages).post(publish))
        .route("/queues/{kind}/{name}", get(queue))
        .route("/dead-letters/{kind}/{name}", get(dead_letters).post(redrive).delete(drop_dead_letters))
        .route("/schedules", get(schedules))
        .route("/schedules/{schedule}", post(fire))
        .route("/functions/{function}", post(invoke))
        .route("/settings", get(settings))
        .fallback(async || (StatusCode::NOT_FOUND, "no such endpoint; GET / lists them\n"))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&inspector), guard))
        .with_state(inspector)
}
