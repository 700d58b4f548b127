//! The HTTP server of all hosts that have one: hyper, for HTTP/1.1 and, in clear text, HTTP/2.
//!
//! A host gives it a listener, a function from a request to a response, and a future that ends when the server
//! must stop. Limits and time-outs stand here once, so that all hosts have the same; so does the reading of the calls
//! that a platform makes of triggers.

mod activity;
mod call;
mod clock;
mod connection;
mod guard;
mod signal;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use isobar_abstraction::{Body, Limits};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use call::{json_response, read_whole, status_of};
pub use clock::SystemClock;
use connection::Connections;
pub use guard::from_this_machine;
pub use signal::stop_signal;

/// How a server treats its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Most headers of a request. A request with more is answered 431.
    pub headers: usize,
    /// How long a client may take for the head of a request, the first or a later one of its connection. A
    /// connection without a request is closed after this time, too, and one whose client reads nothing of what
    /// is sent to it. A handler, or a body that waits for its next part, may take longer.
    pub head_timeout: Duration,
    /// How long requests that were received before the stop may take to end.
    pub grace: Duration,
}

/// Most bytes of the head of a request, its first line and all headers. The events of a platform have larger ones
/// than an app may see: a message of Pub/Sub with all its attributes as headers has up to 130 KB.
const HEAD_BYTES: usize = 256 * 1024;

/// Once the server stops, a client that has begun to send its first request may send the rest of its head for so
/// long. Whoever has not sent it by then gets no answer. A connection without a request has the same time where others
/// wait for room, and before it is closed.
const LATE_HEAD: Duration = Duration::from_millis(500);

/// The wait after an error of the listener: too many open files, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Options {
    /// 30 s for a head, no time after the stop, and as many headers as the provider takes.
    pub fn new(limits: &Limits) -> Self {
        Self {
            headers: usize::try_from(limits.request_headers).unwrap_or(usize::MAX),
            head_timeout: Duration::from_secs(30),
            grace: Duration::ZERO,
        }
    }

    /// The same with another time for what runs when the server stops.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// Serves on this listener until `stop` ends. Then the port is free at once, and what runs may end within the grace
/// period.
///
/// A panic of `answer` is a 500, and is logged; so is an error of the listener, which ends nothing.
pub async fn serve<A, F>(listener: TcpListener, answer: A, options: Options, stop: impl Future<Output = ()>)
where
    A: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (stopping, stopped) = watch::channel(());
    let connections = Connections::new(answer, options, stopped);
    let mut stop = pin!(stop);
    let mut listening = Listening { listener, failed: false };
    loop {
        let stream = tokio::select! {
            stream = listening.accept(|| connections.make_room()) => stream,
            () = &mut stop => break,
        };
        tokio::spawn(connections.serve(stream));
    }
    drop((listening, connections));
    stopping.send_replace(());
    if tokio::time::timeout(options.grace, stopping.closed()).await.is_err() {
        tracing::warn!("requests that did not end within {} s were cut off", options.grace.as_secs_f32());
    }
}

struct Listening {
    listener: TcpListener,
    failed: bool,
}

impl Listening {
    /// The next connection. Nothing that is wrong with one of them, or with the process, ends the server.
    async fn accept(&mut self, make_room: impl Fn()) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if std::mem::take(&mut self.failed) {
                        tracing::info!("connections are accepted again");
                    }
                    // A part of a body that streams does not wait for the next one.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) if is_of_client(error.kind()) => {}
                Err(error) => {
                    // One line for all failures in a row.
                    if !std::mem::replace(&mut self.failed, true) {
                        tracing::error!(
                            %error,
                            "no connection can be accepted now; clients wait. If too many files are open, raise the \
                             limit of the process (ulimit -n)"
                        );
                    }
                    make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The client closed the connection before it was accepted.
fn is_of_client(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
