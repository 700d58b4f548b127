//! Trials of functions: HTTP, direct calls, schedules, the context, the declaration, and what apps are made of.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod answers;
pub mod bodies;
pub mod context;
pub mod declaration;
pub mod faults;
pub mod http;
pub mod invoke;
pub mod manifest;
pub mod modules;
pub mod problems;
pub mod schedule;

use ::http::{Request, Response};
use isobar::prelude::*;
use isobar::{BoxError, TestResponse};

use crate::{HarnessResult, RunningApp, Trial, World};

/// All trials of functions.
pub fn all() -> Vec<Trial> {
    [
        http::all(),
        bodies::all(),
        answers::all(),
        faults::all(),
        problems::all(),
        invoke::all(),
        schedule::all(),
        context::all(),
        declaration::all(),
        manifest::all(),
        modules::all(),
    ]
    .concat()
}

/// Starts an app that serves these routes and nothing else.
async fn serve(world: &dyn World, routes: Router) -> HarnessResult<Box<dyn RunningApp>> {
    world.run(move |_| App::new("server").http(routes)).await
}

/// POST of a body to `/`.
async fn post_to_root(app: &dyn RunningApp, body: impl Into<Body>) -> HarnessResult<TestResponse> {
    app.http(Request::post("/").body(body.into()).unwrap()).await
}

/// A body of unknown length.
fn chunked(chunks: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Body {
    Body::from_stream(futures_util::stream::iter(chunks.into_iter().map(Ok::<_, BoxError>)))
}

/// A response without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
