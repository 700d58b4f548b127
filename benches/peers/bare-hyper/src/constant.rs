//! Bare hyper: answers every request with a constant, by HTTP/1.1 and h2c.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    // On Cloud Run it would be 0.0.0.0; what is measured must not be reached from elsewhere.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service =
            service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"Hello, world!")))));
        tokio::spawn(async move {
            // A client that goes away is no failure.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
