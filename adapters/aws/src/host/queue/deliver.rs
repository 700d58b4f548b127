//! Handing an event to the app. Whatever it does, there is an outcome.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use isobar_abstraction::clock;
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{Batch, Context, Error, Event, Outcome, Reply, ResourceKind};

use super::object::{self, Change};
use super::source::Source;
use crate::event::shown;
use crate::host::Lambda;

/// Hands a message of a source to the app.
pub(super) async fn deliver(lambda: &Lambda, source: &Source, message: Message<Bytes>, cx: &Context) -> Outcome {
    if source.kind == ResourceKind::Bucket {
        return notification(lambda, source, &message, cx).await;
    }
    let batch = Batch { topic: source.name.clone(), messages: vec![message] };
    match lambda.app.function.call(Event::Messages(batch), cx.clone()).await {
        Ok(Reply::Messages(outcomes)) => outcomes.into_iter().next().unwrap_or_else(wrong_reply),
        Ok(_) => wrong_reply(),
        Err(error) => failed(&error),
    }
}

/// A notification of S3 that came as a message.
async fn notification(lambda: &Lambda, source: &Source, message: &Message<Bytes>, cx: &Context) -> Outcome {
    let changes = serde_json::from_slice(&message.body)
        .map_err(|error| Error::invalid(format!("it is no JSON at column {}", error.column())))
        .and_then(|told| object::changes(&told));
    match changes {
        Ok(changes) => objects(lambda, source, changes, &cx.clone().with_attempt(message.attempt)).await,
        Err(error) => Outcome::reject(format!("the notification cannot be read: {}", error.message())),
    }
}

/// Hands changes that S3 told of together to the app. Their outcomes become one: S3 tells of one
/// change at a time, though its form allows more, and they cannot be acknowledged apart.
pub(super) async fn objects(lambda: &Lambda, source: &Source, changes: Vec<Change>, cx: &Context) -> Outcome {
    let outcomes = join_all(changes.into_iter().map(|change| object(lambda, source, change, cx))).await;
    outcomes.into_iter().max_by_key(weight).unwrap_or(Outcome::Ack)
}

/// What asks for another delivery outweighs what gives up, and that what is done.
fn weight(outcome: &Outcome) -> (u8, Duration) {
    match outcome {
        Outcome::Ack => (0, Duration::ZERO),
        Outcome::Reject { .. } => (1, Duration::ZERO),
        Outcome::Retry { after, .. } => (2, after.unwrap_or_default()),
    }
}

async fn object(lambda: &Lambda, source: &Source, change: Change, cx: &Context) -> Outcome {
    if change.bucket != source.placed.name {
        let (told, wanted) = (shown(&change.bucket), &source.placed.name);
        return Outcome::reject(format!("it tells of the S3 bucket `{told}`, not of `{wanted}`"));
    }
    let mut event = change.into_event(&source.name);
    event.time = clock::known(event.time, lambda.state.clock.now());
    match lambda.app.function.call(Event::Object(event), cx.clone()).await {
        Ok(Reply::Handled(outcome)) => outcome,
        Ok(_) => wrong_reply(),
        Err(error) => failed(&error),
    }
}

fn wrong_reply() -> Outcome {
    Outcome::retry("the function's reply is not that of its event")
}

fn failed(error: &Error) -> Outcome {
    Outcome::retry(error.to_string())
}
