//! Moving the waiting messages and the dead letters of queues.
//!
//! A message is acknowledged at the source only when the target has stored it. So a process that is killed between the two
//! leaves a message on both sides, and none is lost: delivery is at least once on every provider.

use std::time::Duration;

use futures_util::future::BoxFuture;
use isobar_abstraction::driver::pub_sub::{Backlog, BacklogPart, LeasedMessage};
use isobar_abstraction::{Error, ErrorKind, EventQueue, Result};
use serde::Serialize;

use crate::journal::{Change, Journal};
use crate::report::Watch;
use crate::run::{Options, Run};
use crate::side::Side;

/// The messages that one request leases.
const BATCH: usize = 100;

/// The time to store them at the target.
const LEASE: Duration = Duration::from_secs(300);

/// What became of the messages of one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueReport {
    /// The queue, for people.
    pub queue: String,
    /// The waiting messages that were moved.
    pub waiting: u64,
    /// The dead letters that were moved.
    pub dead: u64,
    /// The messages that stay at the source: those that wait for their time or are leased by others, and those that the service
    /// does not give to a tool.
    pub left: u64,
}

/// Stops the delivery of the queues of a side, and returns those that this call stopped. The journal has what starts them again.
/// Errors: those of the side; `Unsupported` for a service whose delivery the caller must stop by other means.
pub fn pause<'a>(side: &'a Side, journal: &'a Journal) -> BoxFuture<'a, Result<Vec<EventQueue>>> {
    Box::pin(async move {
        let mut paused = Vec::new();
        for (queue, backlog) in side.queues() {
            let name = fact(queue);
            if journal.fact(&name)?.is_some() {
                continue;
            }
            let token = backlog.pause().await.map_err(|error| named(error, queue))?;
            if !token.is_empty() {
                paused.push(queue.clone());
            }
            journal.write(Change::Fact { name, value: Some(token) }).await?;
        }
        Ok(paused)
    })
}

/// Starts the delivery again that [`pause`] stopped, and returns the queues. Errors: those of the side.
pub fn resume<'a>(side: &'a Side, journal: &'a Journal) -> BoxFuture<'a, Result<Vec<EventQueue>>> {
    Box::pin(async move {
        let mut resumed = Vec::new();
        for (queue, backlog) in side.queues() {
            let name = fact(queue);
            let Some(token) = journal.fact(&name)? else { continue };
            if !token.is_empty() {
                backlog.resume(&token).await.map_err(|error| named(error, queue))?;
                resumed.push(queue.clone());
            }
            journal.write(Change::Fact { name, value: None }).await?;
        }
        Ok(resumed)
    })
}

/// Moves the messages of each queue of the source. Call [`pause`] before, so that no handler has one of them.
///
/// Errors: those of both sides, and `Config` for a queue that the target does not have. After an error the same call goes on.
pub fn move_messages<'a>(
    from: &'a Side,
    to: &'a Side,
    journal: &'a Journal,
    options: &'a Options,
    watch: &'a dyn Watch,
) -> BoxFuture<'a, Result<Vec<QueueReport>>> {
    Box::pin(async move {
        let run = Run::new(journal, options, watch);
        let mut reports = Vec::new();
        for (queue, source) in from.queues() {
            let missing = || Error::config(format!("{} has no {queue}, which {} has", to.name(), from.name()));
            let target = to.queue(queue).ok_or_else(missing)?;
            let queue_move = QueueMove { run: &run, source, target };
            reports.push(queue_move.run(queue).await.map_err(|error| named(error, queue))?);
        }
        Ok(reports)
    })
}

fn fact(queue: &EventQueue) -> String {
    format!("paused/{queue}")
}

fn named(error: Error, queue: &EventQueue) -> Error {
    error.with_resource(queue.to_string())
}

struct QueueMove<'a> {
    run: &'a Run<'a>,
    source: &'a dyn Backlog,
    target: &'a dyn Backlog,
}

impl QueueMove<'_> {
    async fn run(&self, queue: &EventQueue) -> Result<QueueReport> {
        let waiting = self.part(BacklogPart::Waiting).await?;
        let dead = self.part(BacklogPart::Dead).await?;
        let left = self.run.source.run(|| self.source.count()).await?;
        let parts = [left.waiting, left.delayed, left.leased, left.dead, Some(left.unreachable)];
        let left = parts.into_iter().flatten().sum();
        Ok(QueueReport { queue: queue.to_string(), waiting, dead, left })
    }

    async fn part(&self, part: BacklogPart) -> Result<u64> {
        let mut moved = 0;
        loop {
            self.run.check_stop()?;
            let leased = self.run.source.run(|| self.source.lease(part, BATCH, LEASE)).await?;
            if leased.is_empty() {
                return Ok(moved);
            }
            if self.source.form() != self.target.form() {
                self.release(part, leased.into_iter().map(|it| it.receipt).collect()).await;
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "its messages are notifications of the source's own service, which the target does not read; let the app \
                     handle them at the source first",
                ));
            }
            moved += self.store(part, leased).await?;
        }
    }

    /// Stores messages at the target, and deletes those that it has at the source.
    async fn store(&self, part: BacklogPart, leased: Vec<LeasedMessage>) -> Result<u64> {
        let (messages, receipts): (Vec<_>, Vec<_>) = leased.into_iter().map(|it| (it.message, it.receipt)).unzip();
        let sent = self.target.send(part, messages).await;
        let (mut stored, mut others, mut failed) = (Vec::new(), Vec::new(), Ok(()));
        for (receipt, sent) in receipts.into_iter().zip(sent) {
            match sent {
                Ok(()) => stored.push(receipt),
                Err(error) => {
                    others.push(receipt);
                    failed = Err(error);
                }
            }
        }
        let count = stored.len() as u64;
        // One that cannot be deleted is delivered twice, which every handler must expect.
        for deleted in self.source.acknowledge(part, stored).await {
            deleted?;
        }
        self.run.watch.done(count, 0);
        self.release(part, others).await;
        failed.map(|()| count)
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) {
        if !receipts.is_empty() {
            // What is not released can be leased again when its lease ends.
            self.source.release(part, receipts).await;
        }
    }
}
