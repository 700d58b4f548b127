//! One connection: its limits, its timeouts and its end.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use isobar_abstraction::{Body, BoxError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::activity::{Activity, Watched};
use crate::options::{HEAD_BYTES, LATE_HEAD, Options};

/// The limit of headers up to which hyper does not allocate for each request.
const DEFAULT_HEADERS: usize = 100;

/// What all connections of a server share.
pub(crate) struct Connections<A> {
    answer: A,
    options: Options,
    builder: Builder<TokioExecutor>,
    stopped: watch::Receiver<()>,
    crowded: Arc<Notify>,
}

impl<A, F> Connections<A>
where
    A: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    pub(crate) fn new(answer: A, options: Options, stopped: watch::Receiver<()>) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        let mut http1 = builder.http1();
        http1.timer(TokioTimer::new()).header_read_timeout(options.head_timeout).max_buf_size(HEAD_BYTES);
        if options.headers != DEFAULT_HEADERS {
            http1.max_headers(options.headers);
        }
        // A websocket over HTTP/2 then reaches isobar's error, which names the next step; hyper's does not.
        builder.http2().timer(TokioTimer::new()).max_header_list_size(HEAD_BYTES as u32).enable_connect_protocol();
        Self { answer, options, builder, stopped, crowded: Arc::default() }
    }

    /// Makes room for another connection: connections without a request are closed early.
    pub(crate) fn make_room(&self) {
        self.crowded.notify_waiters();
    }

    /// Serves one connection to its end.
    pub(crate) fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<A, F> {
        let activity = Arc::new(Activity::new());
        let (answer, seen, running) = (self.answer.clone(), Arc::clone(&activity), self.stopped.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let working = seen.begin();
            let answered = ToEnd::new(guarded(answer(request.map(Body::new))), running.clone());
            async move { Ok::<_, Infallible>(answered.await.map(|body| working.sends(body))) }
        });
        let stream = Watched::new(stream, Arc::clone(&activity));
        let connection = self.builder.serve_connection(stream, service).into_owned();
        let (mut stopped, head_timeout) = (self.stopped.clone(), self.options.head_timeout);
        let crowded = Arc::clone(&self.crowded);
        async move {
            let mut connection = pin!(connection);
            let wait = tokio::select! {
                ended = &mut connection => return report(ended),
                () = activity.in_the_way(&crowded) => LATE_HEAD,
                () = activity.quiet(head_timeout) => LATE_HEAD,
                // The responses to requests before the stop are sent during the grace period.
                _ = stopped.changed() => if activity.has_begun() { head_timeout } else { LATE_HEAD },
            };
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = &mut connection => report(ended),
                () = activity.quiet(wait) => {
                    tracing::debug!("closed a connection whose client sent no whole request, or did not read");
                }
            }
        }
    }
}

/// The work on a request. If it is dropped, because the client closed the connection, it continues in a task: a handler
/// must not end between two of its effects for that, and a client that sends the request again must find its work done.
/// Its end is its deadline; the stop of the server waits for it like for a connection.
struct ToEnd(Option<BoxFuture<'static, Response<Body>>>);

impl ToEnd {
    fn new(work: impl Future<Output = Response<Body>> + Send + 'static, running: watch::Receiver<()>) -> Self {
        Self(Some(Box::pin(async move {
            let _running = running;
            work.await
        })))
    }
}

impl Future for ToEnd {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let response = ready!(work.as_mut().poll(task));
        self.0 = None;
        Poll::Ready(response)
    }
}

impl Drop for ToEnd {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// Catches a panic of the host. Those of an app's handlers are caught in their invocation.
async fn guarded(answered: impl Future<Output = Response<Body>>) -> Response<Body> {
    AssertUnwindSafe(answered).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("bug in isobar: the host panicked while it handled a request; please report it");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn report(ended: Result<(), BoxError>) {
    let Err(error) = ended else { return };
    match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse_too_large() => {
            tracing::warn!("answered 431: a request has more headers, or a larger head, than the limit of this host");
        }
        _ => tracing::debug!(error, "a connection was interrupted"),
    }
}
