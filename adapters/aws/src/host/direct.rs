//! Events that SNS or S3 sends to the function without a queue: asynchronous invocations. Lambda repeats a
//! failed one as a whole, at most twice, independent of the app's retry policy.

use bytes::Bytes;
use isobar_abstraction::driver::host::excerpt;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId};
use isobar_abstraction::driver::{ResourceKind, Settlement};
use isobar_abstraction::{Context, Error, ErrorKind, Outcome, Result, clock};

use super::Lambda;
use super::source::{Source, matching};
use crate::event::{Arn, Incoming, Notification, changes};
use crate::profile::PROFILE;
use crate::pub_sub::account;
use crate::pub_sub::sqs::SqsQueue;
use crate::pub_sub::wire::DecodedMessage;

/// Handles the `Records` of an event of SNS: messages of a topic, or notifications of S3. Each is delivered to all triggers
/// of the topic or bucket. `Ok` means that all are settled; an error fails the invocation, so that Lambda repeats it, also
/// for the triggers that have settled it.
pub(super) async fn handle_topic(lambda: &Lambda, event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let sources = Source::all(lambda)?;
    let mut deliveries = Vec::new();
    for record in event.records()? {
        let notification = Notification::read(&record)?;
        let Arn { region, account, name } = &notification.topic;
        let matches = matching(lambda, &sources, "SNS topic", name, |source| source.has_topic(name))?;
        let queue = |source| Ok((source, queue(lambda, source, Some(region), account)?));
        let triggers = matches.into_iter().map(queue).collect::<Result<Vec<_>>>()?;
        deliveries.push((notification, triggers));
    }
    let mut result = Ok(());
    for (notification, triggers) in deliveries {
        let (message, unreadable) = match notification.message {
            Ok(DecodedMessage { due: Some(due), .. }) if due > cx.now() => {
                result = result.and(Err(too_early(&notification.topic)));
                continue;
            }
            Ok(DecodedMessage { mut message, .. }) => {
                message.published_at = clock::sent_at(message.published_at, cx.now());
                (message, None)
            }
            Err(error) => {
                let reason = format!("the message cannot be read: {}", error.message());
                (raw(cx, notification.text), Some(reason))
            }
        };
        for (source, queue) in triggers {
            let outcome = match &unreadable {
                Some(reason) => Outcome::reject(reason),
                None => source.deliver(lambda, message.clone(), cx).await,
            };
            result = result.and(settle(source, &queue, &message, outcome, cx).await);
        }
    }
    result
}

/// Handles an event of S3, or of EventBridge for S3; `text` is the whole event. It is delivered to all triggers of the
/// bucket. `Ok` means that all have settled it; an error fails the invocation, so that Lambda repeats it for all.
pub(super) async fn handle_bucket(lambda: &Lambda, text: &[u8], event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let changes = changes(text)?;
    let Some(bucket) = changes.first().map(|change| change.bucket.clone()) else { return Ok(()) };
    let sources = Source::all(lambda)?;
    let is_bucket = |source: &Source| source.is(ResourceKind::Bucket) && source.placed.name == bucket;
    let triggers = matching(lambda, &sources, "S3 bucket", &bucket, is_bucket)?;
    let record_region = event.records()?.first().and_then(|record| record.text("awsRegion"));
    let region = record_region.or_else(|| event.fields.text("region"));
    let message = raw(cx, Bytes::copy_from_slice(text));
    let mut result = Ok(());
    for source in triggers {
        let queue = queue(lambda, source, region.as_deref(), account(&lambda.state, &source.placed)?)?;
        let outcome = source.deliver_changes(lambda, changes.clone(), cx).await;
        result = result.and(settle(source, &queue, &message, outcome, cx).await);
    }
    result
}

fn too_early(topic: &Arn) -> Error {
    let name = excerpt(&topic.name);
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "a message with a delay is not due, and the SNS topic `{name}` cannot delay it: subscribe a queue to the topic, \
             and not the function"
        ),
    )
}

fn queue(lambda: &Lambda, source: &Source, region: Option<&str>, account: &str) -> Result<SqsQueue> {
    SqsQueue::new(&lambda.state, region, account, &source.queue)
}

/// An event as a message for a queue, from which it can be redriven.
fn raw(cx: &Context, body: impl Into<Bytes>) -> Message<Bytes> {
    Message::new(MessageId::new(cx.invocation_id()), body, cx.now())
}

/// Settles an event without a queue by the app's outcome: a dead letter is sent to the dead-letter queue,
/// and an event to retry fails the invocation.
async fn settle(
    source: &Source,
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
