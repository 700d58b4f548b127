//! Extractors whose rejections have the form of isobar's errors.

use std::ops::{Deref, DerefMut};

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, OptionalFromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use isobar_abstraction::Problem;
use serde::Serialize;

/// A body of JSON, of a request or a response, like [`axum::Json`].
///
/// A request that it rejects is a [`Problem`]: 400 for a body that is not JSON, 413 for a body over the limit, 415 without
/// `content-type: application/json`, 422 for JSON that is not a `T`.
/// `Option<Json<T>>` is `None` for a request without a content type. A response that cannot be written as JSON is a
/// `Problem` with status 500.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar::prelude::*;
///
/// async fn double(Json(number): Json<u32>) -> Json<u32> {
///     Json(number * 2)
/// }
///
/// let client = TestClient::new(|_| App::new("doubler").http(Router::new().route("/", post(double))))?;
/// assert_eq!(client.post("/", &21).await?.text(), "42");
/// let refused = client.post("/", &-1).await?;
/// assert_eq!(refused.status, 422);
/// assert!(refused.text().contains(r#""error":"unprocessable-entity""#));
/// # Ok::<(), isobar::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Json<T>(pub T);

/// The query of a URL, like [`axum::extract::Query`].
///
/// A query that is not a `T` is a [`Problem`] with status 400.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::collections::HashMap;
/// use isobar::prelude::*;
///
/// async fn page(Query(query): Query<HashMap<String, u32>>) -> String {
///     format!("page {}", query["page"])
/// }
///
/// let client = TestClient::new(|_| App::new("pages").http(Router::new().route("/", get(page))))?;
/// assert_eq!(client.get("/?page=7").await?.text(), "page 7");
/// let refused = client.get("/?page=last").await?;
/// assert_eq!(refused.status, 400);
/// assert!(refused.text().contains(r#""error":"invalid-input""#));
/// # Ok::<(), isobar::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

/// The parameters of a route's path, like [`axum::extract::Path`].
///
/// A parameter that is not a `T` is a [`Problem`] with status 400; a handler with other parameters than its route is a 500. `Option<Path<T>>` is `None` for a route without
/// parameters.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar::prelude::*;
///
/// async fn square(Path(side): Path<u32>) -> String {
///     (side * side).to_string()
/// }
///
/// let client = TestClient::new(|_| App::new("squares").http(Router::new().route("/{side}", get(square))))?;
/// assert_eq!(client.get("/3").await?.text(), "9");
/// let refused = client.get("/long").await?;
/// assert_eq!(refused.status, 400);
/// assert!(refused.text().contains(r#""error":"invalid-input""#));
/// # Ok::<(), isobar::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    axum::Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = <axum::Json<T> as FromRequest<S>>::from_request(request, state).await;
        read.map(|axum::Json(value)| Self(value))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

impl<T, S> OptionalFromRequest<S> for Json<T>
where
    axum::Json<T>: OptionalFromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let read = <axum::Json<T> as OptionalFromRequest<S>>::from_request(request, state).await;
        let read = read.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        Ok(read.map(|axum::Json(value)| Self(value)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
            Err(error) => Problem::from(error).into_response(),
        }
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    axum::extract::Query<T>: FromRequestParts<S, Rejection = QueryRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        let value = read.map(|axum::extract::Query(value)| Self(value));
        value.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    axum::extract::Path<T>: FromRequestParts<S, Rejection = PathRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        let value = read.map(|axum::extract::Path(value)| Self(value));
        value.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

impl<T, S> OptionalFromRequestParts<S> for Path<T>
where
    axum::extract::Path<T>: OptionalFromRequestParts<S, Rejection = PathRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        let read = <axum::extract::Path<T> as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await;
        let read = read.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        Ok(read.map(|axum::extract::Path(value)| Self(value)))
    }
}

macro_rules! inner_value_of {
    ($($extractor:ident),*) => {
        $(impl<T> Deref for $extractor<T> {
            type Target = T;
            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for $extractor<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        })*
    };
}

inner_value_of!(Json, Query, Path);
