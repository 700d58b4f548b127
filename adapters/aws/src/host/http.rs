//! HTTP: every request has a response with a status, even if the app fails.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::driver::host::{answer, answer_whole, refuse};
use isobar_abstraction::{Body, Result};

use super::{Lambda, LambdaCall, LambdaReply, span};
use crate::event::{self, Gateway, Incoming, ResponseFormat};
use crate::profile::PROFILE;

impl Lambda {
    pub(super) async fn http(&self, gateway: Gateway, event: &Incoming<'_>, call: &LambdaCall) -> Result<LambdaReply> {
        let most = PROFILE.limits.http_timeout;
        let request = match event::request(gateway, event) {
            Ok(request) => request,
            Err(error) => {
                let cx = self.limited_context(call, most, None);
                let response = span(call).in_scope(|| refuse(error, &cx));
                if self.streams(gateway) {
                    return Ok(LambdaReply::Stream(response.map(Body::from)));
                }
                return complete(gateway, event, response);
            }
        };
        let cx = self.limited_context(call, most, Some(request.headers()));
        let function = self.app.function.as_ref();
        if self.streams(gateway) {
            return Ok(LambdaReply::Stream(answer(function, request, cx).await));
        }
        // Without streaming, the body must be complete before the deadline.
        complete(gateway, event, answer_whole(function, request, cx).await)
    }

    /// Whether the response is streamed: only for Function URLs with that invoke mode. Others would send the
    /// metadata for Lambda to the client.
    fn streams(&self, gateway: Gateway) -> bool {
        gateway == Gateway::FunctionUrl && self.state.config.response_stream
    }
}

fn complete(gateway: Gateway, event: &Incoming<'_>, response: Response<Bytes>) -> Result<LambdaReply> {
    let (parts, body) = response.into_parts();
    ResponseFormat::of(gateway, event).encode(&parts, &body).map(LambdaReply::Json)
}
