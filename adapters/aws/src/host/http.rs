//! HTTP: every request is answered with a status, whatever the app does.

use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use isobar_abstraction::host::{answer, answer_whole, identify};
use isobar_abstraction::{Body, Error, Result};

use super::{Lambda, LambdaCall, LambdaReply, span};
use crate::event::{self, Answer, Gateway, Incoming};
use crate::profile::PROFILE;

impl Lambda {
    pub(super) async fn http(&self, gateway: Gateway, event: &Incoming<'_>, call: &LambdaCall) -> Result<LambdaReply> {
        let most = PROFILE.limits.http_timeout;
        let request = match event::request(gateway, event) {
            Ok(request) => request,
            Err(error) => {
                let mut response = span(call).in_scope(|| error.into_response());
                identify(&mut response, &self.limited_context(call, most, None));
                return self.reply(gateway, event, response).await;
            }
        };
        let cx = self.limited_context(call, most, Some(request.headers()));
        let function = self.app.function.as_ref();
        if self.streams(gateway) {
            return Ok(LambdaReply::Stream(answer(function, request, cx).await));
        }
        // What does not stream is whole before the deadline, or an error.
        let response = answer_whole(function, request, cx).await;
        self.reply(gateway, event, response.map(Body::from)).await
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

async fn collect(body: Body) -> Result<Bytes> {
    let broken = |error| Error::internal("the response's body broke off").with_source(error);
    Ok(body.collect().await.map_err(broken)?.to_bytes())
}
