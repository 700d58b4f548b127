//! The target of a request: the app or a trigger.

use http::Request;
use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Body, Error, Result};

use crate::GcpConfig;
use crate::config::{Placement, Settings, Signature};

/// The path prefix reserved for triggers.
const PREFIX: &str = "/.isobar";

/// The kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Bucket,
    Schedule,
    Invoke,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Topic, Self::Bucket, Self::Schedule, Self::Invoke];

    fn segment(self) -> &'static str {
        match self {
            Self::Topic => "topics",
            Self::Bucket => "buckets",
            Self::Schedule => "schedules",
            Self::Invoke => "functions",
        }
    }

    /// The path of a trigger.
    pub(crate) fn path(self, name: &str) -> String {
        format!("{PREFIX}/{}/{name}", self.segment())
    }

    /// Whether the app has a trigger of this kind and name.
    pub(super) fn is_of(self, name: &str, manifest: &Manifest) -> bool {
        match self {
            Self::Topic => manifest.messages().any(|trigger| trigger.topic == name),
            Self::Bucket => manifest.objects().any(|trigger| trigger.bucket == name),
            Self::Schedule => manifest.schedules().any(|schedule| schedule.name == name),
            Self::Invoke => manifest.functions().any(|function| function == name),
        }
    }
}

/// The bucket of Cloud Storage, and the topic of its events.
pub(crate) fn events_of(config: &GcpConfig, at: &Location) -> Result<(String, Location)> {
    let Placement::Storage { bucket, .. } = config.placement(at)? else {
        return Err(Error::config(format!("{at} is not in Cloud Storage")));
    };
    let url = ResourceUrl::parse(&format!("pubsub://{}", Derived::Events.of(&bucket)))?;
    Ok((bucket, Location::new(ResourceKind::Topic, Derived::Events.of(at.name())).with_url(url)))
}

/// The paths of the triggers of an app.
pub(super) fn paths(manifest: &Manifest) -> Vec<String> {
    let topics = manifest.messages().map(|trigger| Kind::Topic.path(&trigger.topic));
    let buckets = manifest.objects().map(|trigger| Kind::Bucket.path(&trigger.bucket));
    let schedules = manifest.schedules().map(|schedule| Kind::Schedule.path(&schedule.name));
    let invokes = manifest.functions().map(|function| Kind::Invoke.path(function));
    topics.chain(buckets).chain(schedules).chain(invokes).collect()
}

/// Rejects triggers that cannot be distinguished, and topics of events whose names Pub/Sub does not accept.
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
    for trigger in manifest.objects() {
        let bucket = config.location(ResourceKind::Bucket, &trigger.bucket);
        // A bucket of another provider has no events here.
        if config.placement(&bucket).is_ok() {
            config.placement(&events_of(config, &bucket)?.1)?;
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
