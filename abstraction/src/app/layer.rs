//! Layers: code that runs around every handler.
//!
//! A layer sees each delivery of each trigger once. Layers of `tower` see HTTP requests only, and those of an axum
//! `Router` run inside these.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::App;
use super::handler::Handler;
use crate::{BoxError, Context, Error, Event, Reply, Result};

type Layer = dyn Fn(Event, Context, Next) -> BoxFuture<'static, Result<Reply>> + Send + Sync;

/// The layers of an app, the outermost first.
pub(super) type Layers = Arc<Vec<Arc<Layer>>>;

/// The rest of a delivery: the layers inside the current one, then the handler. A [layer](App::layer) receives it and
/// calls [`run`](Self::run).
pub struct Next {
    layers: Layers,
    /// The number of layers that have run.
    passed: usize,
    handler: Arc<Handler>,
}

impl Next {
    pub(super) fn new(layers: &Layers, handler: &Arc<Handler>) -> Self {
        Self { layers: Arc::clone(layers), passed: 0, handler: Arc::clone(handler) }
    }

    /// Handles the event, and returns the reply.
    ///
    /// The event must have the kind of the event that the layer received. The handler is chosen before the layers run:
    /// another path or name does not reach another handler.
    ///
    /// Errors: those that the handler of a direct call returns, and those of an inner layer. An `Err` of any other
    /// handler is a reply: [`Reply::Http`] with its response, [`Reply::Handled`] with its outcome. A panic is neither;
    /// it also ends the layers.
    pub async fn run(self, event: Event, cx: Context) -> Result<Reply> {
        self.call(event, cx).await
    }

    pub(super) fn call(mut self, event: Event, cx: Context) -> BoxFuture<'static, Result<Reply>> {
        let Some(layer) = self.layers.get(self.passed).cloned() else { return (self.handler)(event, cx) };
        self.passed += 1;
        layer(event, cx, self)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("layers", &(self.layers.len() - self.passed)).finish_non_exhaustive()
    }
}

/// A handler that runs these layers around another one.
pub(super) fn layered(layers: &Layers, handler: Arc<Handler>) -> Arc<Handler> {
    if layers.is_empty() {
        return handler;
    }
    let layers = Arc::clone(layers);
    Arc::new(move |event, cx| Next::new(&layers, &handler).call(event, cx))
}

impl App {
    /// Runs code around every handler of the app, also those that are added later: once for each delivery of every trigger.
    ///
    /// The first layer that is added is the outermost. Layers run in the span of the event and before its deadline. A
    /// panic in a layer has the effect of a panic in the handler. Layers see the event before a message or a call is
    /// decoded. The layers of a [module](Self::mount) run around the handlers of the module only, inside those of the app
    /// that mounts it.
    ///
    /// Errors of a layer have the effect of a handler's error:
    ///
    /// | event | result of an `Err` |
    /// |---|---|
    /// | HTTP request | the status of a [`Problem`](crate::Problem) |
    /// | message, object event, write, schedule | the outcome of [`IntoOutcome`](crate::IntoOutcome) |
    /// | direct call | the error, as in [`on_invoke`](Self::on_invoke) |
    ///
    /// A `Problem` is for HTTP only, so a layer cannot return it as an error: use a constructor of
    /// [`Error`](crate::Error), such as [`Error::unauthenticated`](crate::Error::unauthenticated), or reply to a request
    /// with `Ok(Reply::Http(problem.into_response()))`. A layer that passes on an event, or replies with a reply, of
    /// another kind is an `Internal` error.
    ///
    /// No layer runs for events that isobar answers without a handler: an event or a path without a handler, an object
    /// event that the filter does not accept, a request whose size or head is rejected, a payload that is too large. The `404` of a router's unknown path comes
    /// from the router, inside the layers. For HTTP alone, use the layers of `tower` on the router.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Context, Error, Event, Next, Reply, Result, TestClient};
    ///
    /// /// Rejects requests without a key; all other events pass.
    /// async fn guard(event: Event, cx: Context, next: Next) -> Result<Reply> {
    ///     match &event {
    ///         Event::Http(request) if !request.headers().contains_key("x-key") => {
    ///             Err(Error::unauthenticated("send your key in the header x-key"))
    ///         }
    ///         _ => next.run(event, cx).await,
    ///     }
    /// }
    ///
    /// fn app(_: &Cloud) -> App {
    ///     let routes = axum::Router::new().route("/", axum::routing::get("hello"));
    ///     App::new("guarded").http(routes).on_invoke("echo", async |word: String, _cx| Ok::<_, Error>(word)).layer(guard)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// assert_eq!(client.get("/").await?.status, 401);
    /// assert_eq!(client.invoke::<String>("echo", &"hello").await?, "hello");
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn layer<L, F, E>(mut self, layer: L) -> Self
    where
        L: Fn(Event, Context, Next) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let failed = |error| Error::own(error, || Error::internal("the layer failed"));
        let layer = Arc::new(move |event, cx, next| {
            let call = layer(event, cx, next);
            Box::pin(async move { call.await.map_err(failed) }) as BoxFuture<'static, _>
        });
        Arc::make_mut(&mut self.layers).push(layer);
        self
    }
}
