//! The target of a request: the app or a trigger.

use std::collections::BTreeMap;

use http::Request;
use isobar_abstraction::driver::{ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Body, Error, EventQueue, Result};

use crate::GcpConfig;
use crate::config::{Settings, Signature};

/// The path prefix reserved for triggers.
const PREFIX: &str = "/.isobar";

/// The kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A queue of a source of this kind.
    Queue(ResourceKind),
    Schedule,
    Invoke,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Queue(ResourceKind::Topic),
        Self::Queue(ResourceKind::Bucket),
        Self::Queue(ResourceKind::Table),
        Self::Schedule,
        Self::Invoke,
    ];

    fn segment(self) -> &'static str {
        match self {
            Self::Queue(ResourceKind::Bucket) => "buckets",
            Self::Queue(ResourceKind::Table) => "writes",
            Self::Queue(_) => "topics",
            Self::Schedule => "schedules",
            Self::Invoke => "functions",
        }
    }

    /// The path of a trigger.
    pub(crate) fn path(self, name: &str) -> String {
        format!("{PREFIX}/{}/{name}", self.segment())
    }

    /// The queue of this name in paths, and its retry policy.
    pub(super) fn queue(self, name: &str, manifest: &Manifest) -> Option<(EventQueue, RetryPolicy)> {
        manifest.queues().find(|(queue, _)| Self::Queue(queue.kind()) == self && name_of(queue) == name)
    }

    /// Whether the app has a trigger of this kind and name.
    pub(super) fn is_of(self, name: &str, manifest: &Manifest) -> bool {
        match self {
            Self::Queue(_) => self.queue(name, manifest).is_some(),
            Self::Schedule => manifest.schedules().any(|schedule| schedule.name == name),
            Self::Invoke => manifest.functions().any(|function| function == name),
        }
    }
}

/// The name of a queue in paths and in `FUNCTION_TARGET`, such as `clicks` and `clicks/index`.
fn name_of(queue: &EventQueue) -> String {
    let source = queue.source();
    if queue.is_default() { source.to_owned() } else { format!("{source}/{}", queue.name()) }
}

/// The path of the trigger with this queue.
pub(crate) fn path_of(queue: &EventQueue) -> String {
    Kind::Queue(queue.kind()).path(&name_of(queue))
}

/// The paths of the triggers of an app.
pub(super) fn paths(manifest: &Manifest) -> Vec<String> {
    let queues = manifest.queues().map(|(queue, _)| path_of(&queue));
    let schedules = manifest.schedules().map(|schedule| Kind::Schedule.path(&schedule.name));
    let invokes = manifest.functions().map(|function| Kind::Invoke.path(function));
    queues.chain(schedules).chain(invokes).collect()
}

/// Rejects triggers that cannot be distinguished, queues that share a subscription for messages or for dead letters, and
/// queues whose names Pub/Sub does not accept.
/// Errors: `Config`.
pub(crate) fn check_names(config: &GcpConfig, manifest: &Manifest) -> Result<()> {
    if let (Signature::Event, Some(target)) = (config.run.signature, config.run.target.as_deref()) {
        let kinds: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.is_of(target, manifest)).collect();
        if let [one, other, ..] = kinds[..] {
            return Err(Error::config(format!(
                "FUNCTION_TARGET is `{target}`, which is both {} and {}: unset FUNCTION_TARGET and \
                 FUNCTION_SIGNATURE_TYPE, and let each event source call the path of its trigger",
                one.path(target),
                other.path(target)
            )));
        }
    }
    let mut subscriptions = BTreeMap::new();
    for (queue, _) in manifest.queues() {
        // A source of another provider has no events here.
        if config.placement(&config.location(queue.kind(), queue.source())).is_err() {
            continue;
        }
        let place = config.queue(&queue)?;
        for name in [place.dead_letters(), place.subscription] {
            if let Some(other) = subscriptions.insert((place.project.clone(), name.clone()), queue.clone()) {
                return Err(Error::config(format!(
                    "{other} and {queue} have the same subscription `{name}` in Pub/Sub: give one of them another name, or its \
                     topic, bucket or table another URL"
                )));
            }
        }
    }
    Ok(())
}

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallTarget<'a> {
    /// The routes of the app.
    Http,
    /// A trigger: its kind if the path contains it, and its name. `None` for a path below the prefix without a trigger.
    Trigger(Option<(Option<Kind>, &'a str)>),
}

impl<'a> CallTarget<'a> {
    pub(super) fn of(request: &'a Request<Body>, settings: &'a Settings) -> Self {
        let target = settings.target.as_deref().unwrap_or_default();
        let path = request.uri().path();
        if let Some(rest) = path.strip_prefix(PREFIX)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            let named = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
            let found = named.and_then(|(segment, name)| {
                Kind::ALL.into_iter().find(|kind| kind.segment() == segment).map(|kind| (Some(kind), name))
            });
            return Self::Trigger(found);
        }
        match settings.signature {
            Signature::Http => Self::Http,
            Signature::Event => Self::Trigger(Some((None, target))),
            Signature::Typed => Self::Trigger(Some((Some(Kind::Invoke), target))),
        }
    }
}
