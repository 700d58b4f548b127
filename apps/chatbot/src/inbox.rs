//! Which events were seen: so that what a service or a queue delivers again is replied to once.
//!
//! In the table `inbox`, an event has two items: `queued`, which the webhook sets, and `reply`, which
//! the worker holds while it works and keeps when it is done.

use std::time::Duration;

use isobar::prelude::*;
use serde::{Deserialize, Serialize};

use crate::web_api;

/// Telegram keeps an update for a day, Slack tries for about an hour, a queue keeps a message for
/// two weeks at most.
const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);

/// Longer than a worker can take, so that no other worker takes over while it works.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
const _: () = assert!(LEASE.as_secs() > 2 * web_api::TIMEOUT.as_secs());

const QUEUED: &str = "queued";
const REPLY: &str = "reply";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Progress {
    Queued,
    Working,
    Done,
}

#[derive(Debug, Clone)]
pub(crate) struct Inbox(Table<Progress>);

/// The right to reply to an event, for as long as [`LEASE`].
#[derive(Debug)]
pub(crate) struct Lease(Version);

pub(crate) enum Claim {
    Granted(Lease),
    /// Another worker has it, or died while it had it.
    Taken,
    /// The reply was sent.
    Done,
}

impl Inbox {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        Self(cloud.table("inbox"))
    }

    pub(crate) async fn is_queued(&self, event: &str) -> Result<bool> {
        Ok(self.0.get((event, QUEUED)).await?.is_some())
    }

    pub(crate) async fn set_queued(&self, event: &str) -> Result<()> {
        self.remember((event, QUEUED), Progress::Queued).await
    }

    /// Acquires the right to reply. Of concurrent workers, one acquires it.
    pub(crate) async fn claim(&self, event: &str) -> Result<Claim> {
        let first = key_value::PutOptions::from(PutMode::Create).with_ttl(LEASE);
        match self.0.put_with((event, REPLY), &Progress::Working, first).await {
            Ok(version) => return Ok(Claim::Granted(Lease(version))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match self.0.get((event, REPLY)).await? {
            Some(Progress::Done) => Ok(Claim::Done),
            _ => Ok(Claim::Taken),
        }
    }

    /// The reply was sent: never again.
    pub(crate) async fn finish(&self, event: &str) -> Result<()> {
        self.remember((event, REPLY), Progress::Done).await
    }

    /// Nothing was sent: let the next delivery try.
    pub(crate) async fn release(&self, event: &str, lease: &Lease) -> Result<()> {
        self.0.delete_version((event, REPLY), &lease.0).await
    }

    async fn remember(&self, key: (&str, &str), progress: Progress) -> Result<()> {
        self.0.put_with(key, &progress, key_value::PutOptions::default().with_ttl(REMEMBERED)).await.map(drop)
    }
}
