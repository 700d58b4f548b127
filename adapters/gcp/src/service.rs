//! A service of Google Cloud: its address, what its calls show, and what its answers mean.

mod refusal;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Opened, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;
use serde::Serialize;

use crate::State;
use crate::config::{Access, Endpoint};
use crate::credentials::Token;

pub(crate) use refusal::{Refusal, Status};

/// A service as one resource needs it.
#[derive(Clone)]
pub(crate) struct GoogleService {
    state: Arc<State>,
    endpoint: Endpoint,
    /// What is called, as errors say it: "the collection `links` of Firestore".
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

/// What a service answered: its success, or its refusal, which is the caller's to understand.
pub(crate) type Answered<T> = std::result::Result<T, Refusal>;

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

    /// Calls a method that takes JSON. `path` begins with a slash; what stands in it is encoded.
    pub(crate) async fn json(
        &self,
        operation: &'static str,
        safety: Safety,
        path: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<Answered<Bytes>> {
        let body = serde_json::to_vec(input)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url(path))
            .header(CONTENT_TYPE, "application/json")
            .body(PutPayload::from(body));
        let answer = self.call(operation, safety, request.map_err(unmade)?).await?;
        Ok(answer.map(Response::into_body))
    }

    /// Makes a call whose URI is absolute, and once more where its token was refused and there is another.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<Answered<Response<Bytes>>> {
        let call = self.shown();
        let make = |request| self.state.client.call(Call { operation, request, safety, service: &call });
        let mut answer = make(request.clone()).await?;
        if call.renew(&answer.response).await {
            // What an attempt before may have done stays done.
            let earlier = answer.uncertain;
            answer = make(request).await.map_err(|error| unknown(error, earlier))?;
            answer.uncertain |= earlier;
        }
        Ok(self.read(answer))
    }

    /// Makes a call that only reads, and hands out the body of its success as it comes.
    pub(crate) async fn open(&self, operation: &'static str, request: Request<PutPayload>) -> Result<Opened> {
        let call = self.shown();
        let open = |request| self.state.client.open(Call { operation, request, safety: Safety::Read, service: &call });
        match open(request.clone()).await? {
            Opened::Refused(answer) if call.renew(&answer.response).await => open(request).await,
            opened => Ok(opened),
        }
    }

    /// The refusal that an answer is, if it is one.
    pub(crate) fn refusal(&self, answer: &Response<Bytes>, uncertain: bool) -> Refusal {
        Refusal::read(answer).of(&self.resource, uncertain)
    }

    fn read(&self, answer: Answer) -> Answered<Response<Bytes>> {
        let Answer { response, uncertain } = answer;
        // 308 is how Cloud Storage says that an upload goes on.
        if response.status().is_success() || response.status() == http::StatusCode::PERMANENT_REDIRECT {
            return Ok(response);
        }
        Err(self.refusal(&response, uncertain))
    }

    fn shown(&self) -> Shown<'_> {
        Shown { state: &self.state, access: self.endpoint.access, token: Mutex::default() }
    }
}

fn unmade(error: http::Error) -> Error {
    Error::internal("the request cannot be made").with_source(error)
}

pub(crate) fn unknown(error: Error, uncertain: bool) -> Error {
    if uncertain { error.with_outcome_unknown() } else { error }
}

/// One call: its attempts show a token, or nothing.
struct Shown<'a> {
    state: &'a State,
    access: Access,
    /// The token that the last attempt showed.
    token: Mutex<Option<Arc<Token>>>,
}

impl Shown<'_> {
    /// Does the answer refuse the token, and is there another?
    async fn renew(&self, answer: &Response<Bytes>) -> bool {
        let shown = self.token.lock().clone();
        match shown {
            Some(token) if answer.status() == http::StatusCode::UNAUTHORIZED => {
                self.state.credentials.renew(&token).await
            }
            _ => false,
        }
    }
}

#[async_trait]
impl Service for Shown<'_> {
    async fn authorize(&self, request: &mut Parts, _body: &PutPayload) -> Result<()> {
        if self.access == Access::Anonymous {
            return Ok(());
        }
        let token = self.state.credentials.token().await?;
        request.headers.insert(AUTHORIZATION, token.authorization.clone());
        if let Some(project) = &token.quota_project {
            request.headers.insert("x-goog-user-project", project.clone());
        }
        *self.token.lock() = Some(token);
        Ok(())
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        if answer.status().is_success() { Judgement::Final } else { Refusal::read(answer).judge() }
    }
}

#[cfg(test)]
mod tests;
