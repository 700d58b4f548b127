//! An app: handlers, and the triggers that call them.
//!
//! An app is built by plain functions: no macro, no registry before `main`, no reflection. So the compiler checks the
//! handlers, and the same function serves a process, a test and the manifest. `App` has no type parameter for a state,
//! because `App<()>` and `App<S>` would need methods of one name with different handlers, which Rust rejects (E0592);
//! [`with_state`](App::with_state) returns a second type.

mod check;
mod dispatch;
mod handler;
mod http;
mod into_app;
mod layer;
mod mount;
mod rejection;
mod response;
mod state;
mod trigger;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::manifest::{MessageTrigger, ScheduleTrigger};
use crate::profile::Limits;
use crate::pub_sub::{Message, Subscription};
use crate::resource::ResourceKind;
use crate::schedule::Schedule;
use crate::triggers::{ObjectEvents, TableWrites};
use crate::{Body, BoxError, Context, Error, Event, IntoOutcome, ObjectEvent, Outcome, Reply, Tick, WriteEvent, json};
pub(crate) use handler::caught;
use handler::{Handler, erased};
use layer::Layers;
use trigger::Trigger;

pub use handler::note_panic;
pub use into_app::IntoApp;
pub use layer::Next;
pub use state::Stateful;

/// The handlers of an app: an HTTP service, and handlers of messages, object events, writes, schedules and direct calls. A
/// host sees it as a [`Function`](crate::function::Function) only.
///
/// An app is a function from a [`Cloud`](crate::Cloud) to an `App`, or to a `Result` of it with any error:
///
/// ```
/// use isobar_abstraction::pub_sub::Message;
/// use isobar_abstraction::{App, Cloud, Context, Error, Result};
///
/// pub fn app(cloud: &Cloud) -> Result<App> {
///     let greetings = cloud.topic::<String>("greetings");
///     Ok(App::new("greeter")
///         .on_invoke("double", async |number: i64, _cx: Context| Ok::<_, Error>(number * 2))
///         // Handlers that are added after this get a clone of the table.
///         .with_state(cloud.table::<String>("greeted"))
///         .on_message(&greetings, async |greeted, greeting: Message<String>, _cx| {
///             greeted.put(greeting.id.as_str(), &greeting.body).await.map(drop)
///         })
///         .build())
/// }
/// # isobar_abstraction::TestClient::new(app).unwrap();
/// ```
///
/// | trigger | method | one event runs until | an `Err` or a panic |
/// |---|---|---|---|
/// | HTTP request | [`http`](Self::http) | 29 s | a response with the status of the error |
/// | message of a topic | [`on_message`](Self::on_message) | 5 min | another attempt, or a dead letter |
/// | change of an object | [`on_object`](Self::on_object) | 5 min | another attempt, or a dead letter |
/// | write of an item | [`on_write`](Self::on_write) | 5 min | another attempt, or a dead letter |
/// | schedule | [`on_schedule`](Self::on_schedule) | 5 min | a log line; the next tick runs as planned |
/// | direct call | [`on_invoke`](Self::on_invoke) | 5 min | the error |
///
/// Each trigger has one handler: a second handler for the same subscription, object events, table, schedule or function
/// is a problem that [`start`](Self::start) reports. The times are the portable limits; [`Context::remaining`] returns the
/// time that is left, which a deployment can make shorter, and on AWS longer. Handlers run in parallel, on some platforms
/// in several processes: state in memory is not shared and can be lost. A handler is dropped at its deadline.
/// [`mount`](Self::mount) adds a module, and [`layer`](Self::layer) runs code around all handlers.
pub struct App {
    name: String,
    /// Sorted by [`Trigger::key`].
    triggers: Vec<(Trigger, Arc<Handler>)>,
    layers: Layers,
    problems: Vec<String>,
    sources: Vec<Source>,
    limits: Limits,
}

/// The handle of a trigger, to check that it belongs to the cloud that the app runs on.
struct Source {
    kind: ResourceKind,
    name: String,
    grant: crate::access::Grant,
}

impl App {
    /// An app without handlers.
    ///
    /// The name must be a logical name: 3 to 40 of `a-z`, `0-9` and single `-`, beginning with a letter and not ending
    /// with `-`. [`start`](Self::start) reports another one.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, TestClient};
    ///
    /// assert!(TestClient::new(|_: &Cloud| App::new("hello")).is_ok());
    /// assert!(TestClient::new(|_: &Cloud| App::new("Hello!")).is_err());
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            triggers: Vec::new(),
            layers: Layers::default(),
            problems: Vec::new(),
            sources: Vec::new(),
            limits: Limits::PORTABLE,
        }
    }

    /// Serves HTTP with any tower service of `http::Request`, such as an axum `Router`.
    ///
    /// The service makes the response of a handler's `Err`. For an isobar [`Error`] see the table at its
    /// [`IntoResponse`](Error#impl-IntoResponse-for-Error): an error of the app, or of a missing object, has the status of
    /// its kind; an error of a service is a 5xx. A panic is a 500. Each response has the header `x-request-id` with the
    /// id of the invocation, unless the app sets one.
    ///
    /// Limits, the same on every host: a request body of 4,500,000 bytes (413), a target and headers of 10,000 bytes and
    /// 100 headers (431), a response body of 4,500,000 bytes (500), 29 seconds until the response has been sent (504, or
    /// a body that breaks off). Request and response bodies stream, except where a platform needs a response as a whole.
    /// An upgrade of the connection, such as a WebSocket, is answered 426.
    ///
    /// One app has one service; a second call is a problem that [`start`](Self::start) reports: merge the routers.
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
        self.handle(Trigger::Http(String::new()), http::erase(service));
        self
    }

    /// Handles the messages of a topic: one call for each message, at least once.
    ///
    /// `()` and `Ok` acknowledge the message. After an `Err` or a panic it is delivered again, 5 times in all, with a
    /// backoff of 1 second that doubles up to 5 minutes; then it becomes a dead letter. An `Err` that no other attempt can
    /// change makes a dead letter immediately: see [`IntoOutcome`]. So does a body that is not an `M`.
    /// [`Topic::subscription`](crate::pub_sub::Topic::subscription) sets the attempts and the backoff, and gives a topic
    /// several handlers.
    ///
    /// The same message can be delivered twice, also after it was acknowledged: store its [id](Message::id) with the
    /// effect, for example in one [transaction](crate::key_value::Transaction::add). Messages with the same ordering key
    /// are handled one after the other, in the order of publishing; other messages in parallel.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Error, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     App::new("printer").on_message(&cloud.topic::<u32>("pages"), async |page, _cx| match page.body {
    ///         0 => Err(Error::invalid_input("there is no page 0")),
    ///         _ => Ok(()),
    ///     })
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// let pages = client.cloud().topic("pages");
    /// pages.publish(0_u32).await?;
    /// pages.publish(1_u32).await?;
    /// let delivered = client.deliver_all().await?;
    /// assert_eq!((delivered.acked, delivered.dead), (1, 1));
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn on_message<M, H, F>(mut self, topic: impl Into<Subscription<M>>, handler: H) -> Self
    where
        M: DeserializeOwned + Send + 'static,
        H: Fn(Message<M>, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let Subscription { topic, name, retry } = topic.into();
        self.source(ResourceKind::Topic, topic.name(), topic.resource().1.clone());
        let trigger = MessageTrigger::new(topic.name(), retry).with_subscription(name);
        let take = |event| if let Event::Message { message, .. } = event { Some(message) } else { None };
        let handler = erased(take, move |message: Message<Bytes>, cx| {
            let call = message.decode().map(|message| handler(message, cx));
            async move {
                match call {
                    Ok(call) => Ok(Reply::Handled(call.await.into_outcome())),
                    Err(error) => Ok(Reply::Handled(Outcome::reject(crate::outcome::chain(&error)))),
                }
            }
        });
        self.handle(Trigger::Message(trigger), handler);
        self
    }

    /// Handles object events of a bucket: of a `&bucket` every create, replace and delete, at least once and in no order.
    /// [`Bucket::events`](crate::blob::Bucket::events) selects some of them, and gives a bucket several handlers.
    ///
    /// The return value has the same meaning as in [`on_message`](Self::on_message). The number of attempts is 5, unless
    /// [`ObjectEvents`] sets another. An event reports the change, not the state: the object may have been written again,
    /// or deleted, when the handler reads it.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, ObjectChange, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     App::new("index").with_state(cloud.table("sizes")).on_object(&cloud.bucket("pages"), async |sizes, event, _cx| {
    ///         match event.change {
    ///             ObjectChange::Created { size } => sizes.put(&event.key, &size).await.map(drop),
    ///             ObjectChange::Deleted => sizes.delete(&event.key).await,
    ///             _ => Ok(()),
    ///         }
    ///     }).build()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// client.cloud().bucket("pages").put("a.html", "hello").await?;
    /// client.deliver_all().await?;
    /// assert_eq!(client.cloud().table::<u64>("sizes").get("a.html").await?, Some(5));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn on_object<H, F>(mut self, events: impl Into<ObjectEvents>, handler: H) -> Self
    where
        H: Fn(ObjectEvent, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let events = events.into();
        self.problems.extend(events.problem());
        let ObjectEvents { trigger, grant, .. } = events;
        self.source(ResourceKind::Bucket, &trigger.bucket, grant);
        let take = |event| if let Event::Object { event, .. } = event { Some(event) } else { None };
        let handler = erased(take, move |event, cx| handled(handler(event, cx)));
        self.handle(Trigger::Object(trigger), handler);
        self
    }

    /// Handles the writes of a table: after a `put`, an `add` or a `transact` has returned, the handler receives the key of
    /// the item at least once, in no order, and possibly once for several writes of it.
    ///
    /// An event has no value: read the item, whose value is the current one then. Deletes and expiries cause no event, and
    /// neither do items that were written before the app handled the writes for the first time. An item that is deleted
    /// immediately after its write can have no event, since the change feed of Azure contains what is stored. A write of
    /// the handler to the same table is a write too.
    ///
    /// The return value has the same meaning as in [`on_message`](Self::on_message). The number of attempts is 5, unless
    /// [`TableWrites`] sets another. A table has one handler of its writes: to call several, publish the key to a topic.
    ///
    /// | | local | AWS | Azure | Google Cloud |
    /// |---|---|---|---|---|
    /// | source | the transaction of the write | DynamoDB Streams | change feed of Cosmos DB | Firestore trigger of Eventarc |
    ///
    /// A table of Azure Table Storage has no feed: `Config` at start.
    ///
    /// ```
    /// use isobar_abstraction::key_value::Table;
    /// use isobar_abstraction::{App, Cloud, Context, Result, TestClient, WriteEvent};
    ///
    /// #[derive(Clone)]
    /// struct Notes {
    ///     notes: Table<String>,
    ///     by_word: Table<String>,
    /// }
    ///
    /// impl Notes {
    ///     async fn index(self, write: WriteEvent, _cx: Context) -> Result<()> {
    ///         let Some(note) = self.notes.get(&write.key).await? else { return Ok(()) };
    ///         for word in note.split(' ') {
    ///             self.by_word.put((word, write.key.partition.as_str()), &note).await?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let app = Notes { notes: cloud.table("notes"), by_word: cloud.table("by-word") };
    ///     App::new("notes").with_state(app.clone()).on_write(&app.notes, Notes::index).build()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// client.cloud().table("notes").put("n1", &"green tea".to_owned()).await?;
    /// client.deliver_all().await?;
    /// assert_eq!(client.cloud().table::<String>("by-word").query("tea").all().await?.len(), 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn on_write<H, F>(mut self, table: impl Into<TableWrites>, handler: H) -> Self
    where
        H: Fn(WriteEvent, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let TableWrites { trigger, grant } = table.into();
        self.source(ResourceKind::Table, &trigger.table, grant);
        let take = |event| if let Event::Write(event) = event { Some(event) } else { None };
        let handler = erased(take, move |event, cx| handled(handler(event, cx)));
        self.handle(Trigger::Write(trigger), handler);
        self
    }

    /// Runs a handler at times that a cron line names: five fields, in UTC, as in
    /// [`CronSchedule`](crate::schedule::CronSchedule). [`every`](crate::every) makes a line of a duration.
    ///
    /// The line has numbers, names, `*`, `,`, `-` and `/`, and no more than one of day of month and day of week; no
    /// `L`, `W`, `#` or `@daily`. A failed run is logged and not repeated before the next tick, on every platform. A tick
    /// can run late, and twice. On a laptop a tick that was missed while the process did not run is delivered once at its
    /// start.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Error, TestClient};
    ///
    /// fn app(_: &Cloud) -> App {
    ///     let sweep = async |_tick, _cx| Err::<(), _>(Error::internal("the broom is broken"));
    ///     App::new("sweeper").on_schedule("sweep", "0 3 * * *", sweep)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// assert!(TestClient::new(app)?.tick("sweep").await.is_err());
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn on_schedule<H, F>(mut self, name: impl Into<String>, schedule: impl Into<Schedule>, handler: H) -> Self
    where
        H: Fn(Tick, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let take = |event| if let Event::Schedule(tick) = event { Some(tick) } else { None };
        let handler = erased(take, move |tick, cx| handled(handler(tick, cx)));
        let name = name.into();
        let cron = schedule.into().line().unwrap_or_else(|problem| {
            self.problems.push(format!("schedule `{name}`: {problem}"));
            "* * * * *".to_owned()
        });
        self.handle(Trigger::Schedule(ScheduleTrigger::new(name, cron)), handler);
        self
    }

    /// Answers direct calls of a function by name: the payload is a `Q` in JSON, the answer an `R` in JSON.
    ///
    /// An empty payload counts as `null`. Payload and answer have at most 4,500,000 bytes each.
    ///
    /// Errors: `InvalidInput` for a payload that is not a `Q`; `TooLarge`; the error of the handler. A handler's error
    /// of another type becomes the source of a new error, which has the kind and the message of the first isobar error
    /// among its sources, or is `Internal` if there is none. A panic is `Internal`.
    ///
    /// The caller uses an invocation on AWS, a function URL with a key on Azure, and an authenticated request on Google
    /// Cloud. On Azure and Google Cloud it receives the kind and the message of an error, but not the sources.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Error, ErrorKind, TestClient};
    ///
    /// fn app(_: &Cloud) -> App {
    ///     App::new("calculator").on_invoke("parse", async |text: String, _cx| text.parse::<i64>())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// assert_eq!(client.invoke::<i64>("parse", &"42").await?, 42);
    /// assert_eq!(client.invoke::<i64>("parse", &"x").await.unwrap_err().kind(), ErrorKind::Internal);
    /// assert_eq!(client.invoke::<i64>("parse", &42).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn on_invoke<Q, R, E, H, F>(mut self, name: impl Into<String>, handler: H) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
        E: Into<BoxError>,
        H: Fn(Q, Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        let take = |event| if let Event::Invoke(call) = event { Some(call.payload) } else { None };
        let handler = erased(take, move |payload: Bytes, cx| {
            let payload = if payload.is_empty() { Bytes::from_static(b"null") } else { payload };
            let call = json::decode(&payload).map(|request| handler(request, cx));
            async move { Ok(Reply::Invoke(json::encode(&call?.await.map_err(failed)?)?)) }
        });
        self.handle(Trigger::Invoke(name.into()), handler);
        self
    }

    /// The logical name of the app.
    ///
    /// ```
    /// assert_eq!(isobar_abstraction::App::new("hello").name(), "hello");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    fn handle(&mut self, trigger: Trigger, handler: Arc<Handler>) {
        match self.triggers.binary_search_by(|(known, _)| known.key().cmp(&trigger.key())) {
            Ok(_) => self.problems.push(trigger.duplicate()),
            Err(place) => self.triggers.insert(place, (trigger, handler)),
        }
    }

    fn source(&mut self, kind: ResourceKind, name: &str, grant: crate::access::Grant) {
        self.sources.push(Source { kind, name: name.to_owned(), grant });
    }
}

/// Runs the handler of an event and returns its outcome as a reply.
async fn handled(call: impl Future<Output: IntoOutcome>) -> crate::Result<Reply> {
    Ok(Reply::Handled(call.await.into_outcome()))
}

fn failed(error: impl Into<BoxError>) -> Error {
    Error::own(error, || Error::internal("the handler failed"))
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.name).finish_non_exhaustive()
    }
}
