//! Handles the messages of a queue, and settles what becomes of them.

use std::time::Duration;

use crate::profile::PROFILE;
use futures_util::FutureExt;
use futures_util::future::{join_all, select};
use isobar_abstraction::{Context, Outcome, Verdict};

use super::deliver::deliver;
use super::record::Record;
use super::source::Source;
use crate::host::{Lambda, MARGIN};
use crate::pub_sub::dead::Death;
use crate::pub_sub::sqs::{PutOff, SqsQueue};

/// Messages that one call puts off.
const BATCH: usize = 10;

/// Handles the messages of a queue.
pub(super) struct Worker<'a> {
    pub(super) lambda: &'a Lambda,
    pub(super) source: &'a Source,
    pub(super) queue: &'a SqsQueue,
    pub(super) cx: &'a Context,
}

/// A message that is not acknowledged, and comes again.
pub(super) struct Waiting {
    pub(super) record: Record,
    /// Seconds; without it, its queue says.
    wait: Option<u32>,
}

impl Worker<'_> {
    /// Handles messages one after the other. When one of them is to come again, the rest waits for it,
    /// as long: SQS hands out nothing of a group of which anything is under way.
    pub(super) async fn run(&self, lane: Vec<Record>) -> Vec<Waiting> {
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
        let outcome = match &record.unreadable {
            Some(reason) => Outcome::reject(reason),
            None => self.deliver(record).await?,
        };
        let longest = PROFILE.limits.longest_retry(record.message.ordering_key.as_deref());
        match self.source.retry.judge(record.message.attempt, outcome, longest) {
            Verdict::Done => Ok(()),
            Verdict::Again(wait) => Err(Some(seconds(wait))),
            Verdict::Dead(reason) => self.bury(record, &reason).await,
        }
    }

    /// Hands a message to the app, which has until the deadline. One that is late comes again by itself:
    /// the whole batch would come again where the invocation failed.
    async fn deliver(&self, record: &Record) -> Result<Outcome, Option<u32>> {
        let message = &record.message;
        let late =
            || tracing::error!(queue = self.queue.name(), id = message.id.as_str(), "no answer before the deadline");
        if self.cx.remaining().is_some_and(|left| left.is_zero()) {
            late();
            return Err(None);
        }
        let delivered = deliver(self.lambda, self.source, message.clone(), self.cx).map(Ok);
        self.lambda.within(self.cx, delivered).await.map_err(|_| {
            late();
            None
        })
    }

    async fn bury(&self, record: &Record, reason: &str) -> Result<(), Option<u32>> {
        let death = Death::new(record.message.attempt, reason, self.lambda.state.clock.now(), self.queue.name());
        let dead = self.queue.dead();
        let sent = self.lambda.within(self.cx, dead.send_dead(&record.message, death, &record.id));
        sent.await.map_err(|error| {
            let (queue, id) = (self.queue.name(), record.message.id.as_str());
            tracing::error!(queue, id, reason, ?error, "a dead letter cannot be kept; its message comes again");
            None
        })
    }

    /// Tells SQS how long these wait. They do come again, also if it does not hear; and who is late may
    /// use half of what is left for the answer.
    pub(super) async fn put_off(&self, waiting: &[Waiting]) {
        let put_off =
            |waiting: &Waiting| waiting.wait.map(|seconds| PutOff { receipt: waiting.record.receipt.clone(), seconds });
        let all: Vec<_> = waiting.iter().filter_map(put_off).collect();
        let told = join_all(all.chunks(BATCH).map(|batch| self.queue.put_off(batch)));
        let late = self.lambda.state.clock.sleep(self.cx.remaining().unwrap_or_default() + MARGIN / 2);
        select(std::pin::pin!(told), late).await;
    }
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
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_is_one_that_sqs_takes() {
        let longest = seconds(PROFILE.limits.retry_after);
        assert_eq!([seconds(Duration::from_nanos(1)), seconds(Duration::ZERO), longest], [1, 0, 6 * 3_600]);
        // 12 hours, less the longest run of a function.
        assert!(PROFILE.limits.retry_after + PROFILE.limits.event_timeout < Duration::from_secs(12 * 3_600));
    }
}
