//! The router of `apps/hello` on bare hyper, by HTTP/1.1 and h2c.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new().route("/", get(async || "Hello, world!")).route("/{name}", get(greet));
    let port: u16 = std::env::var("PORT")?.parse()?;
    // On Cloud Run it would be 0.0.0.0; what is measured must not be reached from elsewhere.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A client that goes away is no failure.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}
