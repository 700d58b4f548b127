//! The dead letters of an app on a cloud, through the backlog of its provider.

use isobar::driver::Provider;
use isobar::driver::pub_sub::{BacklogMessage, dead_letters, redrive};
use isobar::pub_sub::DeadLetter;
use isobar::{EventQueue, Result};

/// The dead letters of a queue, which stay there.
pub(super) async fn list(provider: &dyn Provider, queue: &EventQueue) -> Result<Vec<DeadLetter>> {
    let found = dead_letters(&*provider.backlog(queue)?, usize::MAX).await?;
    Ok(found.into_iter().map(BacklogMessage::into_dead_letter).collect())
}

/// Puts all dead letters of a queue back. Returns how many.
pub(super) async fn put_back(provider: &dyn Provider, queue: &EventQueue) -> Result<usize> {
    redrive(&*provider.backlog(queue)?, None).await
}
