//! Finds the triggers of an event by configured names, without requests.

use bytes::Bytes;
use isobar_abstraction::driver::host::{StoredChange, deliver, deliver_changes, excerpt};
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::driver::{ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Context, Error, EventQueue, Outcome, Result};

use super::Lambda;
use crate::AwsConfig;
use crate::config::Placed;
use crate::event::changes;
use crate::pub_sub::FIFO;

/// The next step after an error about the names of queues.
pub(super) const ADVICE: &str =
    "configure another queue with `queue=` in a topic's URL, `events=` in a bucket's URL or `writes=` in a table's URL";

/// A trigger with a queue: a subscription of a topic, object events of a bucket, or the writes of a table.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) trigger: EventQueue,
    pub(super) retry: RetryPolicy,
    /// The names of the topic, bucket or table.
    pub(super) placed: Placed,
    /// The SQS queue; for a topic, that of messages without an ordering key.
    pub(super) queue: String,
}

impl Source {
    /// All triggers of the app that have queues. Errors: `Config`.
    pub(super) fn all(lambda: &Lambda) -> Result<Vec<Self>> {
        Self::of(&lambda.state.config, &lambda.app.manifest)
    }

    /// All triggers of this manifest that have queues. Errors: `Config`.
    pub(super) fn of(config: &AwsConfig, manifest: &Manifest) -> Result<Vec<Self>> {
        let source = |(trigger, retry): (EventQueue, RetryPolicy)| {
            let placed = config.place(&config.location(trigger.kind(), trigger.source()))?;
            Ok(Self { queue: trigger.physical(&placed.queue), trigger, retry, placed })
        };
        manifest.queues().map(source).collect()
    }

    /// Delivers a message of the queue to the app; a message of a bucket is a notification of S3.
    pub(super) async fn deliver(&self, lambda: &Lambda, message: Message<Bytes>, cx: &Context) -> Outcome {
        let cx = cx.clone().with_attempt(message.attempt);
        if self.is(ResourceKind::Bucket) {
            return match changes(&message.body) {
                Ok(changes) => self.deliver_changes(lambda, changes, &cx).await,
                Err(error) => Outcome::reject(format!("the notification of S3 cannot be read: {}", error.message())),
            };
        }
        match self.trigger.event(message) {
            Ok(event) => deliver(lambda.app.function.as_ref(), event, cx).await,
            Err(error) => Outcome::reject(format!("the message cannot be read: {}", error.message())),
        }
    }

    pub(super) async fn deliver_changes(&self, lambda: &Lambda, changes: Vec<StoredChange>, cx: &Context) -> Outcome {
        deliver_changes(lambda.app.function.as_ref(), &self.trigger, &self.placed.name, changes, cx).await
    }

    /// Whether its events arrive in this queue. Only topics have FIFO queues.
    pub(super) fn has_queue(&self, queue: &str) -> bool {
        let plain = if self.is(ResourceKind::Topic) { queue.strip_suffix(FIFO) } else { None };
        self.queue == plain.unwrap_or(queue)
    }

    /// Whether its events go through this SNS topic; that of a bucket has the name of the queue `default`.
    pub(super) fn has_topic(&self, topic: &str) -> bool {
        match self.trigger.kind() {
            ResourceKind::Topic => self.placed.name == topic,
            ResourceKind::Bucket => self.placed.queue == topic,
            _ => false,
        }
    }

    pub(super) fn is(&self, kind: ResourceKind) -> bool {
        self.trigger.kind() == kind
    }

    /// Its logical name and its names on AWS, for errors.
    pub(super) fn describe(&self) -> String {
        let Self { trigger, queue, placed: Placed { name, .. }, .. } = self;
        match trigger.kind() {
            ResourceKind::Topic => format!("{trigger} (SNS topic `{name}`, queues `{queue}` and `{queue}{FIFO}`)"),
            ResourceKind::Bucket => format!("{trigger} (S3 bucket `{name}`, queue `{queue}`)"),
            _ => format!("{trigger} (DynamoDB table `{name}`, queue `{queue}`)"),
        }
    }
}

/// The sources for which `is` is true, at least one. Errors: `NotFound` for none.
pub(super) fn matching<'a>(
    lambda: &Lambda,
    all: &'a [Source],
    what: &str,
    name: &str,
    is: impl Fn(&Source) -> bool,
) -> Result<Vec<&'a Source>> {
    let matches: Vec<_> = all.iter().filter(|source| is(source)).collect();
    if !matches.is_empty() {
        return Ok(matches);
    }
    let handled: Vec<_> = all.iter().map(Source::describe).collect();
    let handled = if handled.is_empty() { "no queue".to_owned() } else { handled.join(", ") };
    let (app, name) = (&lambda.app.manifest.app, excerpt(name));
    Err(Error::not_found(format!(
        "app `{app}` handles no events of the {what} `{name}`; it handles {handled}: connect only the listed ones, or \
         {ADVICE}"
    )))
}
