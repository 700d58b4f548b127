//! What makes a handler run.

use crate::Event;
use crate::manifest::{FunctionTrigger, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger as Declared};

/// A trigger of an app, as its manifest has it.
pub(super) enum Trigger {
    /// Requests below a prefix; an empty one is that of the app's own service.
    Http(String),
    Message(MessageTrigger),
    Object(ObjectTrigger),
    Schedule(ScheduleTrigger),
    Invoke(String),
}

impl Trigger {
    /// No two handlers of an app have the same. Of two prefixes, the longer one is greater.
    pub(super) fn key(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Http(prefix) => ("http", prefix, ""),
            Self::Message(trigger) => ("topic", &trigger.topic, &trigger.subscription),
            Self::Object(trigger) => ("bucket", &trigger.bucket, ""),
            Self::Schedule(trigger) => ("schedule", &trigger.name, ""),
            Self::Invoke(function) => ("function", function, ""),
        }
    }

    pub(super) fn takes(&self, event: &Event) -> bool {
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

    /// The problem of an app with another handler for the same events.
    pub(super) fn twice(&self) -> String {
        match self.key() {
            ("http", prefix, _) => {
                let path = if prefix.is_empty() { "/" } else { prefix };
                format!("two `http` services at `{path}`; merge the routers into one")
            }
            (kind, name, _) => format!("two handlers for {kind} `{name}`; an event has one handler"),
        }
    }

    /// As the manifest has it.
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

/// What a path has behind a prefix; `None` where it is not below it.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The kind and the name of an event, for an error.
pub(super) fn described(event: &Event) -> (&'static str, &str) {
    match event {
        Event::Http(request) => ("HTTP", request.uri().path()),
        Event::Message { topic, .. } => ("message of topic", topic),
        Event::Object(event) => ("object event of bucket", &event.bucket),
        Event::Schedule(tick) => ("schedule", &tick.schedule),
        Event::Invoke(call) => ("invocation of", &call.function),
    }
}
