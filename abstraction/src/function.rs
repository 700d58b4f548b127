//! The one trait between a host and an app.

use async_trait::async_trait;

use crate::{Context, Event, Reply, Result};

/// What a host runs. [`App`](crate::App) implements it; a host knows nothing else of the app, and calls it
/// through the functions of [`host`](crate::driver::host).
///
/// Implementers must answer every event with a reply of its shape, must not panic, and must be
/// callable from many tasks at once. An `Err` is a failed invocation: HTTP is answered by its
/// [origin](crate::Error::origin), and the platform delivers other events again. A call that is not at its end
/// at the deadline of its context is dropped.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Handles one event.
    async fn call(&self, event: Event, cx: Context) -> Result<Reply>;
}
