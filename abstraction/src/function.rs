//! The one trait between a host and an app.

use async_trait::async_trait;

use crate::{Context, Event, Reply, Result};

/// What a host runs. [`App`](crate::App) implements it; a host knows nothing else of the app.
///
/// Implementers must answer every event with a reply of its shape, must not panic, and must be
/// callable from many tasks at once. An `Err` is a failed invocation: the host answers 500, or
/// lets the platform deliver again.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Handles one event.
    async fn call(&self, event: Event, cx: Context) -> Result<Reply>;
}
