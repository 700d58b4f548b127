//! Which topic or bucket of the app an event is of: by names that configuration knows, never by asking.

use isobar_abstraction::manifest::EventTrigger;
use isobar_abstraction::{Error, ResourceKind, Result, RetryPolicy};

use crate::config::Placed;
use crate::event::shown;
use crate::host::Lambda;
use crate::pub_sub::FIFO;

/// A topic or a bucket whose events the app handles.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) kind: ResourceKind,
    /// The logical name.
    pub(super) name: String,
    pub(super) retry: RetryPolicy,
    pub(super) placed: Placed,
}

impl Source {
    /// The source whose events come through this queue. Errors: `NotFound`, `Config`.
    pub(super) fn of_queue(lambda: &Lambda, queue: &str) -> Result<Self> {
        let plain = queue.strip_suffix(FIFO).unwrap_or(queue);
        let brings = |source: &Self| match source.kind {
            // S3 sends to no FIFO queue.
            ResourceKind::Bucket => source.queue() == queue,
            _ => source.queue() == plain,
        };
        Self::only(lambda, "queue", queue, brings)
    }

    /// The topic with this name in SNS. Errors: `NotFound`, `Config`.
    pub(super) fn of_topic(lambda: &Lambda, topic: &str) -> Result<Self> {
        let is = |source: &Self| source.kind == ResourceKind::Topic && source.placed.name == topic;
        Self::only(lambda, "SNS topic", topic, is)
    }

    /// The bucket with this name in S3. Errors: `NotFound`, `Config`.
    pub(super) fn of_bucket(lambda: &Lambda, bucket: &str) -> Result<Self> {
        let is = |source: &Self| source.kind == ResourceKind::Bucket && source.placed.name == bucket;
        Self::only(lambda, "S3 bucket", bucket, is)
    }

    /// The queue that brings its events; a topic's has a twin for messages with a key.
    pub(super) fn queue(&self) -> &str {
        self.placed.queue.as_deref().unwrap_or_default()
    }

    fn only(lambda: &Lambda, what: &str, name: &str, is: impl Fn(&Self) -> bool) -> Result<Self> {
        let mut all = all(lambda)?;
        let mut found: Vec<usize> = (0..all.len()).filter(|place| is(&all[*place])).collect();
        match (found.pop(), found.pop()) {
            (Some(place), None) => Ok(all.swap_remove(place)),
            (Some(one), Some(other)) => Err(Error::config(format!(
                "the {what} `{name}` is that of {} and of {}; give one of them a URL with another",
                all[one].describe(),
                all[other].describe()
            ))),
            _ => Err(unknown(lambda, what, name, &all)),
        }
    }

    /// What the app calls it, and what AWS does.
    pub(super) fn describe(&self) -> String {
        let (kind, queue) = (self.kind.name(), self.queue());
        match self.kind {
            ResourceKind::Bucket => {
                format!("{kind} `{}` (S3 bucket `{}`, queue `{queue}`)", self.name, self.placed.name)
            }
            _ => format!(
                "{kind} `{}` (SNS topic `{}`, queues `{queue}` and `{queue}{FIFO}`)",
                self.name, self.placed.name
            ),
        }
    }
}

fn unknown(lambda: &Lambda, what: &str, name: &str, all: &[Source]) -> Error {
    let handled: Vec<_> = all.iter().map(Source::describe).collect();
    let handled = if handled.is_empty() { "none of either".to_owned() } else { handled.join(", ") };
    let (app, name) = (&lambda.app.manifest.app, shown(name));
    Error::not_found(format!(
        "app `{app}` handles no topic and no bucket of the {what} `{name}`; it handles {handled}. \
         `queue=` in a topic's URL and `events=` in a bucket's name another queue"
    ))
}

fn all(lambda: &Lambda) -> Result<Vec<Source>> {
    let manifest = &lambda.app.manifest;
    let topics = manifest.messages.iter().map(|trigger| source(lambda, ResourceKind::Topic, trigger));
    topics.chain(manifest.objects.iter().map(|trigger| source(lambda, ResourceKind::Bucket, trigger))).collect()
}

fn source(lambda: &Lambda, kind: ResourceKind, trigger: &EventTrigger) -> Result<Source> {
    let config = &lambda.state.config;
    let placed = config.place(&config.location(kind, &trigger.source))?;
    Ok(Source { kind, name: trigger.source.clone(), retry: trigger.retry, placed })
}
