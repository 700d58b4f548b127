//! What runs around handlers.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::App;
use super::handler::Handler;
use crate::{BoxError, Context, Error, Event, Reply, Result};

type Layer = dyn Fn(Event, Context, Next) -> BoxFuture<'static, Result<Reply>> + Send + Sync;

/// The layers of an app, the outermost first.
pub(super) type Layers = Arc<Vec<Arc<Layer>>>;

/// The rest of a delivery, which a [layer](App::layer) runs: the layers inside it, then the handler.
pub struct Next {
    layers: Layers,
    /// How many of the layers have run.
    passed: usize,
    handler: Arc<Handler>,
}

impl Next {
    pub(super) fn new(layers: &Layers, handler: &Arc<Handler>) -> Self {
        Self { layers: Arc::clone(layers), passed: 0, handler: Arc::clone(handler) }
    }

    /// Handles the event, and returns the reply.
    ///
    /// Pass on an event of the same kind. The handler is chosen before the layers run: another path or
    /// name does not reach another handler.
    ///
    /// Errors: those of a direct call, as its handler returns them; those of a layer inside. An `Err` of any other
    /// handler is a reply: [`Reply::Http`] with its response, [`Reply::Handled`] with its outcome. A panic is neither;
    /// it ends the layers too.
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

/// The handler inside its layers.
pub(super) fn layered(layers: &Layers, handler: Arc<Handler>) -> Arc<Handler> {
    if layers.is_empty() {
        return handler;
    }
    let layers = Arc::clone(layers);
    Arc::new(move |event, cx| Next::new(&layers, &handler).call(event, cx))
}

impl App {
    /// Runs code around every handler of the app, whenever it was added: once for each delivery, of every trigger.
    ///
    /// The first layer that is added is the outermost. Layers run in the span of the event, before its deadline, and a
    /// panic in one is that of a handler. They see the event before a message or a call is decoded. Those of a
    /// [module](Self::mount) run around the handlers of the module only, inside those of the app that mounts it.
    ///
    /// A layer may fail with any error. It is answered as that of a handler: over HTTP with the status of a
    /// [`Problem`](crate::Problem), for messages, object events and schedules with the outcome of
    /// [`IntoOutcome`](crate::IntoOutcome), and for direct calls as in [`on_invoke`](Self::on_invoke). A `Problem` is no
    /// error of all triggers: use a constructor of [`Error`](crate::Error), such as
    /// [`Error::unauthenticated`](crate::Error::unauthenticated), or reply to a request with
    /// `Ok(Reply::Http(problem.into_response()))`. A layer that passes on, or replies with, another kind than that of the event is an
    /// `Internal` error.
    ///
    /// What isobar answers without a handler runs no layer: an event or a path without a handler, a
    /// request that is refused for its size or its head, a payload that is too large. A path that a router does not know
    /// is answered by the router, inside the layers. For layers that are for HTTP only, a router takes those of `tower`.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Context, Error, Event, Next, Reply, Result, TestClient};
    ///
    /// /// Refuses requests without a key; all other events pass.
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
