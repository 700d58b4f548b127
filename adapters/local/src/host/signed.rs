//! Signed URLs: whoever holds one may do one thing with one object until it expires.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::TryStreamExt;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use isobar_abstraction::blob::{Bucket, SignedAccess, WriteOptions, key};
use isobar_abstraction::{Cloud, Error, ErrorKind};
use serde::Deserialize;
use serde_json::json;

use crate::LocalProvider;

#[derive(Deserialize)]
struct Signature {
    access: String,
    expires: u64,
    signature: String,
}

pub(super) fn router(provider: LocalProvider) -> Router {
    Router::new().route("/.isobar/objects/{bucket}/{*stored}", get(read).put(write)).with_state(provider)
}

type Target = (String, String);

/// The bucket, if the signature allows this access to the object.
fn allowed(
    provider: &LocalProvider,
    access: SignedAccess,
    (bucket, stored): &Target,
    query: &Signature,
) -> Result<Bucket, Error> {
    let named = match access {
        SignedAccess::Get => "get",
        SignedAccess::Put => "put",
    };
    if query.access != named {
        return Err(Error::new(ErrorKind::PermissionDenied, "the signature is for another method"));
    }
    let now = provider.system_clock().now();
    provider.signer().verify(access, bucket, stored, query.expires, &query.signature, now)?;
    Ok(Cloud::new(Arc::new(provider.clone())).bucket(bucket))
}

async fn read(
    State(provider): State<LocalProvider>,
    Path(target): Path<Target>,
    Query(query): Query<Signature>,
) -> Result<Response, Refused> {
    let object = allowed(&provider, SignedAccess::Get, &target, &query)?.get(key::decode(&target.1)).await?;
    let mut headers = HeaderMap::new();
    let content_type = object.content_type.as_deref().unwrap_or("application/octet-stream");
    for (name, value) in [(CONTENT_TYPE, Some(content_type)), (CACHE_CONTROL, object.cache_control.as_deref())] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_LENGTH, object.info.size.into());
    Ok((headers, object.into_body()).into_response())
}

async fn write(
    State(provider): State<LocalProvider>,
    Path(target): Path<Target>,
    Query(query): Query<Signature>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refused> {
    let bucket = allowed(&provider, SignedAccess::Put, &target, &query)?;
    let mut options = WriteOptions::default();
    if let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        options = options.with_content_type(content_type);
    }
    let content = body.into_data_stream().map_err(|error| Box::new(error) as isobar_abstraction::BoxError);
    bucket.put_stream(key::decode(&target.1), content, options).await?;
    Ok(StatusCode::OK)
}

/// An error as those on this machine may see it: its kind, and all that is known of it.
pub(super) struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::InvalidInput | ErrorKind::Config => StatusCode::BAD_REQUEST,
            ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::AlreadyExists => StatusCode::CONFLICT,
            ErrorKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.0.kind().name(), "detail": format!("{:?}", self.0)}))).into_response()
    }
}
