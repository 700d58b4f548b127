//! Calls of Google Cloud's services: endpoint, authentication and service errors.

pub(crate) mod service_error;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Call, Safety, Service, ServiceError, ServiceResult, StreamBody};
use object_store::PutPayload;
use parking_lot::Mutex;
use serde::Serialize;

use crate::State;
use crate::config::{Access, Endpoint};
use crate::credentials::Token;

/// A service, for calls for one resource.
#[derive(Clone)]
pub(crate) struct GoogleService {
    state: Arc<State>,
    endpoint: Endpoint,
    /// The name of the resource in errors, such as "the collection `links` of Firestore".
    resource: String,
}

impl fmt::Debug for GoogleService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoogleService")
            .field("resource", &self.resource)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl GoogleService {
    pub(crate) fn new(state: Arc<State>, endpoint: Endpoint, resource: String) -> Self {
        Self { state, endpoint, resource }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// A URL of the service, such as `https://pubsub.googleapis.com/v1/projects/p`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.url)
    }

    /// Calls a method with a JSON body. `path` begins with a slash and is encoded already.
    pub(crate) async fn json(
        &self,
        operation: &'static str,
        safety: Safety,
        path: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<ServiceResult<Bytes>> {
        let body = serde_json::to_vec(input)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url(path))
            .header(CONTENT_TYPE, "application/json")
            .body(PutPayload::from(body));
        let answer = self.call(operation, safety, request.map_err(invalid_request)?).await?;
        Ok(answer.map(Response::into_body))
    }

    /// Sends a request with an absolute URI.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        self.state.client.call(Call { operation, request, safety, service: &self.authorized() }).await
    }

    /// Sends a request that only reads, and returns the body of a success as a stream.
    pub(crate) async fn open(
        &self,
        operation: &'static str,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<StreamBody>>> {
        self.state.client.open(Call { operation, request, safety: Safety::Read, service: &self.authorized() }).await
    }

    /// The service error of a response, or of a part of one; `None` for a success.
    pub(crate) fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError> {
        service_error::read(answer, &self.resource)
    }

    fn authorized(&self) -> AuthorizedCall<'_> {
        AuthorizedCall { service: self, token: Mutex::default() }
    }
}

fn invalid_request(error: http::Error) -> Error {
    Error::internal("bug in isobar: a request to Google Cloud is invalid; please report it").with_source(error)
}

/// One call, whose attempts carry a token unless the endpoint is anonymous.
struct AuthorizedCall<'a> {
    service: &'a GoogleService,
    /// The token of the last attempt.
    token: Mutex<Option<Arc<Token>>>,
}

#[async_trait]
impl Service for AuthorizedCall<'_> {
    async fn authorize(&self, request: &mut Parts, _body: &PutPayload) -> Result<()> {
        if self.service.endpoint.access == Access::Anonymous {
            return Ok(());
        }
        let token = self.service.state.credentials.token().await?;
        request.headers.insert(AUTHORIZATION, token.authorization.clone());
        if let Some(project) = &token.quota_project {
            request.headers.insert("x-goog-user-project", project.clone());
        }
        *self.token.lock() = Some(token);
        Ok(())
    }

    fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError> {
        self.service.service_error(answer)
    }

    async fn renew(&self, service_error: &ServiceError) -> bool {
        let last = self.token.lock().clone();
        match last {
            Some(token) if service_error.status() == StatusCode::UNAUTHORIZED => {
                self.service.state.credentials.renew(&token).await
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
