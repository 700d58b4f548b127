//! Greets each client.

use isobar::prelude::*;

/// `GET /` greets the world, `GET /{name}` greets by name.
pub fn app(_cloud: &Cloud) -> App {
    let routes = Router::new()
        .route("/", get(async || "Hello, world!"))
        .route("/{name}", get(greet));
    App::new(env!("CARGO_PKG_NAME")).http(routes)
}

async fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}
