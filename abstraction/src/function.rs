//! [`Function`]: the trait between a host and an app.

use async_trait::async_trait;

use crate::{Context, Event, Reply, Result};

/// An app, seen by a host. [`App`](crate::App) implements it. A host calls it through the functions of
/// [`host`](crate::driver::host) only.
///
/// Implementers:
/// - must return a reply of the kind of the event;
/// - must not panic;
/// - must accept calls from many tasks at the same time;
/// - must expect that a call is dropped at the deadline of its context, at any `await`.
///
/// An `Err` is a failed invocation: HTTP receives the response of the [origin](crate::Error::origin) and kind, and the
/// platform delivers other events again.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Handles one event, and returns its reply.
    async fn call(&self, event: Event, cx: Context) -> Result<Reply>;
}
