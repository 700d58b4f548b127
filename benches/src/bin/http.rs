//! Requests per second through the local host, compared with the same router served by bare axum.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::{App, Cloud};
use isobar_benches::{load, medians, row};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ROUNDS: usize = 11;

fn router() -> Router {
    Router::new().route(
        "/hello/{name}",
        get(async |axum::extract::Path(name): axum::extract::Path<String>| format!("hello {name}")),
    )
}

fn main() {
    let server = Runtime::new().unwrap();
    let client = Runtime::new().unwrap();
    let bare = server.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router()).await });
        address
    });
    let folder = tempfile::tempdir().unwrap();
    let isobar = server.block_on(async {
        let mut config = LocalConfig::new(folder.path());
        (config.port, config.announce) = (0, false);
        let provider = LocalProvider::new(config);
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = App::new("bench").http(router());
        let manifest = Arc::new(app.start(&cloud).unwrap());
        let server = provider.bind().await.unwrap();
        let address = server.address();
        tokio::spawn(server.run(Hosted::new(app, manifest), std::future::pending()));
        address
    });
    let load = |address| load::rate(&client, address, "/hello/world", "hello world");
    let rates = medians(ROUNDS, &mut [&mut || load(bare), &mut || load(isobar)]);
    let (bare, isobar) = (rates[0], rates[1]);
    row(
        "HTTP through the local host",
        &format!("{isobar:.0}/s"),
        &format!("{bare:.0}/s, bare axum"),
        &format!("{:.2}", isobar / bare),
        "≥ 0.90",
    );
}
