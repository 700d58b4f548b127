//! The backlog of a trigger: its SQS queue, for a topic also the FIFO queue of messages with an ordering key, and the queues of
//! their dead letters.

mod mapping;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::pub_sub::{
    Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, PORTABLE_FORM, each_failed,
};
use isobar_abstraction::{Error, EventQueue, Result};

use super::sqs::SqsQueue;
use super::{CONCURRENT_REQUESTS, FIFO};
use crate::State;
use crate::config::Placed;
use crate::profile::PROFILE;
use crate::service::AwsService;

/// Opens the backlog of a queue, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
    let placed = state.config.place(&state.config.location(queue.kind(), queue.source()))?;
    let service = AwsService::new(Arc::clone(state), "sqs", placed.region.as_deref())?;
    let (kind, name) = (queue.kind(), queue.physical(&placed.queue));
    Ok(Arc::new(SqsBacklog { state: Arc::clone(state), service, placed, kind, name }))
}

#[derive(Debug)]
struct SqsBacklog {
    state: Arc<State>,
    service: AwsService,
    placed: Placed,
    kind: ResourceKind,
    /// The queue of messages without an ordering key.
    name: String,
}

/// The marks of receipts, by the queue that they are of.
const MARKS: [char; 2] = ['s', 'f'];

impl SqsBacklog {
    async fn account(&self) -> Result<String> {
        match &self.placed.account {
            Some(account) => Ok(account.clone()),
            None => self.service.account().await,
        }
    }

    /// The standard queue, and for a topic the FIFO queue.
    async fn queues(&self, part: BacklogPart) -> Result<Vec<SqsQueue>> {
        let account = self.account().await?;
        let suffixes = if self.kind == ResourceKind::Topic { &["", FIFO][..] } else { &[""] };
        let queue = |suffix: &&str| {
            let name = format!("{}{suffix}", self.name);
            let queue = SqsQueue::new(&self.state, Some(self.service.region()), &account, &name)?;
            Ok(if part == BacklogPart::Dead { queue.dead_letter_queue() } else { queue })
        };
        suffixes.iter().map(queue).collect()
    }

    /// Ends leases, by the queue of each receipt: deletes the messages, or shows them again.
    async fn end(&self, part: BacklogPart, receipts: Vec<String>, delete: bool) -> Vec<Result<()>> {
        let queues = match self.queues(part).await {
            Ok(queues) => queues,
            Err(error) => return each_failed(&error, receipts.len()),
        };
        let ends = queues.iter().zip(MARKS).map(|(queue, mark)| {
            let of_queue = receipts.iter().enumerate();
            let of_queue = of_queue.filter_map(|(index, receipt)| Some((index, receipt.strip_prefix(mark)?)));
            let (indices, receipts): (Vec<usize>, Vec<&str>) = of_queue.unzip();
            async move { indices.into_iter().zip(queue.end_leases(&receipts, delete).await) }
        });
        in_order(receipts.len(), join_all(ends).await.into_iter().flatten())
    }
}

/// The results of `count` messages, from results with their indices.
fn in_order(count: usize, results: impl IntoIterator<Item = (usize, Result<()>)>) -> Vec<Result<()>> {
    let mut results: BTreeMap<usize, Result<()>> = results.into_iter().collect();
    let missing = || Err(Error::invalid_input("the receipt is not of this queue"));
    (0..count).map(|index| results.remove(&index).unwrap_or_else(missing)).collect()
}

/// Sends the messages of one key; after one that failed, no further one.
async fn send_in_order(
    queue: Option<&SqsQueue>,
    part: BacklogPart,
    messages: Vec<(usize, &BacklogMessage)>,
) -> Vec<(usize, Result<()>)> {
    let no_order = "the queue of a bucket or a table has no order: leave the ordering key out";
    let mut failed = match queue {
        Some(_) => None,
        None => Some(Error::unsupported("send with an ordering key", PROFILE.provider, no_order)),
    };
    let mut results = Vec::with_capacity(messages.len());
    for message in messages {
        if let (Some(queue), None) = (queue, &failed) {
            results.extend(queue.send_messages(part, &[message]).await);
            let error = results.last().and_then(|(_, sent)| sent.as_ref().err());
            failed =
                error.map(|error| Error::new(error.kind(), "not sent, since an earlier message of its key failed"));
        } else if let Some(error) = &failed {
            results.push((message.0, Err(error.clone())));
        }
    }
    results
}

#[async_trait]
impl Backlog for SqsBacklog {
    fn form(&self) -> &'static str {
        if self.kind == ResourceKind::Bucket { "s3" } else { PORTABLE_FORM }
    }

    async fn count(&self) -> Result<BacklogCount> {
        let mut count = BacklogCount::UNKNOWN;
        for queue in self.queues(BacklogPart::Waiting).await? {
            let of_queue = queue.count().await?;
            let dead = queue.dead_letter_queue().count().await?;
            for (sum, part) in [
                (&mut count.waiting, of_queue.visible),
                (&mut count.delayed, of_queue.delayed),
                (&mut count.leased, of_queue.leased),
                (&mut count.dead, dead.visible + dead.leased + dead.delayed),
            ] {
                *sum = Some(sum.unwrap_or_default() + part);
            }
        }
        Ok(count)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>> {
        let mut leased = Vec::new();
        for (queue, mark) in self.queues(part).await?.iter().zip(MARKS) {
            let records = queue.receive(limit - leased.len(), lease, self.state.clock.now()).await?;
            leased.extend(records.into_iter().map(|record| {
                let mut message = BacklogMessage::new(record.message.clone()).with_due(record.due);
                if part == BacklogPart::Dead {
                    let details =
                        record.dead.unwrap_or_else(|| super::dead_letter::by_sqs(&record.message, record.sent_at));
                    message.message.attempt = details.attempts;
                    message = message.with_due(None).with_dead(details);
                }
                LeasedMessage::new(message, format!("{mark}{}", record.receipt))
            }));
        }
        Ok(leased)
    }

    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.end(part, receipts, true).await
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.end(part, receipts, false).await
    }

    /// Messages with an ordering key are sent one by one, those of different keys at the same time.
    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>> {
        let queues = match self.queues(part).await {
            Ok(queues) => queues,
            Err(error) => return each_failed(&error, messages.len()),
        };
        let (mut plain, mut keyed): (Vec<_>, BTreeMap<&str, Vec<_>>) = Default::default();
        for (index, message) in messages.iter().enumerate() {
            match &message.message.ordering_key {
                Some(key) => keyed.entry(key).or_default().push((index, message)),
                None => plain.push((index, message)),
            }
        }
        let mut results = Vec::new();
        if let Some(queue) = queues.first() {
            results.extend(queue.send_messages(part, &plain).await);
        }
        let mut keys = Vec::with_capacity(keyed.len());
        for of_key in keyed.into_values() {
            keys.push(send_in_order(queues.get(1), part, of_key));
        }
        let keys: Vec<_> = stream::iter(keys).buffer_unordered(CONCURRENT_REQUESTS).collect().await;
        results.extend(keys.into_iter().flatten());
        in_order(messages.len(), results)
    }

    async fn pause(&self) -> Result<String> {
        let mut paused = Vec::new();
        for queue in self.queues(BacklogPart::Waiting).await? {
            paused.extend(mapping::enabled(&self.state, self.service.region(), &queue.arn()).await?);
        }
        mapping::disable(&self.state, self.service.region(), &paused).await?;
        Ok(if paused.is_empty() { String::new() } else { paused.join(",") })
    }

    async fn resume(&self, paused: &str) -> Result<()> {
        let mappings: Vec<String> = paused.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        mapping::enable(&self.state, self.service.region(), &mappings).await
    }
}
