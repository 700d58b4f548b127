//! The caller of the double: a client on a manual clock.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{BoxFuture, pending, ready};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::{Clock, Function};
use isobar_abstraction::{App, Context, Error, ErrorKind, Event, Invocation, Result};
use isobar_rest::{Call, Client, ClientConfig, RetryDecision, Safety, Service, ServiceError};
use object_store::PutPayload;
use parking_lot::Mutex;

/// What a write sends.
pub(crate) const PAYLOAD: &str = "payload";

/// A manual clock on which a pause ends immediately and is recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotingClock {
    pub(crate) manual: ManualClock,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl NotingClock {
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().clone()
    }
}

impl Clock for NotingClock {
    fn now(&self) -> SystemTime {
        self.manual.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.manual.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pauses.lock().push(duration);
        self.manual.advance(duration);
        Box::pin(ready(()))
    }
}

/// A service that signs with a secret: 429 and 503 did nothing, other 5xx may have.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    attempts: AtomicU32,
    /// From this attempt on there are no credentials.
    expires_at: Option<u32>,
    is_silent: bool,
    /// Are there other credentials than those that were refused?
    has_others: bool,
    renewals: AtomicU32,
}

impl Signed {
    pub(crate) fn with_others() -> Self {
        Self { has_others: true, ..Self::default() }
    }

    /// How often it was asked for other credentials.
    pub(crate) fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::Relaxed)
    }

    pub(crate) fn expiring_at(attempt: u32) -> Self {
        Self { expires_at: Some(attempt), ..Self::default() }
    }

    /// Never comes to an end.
    pub(crate) fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }
}

#[async_trait]
impl Service for Signed {
    async fn authorize(&self, request: &mut Parts, _: &PutPayload) -> Result<()> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if self.expires_at.is_some_and(|expires| attempt >= expires) {
            return Err(Error::new(ErrorKind::Unauthenticated, "the credentials have expired"));
        }
        if self.is_silent {
            return pending().await;
        }
        let token = HeaderValue::from_str(&format!("hush-token-{attempt}")).unwrap();
        request.headers.insert("authorization", token);
        Ok(())
    }

    fn service_error(&self, response: &Response<Bytes>) -> Option<ServiceError> {
        let after = response.headers().get("x-wait-ms").map(|ms| ms.to_str().unwrap().parse().unwrap());
        let decision = match response.status().as_u16() {
            429 | 503 => RetryDecision::Throttled { after: after.map(Duration::from_millis) },
            500.. => RetryDecision::Failed,
            _ => RetryDecision::Final,
        };
        ServiceError::from_status(response).map(|service_error| ServiceError { decision, ..service_error })
    }

    async fn renew(&self, service_error: &ServiceError) -> bool {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        service_error.status() == 401 && self.has_others
    }
}

/// The last answer of a service, and whether a refused call may have been applied.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Bytes>,
    pub(crate) uncertain: bool,
}

/// A client, and the clock that it goes by.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) clock: NotingClock,
}

/// Three attempts; times so long that only what must end by itself ends.
pub(crate) fn long_timeouts() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.connect_timeout = Duration::from_secs(20);
    config.max_attempts = 3;
    config.min_backoff = Duration::from_millis(100);
    config.max_backoff = Duration::from_secs(5);
    config
}

impl Caller {
    /// The config with long timeouts, changed.
    pub(crate) fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = long_timeouts();
        change(&mut config);
        let clock = NotingClock::default();
        Self { client: Client::new(config, Arc::new(clock.clone())), clock }
    }

    pub(crate) fn with_attempts(attempts: u32) -> Self {
        Self::new(|config| config.max_attempts = attempts)
    }

    /// A `GET` where it only reads, else a `POST`.
    pub(crate) async fn call(&self, safety: Safety, url: &str) -> Result<Answer> {
        self.call_of(&Signed::default(), safety, url).await
    }

    pub(crate) async fn call_of(&self, service: &Signed, safety: Safety, url: &str) -> Result<Answer> {
        let (method, body) = match safety {
            Safety::Read => (Method::GET, Bytes::new()),
            Safety::Idempotent | Safety::Once => (Method::POST, Bytes::from_static(PAYLOAD.as_bytes())),
        };
        self.send(service, safety, Request::builder().method(method).uri(url).body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, service: &Signed, safety: Safety, request: Request<Bytes>) -> Result<Answer> {
        let call = Call { operation: "Ask", request: request.map(PutPayload::from), safety, service };
        Ok(match self.client.call(call).await? {
            Ok(response) => Answer { response, uncertain: false },
            Err(ServiceError { response, uncertain, .. }) => Answer { response, uncertain },
        })
    }

    /// Reads, and expects a success.
    pub(crate) async fn read(&self, url: &str) -> String {
        let answer = self.call(Safety::Read, url).await.unwrap();
        assert_eq!(answer.response.status(), 200);
        String::from_utf8(answer.response.into_body().to_vec()).unwrap()
    }

    /// How often it waited before another attempt.
    pub(crate) fn waits(&self) -> usize {
        self.clock.pauses().len()
    }

    /// Does the work in an invocation that has this long left.
    pub(crate) async fn within<T, F>(&self, left: Duration, work: impl FnOnce(Self) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let done = Arc::new(Mutex::new(None));
        let (keep, work) = (Arc::clone(&done), Mutex::new(Some(work(self.clone()))));
        let app = App::new("test").on_invoke("work", move |(): (), _| {
            let (keep, work) = (Arc::clone(&keep), work.lock().take().unwrap());
            async move {
                let result = work.await;
                keep.lock().replace(result);
                Ok::<_, Error>(())
            }
        });
        let cx = Context::new("test", Arc::new(self.clock.clone())).with_deadline(self.clock.now() + left);
        app.call(Event::Invoke(Invocation::new("work", "null")), cx).await.unwrap();
        let done = done.lock().take();
        done.unwrap()
    }
}
