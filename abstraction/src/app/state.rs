//! Apps whose handlers share a state.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_service::Service;

use super::App;
use super::layer::Next;
use crate::pub_sub::{Message, Subscription};
use crate::schedule::Schedule;
use crate::triggers::{ObjectEvents, TableWrites};
use crate::{Body, BoxError, Context, Event, IntoOutcome, ObjectEvent, Reply, Result, Tick, WriteEvent};

/// An [`App`] whose handlers receive a clone of a state at each call. [`App::with_state`] returns it, and
/// [`build`](Self::build) returns the `App`.
///
/// A state is cheap to clone: a struct of tables, buckets and topics, or an `Arc`.
///
/// The methods are those of `App`. Handlers are closures, or methods of the state:
///
/// ```
/// use isobar_abstraction::key_value::Table;
/// use isobar_abstraction::pub_sub::{Message, Topic};
/// use isobar_abstraction::{App, Cloud, Context, Result, TestClient, Tick};
///
/// #[derive(Clone)]
/// struct Shop {
///     orders: Topic<u32>,
///     sold: Table<i64>,
/// }
///
/// impl Shop {
///     async fn sell(self, order: Message<u32>, _cx: Context) -> Result<()> {
///         self.sold.add("all", order.body.into()).await.map(drop)
///     }
///
///     async fn reset(self, _tick: Tick, _cx: Context) -> Result<()> {
///         self.sold.put("all", &0).await.map(drop)
///     }
/// }
///
/// fn app(cloud: &Cloud) -> App {
///     let shop = Shop { orders: cloud.topic("orders"), sold: cloud.table("sold") };
///     App::new("shop")
///         .with_state(shop.clone())
///         .on_message(&shop.orders, Shop::sell)
///         .on_schedule("reset", "0 0 1 * *", Shop::reset)
///         .on_invoke("sold", async |shop, _: (), _cx| shop.sold.get("all").await)
///         .build()
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let client = TestClient::new(app)?;
/// client.cloud().topic::<u32>("orders").publish(3_u32).await?;
/// client.deliver_all().await?;
/// assert_eq!(client.invoke::<Option<i64>>("sold", &()).await?, Some(3));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[must_use]
pub struct Stateful<S> {
    app: App,
    state: S,
}

impl App {
    /// Adds a state: each handler that is added after this receives a clone of it as the first argument.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let count = cloud.table::<i64>("count");
    ///     App::new("counter").with_state(count).on_invoke("add", async |count, n, _cx| count.add("all", n).await).build()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// assert_eq!(TestClient::new(app)?.invoke::<i64>("add", &2).await?, 2);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn with_state<S: Clone + Send + Sync + 'static>(self, state: S) -> Stateful<S> {
        Stateful { app: self, state }
    }
}

impl<S: Clone + Send + Sync + 'static> Stateful<S> {
    /// The app. Its handlers keep the state.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     App::new("counter").with_state(cloud.table::<i64>("count")).build()
    /// }
    /// assert_eq!(app(&Cloud::memory()).name(), "counter");
    /// ```
    #[must_use]
    pub fn build(self) -> App {
        self.app
    }

    /// The logical name of the app, as [`App::name`].
    pub fn name(&self) -> &str {
        self.app.name()
    }

    /// Replaces the state for the handlers that are added after this.
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: T) -> Stateful<T> {
        self.app.with_state(state)
    }

    /// Serves HTTP, as [`App::http`]. The service does not receive the state: give an axum `Router` its own.
    pub fn http<H, B>(self, service: H) -> Self
    where
        H: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        H::Error: Into<BoxError>,
        H::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.with(|app, _| app.http(service))
    }

    /// Handles the messages of a topic, as [`App::on_message`].
    pub fn on_message<M, H, F>(self, topic: impl Into<Subscription<M>>, handler: H) -> Self
    where
        M: DeserializeOwned + Send + 'static,
        H: Fn(S, Message<M>, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.with(|app, state| app.on_message(topic, move |message, cx| handler(state.clone(), message, cx)))
    }

    /// Handles the object events of a bucket, as [`App::on_object`].
    pub fn on_object<H, F>(self, events: impl Into<ObjectEvents>, handler: H) -> Self
    where
        H: Fn(S, ObjectEvent, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.with(|app, state| app.on_object(events, move |event, cx| handler(state.clone(), event, cx)))
    }

    /// Handles the writes of a table, as [`App::on_write`].
    pub fn on_write<H, F>(self, table: impl Into<TableWrites>, handler: H) -> Self
    where
        H: Fn(S, WriteEvent, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.with(|app, state| app.on_write(table, move |event, cx| handler(state.clone(), event, cx)))
    }

    /// Runs a handler by a cron line, as [`App::on_schedule`].
    pub fn on_schedule<H, F>(self, name: impl Into<String>, schedule: impl Into<Schedule>, handler: H) -> Self
    where
        H: Fn(S, Tick, Context) -> F + Send + Sync + 'static,
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.with(|app, state| app.on_schedule(name, schedule, move |tick, cx| handler(state.clone(), tick, cx)))
    }

    /// Answers direct calls, as [`App::on_invoke`].
    pub fn on_invoke<Q, R, E, H, F>(self, name: impl Into<String>, handler: H) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
        E: Into<BoxError>,
        H: Fn(S, Q, Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        self.with(|app, state| app.on_invoke(name, move |request, cx| handler(state.clone(), request, cx)))
    }

    /// Adds a module, as [`App::mount`]. Its handlers do not receive this state.
    pub fn mount(self, prefix: impl Into<String>, module: App) -> Self {
        self.with(|app, _| app.mount(prefix, module))
    }

    /// Runs code around every handler, as [`App::layer`]. The layer receives a clone of the state.
    pub fn layer<L, F, E>(self, layer: L) -> Self
    where
        L: Fn(S, Event, Context, Next) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.with(|app, state| app.layer(move |event, cx, next| layer(state.clone(), event, cx, next)))
    }

    fn with(self, add: impl FnOnce(App, S) -> App) -> Self {
        Self { app: add(self.app, self.state.clone()), state: self.state }
    }
}

impl<S> fmt::Debug for Stateful<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateful").field("app", &self.app).finish_non_exhaustive()
    }
}
