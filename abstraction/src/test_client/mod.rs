//! [`TestClient`]: runs an app in a test, without a server.
//!
//! It calls the app through [`host`], as every platform does, so a test has the same limits, deadlines, retries and error
//! responses.

mod deliver;
mod request;
mod response;
mod signed;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use deliver::Delivered;
pub use request::TestRequest;
pub use response::TestResponse;

use crate::clock::{Clock, ManualClock};
use crate::driver::host;
use crate::event_queue::EventQueue;
use crate::manifest::Manifest;
use crate::memory::{MemoryProvider, Signed};
use crate::provider::Environment;
use crate::pub_sub::DEFAULT_SUBSCRIPTION;
use crate::{App, Body, Cloud, Context, Error, Event, IntoApp, Invocation, ObjectEvent, Outcome, Result, Tick, json};

/// Runs an app on a cloud in memory: requests, messages, object events, writes, ticks and direct calls, without a server, a
/// port or a wait. A clone has the same app, data and clock.
///
/// | to cause | call | to see |
/// |---|---|---|
/// | an HTTP request | [`get`](Self::get), [`post`](Self::post), [`request`](Self::request) | the [`TestResponse`] |
/// | a message | [`publish`](Self::publish), then [`deliver_all`](Self::deliver_all) | [`Delivered`], [`dead_letters`](Self::dead_letters) |
/// | an object event | a write to a bucket of [`cloud`](Self::cloud), then [`deliver_all`](Self::deliver_all) | the same |
/// | a write of an item | a write to a table of `cloud`, then `deliver_all` | the same |
/// | a schedule | [`tick`](Self::tick) | its result |
/// | a direct call | [`invoke`](Self::invoke) | its answer |
/// | time | [`advance`](Self::advance) | expiry, retries, signed URLs |
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{App, Cloud, TestClient};
///
/// fn app(cloud: &Cloud) -> App {
///     let jobs = cloud.topic::<u32>("jobs");
///     App::new("worker")
///         .with_state(cloud.table::<u32>("done"))
///         .on_message(&jobs, async |done, job, _cx| done.put("last", &job.body).await.map(drop))
///         .build()
/// }
///
/// let client = TestClient::new(app)?;
/// client.cloud().topic::<u32>("jobs").publish(7_u32).await?;
/// assert_eq!(client.deliver_all().await?.acked, 1);
/// assert_eq!(client.cloud().table::<u32>("done").get("last").await?, Some(7));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct TestClient {
    app: Arc<Started>,
    /// The apps of `deliver_all`.
    apps: Arc<Mutex<Vec<Arc<Started>>>>,
    provider: MemoryProvider,
    headers: Vec<(String, String)>,
}

/// An app that has been started.
struct Started {
    app: App,
    manifest: Manifest,
    cloud: Cloud,
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A header may be a secret.
        f.debug_struct("TestClient").field("app", &self.app.app).finish_non_exhaustive()
    }
}

impl TestClient {
    /// Builds the app on a new cloud in memory and starts it. The clock is at 2026-01-01T00:00:00Z.
    ///
    /// Errors: that of `app`; those of [`App::start`].
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, ErrorKind, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let jobs = cloud.topic::<u32>("jobs");
    ///     let ack = async |_job, _cx| Outcome::Ack;
    ///     App::new("worker").on_message(&jobs, ack).on_message(&jobs, ack)
    /// }
    ///
    /// let error = TestClient::new(app).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.message().contains("two handlers for topic `jobs`"));
    /// ```
    pub fn new<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> Result<Self> {
        Self::on(MemoryProvider::default(), app)
    }

    /// [`new`](Self::new) with the clock at `time`.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use isobar_abstraction::{App, TestClient};
    /// use isobar_abstraction::driver::Clock;
    ///
    /// let leap_day = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_800);
    /// let client = TestClient::starting_at(leap_day, |_| App::new("calendar"))?;
    /// assert_eq!(client.clock().now(), leap_day);
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn starting_at<A: IntoApp>(time: SystemTime, app: impl FnOnce(&Cloud) -> A) -> Result<Self> {
        Self::on(MemoryProvider::starting_at(time), app)
    }

    /// [`new`](Self::new) on a provider that may have data already.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use isobar_abstraction::{App, Cloud, TestClient, memory::MemoryProvider};
    ///
    /// let provider = MemoryProvider::default();
    /// Cloud::new(Arc::new(provider.clone())).table::<u32>("done").put("last", &7).await?;
    /// let client = TestClient::on(provider, |_| App::new("worker"))?;
    /// assert_eq!(client.cloud().table::<u32>("done").get("last").await?, Some(7));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn on<A: IntoApp>(provider: MemoryProvider, app: impl FnOnce(&Cloud) -> A) -> Result<Self> {
        let app = Started::new(&provider, app)?;
        Ok(Self { apps: Arc::new(Mutex::new(vec![Arc::clone(&app)])), app, provider, headers: Vec::new() })
    }

    /// A client of another app with the same data and the same clock. [`deliver_all`](Self::deliver_all) of any of these
    /// clients delivers to all their apps.
    ///
    /// Errors: that of `app`; those of [`App::start`]; `Config` if another of the apps handles the same queue.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, extract::State, routing::post};
    /// use isobar_abstraction::pub_sub::{Message, Topic};
    /// use isobar_abstraction::{App, Cloud, Context, Result, TestClient};
    ///
    /// async fn buy(State(orders): State<Topic<String>>, item: String) -> Result<()> {
    ///     orders.publish(item).await.map(drop)
    /// }
    ///
    /// fn shop(cloud: &Cloud) -> App {
    ///     let orders = cloud.topic::<String>("orders");
    ///     App::new("shop").http(Router::new().route("/", post(buy)).with_state(orders))
    /// }
    ///
    /// fn kitchen(cloud: &Cloud) -> App {
    ///     let cooked = cloud.table::<u32>("cooked");
    ///     App::new("kitchen").on_message(&cloud.topic("orders"), move |order: Message<String>, _: Context| {
    ///         let cooked = cooked.clone();
    ///         async move { cooked.add(&order.body, 1).await.map(drop) }
    ///     })
    /// }
    ///
    /// let shop = TestClient::new(shop)?;
    /// let kitchen = shop.with_app(kitchen)?;
    /// shop.request(http::Method::POST, "/").body("soup").send().await?;
    /// assert_eq!(shop.deliver_all().await?.acked, 1);
    /// assert_eq!(kitchen.cloud().table::<u32>("cooked").get("soup").await?, Some(1));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn with_app<A: IntoApp>(&self, app: impl FnOnce(&Cloud) -> A) -> Result<Self> {
        let app = Started::new(&self.provider, app)?;
        let mut apps = self.apps.lock();
        apps.iter().try_for_each(|other| app.check_together(other))?;
        apps.push(Arc::clone(&app));
        drop(apps);
        Ok(Self { app, ..self.clone() })
    }

    /// A cloud with the same data and full access to every resource, to prepare and to check the data.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, extract::State, routing::get};
    /// use isobar_abstraction::key_value::Table;
    /// use isobar_abstraction::{App, Cloud, Result, TestClient};
    ///
    /// async fn motto(State(mottos): State<Table<String>>) -> Result<String> {
    ///     Ok(mottos.get("today").await?.unwrap_or_default())
    /// }
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     App::new("mottos").http(Router::new().route("/", get(motto)).with_state(cloud.table("mottos")))
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// client.cloud().table("mottos").put("today", &"carpe diem".to_owned()).await?;
    /// assert_eq!(client.get("/").await?.text(), "carpe diem");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn cloud(&self) -> Cloud {
        cloud_of(&self.provider)
    }

    /// The declaration of the app.
    ///
    /// ```
    /// use isobar_abstraction::{App, TestClient};
    /// let client = TestClient::new(|_| App::new("hello"))?;
    /// assert_eq!(client.manifest().app, "hello");
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn manifest(&self) -> &Manifest {
        &self.app.manifest
    }

    /// The clock, which moves by [`advance`](Self::advance) only.
    ///
    /// ```
    /// use std::time::Duration;
    /// use isobar_abstraction::{App, TestClient};
    /// use isobar_abstraction::driver::Clock;
    ///
    /// let client = TestClient::new(|_| App::new("hello"))?;
    /// let before = client.clock().now();
    /// client.advance(Duration::from_secs(60));
    /// assert_eq!(client.clock().now(), before + Duration::from_secs(60));
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn clock(&self) -> &ManualClock {
        self.provider.manual_clock()
    }

    /// Moves the clock forward. Retries that become due are delivered by [`deliver_all`](Self::deliver_all), not here; ticks
    /// run by [`tick`](Self::tick) only.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use isobar_abstraction::key_value::PutOptions;
    /// use isobar_abstraction::{App, TestClient};
    ///
    /// let client = TestClient::new(|_| App::new("login"))?;
    /// let (sessions, hour) = (client.cloud().table::<String>("sessions"), Duration::from_secs(3_600));
    /// sessions.put_with("s1", &"ada".to_owned(), PutOptions::default().with_ttl(hour)).await?;
    /// client.advance(hour);
    /// assert_eq!(sessions.get("s1").await?, None);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn advance(&self, by: Duration) {
        self.clock().advance(by);
    }

    /// Sends a request and reads the whole response.
    ///
    /// The header `traceparent` sets the trace. A signed URL of the cloud in memory is served too. An error of a handler is
    /// a response: [`TestResponse::error`] contains it.
    ///
    /// Errors: `Internal` if the body of the response breaks off.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use http::Request;
    /// use isobar_abstraction::{App, TestClient};
    ///
    /// let client = TestClient::new(|_| App::new("uploads"))?;
    /// let pages = client.cloud().bucket("pages");
    /// let url = pages.signed_put("index.html", Duration::from_secs(60)).await?.url;
    /// let put = Request::put(url).body("<h1>hi</h1>").unwrap();
    /// assert_eq!(client.http(put).await?.status, 200);
    /// assert_eq!(pages.get("index.html").await?.bytes().await?, "<h1>hi</h1>");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn http(&self, request: Request<impl Into<Body>>) -> Result<TestResponse> {
        let request = request.map(Into::into);
        let response = match request.uri().host() {
            Some(Signed::HOST) => self.signed(request).await?,
            _ => self.call_http(request).await?,
        };
        TestResponse::read(response).await
    }

    /// Calls a function directly with a request in JSON.
    ///
    /// Errors: those of the function; `NotFound` without such a function; `InvalidInput` for an answer that is not an `R`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Context, Error, TestClient};
    ///
    /// let double = async |number: i64, _: Context| Ok::<_, Error>(number * 2);
    /// let client = TestClient::new(|_| App::new("math").on_invoke("double", double))?;
    /// assert_eq!(client.invoke::<i64>("double", &21).await?, 42);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    pub async fn invoke<R: DeserializeOwned + 'static>(&self, function: &str, request: &impl Serialize) -> Result<R> {
        let answer = self.invoke_raw(function, serde_json::to_vec(request)?).await?;
        json::decode(&answer)
    }

    /// Calls a function directly with a payload that need not be JSON, and returns the answer as JSON.
    ///
    /// Errors: those of the function; `NotFound` without such a function.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Context, Error, ErrorKind, TestClient};
    ///
    /// let double = async |number: i64, _: Context| Ok::<_, Error>(number * 2);
    /// let client = TestClient::new(|_| App::new("math").on_invoke("double", double))?;
    /// assert_eq!(client.invoke_raw("double", "4").await?, "8");
    /// let refused = client.invoke_raw("double", "four").await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    pub async fn invoke_raw(&self, function: &str, payload: impl Into<Bytes>) -> Result<Bytes> {
        host::invoke(&self.app.app, Invocation::new(function, payload), self.app.event_context()).await
    }

    /// Runs a schedule now, independent of its cron line.
    ///
    /// Errors: `Internal` with the reason if the handler fails; `NotFound` without such a schedule.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Context, Error, TestClient, Tick};
    ///
    /// let sweep = async |_: Tick, _: Context| Err::<(), _>(Error::internal("the broom is gone"));
    /// let client = TestClient::new(|_| App::new("house").on_schedule("sweep", "0 3 * * *", sweep))?;
    /// assert!(client.tick("sweep").await.unwrap_err().message().contains("broom"));
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    pub async fn tick(&self, schedule: &str) -> Result<()> {
        let tick = Event::Schedule(Tick::new(schedule, self.clock().now()));
        host::handle(&self.app.app, tick, self.app.event_context()).await?.into_result()
    }

    /// Delivers an object event that no write caused to the trigger `default` of its bucket, and returns the outcome of the
    /// handler.
    ///
    /// Errors: `NotFound` without a handler.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Cloud, Context, ObjectChange, ObjectEvent, Outcome, TestClient};
    /// use isobar_abstraction::driver::Clock;
    ///
    /// let app = |cloud: &Cloud| {
    ///     App::new("index").on_object(&cloud.bucket("pages"), async |_: ObjectEvent, _: Context| Outcome::Ack)
    /// };
    /// let client = TestClient::new(app)?;
    /// let deleted = ObjectEvent::new("pages", "a.html", ObjectChange::Deleted, client.clock().now());
    /// assert_eq!(client.object_event(deleted).await?, Outcome::Ack);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn object_event(&self, event: ObjectEvent) -> Result<Outcome> {
        let event = Event::Object { trigger: DEFAULT_SUBSCRIPTION.to_owned(), event };
        host::handle(&self.app.app, event, self.app.event_context()).await
    }

    /// Publishes a message like another app. Errors: those of [`Topic::publish`](crate::pub_sub::Topic::publish).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::pub_sub::Message;
    /// use isobar_abstraction::{App, Cloud, Context, Outcome, TestClient};
    ///
    /// let work = async |_: Message<u32>, _: Context| Outcome::Ack;
    /// let client = TestClient::new(|cloud: &Cloud| App::new("worker").on_message(&cloud.topic("jobs"), work))?;
    /// client.publish("jobs", 7).await?;
    /// assert_eq!(client.deliver_all().await?.acked, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn publish<T: Serialize + 'static>(&self, topic: &str, body: T) -> Result<()> {
        self.cloud().topic::<T>(topic).publish(body).await.map(drop)
    }

    async fn call_http(&self, mut request: Request<Body>) -> Result<Response<Body>> {
        self.add_headers(&mut request)?;
        let cx = self.app.context(self.app.cloud.limits().http_timeout).with_trace_of(request.headers());
        Ok(host::answer(&self.app.app, request, cx).await)
    }
}

impl Started {
    fn new<A: IntoApp>(provider: &MemoryProvider, app: impl FnOnce(&Cloud) -> A) -> Result<Arc<Self>> {
        let cloud = cloud_of(provider);
        let mut app = app(&cloud).into_app()?;
        let manifest = app.start(&cloud)?;
        provider.queues().handle(&manifest);
        Ok(Arc::new(Self { app, manifest, cloud }))
    }

    /// Errors: `Config` if both handle the same queue.
    fn check_together(&self, other: &Self) -> Result<()> {
        let is_of_other = |queue: &EventQueue| other.manifest.queues().any(|(of_other, _)| of_other == *queue);
        let twice = self.manifest.queues().map(|(queue, _)| queue).find(is_of_other);
        let Some(queue) = twice else { return Ok(()) };
        let (this, other) = (self.app.name(), other.app.name());
        let message = format!("the apps `{this}` and `{other}` both handle {queue}; give one of them another name");
        Err(Error::config(message))
    }

    fn event_context(&self) -> Context {
        self.context(self.cloud.limits().event_timeout)
    }

    fn context(&self, timeout: Duration) -> Context {
        Context::new("memory", self.cloud.clock()).with_timeout(timeout)
    }
}

fn cloud_of(provider: &MemoryProvider) -> Cloud {
    Cloud::new(Arc::new(provider.clone())).with_openers(&provider.openers(), &Environment::default())
}
