//! Batches of SQS records: what is handed to the app, and what becomes of each record.
//!
//! Messages of a topic and object events of a bucket come the same way, so that both are retried,
//! given up and put back alike.
//!
//! The app is handed each message by itself: what becomes of a message is settled before the next of
//! its ordering key is handed over, and a message that waits for an earlier one is never decided.
//! Attempts are those that SQS counts, and it counts one for each message of a batch: an event source
//! mapping of a FIFO queue wants a batch size of 1, so that a message is not received, and counted,
//! while it waits for an earlier one of its key.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select};
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::host::within;
use isobar_abstraction::driver::pub_sub::DeadLetterDetails;
use isobar_abstraction::{Context, Error, Outcome, Result};
use serde_json::json;

use super::source::{Source, only};
use super::{Lambda, MARGIN};
use crate::event::{Arn, Incoming, Record};
use crate::profile::PROFILE;
use crate::pub_sub::sqs::{SqsQueue, VisibilityChange};

/// Messages that are handled at once.
const AT_ONCE: usize = 64;

/// Messages that one call puts off.
const BATCH: usize = 10;

/// Handles the `Records` of an SQS event, and answers Lambda's partial batch response.
///
/// What the app is not done with is not acknowledged, and comes again, unless the queue of dead letters
/// has it. A message whose handler is late comes again by itself, without its neighbours.
///
/// Errors: `NotFound` where a queue is none of the app's, `Config` where it is that of two sources,
/// `InvalidInput` where a record tells no id or no queue. Then nothing is handled and nothing
/// acknowledged.
pub(crate) async fn handle(lambda: &Lambda, event: &Incoming<'_>, cx: &Context) -> Result<Bytes> {
    let (sources, now) = (Source::all(lambda)?, lambda.state.clock.now());
    let mut queues: Vec<(String, Worker<'_>, Vec<Record>)> = Vec::new();
    for record in event.records()? {
        let nameless = || Error::invalid_input("a record of the SQS event has no `eventSourceARN`");
        let arn = record.text("eventSourceARN").ok_or_else(nameless)?;
        match queues.iter_mut().find(|(known, ..)| *known == arn) {
            Some((_, worker, records)) => records.push(Record::read(&record, worker.queue.is_fifo(), now)?),
            None => {
                let worker = Worker::new(lambda, &sources, &arn, cx)?;
                let first = Record::read(&record, worker.queue.is_fifo(), now)?;
                queues.push((arn.into_owned(), worker, vec![first]));
            }
        }
    }
    let mut failures = Vec::new();
    for (_, worker, records) in queues {
        failures.extend(worker.run(records).await.into_iter().map(|id| json!({ "itemIdentifier": id })));
    }
    Ok(serde_json::to_vec(&json!({ "batchItemFailures": failures }))?.into())
}

/// Handles the messages of one queue.
struct Worker<'a> {
    lambda: &'a Lambda,
    source: &'a Source<'a>,
    queue: SqsQueue,
    cx: &'a Context,
}

/// A message that is not acknowledged, and comes again.
struct Waiting {
    record: Record,
    /// Seconds; without it, its queue says.
    wait: Option<u32>,
}

impl<'a> Worker<'a> {
    fn new(lambda: &'a Lambda, sources: &'a [Source<'a>], arn: &str, cx: &'a Context) -> Result<Self> {
        let Arn { region, account, name } = Arn::read(arn, "sqs", "an SQS queue")?;
        let source = only(lambda, sources, "queue", &name, |source| source.comes_through(&name))?;
        Ok(Self { lambda, source, queue: SqsQueue::new(&lambda.state, Some(&region), &account, &name)?, cx })
    }

    /// Hands all of them to the app, and returns the ids of those that are not acknowledged.
    async fn run(&self, records: Vec<Record>) -> Vec<String> {
        let lanes = stream::iter(lanes(records)).map(|lane| self.run_lane(lane));
        let waiting: Vec<_> = lanes.buffer_unordered(AT_ONCE).collect().await;
        let waiting: Vec<_> = waiting.into_iter().flatten().collect();
        self.put_off(&waiting).await;
        waiting.into_iter().map(|waiting| waiting.record.id).collect()
    }

    /// Handles messages one after the other. When one of them is to come again, the rest waits for it,
    /// as long: SQS hands out nothing of a group of which anything is under way.
    async fn run_lane(&self, lane: Vec<Record>) -> Vec<Waiting> {
        let mut lane = lane.into_iter();
        while let Some(record) = lane.next() {
            if let Err(wait) = self.handle(&record).await {
                return std::iter::once(record).chain(lane).map(|record| Waiting { record, wait }).collect();
            }
        }
        Vec::new()
    }

    /// Handles a message. It can be acknowledged, or it comes again: after this many seconds, or as its
    /// queue says.
    async fn handle(&self, record: &Record) -> Result<(), Option<u32>> {
        let Record { message, unreadable, .. } = record;
        let outcome = match unreadable {
            Some(reason) => Outcome::reject(reason),
            None if self.cx.remaining().is_some_and(|left| left.is_zero()) => {
                tracing::error!(
                    queue = self.queue.name(),
                    id = message.id.as_str(),
                    "no time is left before the deadline"
                );
                return Err(None);
            }
            None => self.source.deliver(self.lambda, message.clone(), self.cx).await,
        };
        let longest = PROFILE.limits.longest_retry(message.ordering_key.as_deref());
        match self.source.retry.settle(message.attempt, outcome, longest) {
            Settlement::Done => Ok(()),
            Settlement::Retry(wait) => Err(Some(seconds(wait))),
            Settlement::DeadLetter(reason) => self.bury(record, &reason).await,
        }
    }

    async fn bury(&self, record: &Record, reason: &str) -> Result<(), Option<u32>> {
        let details =
            DeadLetterDetails::new(record.message.attempt, reason, self.lambda.state.clock.now(), self.queue.name());
        let dead = self.queue.dead_letter_queue();
        let sent = within(self.cx, dead.send_dead_letter(&record.message, details, &record.id));
        sent.await.map_err(|error| {
            let (queue, id) = (self.queue.name(), record.message.id.as_str());
            tracing::error!(queue, id, reason, ?error, "a dead letter cannot be kept; its message comes again");
            None
        })
    }

    /// Tells SQS how long these wait. They do come again, also if it does not hear; and who is late may
    /// use half of what is left for the answer.
    async fn put_off(&self, waiting: &[Waiting]) {
        let put_off = |waiting: &Waiting| {
            waiting.wait.map(|seconds| VisibilityChange { receipt: waiting.record.receipt.clone(), seconds })
        };
        let all: Vec<_> = waiting.iter().filter_map(put_off).collect();
        let told = join_all(all.chunks(BATCH).map(|batch| self.queue.change_visibility(batch)));
        let late = self.lambda.state.clock.sleep(self.cx.remaining().unwrap_or_default() + MARGIN / 2);
        select(std::pin::pin!(told), late).await;
    }
}

/// Records that must follow each other: those of one group of a FIFO queue. All others stand alone.
fn lanes(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut lanes: Vec<Vec<Record>> = Vec::new();
    let mut by_group: HashMap<String, usize> = HashMap::new();
    for record in records {
        let lane = match &record.group {
            Some(group) => *by_group.entry(group.clone()).or_insert(lanes.len()),
            None => lanes.len(),
        };
        match lanes.get_mut(lane) {
            Some(lane) => lane.push(record),
            None => lanes.push(vec![record]),
        }
    }
    lanes
}

/// Whole seconds that are not shorter. SQS takes 12 hours since it handed the message out, which is twice the
/// longest wait that the profile allows.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
fn seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(whole).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
