//! The wish of the user to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// A switch that makes a move finish what is in flight, and end. Clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Stop {
    /// Stops the move.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Is it set?
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is set.
    pub(crate) async fn wait(&self) {
        // The sender is in this switch, so it is never closed.
        let _ = self.0.subscribe().wait_for(|is_set| *is_set).await;
    }
}
