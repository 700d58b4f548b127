//! HTTP: every request is answered with a status, whatever the app does.

use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use isobar_abstraction::{Body, Error, ErrorKind, Event, Reply, Result};

use super::{Lambda, LambdaCall, LambdaReply, span, stream};
use crate::event::{self, Answer, Gateway, Incoming};
use crate::profile::PROFILE;

impl Lambda {
    pub(super) async fn http(&self, gateway: Gateway, event: &Incoming<'_>, call: &LambdaCall) -> Result<LambdaReply> {
        let request = match event::request(gateway, event) {
            Ok(request) => request,
            Err(error) => return self.reply(gateway, event, failed(call, error)).await,
        };
        let cx = self.limited_context(call, PROFILE.limits.http_timeout, Some(request.headers()));
        let streams = self.streams(gateway);
        let answered = self.within(&cx, async {
            let response = respond(self.app.function.call(Event::Http(request), cx.clone()).await)?;
            // What streams ends later; all else is whole before the deadline, or an error.
            if streams { Ok(response) } else { collected(response).await }
        });
        let response = match answered.await {
            Ok(response) if streams => stream::until_deadline(response, &cx, &self.state.clock),
            Ok(response) => response,
            Err(error) => failed(call, error),
        };
        self.reply(gateway, event, response).await
    }

    /// Function URLs alone stream, and only those that are set up for it: others would show the
    /// client what is meant for Lambda.
    fn streams(&self, gateway: Gateway) -> bool {
        gateway == Gateway::FunctionUrl && self.state.config.response_stream
    }

    async fn reply(&self, gateway: Gateway, event: &Incoming<'_>, response: Response<Body>) -> Result<LambdaReply> {
        if self.streams(gateway) {
            return Ok(LambdaReply::Stream(response));
        }
        let (parts, body) = response.into_parts();
        let body = collect(body).await?;
        Answer::to(gateway, event).whole(&parts, &body).map(LambdaReply::Json)
    }
}

/// The response to an error, which is logged if it is the server's fault.
fn failed(call: &LambdaCall, error: Error) -> Response<Body> {
    span(call).in_scope(|| error.into_response())
}

/// The response that a function's reply is. Errors: those of the function that are a status of their own.
fn respond(reply: Result<Reply>) -> Result<Response<Body>> {
    match reply {
        Ok(Reply::Http(response)) => Ok(response),
        Ok(_) => Err(wrong_reply()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok((StatusCode::NOT_FOUND, error.message().to_owned()).into_response())
        }
        Err(error) => Err(error),
    }
}

/// Reads the body, so that one that breaks off is an error and no answer.
async fn collected(response: Response<Body>) -> Result<Response<Body>> {
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, Body::from(collect(body).await?)))
}

async fn collect(body: Body) -> Result<Bytes> {
    let broken = |error| Error::internal("the response's body broke off").with_source(error);
    Ok(body.collect().await.map_err(broken)?.to_bytes())
}

/// Of a function that answered another kind of event than it was given.
pub(super) fn wrong_reply() -> Error {
    Error::internal("the function gave a reply to another kind of event")
}
