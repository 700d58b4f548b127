use axum::Router;
use axum::extract::Path;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let routes = Router::new().route("/", get(async || "Hello, world!")).route("/{name}", get(greet));
    lambda_http::run(routes).await
}

async fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}
