//! SNS and S3 that call the function themselves, without a queue between: an asynchronous
//! invocation, which Lambda tries again as a whole, twice, whatever the app declares.

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

/// Handles the `Records` of an event that SNS sent. `Ok` means that all of them are settled; an
/// error fails the invocation, so that Lambda tries it again.
pub(super) async fn handle_topic(lambda: &Lambda, event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let sources = Source::all(lambda)?;
    let known = event.records()?.into_iter().map(|record| {
        let notification = Notification::read(&record)?;
        let Arn { region, account, name } = &notification.topic;
        let source = only(lambda, &sources, "SNS topic", name, |it| it.is_topic() && it.placed.name == *name)?;
        let queue = SqsQueue::new(&lambda.state, Some(region), account, source.queue())?;
        Ok((source, queue, notification))
    });
    let mut settled = Ok(());
    for (source, queue, notification) in known.collect::<Result<Vec<_>>>()? {
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
        settled = settled.and(settle(source, &queue, &message, outcome, cx).await);
    }
    settled
}

/// Handles an event that S3 sent, or EventBridge for S3: the whole of it, as Lambda was given it.
/// `Ok` means that it is settled; an error fails the invocation, so that Lambda tries it again.
pub(super) async fn handle_bucket(lambda: &Lambda, text: &[u8], event: &Incoming<'_>, cx: &Context) -> Result<()> {
    let changes = changes(text)?;
    let Some(bucket) = changes.first().map(|change| change.bucket.clone()) else { return Ok(()) };
    let sources = Source::all(lambda)?;
    let source = only(lambda, &sources, "S3 bucket", &bucket, |it| !it.is_topic() && it.placed.name == bucket)?;
    let of_record = event.records()?.first().and_then(|record| record.text("awsRegion"));
    let region = of_record.or_else(|| event.fields.text("region"));
    let account = account(&lambda.state, &source.placed)?;
    let queue = SqsQueue::new(&lambda.state, region.as_deref(), account, source.queue())?;
    let outcome = source.deliver_changes(lambda, changes, cx).await;
    settle(source, &queue, &raw(cx, Bytes::copy_from_slice(text)), outcome, cx).await
}

/// An event as the message that it would be in a queue, from where it can be put back.
fn raw(cx: &Context, body: impl Into<Bytes>) -> Message<Bytes> {
    Message::new(MessageId::new(cx.invocation_id()), body, cx.now())
}

/// Does what the app answered to an event that no queue holds: a dead letter goes to the queue of
/// dead letters, and an event that is to come again fails the invocation.
async fn settle(
    source: &Source<'_>,
    queue: &SqsQueue,
    message: &Message<Bytes>,
    outcome: Outcome,
    cx: &Context,
) -> Result<()> {
    // Lambda does not tell which attempt this is, and counts them itself.
    let reason = match source.retry.settle(1, outcome.clone(), PROFILE.limits.retry_after) {
        Settlement::Done => return Ok(()),
        Settlement::Retry(_) => {
            let Outcome::Retry { reason, .. } = outcome else { return Ok(()) };
            return Err(Error::new(ErrorKind::Unavailable, reason).with_resource(source.describe()));
        }
        Settlement::DeadLetter(reason) => reason,
    };
    let details = DeadLetterDetails::new(1, &reason, cx.now(), &source.placed.name);
    let sent = queue.dead_letter_queue().send_dead_letter(message, details, message.id.as_str()).await;
    sent.map_err(|error| {
        // Lambda hands what fails for good to the function's own destination for failures.
        tracing::error!(?error, reason, "a dead letter could not be kept; the invocation fails");
        Error::new(error.kind(), format!("given up ({reason}), and not kept")).with_source(error)
    })
}

#[cfg(test)]
mod tests;
