//! What a deployed app stored, made older: its clock is the machine's, and a trial's is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isobar::clock::to_millis;
use isobar::{Clock, Manifest, ManualClock, Result};

use super::account::{Account, table};
use super::cosmos;

/// Moves the expiry of items back by what a manual clock was moved on.
#[derive(Debug)]
pub(super) struct Aging {
    account: Arc<Account>,
    clock: ManualClock,
    tables: Vec<String>,
    /// Up to when, in milliseconds of the manual clock, that is done.
    moved: AtomicU64,
}

impl Aging {
    pub(super) fn new(account: &Arc<Account>, manifest: &Manifest, clock: &ManualClock) -> Self {
        let tables = manifest.tables.iter().map(|it| account.physical(&it.name)).collect();
        let (account, clock) = (Arc::clone(account), clock.clone());
        let moved = AtomicU64::new(to_millis(clock.now()));
        Self { account, clock, tables, moved }
    }

    pub(super) async fn catch_up(&self) -> Result<()> {
        let now = to_millis(self.clock.now());
        let by = now.saturating_sub(self.moved.swap(now, Ordering::Relaxed));
        if by == 0 {
            return Ok(());
        }
        for name in &self.tables {
            match self.account.cosmos() {
                Some(endpoint) => cosmos::move_expiry_back(endpoint, name, by).await?,
                None => self.account.storage.move_expiry_back(&table(name), by).await?,
            }
        }
        Ok(())
    }
}
