//! Makes the items that a deployed app stored older: its clock is the machine's, and a trial moves its own by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isobar::clock::{ManualClock, to_millis};
use isobar::driver::key_value::{Item, KeyValue, Put, ScanSegment};
use isobar::driver::{Clock, Location, Provider, ResourceKind};
use isobar::key_value::PutMode;
use isobar::manifest::Manifest;
use isobar::{ErrorKind, Result};

/// How far a trial has moved its clock.
#[derive(Debug)]
pub(super) struct ClockSteps {
    clock: ManualClock,
    /// The time at the last call, in milliseconds of the clock.
    last: AtomicU64,
}

impl ClockSteps {
    pub(super) fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), last: AtomicU64::new(to_millis(clock.now())) }
    }

    /// By how much the clock was moved since the last call, if it was.
    pub(super) fn take(&self) -> Option<Duration> {
        let now = to_millis(self.clock.now());
        let by = now.saturating_sub(self.last.swap(now, Ordering::Relaxed));
        (by > 0).then(|| Duration::from_millis(by))
    }
}

/// Makes the items of a deployed app older when the trial's clock has moved.
#[derive(Debug)]
pub(super) struct Aging {
    steps: ClockSteps,
    provider: Arc<dyn Provider>,
}

impl Aging {
    pub(super) fn new(clock: &ManualClock, provider: Arc<dyn Provider>) -> Self {
        Self { steps: ClockSteps::new(clock), provider }
    }

    /// Moves the expiry of an app's items back by as much as the clock was moved.
    pub(super) async fn catch_up(&self, manifest: &Manifest) -> Result<()> {
        match self.steps.take() {
            Some(by) => age(self.provider.as_ref(), manifest, by).await,
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

/// Where the app has written the item meanwhile, the new one is made older.
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
