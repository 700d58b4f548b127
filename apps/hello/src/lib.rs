//! The smallest app: it greets each client.

use isobar::prelude::*;

/// `GET /` greets the world, `GET /{name}` greets by name.
pub fn app(_cloud: &Cloud) -> App {
    App::new("hello").http(Router::new().route("/", get(async || "Hello, world!")).route("/{name}", get(greet)))
}

async fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}
