//! The portable contracts of isobar.
//!
//! An app is written against the types of this crate only, and never names a cloud:
//!
//! | what | an app holds | an adapter implements |
//! |---|---|---|
//! | functions | [`App`] | [`Provider::host`](driver::Provider::host) runs a [`Function`](driver::Function) |
//! | key-value | [`Table`](key_value::Table) | [`KeyValue`](driver::key_value::KeyValue) |
//! | blobs | [`Bucket`](blob::Bucket) | [`Blob`](driver::blob::Blob) |
//! | pub/sub | [`Topic`](pub_sub::Topic) | [`PubSub`](driver::pub_sub::PubSub) |
//!
//! What every backend must do alike (names, limits, declared access, spans, the context of an
//! error) is done once, in the types that apps hold, around every backend. [`memory`] implements
//! all of it in memory: it is the executable specification, and what the examples run on.
//!
//! There are two doors: this root and its modules are for apps, [`driver`] is for providers, hosts and tools.

mod access;
mod ambient;
mod app;
pub mod blob;
pub mod clock;
mod cloud;
mod context;
mod cursor;
pub mod driver;
mod error;
mod event;
mod failure;
mod function;
mod handle;
mod json;
pub mod key_value;
pub mod manifest;
pub mod memory;
mod outcome;
mod problem;
mod profile;
mod provider;
pub mod pub_sub;
mod resource;
mod schedule;
mod test_client;

pub use app::{App, IntoApp, Next, OriginalUri, Stateful};
pub use axum_core::body::Body;
pub use cloud::Cloud;
pub use context::{Context, TraceParent};
pub use error::{BoxError, Error, ErrorKind, Origin, Result};
pub use event::{Event, Invocation, ObjectChange, ObjectEvent, Reply, Tick};
pub use object_store;
pub use outcome::{IntoOutcome, Outcome};
pub use problem::Problem;
pub use profile::Limits;
pub use test_client::{Delivered, TestClient, TestRequest, TestResponse};
