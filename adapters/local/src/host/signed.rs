//! Signed URLs: each permits one operation on one object until it expires.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::TryStreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use isobar_abstraction::blob::{Bucket, PutOptions};
use isobar_abstraction::driver::blob::{SignedAccess, key};
use isobar_abstraction::driver::{Function, Provider};
use isobar_abstraction::{Cloud, Context, Error, ErrorKind, Event, Reply};
use serde::Deserialize;
use serde_json::json;

use super::inspect::status;
use crate::blob::access_name;
use crate::state;

#[derive(Deserialize)]
struct Signature {
    access: String,
    expires: u64,
    signature: String,
}

/// How long one transfer may take. A client that stops sending or reading must not keep a file open without a limit.
pub(super) const LONGEST: Duration = Duration::from_secs(3_600);

/// The response below `/.isobar/` to all paths except signed URLs.
const RESERVED: &str = "paths below /.isobar/ are reserved for isobar, and no route of the app; the inspector has \
                    a separate port, which is printed at start\n";

/// All that is below `/.isobar/`: a function like the app, so that its answers have the same ids, time limit
/// and log.
pub(super) struct Signed(Router);

impl Signed {
    pub(super) fn new(state: Arc<state::State>, provider: Arc<dyn Provider>) -> Self {
        let router = Router::new()
            .route("/.isobar/objects/{bucket}/{*stored}", get(read).put(write))
            .fallback(async || (StatusCode::NOT_FOUND, RESERVED))
            .with_state(Objects { state, provider });
        Self(router)
    }
}

/// What the URLs are signed with, and what opens their buckets.
#[derive(Clone)]
struct Objects {
    state: Arc<state::State>,
    provider: Arc<dyn Provider>,
}

#[async_trait]
impl Function for Signed {
    async fn call(&self, event: Event, _: Context) -> isobar_abstraction::Result<Reply> {
        match event {
            Event::Http(request) => Ok(Reply::Http(super::call(self.0.clone(), request).await)),
            _ => Err(Error::internal("signed URLs answer HTTP requests only")),
        }
    }
}

type Target = (String, String);

/// The bucket, if the signature allows this access to the object.
fn allowed(
    Objects { state, provider }: &Objects,
    access: SignedAccess,
    (bucket, stored): &Target,
    query: &Signature,
) -> Result<Bucket, Error> {
    if query.access != access_name(access)? {
        return Err(Error::new(ErrorKind::PermissionDenied, "the signature is for another method"));
    }
    let now = state.clock.now();
    state.signer.verify(access, bucket, stored, query.expires, &query.signature, now)?;
    Ok(Cloud::new(Arc::clone(provider)).bucket(bucket))
}

async fn read(
    State(objects): State<Objects>,
    Path(target): Path<Target>,
    Query(query): Query<Signature>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let bucket = allowed(&objects, SignedAccess::Get, &target, &query)?;
    Ok(bucket.serve(key::decode(&target.1)).request(&method, &headers).sandboxed().await?)
}

async fn write(
    State(objects): State<Objects>,
    Path(target): Path<Target>,
    Query(query): Query<Signature>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let bucket = allowed(&objects, SignedAccess::Put, &target, &query)?;
    let mut options = PutOptions::default();
    if let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        options = options.with_content_type(content_type);
    }
    let content = body.into_data_stream().map_err(|error| Box::new(error) as isobar_abstraction::BoxError);
    bucket.put_stream(key::decode(&target.1), content, options).await?;
    Ok(StatusCode::OK)
}

/// An error without internal details, for any client.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = status(error.kind());
        let detail = match status.is_server_error() {
            true => {
                tracing::error!(?error, "a signed URL could not be served");
                "the store failed; the log has the reason"
            }
            false => error.message(),
        };
        (status, Json(json!({"error": error.kind().name(), "detail": detail}))).into_response()
    }
}
