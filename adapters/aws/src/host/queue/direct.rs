//! SNS and S3 that call the function themselves, without a queue between: an asynchronous
//! invocation, which Lambda tries again as a whole, twice, whatever the app declares.

use crate::profile::PROFILE;
use bytes::Bytes;
use isobar_abstraction::clock;
use isobar_abstraction::pub_sub::{Message, MessageId};
use isobar_abstraction::{Context, Error, ErrorKind, Outcome, Result, Verdict};
use serde_json::{Value, json};

use super::deliver;
use super::object;
use super::source::Source;
use crate::event::shown;
use crate::host::Lambda;
use crate::pub_sub::dead::Death;
use crate::pub_sub::sqs::SqsQueue;
use crate::pub_sub::{account, wire};

/// Handles the `Records` of an event that SNS sent. `Ok` means that all of them are settled; an
/// error fails the invocation, so that Lambda tries it again.
pub(crate) async fn handle_topic(lambda: &Lambda, records: Vec<Value>, cx: Context) -> Result<()> {
    let known: Result<Vec<_>> = records.iter().map(|record| topic(lambda, record)).collect();
    let mut settled = Ok(());
    for (record, (source, queue)) in records.iter().zip(known?) {
        let (message, outcome) = match wire::from_sns(record) {
            Ok(mut message) => {
                message.published_at = clock::known(message.published_at, lambda.state.clock.now());
                let outcome = deliver::deliver(lambda, &source, message.clone(), &cx).await;
                (message, outcome)
            }
            Err(error) => {
                let reason = format!("the message cannot be read: {}", error.message());
                (raw(lambda, &cx, &record["Sns"]), Outcome::reject(reason))
            }
        };
        settled = settled.and(settle(lambda, &source, &queue, &message, outcome).await);
    }
    settled
}

/// Handles an event that S3 sent, or EventBridge for S3: the whole of it, as Lambda was given it.
/// `Ok` means that it is settled; an error fails the invocation, so that Lambda tries it again.
pub(crate) async fn handle_bucket(lambda: &Lambda, event: &Value, cx: Context) -> Result<()> {
    let changes = object::changes(event)?;
    let Some(bucket) = changes.first().map(|change| change.bucket.clone()) else { return Ok(()) };
    let source = Source::of_bucket(lambda, &bucket)?;
    let region = event["Records"][0]["awsRegion"].as_str().or(event["region"].as_str());
    let account = account(&lambda.state, &source.placed)?;
    let queue = SqsQueue::new(&lambda.state, region, account, source.queue())?;
    let outcome = deliver::objects(lambda, &source, changes, &cx).await;
    settle(lambda, &source, &queue, &raw(lambda, &cx, event), outcome).await
}

/// The topic that a record is of, and the queue that its messages would come through.
fn topic(lambda: &Lambda, record: &Value) -> Result<(Source, SqsQueue)> {
    let arn = record["Sns"]["TopicArn"].as_str().unwrap_or_default();
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", _, "sns", region, account, name] = parts[..] else {
        return Err(Error::invalid(format!("`{}` is not the ARN of an SNS topic", shown(arn))));
    };
    let source = Source::of_topic(lambda, name)?;
    let queue = SqsQueue::new(&lambda.state, Some(region), account, source.queue())?;
    Ok((source, queue))
}

/// An event as the message that it would be in a queue, from where it can be put back.
fn raw(lambda: &Lambda, cx: &Context, event: &Value) -> Message<Bytes> {
    let body = event["Message"].as_str().map_or_else(|| json!(event).to_string(), str::to_owned);
    Message::new(MessageId::new(cx.invocation_id()), body, lambda.state.clock.now())
}

/// Does what the app answered to an event that no queue holds: a dead letter goes to the queue of
/// dead letters, and an event that is to come again fails the invocation.
async fn settle(
    lambda: &Lambda,
    source: &Source,
    queue: &SqsQueue,
    message: &Message<Bytes>,
    outcome: Outcome,
) -> Result<()> {
    // Lambda does not tell which attempt this is, and counts them itself.
    let reason = match source.retry.judge(1, outcome.clone(), PROFILE.limits.retry_after) {
        Verdict::Done => return Ok(()),
        Verdict::Again(_) => {
            let Outcome::Retry { reason, .. } = outcome else { return Ok(()) };
            return Err(Error::new(ErrorKind::Unavailable, reason).with_resource(source.describe()));
        }
        Verdict::Dead(reason) => reason,
    };
    let death = Death::new(1, &reason, lambda.state.clock.now(), &source.placed.name);
    let sent = queue.dead().send_dead(message, death, message.id.as_str()).await;
    sent.map_err(|error| {
        // Lambda hands what fails for good to the function's own destination for failures.
        tracing::error!(?error, reason, "a dead letter could not be kept; the invocation fails");
        Error::new(error.kind(), format!("given up ({reason}), and not kept")).with_source(error)
    })
}

#[cfg(test)]
mod tests;
