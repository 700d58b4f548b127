//! The HTTP server of all hosts that have one: hyper, for HTTP/1.1 and, in clear text, HTTP/2.
//!
//! A host passes a listener, a function from a request to a response, and a future that ends when the server must
//! stop. All hosts have the same limits and timeouts, and read the trigger calls of their platform with the same
//! functions.

mod activity;
mod call;
mod clock;
mod connection;
mod guard;
mod listen;
mod options;
mod signal;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use isobar_abstraction::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use call::{error_status, json_response, read_body};
pub use clock::SystemClock;
use connection::Connections;
pub use guard::check_loopback;
pub use listen::listen_after;
pub use options::Options;
pub use signal::stop_signal;

/// The wait after an error of the listener, which usually means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves on this listener until `stop` ends. Then the port is free immediately, and requests in progress may end within
/// the grace period.
///
/// A panic of `answer` is logged and is a response with status 500. An error of the listener is logged, and the server
/// continues.
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
    /// The next connection. No error of a connection or of the process ends the server.
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
                            "no connection can be accepted; clients wait. If too many files are open, raise the \
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
