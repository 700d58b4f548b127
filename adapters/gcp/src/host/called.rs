//! What a request calls.

use http::Request;
use isobar_abstraction::{Body, Manifest};

use super::settings::{Settings, Signature};

/// What no app's route can be: isobar's own.
const OURS: &str = "/.isobar";

/// What a trigger is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Topic,
    Bucket,
    Schedule,
    Invoke,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Topic, Self::Bucket, Self::Schedule, Self::Invoke];

    fn word(self) -> &'static str {
        match self {
            Self::Topic => "topics",
            Self::Bucket => "buckets",
            Self::Schedule => "schedules",
            Self::Invoke => "functions",
        }
    }

    /// Where a trigger is called.
    pub(super) fn path(self, name: &str) -> String {
        format!("{OURS}/{}/{name}", self.word())
    }

    /// Does the app have it?
    pub(super) fn is_of(self, name: &str, manifest: &Manifest) -> bool {
        match self {
            Self::Topic => manifest.messages.iter().any(|trigger| trigger.source == name),
            Self::Bucket => manifest.objects.iter().any(|trigger| trigger.source == name),
            Self::Schedule => manifest.schedules.iter().any(|schedule| schedule.name == name),
            Self::Invoke => manifest.invokes.iter().any(|function| function == name),
        }
    }
}

/// Where the triggers of an app are called.
pub(super) fn paths(manifest: &Manifest) -> Vec<String> {
    let topics = manifest.messages.iter().map(|trigger| Kind::Topic.path(&trigger.source));
    let buckets = manifest.objects.iter().map(|trigger| Kind::Bucket.path(&trigger.source));
    let schedules = manifest.schedules.iter().map(|schedule| Kind::Schedule.path(&schedule.name));
    let invokes = manifest.invokes.iter().map(|function| Kind::Invoke.path(function));
    topics.chain(buckets).chain(schedules).chain(invokes).collect()
}

/// What a request calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Called<'a> {
    /// The app.
    Http,
    /// A trigger: its kind where the path tells it, and its name. `None` for a path of ours that names none.
    Trigger(Option<(Option<Kind>, &'a str)>),
}

impl<'a> Called<'a> {
    pub(super) fn of(request: &'a Request<Body>, settings: &'a Settings) -> Self {
        let target = settings.target.as_deref().unwrap_or_default();
        let path = request.uri().path();
        if let Some(rest) = path.strip_prefix(OURS)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            let named = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
            let found = named.and_then(|(word, name)| {
                Kind::ALL.into_iter().find(|kind| kind.word() == word).map(|kind| (Some(kind), name))
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
