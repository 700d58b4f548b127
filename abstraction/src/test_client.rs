//! Drives an app without a server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blob::{Bucket, SignedAccess, WriteOptions};
use crate::host;
use crate::manifest::MessageTrigger;
use crate::memory::{Leased, MemoryProvider, Queues, Signed, SignedObject, Source};
use crate::pub_sub::{DeadLetter, Message};
use crate::{
    App, Body, Clock, Cloud, Context, Error, ErrorKind, Event, Invocation, Manifest, ManualClock, ObjectEvent, Outcome,
    Provider, ResourceKind, Result, RetryPolicy, Tick, Verdict, json,
};

/// Drives an app on a cloud in memory: requests, messages, object events, ticks and direct calls,
/// with no server, no port and no waiting.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{App, Cloud, TestClient};
///
/// fn app(cloud: &Cloud) -> App {
///     let jobs = cloud.topic::<u32>("jobs");
///     let done = cloud.table::<u32>("done");
///     App::new("worker").on_message(&jobs, move |job, _cx| {
///         let done = done.clone();
///         async move { done.put("last", &job.body).await.map(|_| ()) }
///     })
/// }
///
/// let client = TestClient::new(app)?;
/// client.cloud().topic::<u32>("jobs").publish(7_u32).await?;
/// assert_eq!(client.deliver_all().await?.acked, 1);
/// assert_eq!(client.cloud().table::<u32>("done").get("last").await?, Some(7));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TestClient {
    app: Arc<App>,
    manifest: Manifest,
    cloud: Cloud,
    provider: MemoryProvider,
}

/// What [`TestClient::deliver_all`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Events that were acknowledged.
    pub acked: usize,
    /// Deliveries that are to be tried again, once the clock has been advanced.
    pub retried: usize,
    /// Events that became dead letters.
    pub dead: usize,
}

/// The answer to a request, read whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl TestResponse {
    /// An answer that another client read.
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON. Errors: `InvalidInput`.
    pub fn json<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        json::decode(&self.body)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Messages that are handled at the same time.
const AT_ONCE: usize = 10;

impl TestClient {
    /// Builds the app on a new cloud in memory and starts it. Errors: those of [`App::start`].
    pub fn new(app: impl FnOnce(&Cloud) -> App) -> Result<Self> {
        Self::on(MemoryProvider::default(), app)
    }

    /// The same on a provider whose data is there already, or is shared with other clients.
    pub fn on(provider: MemoryProvider, app: impl FnOnce(&Cloud) -> App) -> Result<Self> {
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = app(&cloud);
        let manifest = app.start(&cloud)?;
        Ok(Self { app: Arc::new(app), manifest, cloud, provider })
    }

    /// A cloud with the same data on which anything can be opened, to prepare and to look at it.
    pub fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider.clone()))
    }

    /// What the app declared.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The clock, which stands still.
    pub fn clock(&self) -> &ManualClock {
        self.provider.manual_clock()
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.clock().advance(by);
    }

    /// Sends a request, and reads the answer whole.
    ///
    /// The header `traceparent` sets the trace. A signed URL of the cloud in memory is served too.
    pub async fn http(&self, request: Request<impl Into<Body>>) -> Result<TestResponse> {
        let request = request.map(Into::into);
        let response = match request.uri().host() {
            Some(Signed::HOST) => self.signed(request).await?,
            _ => self.call_http(request).await,
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Error::internal("the body broke off").with_source(error))?;
        Ok(TestResponse { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    /// GET of a path.
    pub async fn get(&self, path: &str) -> Result<TestResponse> {
        self.http(Request::get(path).body(Body::empty()).map_err(bad_request)?).await
    }

    /// POST of JSON to a path.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<TestResponse> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.http(request.body(serde_json::to_vec(body)?).map_err(bad_request)?).await
    }

    /// Calls a function directly.
    pub async fn invoke<R: DeserializeOwned + 'static>(&self, function: &str, request: &impl Serialize) -> Result<R> {
        let answer = self.invoke_raw(function, serde_json::to_vec(request)?).await?;
        json::decode(&answer)
    }

    /// Calls a function directly with a payload that may not be JSON at all.
    pub async fn invoke_raw(&self, function: &str, payload: impl Into<Bytes>) -> Result<Bytes> {
        host::invoke(self.app.as_ref(), Invocation::new(function, payload), self.event_context()).await
    }

    /// Runs a schedule now. Errors: `Internal` with its reason where it fails.
    pub async fn tick(&self, schedule: &str) -> Result<()> {
        let tick = Event::Schedule(Tick::new(schedule, self.clock().now()));
        host::handle(self.app.as_ref(), tick, self.event_context()).await?.into_result()
    }

    /// Hands an object event to the app, as if the bucket had sent it. Errors: `NotFound` where nothing handles it.
    pub async fn object_event(&self, event: ObjectEvent) -> Result<Outcome> {
        host::handle(self.app.as_ref(), Event::Object(event), self.event_context()).await
    }

    /// Publishes a message, as if another app had.
    pub async fn publish<T: Serialize + 'static>(&self, topic: &str, body: T) -> Result<()> {
        self.cloud().topic::<T>(topic).publish(body).await.map(drop)
    }

    /// Delivers what is due, and what comes of it, until nothing is due any more.
    ///
    /// What is to be tried again is due later: [`advance`](Self::advance) the clock and deliver again.
    pub async fn deliver_all(&self) -> Result<Delivered> {
        let mut total = Delivered::default();
        loop {
            let before = total;
            for MessageTrigger { source: topic, subscription, retry } in &self.manifest.messages {
                let event = |message: Message<Bytes>| {
                    Ok(Event::Message { topic: topic.clone(), subscription: subscription.clone(), message })
                };
                self.deliver(&Source::new(ResourceKind::Topic, topic), *retry, event, &mut total).await?;
            }
            for trigger in &self.manifest.objects {
                let event = |message: Message<Bytes>| json::decode(&message.body).map(Event::Object);
                self.deliver(&Source::new(ResourceKind::Bucket, &trigger.source), trigger.retry, event, &mut total)
                    .await?;
            }
            if total == before {
                return Ok(total);
            }
        }
    }

    /// The messages of a topic that wait for delivery.
    pub fn waiting(&self, topic: &str) -> Vec<Message<Bytes>> {
        self.queues().waiting(&Source::new(ResourceKind::Topic, topic))
    }

    /// The messages of a topic that were given up.
    pub fn dead_letters(&self, topic: &str) -> Vec<DeadLetter> {
        self.queues().dead_letters(&Source::new(ResourceKind::Topic, topic))
    }

    /// The object events of a bucket that were given up.
    pub fn dead_object_events(&self, bucket: &str) -> Vec<DeadLetter> {
        self.queues().dead_letters(&Source::new(ResourceKind::Bucket, bucket))
    }

    /// Puts the dead letters of a topic or a bucket back, to be delivered anew. Returns how many.
    pub fn redrive(&self, kind: ResourceKind, name: &str) -> usize {
        self.queues().redrive(&Source::new(kind, name), self.clock().now())
    }

    /// Delivers what is due as platforms do: each event by itself, and of each ordering key only the head.
    async fn deliver(
        &self,
        source: &Source,
        retry: RetryPolicy,
        event: impl Fn(Message<Bytes>) -> Result<Event>,
        total: &mut Delivered,
    ) -> Result<()> {
        let leased = self.queues().lease(source, self.clock().now(), AT_ONCE);
        let deliver = async |leased: Leased| {
            let cx = self.event_context().with_attempt(leased.message.attempt);
            let outcome = host::deliver(self.app.as_ref(), event(leased.message.clone())?, cx).await;
            Ok::<_, Error>((leased, outcome))
        };
        for delivered in join_all(leased.into_iter().map(deliver)).await {
            let (leased, outcome) = delivered?;
            let longest = self.provider.profile().limits.longest_retry(leased.message.ordering_key.as_deref());
            let verdict = retry.judge(leased.message.attempt, outcome, longest);
            match &verdict {
                Verdict::Done => total.acked += 1,
                Verdict::Again(_) => total.retried += 1,
                Verdict::Dead(_) => total.dead += 1,
            }
            self.queues().settle(source, leased, verdict, self.clock().now());
        }
        Ok(())
    }

    async fn call_http(&self, request: Request<Body>) -> Response<Body> {
        let cx = self.context(self.cloud.limits().http_timeout).with_trace_of(request.headers());
        host::answer(self.app.as_ref(), request, cx).await
    }

    async fn signed(&self, request: Request<Body>) -> Result<Response<Body>> {
        let uri = request.uri();
        let object = self.provider.signed().find(uri.path(), uri.query().unwrap_or_default());
        let allowed = |object: &SignedObject| {
            let method = if object.access == SignedAccess::Get { Method::GET } else { Method::PUT };
            *request.method() == method && self.clock().now() < object.expires_at
        };
        let object = object.filter(allowed);
        let Some(object) = object else { return Ok(status(StatusCode::FORBIDDEN)) };
        let (bucket, key) = (self.cloud().bucket(&object.bucket), crate::blob::key::decode(&object.stored));
        match object.access {
            SignedAccess::Get => signed_get(&bucket, &key).await,
            SignedAccess::Put => signed_put(&bucket, &key, request).await,
        }
    }

    fn queues(&self) -> &Queues {
        self.provider.queues()
    }

    fn event_context(&self) -> Context {
        self.context(self.cloud.limits().event_timeout)
    }

    fn context(&self, timeout: Duration) -> Context {
        Context::new("memory", self.provider.clock()).with_timeout(timeout)
    }
}

async fn signed_get(bucket: &Bucket, key: &str) -> Result<Response<Body>> {
    let object = match bucket.get(key).await {
        Ok(object) => object,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(status(StatusCode::NOT_FOUND)),
        Err(error) => return Err(error),
    };
    let headers = [(CONTENT_TYPE, object.content_type.clone()), (CACHE_CONTROL, object.cache_control.clone())];
    let mut response = Response::new(object.into_body());
    for (name, value) in headers {
        let value = value.and_then(|value| HeaderValue::try_from(value).ok());
        response.headers_mut().extend(value.map(|value| (name, value)));
    }
    Ok(response)
}

async fn signed_put(bucket: &Bucket, key: &str, request: Request<Body>) -> Result<Response<Body>> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let options = WriteOptions { content_type: content_type.map(str::to_owned), ..Default::default() };
    bucket.put_stream(key, request.into_body().into_data_stream(), options).await?;
    Ok(status(StatusCode::OK))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn bad_request(error: http::Error) -> Error {
    Error::invalid("not an HTTP request").with_source(error)
}
