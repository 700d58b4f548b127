//! Finds the app's topic or bucket of an event by configured names, without requests.

use bytes::Bytes;
use isobar_abstraction::driver::host::{StoredChange, deliver, deliver_changes, excerpt};
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::driver::{ResourceKind, RetryPolicy};
use isobar_abstraction::{Context, Error, Event, EventQueue, Outcome, Result};

use super::Lambda;
use crate::config::Placed;
use crate::event::changes;
use crate::pub_sub::FIFO;

/// A topic or bucket whose events the app handles.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// The logical name.
    name: &'a str,
    /// The subscription of a topic; `None` for a bucket.
    subscription: Option<&'a str>,
    pub(super) retry: RetryPolicy,
    pub(super) placed: Placed,
}

impl<'a> Source<'a> {
    /// All topics and buckets that the app handles. Errors: `Config`.
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

    /// Delivers a message of this source to the app: a topic's message, or the object changes in S3's notification.
    pub(super) async fn deliver(&self, lambda: &Lambda, message: Message<Bytes>, cx: &Context) -> Outcome {
        let (topic, Some(subscription)) = (self.name.to_owned(), self.subscription) else {
            return match changes(&message.body) {
                Ok(changes) => self.deliver_changes(lambda, changes, &cx.clone().with_attempt(message.attempt)).await,
                Err(error) => Outcome::reject(format!("the notification of S3 cannot be read: {}", error.message())),
            };
        };
        let event = Event::Message { topic, subscription: subscription.to_owned(), message };
        deliver(lambda.app.function.as_ref(), event, cx.clone()).await
    }

    pub(super) async fn deliver_changes(&self, lambda: &Lambda, changes: Vec<StoredChange>, cx: &Context) -> Outcome {
        let queue = EventQueue::bucket(self.name);
        deliver_changes(lambda.app.function.as_ref(), &queue, &self.placed.name, changes, cx).await
    }

    /// Whether its events arrive in this queue. S3 does not send to FIFO queues.
    pub(super) fn has_queue(&self, queue: &str) -> bool {
        let plain = if self.is_topic() { queue.strip_suffix(FIFO) } else { None };
        self.queue() == plain.unwrap_or(queue)
    }

    pub(super) fn is_topic(&self) -> bool {
        self.subscription.is_some()
    }

    /// The queue of its events; for a topic, that of messages without an ordering key.
    pub(super) fn queue(&self) -> &str {
        self.placed.queue.as_deref().unwrap_or_default()
    }

    /// Its logical name and its names on AWS, for errors.
    pub(super) fn describe(&self) -> String {
        let (name, placed, queue) = (self.name, &self.placed.name, self.queue());
        match self.is_topic() {
            true => format!("topic `{name}` (SNS topic `{placed}`, queues `{queue}` and `{queue}{FIFO}`)"),
            false => format!("bucket `{name}` (S3 bucket `{placed}`, queue `{queue}`)"),
        }
    }
}

/// The only source for which `is` is true. Errors: `NotFound` for none, `Config` for several.
pub(super) fn only<'a>(
    lambda: &Lambda,
    all: &'a [Source<'a>],
    what: &str,
    name: &str,
    is: impl Fn(&Source<'_>) -> bool,
) -> Result<&'a Source<'a>> {
    let mut matches = all.iter().filter(|source| is(source));
    match (matches.next(), matches.next()) {
        (Some(source), None) => Ok(source),
        (Some(one), Some(other)) => Err(Error::config(format!(
            "the {what} `{name}` belongs to {} and to {}: configure another {what} for one of them by its URL",
            one.describe(),
            other.describe()
        ))),
        _ => {
            let handled: Vec<_> = all.iter().map(Source::describe).collect();
            let handled = if handled.is_empty() { "no topic and no bucket".to_owned() } else { handled.join(", ") };
            let (app, name) = (&lambda.app.manifest.app, excerpt(name));
            Err(Error::not_found(format!(
                "app `{app}` handles no topic and no bucket of the {what} `{name}`; it handles {handled}: \
                configure another queue with `queue=` in a topic's URL or `events=` in a bucket's URL"
            )))
        }
    }
}
