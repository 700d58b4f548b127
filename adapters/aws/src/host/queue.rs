//! Batches of SQS records: what is handed to the app, and what becomes of each record.
//!
//! Messages of a topic and object events of a bucket come the same way, so that both are retried,
//! given up and put back alike.
//!
//! The app is handed each message by itself: what becomes of a message is settled before the next of
//! its ordering key is handed over, and a message that waits for an earlier one is never judged.
//! Attempts are those that SQS counts, and it counts one for each message of a batch: an event source
//! mapping of a FIFO queue wants a batch size of 1, so that a message is not received, and counted,
//! while it waits for an earlier one of its key.

mod deliver;
pub(crate) mod direct;
mod object;
mod record;
mod source;
mod worker;

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::{Context, Error, Result};
use serde_json::{Value, json};

use super::Lambda;
use crate::event::shown;
use crate::pub_sub::sqs::SqsQueue;
use record::Record;
use source::Source;
use worker::Worker;

/// Messages that are handled at once.
const AT_ONCE: usize = 64;

/// Handles the `Records` of an SQS event, and answers Lambda's partial batch response.
///
/// What the app is not done with is not acknowledged, and comes again, unless the queue of dead letters
/// has it. A message whose handler is late comes again by itself, without its neighbours.
///
/// Errors: `NotFound` where a queue is none of the app's, `Config` where it is that of two sources,
/// `InvalidInput` where a record tells no id or no queue. Then nothing is handled and nothing
/// acknowledged.
pub(crate) async fn handle(lambda: &Lambda, records: Vec<Value>, cx: Context) -> Result<Bytes> {
    let mut queues: Vec<(String, Vec<Value>)> = Vec::new();
    for record in records {
        let nameless = || Error::invalid("a record of the SQS event has no `eventSourceARN`");
        let arn = record["eventSourceARN"].as_str().ok_or_else(nameless)?;
        match queues.iter_mut().find(|(known, _)| known == arn) {
            Some((_, records)) => records.push(record),
            None => queues.push((arn.to_owned(), vec![record])),
        }
    }
    let handlings: Result<Vec<_>> = queues.into_iter().map(|(arn, it)| Handling::new(lambda, &arn, it)).collect();
    let mut failures = Vec::new();
    for handling in handlings? {
        failures.extend(handling.run(lambda, &cx).await);
    }
    let failures: Vec<_> = failures.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
    Ok(serde_json::to_vec(&json!({ "batchItemFailures": failures }))?.into())
}

/// The records of one queue.
struct Handling {
    source: Source,
    queue: SqsQueue,
    records: Vec<Record>,
}

impl Handling {
    fn new(lambda: &Lambda, arn: &str, records: Vec<Value>) -> Result<Self> {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let ["arn", _, "sqs", region, account, name] = parts[..] else {
            return Err(Error::invalid(format!("`{}` is not the ARN of an SQS queue", shown(arn))));
        };
        let now = lambda.state.clock.now();
        Ok(Self {
            source: Source::of_queue(lambda, name)?,
            queue: SqsQueue::new(&lambda.state, Some(region), account, name)?,
            records: records.into_iter().map(|record| Record::read(record, name, now)).collect::<Result<_>>()?,
        })
    }

    /// Hands all of them to the app, and returns the ids of those that are not acknowledged.
    async fn run(self, lambda: &Lambda, cx: &Context) -> Vec<String> {
        let Self { source, queue, records } = self;
        let worker = Worker { lambda, source: &source, queue: &queue, cx };
        let lanes = stream::iter(lanes(records)).map(|lane| worker.run(lane));
        let waiting: Vec<_> = lanes.buffer_unordered(AT_ONCE).collect().await;
        let waiting: Vec<_> = waiting.into_iter().flatten().collect();
        worker.put_off(&waiting).await;
        waiting.into_iter().map(|waiting| waiting.record.id).collect()
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

#[cfg(test)]
mod tests;
