//! HTTP: every request is answered with a status, whatever the app does.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::driver::host::{answer, answer_whole, refuse};
use isobar_abstraction::{Body, Result};

use super::{Lambda, LambdaCall, LambdaReply, span};
use crate::event::{self, Answer, Gateway, Incoming};
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
                return whole(gateway, event, response);
            }
        };
        let cx = self.limited_context(call, most, Some(request.headers()));
        let function = self.app.function.as_ref();
        if self.streams(gateway) {
            return Ok(LambdaReply::Stream(answer(function, request, cx).await));
        }
        // What does not stream is whole before the deadline, or an error.
        whole(gateway, event, answer_whole(function, request, cx).await)
    }

    /// Function URLs alone stream, and only those that are set up for it: others would show the
    /// client what is meant for Lambda.
    fn streams(&self, gateway: Gateway) -> bool {
        gateway == Gateway::FunctionUrl && self.state.config.response_stream
    }
}

fn whole(gateway: Gateway, event: &Incoming<'_>, response: Response<Bytes>) -> Result<LambdaReply> {
    let (parts, body) = response.into_parts();
    Answer::to(gateway, event).whole(&parts, &body).map(LambdaReply::Json)
}
