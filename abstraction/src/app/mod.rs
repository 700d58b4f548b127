//! An app: handlers, and the triggers that call them.

mod check;
mod dispatch;
mod handler;
mod http;
mod refusal;
mod response;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blob::Bucket;
use crate::pub_sub::{DEFAULT_SUBSCRIPTION, Message, Subscription};
use crate::{Body, BoxError, Context, Error, IntoOutcome, Limits, ObjectEvent, Outcome, RetryPolicy, Tick, json};
pub(crate) use handler::caught;
use handler::{Handler, boxed};

pub use handler::note_panic;

/// What an app is made of: an HTTP service, and handlers of messages, object events, schedules and
/// direct calls. It is a [`Function`](crate::Function), which is all that a host knows of it.
///
/// ```
/// use isobar_abstraction::{App, Cloud, Context, Error};
///
/// pub fn app(cloud: &Cloud) -> App {
///     let greetings = cloud.topic::<String>("greetings");
///     let log = cloud.table::<String>("greeted");
///     App::new("greeter")
///         .on_message(&greetings, move |greeting, _cx| {
///             let log = log.clone();
///             async move { log.put(greeting.id.as_str(), &greeting.body).await.map(|_| ()) }
///         })
///         .on_invoke("double", |number: i64, _cx: Context| async move { Ok::<_, Error>(number * 2) })
/// }
/// ```
pub struct App {
    name: String,
    http: Option<Box<http::HttpService>>,
    /// By topic and subscription.
    messages: BTreeMap<(String, String), Trigger<Message<Bytes>>>,
    objects: BTreeMap<String, Trigger<ObjectEvent>>,
    schedules: BTreeMap<String, Schedule>,
    invokes: BTreeMap<String, Box<Handler<Bytes, crate::Result<Bytes>>>>,
    problems: Vec<String>,
    sources: Vec<Source>,
    limits: Limits,
}

struct Trigger<E> {
    handler: Box<Handler<E, Outcome>>,
    retry: RetryPolicy,
}

struct Schedule {
    cron: String,
    handler: Box<Handler<Tick, Outcome>>,
}

/// The handle that a trigger was given, to check that it belongs to the cloud that the app runs on.
struct Source {
    description: String,
    grant: crate::access::Grant,
}

impl App {
    /// An app of this name, which follows the rule for logical names.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            http: None,
            messages: BTreeMap::new(),
            objects: BTreeMap::new(),
            schedules: BTreeMap::new(),
            invokes: BTreeMap::new(),
            problems: Vec::new(),
            sources: Vec::new(),
            limits: Limits::PORTABLE,
        }
    }

    /// Serves HTTP with any tower service of `http::Request`, such as an axum `Router`.
    ///
    /// A handler's `Err` is an answer that the service makes of it. That of an isobar [`Error`] has the
    /// status of its kind, where the app made the error or an object is missing, and is a 5xx otherwise:
    /// see the table at its `IntoResponse`. A panic is a 500. Each answer has the header `x-request-id`
    /// with the invocation id, unless the app sets one.
    ///
    /// ```
    /// use axum::extract::{Path, State};
    /// use axum::{Router, routing::get};
    /// use isobar_abstraction::key_value::Table;
    /// use isobar_abstraction::{App, Cloud, Error, Result, TestClient};
    ///
    /// async fn todo(State(todos): State<Table<String>>, Path(id): Path<String>) -> Result<String> {
    ///     todos.get(&id).await?.ok_or_else(|| Error::not_found("no such todo"))
    /// }
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let todos = cloud.table::<String>("todos");
    ///     App::new("todos").http(Router::new().route("/{id}", get(todo)).with_state(todos))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let answer = TestClient::new(app)?.get("/milk").await?;
    /// assert_eq!(answer.status, 404);
    /// assert_eq!(answer.text(), r#"{"detail":"no such todo","error":"not-found"}"#);
    /// assert!(answer.header("x-request-id").is_some());
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn http<S, B>(mut self, service: S) -> Self
    where
        S: tower_service::Service<::http::Request<Body>, Response = ::http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if self.http.replace(http::erase(service)).is_some() {
            self.problems.push("`http` is given twice; merge the routers into one".to_owned());
        }
        self
    }

    /// Handles the messages of a topic, each by itself.
    ///
    /// `()` and `Ok` acknowledge; an `Err` tries again, or is a dead letter at once where no delivery can
    /// succeed: see [`IntoOutcome`]. A body that is not an `M` is
    /// rejected, and so becomes a dead letter at once. To say how often a message is tried, pass
    /// [`Topic::subscription`](crate::pub_sub::Topic::subscription).
    #[must_use]
    pub fn on_message<M, H, F>(mut self, topic: impl Into<Subscription<M>>, handler: H) -> Self
    where
        M: DeserializeOwned + Send + 'static,
        H: Fn(Message<M>, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let Subscription { topic, retry } = topic.into();
        let name = topic.name().to_owned();
        self.source("topic", &name, topic.resource().1.clone());
        let handler = boxed(move |message: Message<Bytes>, cx| {
            let call = message.decode().map(|message| handler(message, cx));
            async move {
                match call {
                    Ok(call) => call.await.into_outcome(),
                    Err(error) => Outcome::reject(crate::outcome::chain(&error)),
                }
            }
        });
        let key = (name.clone(), DEFAULT_SUBSCRIPTION.to_owned());
        if self.messages.insert(key, Trigger { handler, retry }).is_some() {
            self.twice("topic", &name);
        }
        self
    }

    /// Handles the object events of a bucket: every create, replace and delete.
    #[must_use]
    pub fn on_object<H, F>(mut self, bucket: &Bucket, handler: H) -> Self
    where
        H: Fn(ObjectEvent, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let name = bucket.name().to_owned();
        self.source("bucket", &name, bucket.resource().1.clone());
        let handler = boxed(move |event, cx| {
            let call = handler(event, cx);
            async move { call.await.into_outcome() }
        });
        let trigger = Trigger { handler, retry: RetryPolicy::default() };
        if self.objects.insert(name.clone(), trigger).is_some() {
            self.twice("bucket", &name);
        }
        self
    }

    /// Runs by the clock: five-field cron, in UTC. A run that fails is not tried again before the
    /// next tick; a tick that was missed while nothing ran comes once at start.
    #[must_use]
    pub fn on_schedule<H, F>(mut self, name: impl Into<String>, cron: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Tick, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let name = name.into();
        let handler = boxed(move |tick, cx| {
            let call = handler(tick, cx);
            async move { call.await.into_outcome() }
        });
        let schedule = Schedule { cron: cron.into(), handler };
        if self.schedules.insert(name.clone(), schedule).is_some() {
            self.twice("schedule", &name);
        }
        self
    }

    /// Answers direct calls: a typed request in, a typed response out, both JSON.
    #[must_use]
    pub fn on_invoke<Q, R, E, H, F>(mut self, name: impl Into<String>, handler: H) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
        E: Into<BoxError>,
        H: Fn(Q, Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        let name = name.into();
        let handler = boxed(move |payload: Bytes, cx| {
            let payload = if payload.is_empty() { Bytes::from_static(b"null") } else { payload };
            let call = json::decode(&payload).map(|request| handler(request, cx));
            async move { json::encode(&call?.await.map_err(into_error)?) }
        });
        if self.invokes.insert(name.clone(), handler).is_some() {
            self.twice("function", &name);
        }
        self
    }

    /// The app's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn twice(&mut self, what: &str, name: &str) {
        self.problems.push(format!("two handlers for {what} `{name}`; an event has one handler"));
    }

    fn source(&mut self, kind: &str, name: &str, grant: crate::access::Grant) {
        self.sources.push(Source { description: format!("{kind} `{name}`"), grant });
    }
}

/// Any error as isobar's own, without losing one that is already.
fn into_error(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::internal("the handler failed").with_source(other),
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.name).finish_non_exhaustive()
    }
}
