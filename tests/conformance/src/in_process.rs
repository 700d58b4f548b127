//! A host of direct calls and HTTP in the trial's own process, for trials that need an app only to look at a
//! resource from inside it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isobar::axum::body::to_bytes;
use isobar::driver::{Function, host};
use isobar::manifest::Manifest;
use isobar::{App, Body, Cloud, Context, Error, IntoApp, Invocation, Result, TestResponse};

use crate::{BuildApp, HarnessError, HarnessResult, Lacks, RunningApp, World};

impl dyn World + '_ {
    /// `run` for trials of key-value and blobs, which need any host of direct calls and HTTP: where the
    /// harness lacks one, the app runs in the process of the trial.
    pub async fn run_on_any_host<A: IntoApp>(
        &self,
        app: impl Fn(&Cloud) -> A + Copy + Send + 'static,
    ) -> HarnessResult<Box<dyn RunningApp>> {
        match self.run(app).await {
            Err(HarnessError::Lacks(Lacks::Host)) => {
                Ok(Box::new(InProcess::start(self.cloud(), Box::new(move |cloud| app(cloud).into_app()))?))
            }
            started => started,
        }
    }
}

/// An app on a cloud, without any platform.
pub(crate) struct InProcess {
    app: App,
    manifest: Manifest,
    cloud: Cloud,
}

impl InProcess {
    /// Starts an app. Errors: that of `build`, and those of the app's declaration.
    pub(crate) fn start(cloud: Cloud, build: BuildApp) -> Result<Self> {
        let mut app = build(&cloud)?;
        let manifest = app.start(&cloud)?;
        Ok(Self { app, manifest, cloud })
    }

    fn context(&self, timeout: Duration) -> Context {
        Context::new(self.cloud.profile().provider, self.cloud.clock()).with_timeout(timeout)
    }
}

#[async_trait]
impl RunningApp for InProcess {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: http::Request<Body>) -> HarnessResult<TestResponse> {
        let cx = self.context(self.cloud.limits().http_timeout).with_trace_of(request.headers());
        let (parts, body) = host::answer(&self.app as &dyn Function, request, cx).await.into_parts();
        let body = to_bytes(body, usize::MAX).await;
        let body = body.map_err(|error| Error::internal("the response's body broke off").with_source(error))?;
        Ok(TestResponse::new(parts.status, parts.headers, body))
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let cx = self.context(self.cloud.limits().event_timeout);
        Ok(host::invoke(&self.app, Invocation::new(function, payload), cx).await?)
    }
}
