//! Which topic or bucket of the app an event is of: by names that configuration knows, never by asking.

use bytes::Bytes;
use isobar_abstraction::driver::host::{StoredChange, deliver, deliver_changes, excerpt};
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::driver::{ResourceKind, RetryPolicy};
use isobar_abstraction::{Context, Error, Event, Outcome, Result};

use super::Lambda;
use crate::config::Placed;
use crate::event::changes;
use crate::pub_sub::FIFO;

/// A topic or a bucket whose events the app handles.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// The logical name.
    name: &'a str,
    /// The subscription of a topic; a bucket has none.
    subscription: Option<&'a str>,
    pub(super) retry: RetryPolicy,
    pub(super) placed: Placed,
}

impl<'a> Source<'a> {
    /// All that the app handles. Errors: `Config`.
    pub(super) fn all(lambda: &'a Lambda) -> Result<Vec<Self>> {
        let (manifest, config) = (&lambda.app.manifest, &lambda.state.config);
        let source = |kind, name: &'a String, subscription, retry| {
            Ok(Self { name, subscription, retry, placed: config.place(&config.location(kind, name))? })
        };
        let topics = manifest.messages().map(|trigger| {
            source(ResourceKind::Topic, &trigger.topic, Some(trigger.subscription.as_str()), trigger.retry)
        });
        let buckets = manifest.objects();
        let buckets = buckets.map(|trigger| source(ResourceKind::Bucket, &trigger.bucket, None, trigger.retry));
        topics.chain(buckets).collect()
    }

    /// Hands a message of this source to the app, or the changes of objects that a notification of S3 tells of.
    pub(super) async fn deliver(&self, lambda: &Lambda, message: Message<Bytes>, cx: &Context) -> Outcome {
        let (topic, Some(subscription)) = (self.name.to_owned(), self.subscription) else {
            return match changes(&message.body) {
                Ok(changes) => self.deliver_changes(lambda, changes, &cx.clone().with_attempt(message.attempt)).await,
                Err(error) => Outcome::reject(format!("the notification cannot be read: {}", error.message())),
            };
        };
        let event = Event::Message { topic, subscription: subscription.to_owned(), message };
        deliver(lambda.app.function.as_ref(), event, cx.clone()).await
    }

    pub(super) async fn deliver_changes(&self, lambda: &Lambda, changes: Vec<StoredChange>, cx: &Context) -> Outcome {
        deliver_changes(lambda.app.function.as_ref(), self.name, &self.placed.name, changes, cx).await
    }

    /// Do its events come through this queue? S3 sends to no FIFO queue.
    pub(super) fn comes_through(&self, queue: &str) -> bool {
        let plain = if self.is_topic() { queue.strip_suffix(FIFO) } else { None };
        self.queue() == plain.unwrap_or(queue)
    }

    pub(super) fn is_topic(&self) -> bool {
        self.subscription.is_some()
    }

    /// The queue that brings its events; a topic's has a twin for messages with a key.
    pub(super) fn queue(&self) -> &str {
        self.placed.queue.as_deref().unwrap_or_default()
    }

    /// What the app calls it, and what AWS does.
    pub(super) fn describe(&self) -> String {
        let (name, placed, queue) = (self.name, &self.placed.name, self.queue());
        match self.is_topic() {
            true => format!("topic `{name}` (SNS topic `{placed}`, queues `{queue}` and `{queue}{FIFO}`)"),
            false => format!("bucket `{name}` (S3 bucket `{placed}`, queue `{queue}`)"),
        }
    }
}

/// The only source for which this holds. Errors: `NotFound`, `Config`.
pub(super) fn only<'a>(
    lambda: &Lambda,
    all: &'a [Source<'a>],
    what: &str,
    name: &str,
    is: impl Fn(&Source<'_>) -> bool,
) -> Result<&'a Source<'a>> {
    let mut found = all.iter().filter(|source| is(source));
    match (found.next(), found.next()) {
        (Some(source), None) => Ok(source),
        (Some(one), Some(other)) => Err(Error::config(format!(
            "the {what} `{name}` is that of {} and of {}; give one of them a URL with another",
            one.describe(),
            other.describe()
        ))),
        _ => {
            let handled: Vec<_> = all.iter().map(Source::describe).collect();
            let handled = if handled.is_empty() { "none of either".to_owned() } else { handled.join(", ") };
            let (app, name) = (&lambda.app.manifest.app, excerpt(name));
            Err(Error::not_found(format!(
                "app `{app}` handles no topic and no bucket of the {what} `{name}`; it handles {handled}. \
                 `queue=` in a topic's URL and `events=` in a bucket's name another queue"
            )))
        }
    }
}
