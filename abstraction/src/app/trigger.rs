//! The triggers of handlers.

use crate::Event;
use crate::manifest::{FunctionTrigger, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger as Declared};

/// The trigger of one handler.
pub(super) enum Trigger {
    /// HTTP requests below a prefix; the app's own service has an empty one.
    Http(String),
    Message(MessageTrigger),
    Object(ObjectTrigger),
    Schedule(ScheduleTrigger),
    Invoke(String),
}

impl Trigger {
    /// The key of the trigger, unique in an app. Of two prefixes where one begins with the other, the longer is greater.
    pub(super) fn key(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Http(prefix) => ("http", prefix, ""),
            Self::Message(trigger) => ("topic", &trigger.topic, &trigger.subscription),
            Self::Object(trigger) => ("bucket", &trigger.bucket, ""),
            Self::Schedule(trigger) => ("schedule", &trigger.name, ""),
            Self::Invoke(function) => ("function", function, ""),
        }
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Http(prefix), Event::Http(request)) => below(request.uri().path(), prefix).is_some(),
            (Self::Message(trigger), Event::Message { topic, subscription, .. }) => {
                trigger.topic == *topic && trigger.subscription == *subscription
            }
            (Self::Object(trigger), Event::Object(event)) => trigger.bucket == event.bucket,
            (Self::Schedule(trigger), Event::Schedule(tick)) => trigger.name == tick.schedule,
            (Self::Invoke(function), Event::Invoke(call)) => *function == call.function,
            _ => false,
        }
    }

    /// The problem of an app that has a second handler for the same events.
    pub(super) fn duplicate(&self) -> String {
        match self.key() {
            ("http", prefix, _) => {
                let path = if prefix.is_empty() { "/" } else { prefix };
                format!("two `http` services at `{path}`; merge the routers into one")
            }
            (kind, name, _) => format!("two handlers for {kind} `{name}`; an event has one handler"),
        }
    }

    /// The trigger in the form of the manifest.
    pub(super) fn declared(&self) -> Declared {
        match self {
            Self::Http(_) => Declared::Http,
            Self::Message(trigger) => Declared::Message(trigger.clone()),
            Self::Object(trigger) => Declared::Object(trigger.clone()),
            Self::Schedule(trigger) => Declared::Schedule(trigger.clone()),
            Self::Invoke(function) => Declared::Function(FunctionTrigger::new(function)),
        }
    }
}

/// The rest of a path after a prefix; `None` if the path is not below the prefix, by whole segments.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The kind and the name of an event, for an error.
pub(super) fn kind_and_name(event: &Event) -> (&'static str, &str) {
    match event {
        Event::Http(request) => ("HTTP", request.uri().path()),
        Event::Message { topic, .. } => ("message of topic", topic),
        Event::Object(event) => ("object event of bucket", &event.bucket),
        Event::Schedule(tick) => ("schedule", &tick.schedule),
        Event::Invoke(call) => ("invocation of", &call.function),
    }
}
