//! Batches of SQS records: delivery to the app and settlement of each record.
//!
//! Messages of topics, object events of buckets and writes of tables all arrive in queues, one for each trigger, so that
//! retries, dead letters and redrive are the same for all.
//!
//! The app receives each message in a separate call. A message is settled before the next message of its
//! ordering key is delivered, and a message that waits for an earlier one is not settled.
//! SQS counts the attempts, one for each message of a batch. An event source mapping of a FIFO queue therefore
//! needs a batch size of 1, so that a message is not received and counted while it waits for an earlier message
//! of its key.
//!
//! A message with a delay that is not due is hidden until then, without a call of the handler, and while the other messages of
//! its batch are handled. SQS counts that delivery, and the attempt of the message does not.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{join, join_all, select};
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::host::within;
use isobar_abstraction::driver::pub_sub::DeadLetterDetails;
use isobar_abstraction::{Context, Error, Outcome, Result};
use serde_json::json;

use super::source::{Source, matching};
use super::{Lambda, MARGIN};
use crate::event::{Arn, Incoming};
use crate::profile::PROFILE;
use crate::pub_sub::record::Record;
use crate::pub_sub::sqs::{BATCH, SqsQueue, VisibilityChange};

/// The number of messages that are handled concurrently.
const CONCURRENT_MESSAGES: usize = 64;

/// Handles the `Records` of an SQS event and returns Lambda's partial batch response.
///
/// A message is acknowledged if the app acknowledged it or the dead-letter queue has stored it. Every other
/// message is delivered again. A message with a late handler is delivered again without the other messages of its batch.
///
/// Errors: `NotFound` for a queue that the app does not handle, `InvalidInput` for a record without id or queue. Then no record is handled and none is acknowledged.
pub(crate) async fn handle(lambda: &Lambda, event: &Incoming<'_>, cx: &Context) -> Result<Bytes> {
    let (sources, now) = (Source::all(lambda)?, lambda.state.clock.now());
    let mut queues: Vec<(String, Worker<'_>, Vec<Record>)> = Vec::new();
    for record in event.records()? {
        let missing = || Error::invalid_input("a record of the SQS event has no `eventSourceARN`");
        let arn = record.text("eventSourceARN").ok_or_else(missing)?;
        match queues.iter_mut().find(|(queue_arn, ..)| *queue_arn == arn) {
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
    source: &'a Source,
    queue: SqsQueue,
    cx: &'a Context,
}

/// A message that is not acknowledged, so that SQS delivers it again.
struct Unacknowledged {
    record: Record,
    /// The time of the next delivery; `None` for the end of the queue's visibility timeout.
    next: Option<SystemTime>,
}

impl<'a> Worker<'a> {
    fn new(lambda: &'a Lambda, sources: &'a [Source], arn: &str, cx: &'a Context) -> Result<Self> {
        let Arn { region, account, name } = Arn::read(arn, "sqs", "an SQS queue")?;
        // At start it was checked that no two triggers share a queue.
        let source = matching(lambda, sources, "queue", &name, |source| source.has_queue(&name))?.swap_remove(0);
        Ok(Self { lambda, source, queue: SqsQueue::new(&lambda.state, Some(&region), &account, &name)?, cx })
    }

    /// Delivers all records to the app and returns the ids of those that are not acknowledged.
    async fn run(&self, records: Vec<Record>) -> Vec<String> {
        let now = self.lambda.state.clock.now();
        let (early, records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|it| it.due.is_some_and(|due| due > now));
        let early: Vec<_> = early.into_iter().map(|record| Unacknowledged { next: record.due, record }).collect();
        // At the same time, because a handler can take longer than the rest of a delay.
        let ((), failed) = join(self.change_visibility(&early), self.run_due(records)).await;
        early.into_iter().chain(failed).map(|message| message.record.id).collect()
    }

    /// Delivers records that are due. Returns those that are not acknowledged.
    async fn run_due(&self, records: Vec<Record>) -> Vec<Unacknowledged> {
        let sequences = stream::iter(sequences(records)).map(|sequence| self.run_sequence(sequence));
        let messages: Vec<_> = sequences.buffer_unordered(CONCURRENT_MESSAGES).collect().await;
        let messages: Vec<_> = messages.into_iter().flatten().collect();
        self.change_visibility(&messages).await;
        messages
    }

    /// Handles messages in order. If one of them is not acknowledged, neither are the later ones, with the
    /// same time: SQS delivers no message of a group while another one is in flight.
    async fn run_sequence(&self, sequence: Vec<Record>) -> Vec<Unacknowledged> {
        let mut sequence = sequence.into_iter();
        while let Some(record) = sequence.next() {
            if let Err(next) = self.handle(&record).await {
                return std::iter::once(record).chain(sequence).map(|record| Unacknowledged { record, next }).collect();
            }
        }
        Vec::new()
    }

    /// Handles a message. `Ok`: acknowledge it. `Err`: deliver it again at this time, or after the queue's visibility
    /// timeout.
    async fn handle(&self, record: &Record) -> Result<(), Option<SystemTime>> {
        let Record { message, unreadable, .. } = record;
        let outcome = match unreadable {
            Some(reason) => Outcome::reject(reason),
            None if self.cx.remaining().is_some_and(|left| left.is_zero()) => {
                tracing::error!(
                    queue = self.queue.name(),
                    id = message.id.as_str(),
                    "the invocation has no time left for a message; SQS delivers it again"
                );
                return Err(None);
            }
            None => self.source.deliver(self.lambda, message.clone(), self.cx).await,
        };
        let longest = PROFILE.limits.longest_retry(message.ordering_key.as_deref());
        match self.source.retry.settle(message.attempt, outcome, longest) {
            Settlement::Done => Ok(()),
            Settlement::Retry(delay) => Err(Some(later(self.lambda.state.clock.now(), delay))),
            Settlement::DeadLetter(reason) => self.send_dead_letter(record, &reason).await,
        }
    }

    async fn send_dead_letter(&self, record: &Record, reason: &str) -> Result<(), Option<SystemTime>> {
        let details =
            DeadLetterDetails::new(record.message.attempt, reason, self.lambda.state.clock.now(), self.queue.name());
        let queue = self.queue.dead_letter_queue();
        let result = within(self.cx, queue.send_dead_letter(&record.message, details, &record.id));
        result.await.map_err(|error| {
            let (queue, id) = (self.queue.name(), record.message.id.as_str());
            tracing::error!(
                queue,
                id,
                reason,
                ?error,
                "a dead letter cannot be stored; SQS delivers its message again"
            );
            None
        })
    }

    /// Sets the times of these messages in SQS. If a request fails, they are delivered again after the queue's
    /// visibility timeout. After the deadline, the requests may use half of the margin for the response.
    async fn change_visibility(&self, messages: &[Unacknowledged]) {
        let now = self.lambda.state.clock.now();
        let change = |message: &Unacknowledged| {
            let seconds = seconds(message.next?.duration_since(now).unwrap_or_default());
            Some(VisibilityChange { receipt: message.record.receipt.clone(), seconds })
        };
        let changes: Vec<_> = messages.iter().filter_map(change).collect();
        let requests = join_all(changes.chunks(BATCH).map(|batch| self.queue.change_visibility(batch)));
        let late = self.lambda.state.clock.sleep(self.cx.remaining().unwrap_or_default() + MARGIN / 2);
        select(std::pin::pin!(requests), late).await;
    }
}

/// Sequences of records to handle in order: one for each group of a FIFO queue, and one for each record without a
/// group.
fn sequences(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut sequences: Vec<Vec<Record>> = Vec::new();
    let mut by_group: HashMap<String, usize> = HashMap::new();
    for record in records {
        let index = match &record.group {
            Some(group) => *by_group.entry(group.clone()).or_insert(sequences.len()),
            None => sequences.len(),
        };
        match sequences.get_mut(index) {
            Some(sequence) => sequence.push(record),
            None => sequences.push(vec![record]),
        }
    }
    sequences
}

/// A delay in seconds, rounded up. SQS allows 12 hours from the receipt of the message, which is twice the
/// longest delay in the profile.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
fn seconds(delay: Duration) -> u32 {
    let whole = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
    u32::try_from(whole).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
