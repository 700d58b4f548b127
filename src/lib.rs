//! isobar: one Rust app, unchanged, on AWS Lambda, Azure Functions, Google Cloud Run and a laptop.
//!
//! ```no_run
//! use isobar::prelude::*;
//!
//! fn app(_cloud: &Cloud) -> App {
//!     App::new("hello").http(Router::new().route("/", get(async || "hello")))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     isobar::main(app)
//! }
//! ```
//!
//! An app is a function from a [`Cloud`] to an [`App`], or to a `Result` of it. It opens [tables](Cloud::table),
//! [buckets](Cloud::bucket), [topics](Cloud::topic), [secrets](Cloud::secret) and [configuration](Cloud::config) by logical names, and adds a handler for each event. It does not name
//! a provider. Handlers share a [state](App::with_state):
//!
//! ```
//! use isobar::prelude::*;
//!
//! #[derive(Clone)]
//! struct Shop {
//!     orders: Topic<String>,
//!     stock: Table<i64>,
//! }
//!
//! impl Shop {
//!     async fn sell(self, order: Message<String>, _cx: Context) -> Result<()> {
//!         self.stock.add(order.body, -1).await.map(drop)
//!     }
//! }
//!
//! fn app(cloud: &Cloud) -> Result<App> {
//!     let shop = Shop { orders: cloud.topic("orders"), stock: cloud.table("stock") };
//!     Ok(App::new("shop").with_state(shop.clone()).on_message(&shop.orders, Shop::sell).build())
//! }
//! # TestClient::new(app).unwrap();
//! ```
//!
//! An app can contain [modules](App::mount), and [layers](App::layer) run around its handlers.
//!
//! # Features
//!
//! | feature | compiled code |
//! |---|---|
//! | `local` (default) | the laptop: redb, files, a durable queue, an HTTP server |
//! | `aws` | Lambda, DynamoDB, S3, SNS and SQS |
//! | `azure` | Functions, Cosmos DB or Table Storage, Blob Storage, Service Bus or Storage Queues |
//! | `gcp` | Cloud Run, Firestore, Cloud Storage, Pub/Sub |
//! | `flow` | durable workflows: `isobar::flow` |
//! | `macros` | axum's `debug_handler` and derives |
//! | `multipart` | axum's extractor of forms with files: `isobar::axum::extract::Multipart` |
//!
//! A binary with several providers detects its platform: see [`selection`]. [`main_with`] adds a provider of another crate.
//!
//! The code of axum's macros names the crate `axum`, so an app that uses them needs the dependency
//! `axum = { version = "0.8", default-features = false }` too:
//!
//! ```
//! use isobar::prelude::*;
//!
//! #[isobar::axum::debug_handler]
//! async fn greet(Path(name): Path<String>) -> Result<String, Problem> {
//!     Ok(format!("Hello, {name}!"))
//! }
//! # let _: Router = Router::new().route("/{name}", get(greet));
//! ```

mod adapters;
pub mod config;
mod extract;
#[cfg(doctest)]
mod guides;
#[cfg(all(doctest, feature = "flow"))]
#[doc = include_str!("../docs/workflows.md")]
struct Workflows;
mod logs;
mod run;
pub mod selection;
mod spawn;

pub use adapters::ADAPTERS;
pub use axum;
pub use extract::{Json, Path, Query};
pub use isobar_abstraction::{
    App, Body, BoxError, Cloud, Config, Context, Delivered, Error, ErrorKind, Event, EventQueue, IntoApp, IntoOutcome,
    Invocation, Limits, Next, ObjectChange, ObjectEvent, ObjectEvents, Origin, OriginalUri, Outcome, Problem, Reply,
    Result, Schedule, Secret, SecretValue, Stateful, TableWrites, TestClient, TestRequest, TestResponse, Tick,
    TraceParent, WriteEvent, blob, clock, driver, every, key_value, manifest, memory, object_store, once, pub_sub,
};
#[cfg(feature = "aws")]
pub use isobar_aws as aws;
#[cfg(feature = "azure")]
pub use isobar_azure as azure;
#[cfg(feature = "flow")]
pub use isobar_flow as flow;
#[cfg(feature = "gcp")]
pub use isobar_gcp as gcp;
#[cfg(feature = "local")]
pub use isobar_local as local;
pub use logs::TestLogs;
pub use run::{main, main_with, run, run_with};
pub use spawn::spawn;

/// The names that most apps need, for one `use`.
pub mod prelude {
    pub use axum::Router;
    pub use axum::extract::{Extension, State};
    pub use axum::http::{HeaderMap, Method, StatusCode, Uri};
    pub use axum::response::{IntoResponse, Redirect, Response};
    pub use axum::routing::{any, delete, get, head, patch, post, put};

    pub use crate::blob::Bucket;
    pub use crate::key_value::{Key, PutMode, Table, Version};
    pub use crate::once::{Once, OnceResult};
    pub use crate::pub_sub::{Message, Outgoing, Topic};
    pub use crate::{
        App, Body, Cloud, Config, Context, Error, ErrorKind, IntoOutcome, Json, ObjectChange, ObjectEvent, Outcome,
        Path, Problem, Query, Result, Secret, SecretValue, TestClient, TestLogs, TestResponse, Tick, WriteEvent, blob,
        every, key_value, pub_sub,
    };
}
