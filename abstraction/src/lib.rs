//! The portable contracts of isobar.
//!
//! An app is written against the types of this crate only, and never names a cloud:
//!
//! | what | an app holds | an adapter implements |
//! |---|---|---|
//! | functions | [`App`] | [`Provider::host`] runs a [`Function`] |
//! | key-value | [`Table`](key_value::Table) | [`KeyValue`] |
//! | blobs | [`Bucket`](blob::Bucket) | [`Blob`] |
//! | pub/sub | [`Topic`](pub_sub::Topic) | [`PubSub`] |
//!
//! What every backend must do alike (names, limits, declared access, spans, the context of an
//! error) is done once, in the types that apps hold, around every backend. [`memory`] implements
//! all of it in memory: it is the executable specification, and what the examples run on.

mod access;
mod app;
pub mod blob;
pub mod clock;
mod cloud;
mod context;
pub mod driver;
mod error;
mod event;
mod failure;
mod function;
mod handle;
pub mod host;
mod json;
pub mod key_value;
pub mod manifest;
pub mod memory;
mod outcome;
mod profile;
mod provider;
pub mod pub_sub;
mod resource;
mod schedule;
mod test_client;

pub use access::Access;
pub use app::{App, IntoApp, Next, OriginalUri, Stateful};
pub use axum_core::body::Body;
pub use blob::Blob;
pub use clock::{Clock, ManualClock};
pub use cloud::{Cloud, Route};
pub use context::{Context, TraceParent};
pub use error::{BoxError, Error, ErrorKind, Origin, Result};
pub use event::{Event, Invocation, ObjectChange, ObjectEvent, Reply, Tick};
pub use function::Function;
pub use key_value::KeyValue;
pub use manifest::Manifest;
pub use outcome::{IntoOutcome, Outcome, RetryPolicy, Verdict};
pub use profile::{Limits, Profile};
pub use provider::{Adapter, Environment, Hosted, Provider};
pub use pub_sub::PubSub;
pub use resource::{Derived, Location, POISON, ResourceKind, ResourceUrl, check_name, check_prefix};
pub use schedule::CronSchedule;
pub use test_client::{Delivered, TestClient, TestRequest, TestResponse};
