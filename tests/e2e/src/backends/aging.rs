//! What a deployed app stored, made older: its clock is the machine's, and a trial's is moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isobar::clock::{ManualClock, to_millis};
use isobar::driver::key_value::{Item, KeyValue, Put, ScanSegment};
use isobar::driver::{Clock, Location, Provider, ResourceKind};
use isobar::key_value::PutMode;
use isobar::manifest::Manifest;
use isobar::{ErrorKind, Result};

/// Up to when items were made older.
#[derive(Debug)]
pub(super) struct Aging {
    clock: ManualClock,
    /// In milliseconds of the clock.
    moved: AtomicU64,
}

impl Aging {
    pub(super) fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), moved: AtomicU64::new(to_millis(clock.now())) }
    }

    /// By how much the clock was moved on since the last call, if it was.
    pub(super) fn take(&self) -> Option<Duration> {
        let now = to_millis(self.clock.now());
        let by = now.saturating_sub(self.moved.swap(now, Ordering::Relaxed));
        (by > 0).then(|| Duration::from_millis(by))
    }

    /// Moves the expiry of an app's items back by what the clock was moved on.
    pub(super) async fn catch_up(&self, provider: &dyn Provider, manifest: &Manifest) -> Result<()> {
        match self.take() {
            Some(by) => age(provider, manifest, by).await,
            None => Ok(()),
        }
    }
}

/// Moves the expiry of an app's items back.
pub(super) async fn age(provider: &dyn Provider, manifest: &Manifest, by: Duration) -> Result<()> {
    for table in manifest.tables() {
        let table = provider.key_value(&Location::new(ResourceKind::Table, &*table.name))?;
        age_table(table.as_ref(), by).await?;
    }
    Ok(())
}

/// What the app writes meanwhile is made older in its place.
async fn age_item(table: &dyn KeyValue, mut item: Item, by: Duration) -> Result<()> {
    while let Item { key, value, version, expires_at: Some(time), .. } = item {
        let mode = PutMode::Update(version);
        match table.put(Put::new(key.clone(), value).with_mode(mode).with_expires_at(time - by)).await {
            Err(error) if error.kind() == ErrorKind::Conflict => match table.get(&key).await? {
                Some(newer) => item = newer,
                None => break,
            },
            done => return done.map(drop),
        }
    }
    Ok(())
}

async fn age_table(table: &dyn KeyValue, by: Duration) -> Result<()> {
    let mut segment = ScanSegment::new(0, 1, 1000);
    loop {
        let page = table.scan(&segment).await?;
        for item in page.items {
            age_item(table, item, by).await?;
        }
        match page.resume {
            Some(resume) => segment.after = Some(resume),
            None => return Ok(()),
        }
    }
}
