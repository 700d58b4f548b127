//! HTTP requests. Each receives a response, also if the app panics.

use http::{Request, Response};
use isobar_abstraction::Body;
use isobar_abstraction::driver::Limits;
use isobar_abstraction::driver::host::answer;

use super::CloudRunService;

impl CloudRunService {
    /// Handles an HTTP request for the app. Both bodies are streamed.
    pub(super) async fn http(&self, request: Request<Body>) -> Response<Body> {
        // The timeout of every provider: an app that needs more would not be portable.
        let cx = self.context(request.headers(), Limits::PORTABLE.http_timeout);
        answer(self.app.function.as_ref(), request, cx).await
    }
}
