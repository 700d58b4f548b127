//! Events that SNS or S3 sends to the function without a queue: asynchronous invocations. Lambda repeats a
//! failed one as a whole, twice, independent of the app's retry policy.

use bytes::Bytes;
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId};
use isobar_abstraction::{Context, Error, ErrorKind, Outcome, Result, clock};

use super::Lambda;
use super::source::{Source, only};
use crate::event::{Arn, Incoming, Notification, changes};
use crate::profile::PROFILE;
use crate::pub_sub::account;
use crate::pub_sub::sqs::SqsQueue;

/// Handles the `Records` of an event of SNS. `Ok` means that all records are settled; an
/// error fails the invocation, so that Lambda repeats it.
pub(super) async fn handle_topic(lambda: &Lambda, event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let sources = Source::all(lambda)?;
    let deliveries = event.records()?.into_iter().map(|record| {
        let notification = Notification::read(&record)?;
        let Arn { region, account, name } = &notification.topic;
        let source = only(lambda, &sources, "SNS topic", name, |it| it.is_topic() && it.placed.name == *name)?;
        let queue = SqsQueue::new(&lambda.state, Some(region), account, source.queue())?;
        Ok((source, queue, notification))
    });
    let mut result = Ok(());
    for (source, queue, notification) in deliveries.collect::<Result<Vec<_>>>()? {
        let (message, outcome) = match notification.message {
            Ok(mut message) => {
                message.published_at = clock::sent_at(message.published_at, cx.now());
                let outcome = source.deliver(lambda, message.clone(), cx).await;
                (message, outcome)
            }
            Err(error) => {
                let reason = format!("the message cannot be read: {}", error.message());
                (raw(cx, notification.text), Outcome::reject(reason))
            }
        };
        result = result.and(settle(source, &queue, &message, outcome, cx).await);
    }
    result
}

/// Handles an event of S3, or of EventBridge for S3; `text` is the whole event.
/// `Ok` means that it is settled; an error fails the invocation, so that Lambda repeats it.
pub(super) async fn handle_bucket(lambda: &Lambda, text: &[u8], event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let changes = changes(text)?;
    let Some(bucket) = changes.first().map(|change| change.bucket.clone()) else { return Ok(()) };
    let sources = Source::all(lambda)?;
    let source = only(lambda, &sources, "S3 bucket", &bucket, |it| !it.is_topic() && it.placed.name == bucket)?;
    let record_region = event.records()?.first().and_then(|record| record.text("awsRegion"));
    let region = record_region.or_else(|| event.fields.text("region"));
    let account = account(&lambda.state, &source.placed)?;
    let queue = SqsQueue::new(&lambda.state, region.as_deref(), account, source.queue())?;
    let outcome = source.deliver_changes(lambda, changes, cx).await;
    settle(source, &queue, &raw(cx, Bytes::copy_from_slice(text)), outcome, cx).await
}

/// An event as a message for a queue, from which it can be redriven.
fn raw(cx: &Context, body: impl Into<Bytes>) -> Message<Bytes> {
    Message::new(MessageId::new(cx.invocation_id()), body, cx.now())
}

/// Settles an event without a queue by the app's outcome: a dead letter is sent to the dead-letter queue,
/// and an event to retry fails the invocation.
async fn settle(
    source: &Source<'_>,
    queue: &SqsQueue,
    message: &Message<Bytes>,
    outcome: Outcome,
    cx: &Context,
) -> Result<()> {
    // Lambda counts the attempts and does not report the number.
    let reason = match source.retry.settle(1, outcome.clone(), PROFILE.limits.retry_after) {
        Settlement::Done => return Ok(()),
        Settlement::Retry(_) => {
            let Outcome::Retry { reason, .. } = outcome else { return Ok(()) };
            return Err(Error::new(ErrorKind::Unavailable, reason).with_resource(source.describe()));
        }
        Settlement::DeadLetter(reason) => reason,
    };
    let details = DeadLetterDetails::new(1, &reason, cx.now(), &source.placed.name);
    let result = queue.dead_letter_queue().send_dead_letter(message, details, message.id.as_str()).await;
    result.map_err(|error| {
        // Lambda sends an event that fails in all attempts to the function's failure destination.
        tracing::error!(?error, reason, "a dead letter cannot be stored; the invocation fails");
        Error::new(error.kind(), format!("the app gave up ({reason}), and the dead letter cannot be stored"))
            .with_source(error)
    })
}

#[cfg(test)]
mod tests;
