//! HTTP: every request is answered with a status, whatever the app does.

use http::{Request, Response};
use isobar_abstraction::Body;
use isobar_abstraction::driver::Limits;
use isobar_abstraction::driver::host::answer;

use super::CloudRunService;

impl CloudRunService {
    /// A request of a user. Both bodies stream.
    pub(super) async fn http(&self, request: Request<Body>) -> Response<Body> {
        // What every provider gives: an app that needs longer here cannot leave.
        let cx = self.context(request.headers(), Limits::PORTABLE.http_timeout);
        answer(self.app.function.as_ref(), request, cx).await
    }
}
