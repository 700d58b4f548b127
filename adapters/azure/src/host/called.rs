//! The names of functions: `<kind>-<name>-<secret>`, with `<source>--<name>` for a trigger with a name, and which calls are
//! valid.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use isobar_abstraction::driver::{ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Body, EventQueue};

use crate::config::{FunctionsHost, TriggerSecret};

/// The kind of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages of a topic.
    Topic,
    /// Messages with an ordering key, from the second topic on Service Bus.
    Fifo,
    /// Events of a bucket.
    Bucket,
    /// The feed of a table, from Cosmos DB.
    Feed,
    /// The writes of a table, from their queue.
    Writes,
    /// A schedule.
    Schedule,
    /// A direct call.
    Invoke,
    /// HTTP requests. It has no logical name.
    Http,
}

impl Kind {
    const NAMED: [Self; 7] =
        [Self::Topic, Self::Fifo, Self::Bucket, Self::Feed, Self::Writes, Self::Schedule, Self::Invoke];

    fn word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Fifo => "fifo",
            Self::Bucket => "bucket",
            Self::Feed => "feed",
            Self::Writes => "writes",
            Self::Schedule => "schedule",
            Self::Invoke => "invoke",
            Self::Http => "http",
        }
    }

    /// The name of the function without the secret.
    pub(super) fn plain(self, name: &str) -> String {
        match self {
            Self::Http => "http".to_owned(),
            _ => format!("{}-{name}", self.word()),
        }
    }

    /// The name of the function.
    pub(crate) fn function(self, name: &str, secret: &TriggerSecret) -> String {
        format!("{}-{}", self.plain(name), secret.reveal())
    }

    /// The kind and the logical name in a function's name without its secret.
    pub(super) fn split(plain: &str) -> Option<(Self, &str)> {
        if plain == "http" {
            return Some((Self::Http, ""));
        }
        let (word, name) = plain.split_once('-')?;
        Self::NAMED.into_iter().find(|kind| kind.word() == word).map(|kind| (kind, name))
    }

    /// The queue of the trigger of this function, and its retry policy; `None` where the app has none of this name.
    pub(super) fn queue(self, name: &str, manifest: &Manifest) -> Option<(EventQueue, RetryPolicy)> {
        let source = match self {
            Self::Topic | Self::Fifo => ResourceKind::Topic,
            Self::Bucket => ResourceKind::Bucket,
            Self::Feed | Self::Writes => ResourceKind::Table,
            Self::Schedule | Self::Invoke | Self::Http => return None,
        };
        manifest.queues().find(|(queue, _)| queue.kind() == source && queue_name(queue) == name)
    }

    /// Whether the app has this function.
    fn is_of(self, name: &str, manifest: &Manifest) -> bool {
        match self {
            Self::Schedule => manifest.schedules().any(|schedule| schedule.name == name),
            Self::Invoke => manifest.functions().any(|function| function == name),
            Self::Http => manifest.http(),
            _ => self.queue(name, manifest).is_some(),
        }
    }
}

/// The part of a function's name for the queue of a trigger: `clicks`, or `clicks--index` for one with a name.
pub(crate) fn queue_name(queue: &EventQueue) -> String {
    queue.physical(queue.source())
}

/// The functions of an app, without secrets.
pub(super) fn names(manifest: &Manifest) -> Vec<String> {
    let of_queue = |queue: &EventQueue| {
        let kinds: &[Kind] = match queue.kind() {
            ResourceKind::Bucket => &[Kind::Bucket],
            ResourceKind::Table => &[Kind::Feed, Kind::Writes],
            _ => &[Kind::Topic],
        };
        let name = queue_name(queue);
        kinds.iter().map(move |kind| kind.plain(&name)).collect::<Vec<_>>()
    };
    let queues = manifest.queues().flat_map(|(queue, _)| of_queue(&queue));
    let schedules = manifest.schedules().map(|schedule| Kind::Schedule.plain(&schedule.name));
    let invokes = manifest.functions().map(|function| Kind::Invoke.plain(function));
    let http = manifest.http().then(|| Kind::Http.plain(""));
    http.into_iter().chain(queues).chain(schedules).chain(invokes).collect()
}

/// Replaces a secret in a path. A path that only loses the secret could match another route of the app.
const MASK: &str = "***";

/// Masks the secrets in the path of a request, which the app and the log read.
pub(super) fn mask(request: &mut Request<Body>, settings: &FunctionsHost) {
    let Cow::Owned(mut target) = masked(request.uri().path(), settings) else { return };
    if let Some(query) = request.uri().query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// A path with [`MASK`] for each secret of a trigger: for a valid secret anywhere, and for any text with the form of a
/// secret after the name of a function, which may be retired or not valid yet.
pub(super) fn masked<'a>(path: &'a str, settings: &FunctionsHost) -> Cow<'a, str> {
    let apart = |character: char| !character.is_ascii_lowercase() && !character.is_ascii_digit();
    if !path.split(apart).any(TriggerSecret::has_form) {
        return Cow::Borrowed(path);
    }
    let mut masked = String::with_capacity(path.len());
    for part in path.split_inclusive(apart) {
        let word = part.trim_end_matches(apart);
        let plain = masked.rsplit('/').next().and_then(|segment| segment.strip_suffix('-'));
        let named = plain.is_some_and(|plain| Kind::split(plain).is_some());
        let hidden = TriggerSecret::has_form(word) && (named || settings.accepts(word));
        masked.push_str(if hidden { MASK } else { word });
        masked.push_str(part.strip_prefix(word).unwrap_or_default());
    }
    Cow::Owned(masked)
}

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Called<'a> {
    /// A function, with its name without the secret.
    Trigger(&'a str),
    /// A function of the app, with a wrong secret.
    Forged,
    /// The app's HTTP handler.
    Http,
}

impl<'a> Called<'a> {
    /// Classifies a request by method and path. Headers are ignored: any client can set them.
    pub(super) fn of(request: &'a Request<Body>, settings: &FunctionsHost, manifest: &Manifest) -> Self {
        let name = request.uri().path().strip_prefix('/').and_then(|path| path.rsplit_once('-'));
        let Some((plain, candidate)) =
            name.filter(|(plain, candidate)| !plain.contains('/') && TriggerSecret::has_form(candidate))
        else {
            return Self::Http;
        };
        if request.method() != Method::POST {
            return Self::Http;
        }
        if settings.accepts(candidate) {
            return Self::Trigger(plain);
        }
        match Kind::split(plain) {
            Some((kind, name)) if kind.is_of(name, manifest) => Self::Forged,
            _ => Self::Http,
        }
    }
}
