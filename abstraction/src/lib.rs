//! The portable contracts of isobar.
//!
//! An app uses the types of this crate only, and does not name a cloud:
//!
//! | service | type for apps | trait for adapters |
//! |---|---|---|
//! | functions | [`App`] | [`Provider::host`](driver::Provider::host) runs a [`Function`](driver::Function) |
//! | key-value | [`Table`](key_value::Table) | [`KeyValue`](driver::key_value::KeyValue) |
//! | blobs | [`Bucket`](blob::Bucket) | [`Blob`](driver::blob::Blob) |
//! | pub/sub | [`Topic`](pub_sub::Topic) | [`PubSub`](driver::pub_sub::PubSub) |
//! | secrets, configuration | [`Secret`], [`Config`] | [`SecretStore`](driver::secret::SecretStore) |
//!
//! [`Once`](once::Once) runs work once for each key, and needs only a table.
//!
//! A portable type checks names, limits and declared access, opens spans, and adds the context of an error. Then it calls a
//! small driver trait, which an adapter implements. So all backends do this in the same way, a new convenience method
//! changes no adapter, and an adapter receives checked arguments. The pattern is that of the
//! [Go CDK](https://gocloud.dev/concepts/structure/). Blobs use the trait of [`object_store`] below.
//!
//! [`memory`] implements all traits in memory. It is the executable specification: the examples of this documentation
//! and [`TestClient`] run on it, and the conformance suite checks it like every provider.
//!
//! The root and its modules are for apps; [`driver`] is for providers, hosts and tools. `docs/design.md` of the repository
//! contains the reasons for the design, and `mappings.md` each guarantee and limit by provider.

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
mod event_queue;
mod failure;
mod function;
mod handle;
mod json;
pub mod key_value;
pub mod manifest;
pub mod memory;
pub mod once;
mod original_uri;
mod outcome;
mod permission;
mod place;
mod prefix;
mod problem;
mod profile;
mod provider;
pub mod pub_sub;
mod resource;
mod schedule;
mod secret;
mod test_client;
mod triggers;

pub use app::{App, IntoApp, Next, Stateful};
pub use axum_core::body::Body;
pub use cloud::Cloud;
pub use context::{Context, TraceParent};
pub use error::{BoxError, Error, ErrorKind, Origin, Result};
pub use event::{Event, Invocation, ObjectChange, ObjectEvent, Reply, Tick, WriteEvent};
pub use event_queue::EventQueue;
pub use object_store;
pub use original_uri::OriginalUri;
pub use outcome::{IntoOutcome, Outcome};
pub use problem::Problem;
pub use profile::Limits;
pub use schedule::{Schedule, every};
pub use secret::{Config, Secret, SecretValue};
pub use test_client::{Delivered, TestClient, TestRequest, TestResponse};
pub use triggers::{ObjectEvents, TableWrites};
