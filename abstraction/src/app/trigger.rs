//! The triggers of handlers.

use crate::Event;
use crate::event_queue::EventQueue;
use crate::manifest::{
    FunctionTrigger, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger as Declared, WriteTrigger,
};

/// The trigger of one handler.
pub(super) enum Trigger {
    /// HTTP requests below a prefix; the app's own service has an empty one.
    Http(String),
    Message(MessageTrigger),
    Object(ObjectTrigger),
    Write(WriteTrigger),
    Schedule(ScheduleTrigger),
    Invoke(String),
}

impl Trigger {
    /// The key of the trigger, unique in an app. Of two prefixes where one begins with the other, the longer is greater.
    pub(super) fn key(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Http(prefix) => ("http", prefix, ""),
            Self::Message(trigger) => ("topic", &trigger.topic, &trigger.subscription),
            Self::Object(trigger) => ("bucket", &trigger.bucket, &trigger.name),
            Self::Write(trigger) => ("table", &trigger.table, ""),
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
            (Self::Object(trigger), Event::Object { trigger: name, event }) => {
                trigger.bucket == event.bucket && trigger.name == *name
            }
            (Self::Write(trigger), Event::Write(event)) => trigger.table == event.table,
            (Self::Schedule(trigger), Event::Schedule(tick)) => trigger.name == tick.schedule,
            (Self::Invoke(function), Event::Invoke(call)) => *function == call.function,
            _ => false,
        }
    }

    /// Must the handler not see this event, because the filter of its trigger does not accept it?
    pub(super) fn leaves_out(&self, event: &Event) -> bool {
        matches!((self, event), (Self::Object(trigger), Event::Object { event, .. }) if !trigger.filter.matches(event))
    }

    /// The problem of an app that has a second handler for the same events.
    pub(super) fn duplicate(&self) -> String {
        match self {
            Self::Http(prefix) => {
                let path = if prefix.is_empty() { "/" } else { prefix };
                format!("two `http` services at `{path}`; merge the routers into one")
            }
            Self::Message(trigger) => {
                let queue = trigger.queue();
                format!("two handlers for {queue}; give each a name of its own, by `topic.subscription(name)`")
            }
            Self::Object(trigger) => {
                let queue = trigger.queue();
                format!("two handlers for {queue}; give each a name of its own, by `bucket.events(name)`")
            }
            Self::Write(trigger) => {
                let queue = trigger.queue();
                format!(
                    "two handlers for {queue}; publish the key to a topic, and handle that in several subscriptions"
                )
            }
            Self::Schedule(_) | Self::Invoke(_) => {
                let (kind, name, _) = self.key();
                format!("two handlers for {kind} `{name}`; an event has one handler")
            }
        }
    }

    /// The trigger in the form of the manifest.
    pub(super) fn declared(&self) -> Declared {
        match self {
            Self::Http(_) => Declared::Http,
            Self::Message(trigger) => Declared::Message(trigger.clone()),
            Self::Object(trigger) => Declared::Object(trigger.clone()),
            Self::Write(trigger) => Declared::Write(trigger.clone()),
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
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Http(request) => format!("HTTP `{}`", request.uri().path()),
        Event::Message { topic, subscription, .. } => {
            format!("a message of {}", EventQueue::topic(topic).named(subscription))
        }
        Event::Object { trigger, event } => {
            format!("an object event of {}", EventQueue::bucket(&event.bucket).named(trigger))
        }
        Event::Write(event) => EventQueue::table(&event.table).to_string(),
        Event::Schedule(tick) => format!("schedule `{}`", tick.schedule),
        Event::Invoke(call) => format!("invocation of `{}`", call.function),
    }
}
