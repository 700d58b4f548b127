//! The manifest: the resources and triggers of an app as data, for packaging, permissions and checks.
//!
//! It is built from the app, so it cannot differ from the code, as a separate file could. An app prints it without a
//! provider, on any machine. The lists of kinds are open, so that a crate with a new portable type needs no change here: a
//! reader keeps kinds of resources and triggers that it does not know, and ignores fields that it does not know.
//!
//! The JSON has the schema [`SCHEMA`].

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::event_queue::EventQueue;
use crate::outcome::RetryPolicy;
use crate::pub_sub::DEFAULT_SUBSCRIPTION;
use crate::resource::ResourceKind;
use crate::{ObjectChange, ObjectEvent, Result};

/// The JSON schema of a manifest, draft 2020-12.
pub const SCHEMA: &str = include_str!("manifest.schema.json");

/// The version of the form that this crate writes and reads. New kinds and fields do not change it.
pub const VERSION: u32 = 1;

/// The declaration of an app. With `ISOBAR_MANIFEST=1` an app prints it as JSON and exits.
///
/// ```
/// use isobar_abstraction::{App, Cloud, Outcome};
///
/// fn app(cloud: &Cloud) -> App {
///     App::new("shop").on_message(&cloud.topic::<u32>("orders").subscribe_only(), async |_order, _cx| Outcome::Ack)
/// }
///
/// let cloud = Cloud::memory();
/// let manifest = app(&cloud).start(&cloud)?;
/// assert_eq!(manifest.handled(), "topic `orders`");
/// assert_eq!(manifest.messages().next().unwrap().retry.max_attempts, 5);
/// assert!(manifest.to_json()?.contains(r#""access": "none""#));
/// # Ok::<(), isobar_abstraction::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the form: [`VERSION`]. Reading another one is an error.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// The logical name of the app.
    pub app: String,
    /// The resources that the app uses, ordered by kind and name.
    pub resources: Vec<DeclaredResource>,
    /// The triggers of the app, ordered by kind and name.
    pub triggers: Vec<Trigger>,
}

/// A resource, and the access that the app declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeclaredResource {
    /// The name of the kind: `table`, `bucket`, `topic`, or another.
    pub kind: String,
    /// The logical name.
    pub name: String,
    /// The access that a deployment must grant: the union of all handles. All kinds have the same four values.
    pub access: Access,
    /// Further values for a deployment. Each kind defines its own options.
    #[serde(default)]
    pub options: Map<String, Value>,
}

/// The trigger of a handler of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Trigger {
    /// HTTP requests. An app has at most one such trigger.
    Http,
    /// The messages of a topic.
    Message(MessageTrigger),
    /// The object events of a bucket.
    Object(ObjectTrigger),
    /// The writes of a table.
    Write(WriteTrigger),
    /// Times of a cron line.
    Schedule(ScheduleTrigger),
    /// Direct calls of a function.
    Function(FunctionTrigger),
    /// A kind that this crate does not know, with all its fields.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

/// The trigger of a handler of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageTrigger {
    /// The logical name of the topic.
    pub topic: String,
    /// The name of the subscription; `default` if the JSON has none.
    #[serde(default = "default_subscription")]
    pub subscription: String,
    /// The attempts and the backoff of a message.
    pub retry: RetryPolicy,
}

/// The trigger of a handler of object events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectTrigger {
    /// The logical name of the bucket.
    pub bucket: String,
    /// The name of the object events; `default` if the JSON has none.
    #[serde(default = "default_subscription")]
    pub name: String,
    /// The events that the handler receives. Fields of the JSON: `prefix`, `suffix` and `change`, each only where it is set.
    #[serde(flatten)]
    pub filter: ObjectFilter,
    /// The attempts and the backoff of an event.
    pub retry: RetryPolicy,
}

/// A condition of object events. Both texts are of the key as the app wrote it, and an empty one is true of every key.
///
/// A provider's own filter can only save money: it must let pass what this filter accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectFilter {
    /// The beginning of the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The end of the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// The only kind of change; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeKind>,
}

/// The kinds of changes of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The creation of an object, or its replacement by a new version.
    Created,
    /// The deletion of an object.
    Deleted,
}

impl ObjectFilter {
    /// Does the filter accept this event?
    pub fn matches(&self, event: &ObjectEvent) -> bool {
        let kind = match event.change {
            ObjectChange::Created { .. } => ChangeKind::Created,
            ObjectChange::Deleted => ChangeKind::Deleted,
        };
        let key = event.key.as_str();
        self.change.is_none_or(|change| change == kind) && key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }
}

/// The trigger of a handler of the writes of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteTrigger {
    /// The logical name of the table.
    pub table: String,
    /// The attempts and the backoff of an event.
    pub retry: RetryPolicy,
}

/// The trigger of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScheduleTrigger {
    /// The logical name of the schedule.
    pub name: String,
    /// The cron line: five fields, in UTC, as in [`CronSchedule`](crate::schedule::CronSchedule).
    pub cron: String,
}

/// The trigger of a function that can be called directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionTrigger {
    /// The logical name of the function.
    pub name: String,
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(D::Error::custom(format!(
            "the manifest has the version {other}, this isobar reads {VERSION}: update isobar"
        ))),
    }
}

fn default_subscription() -> String {
    DEFAULT_SUBSCRIPTION.to_owned()
}

impl MessageTrigger {
    /// A trigger of the messages of a topic, by its subscription `default`.
    pub fn new(topic: impl Into<String>, retry: RetryPolicy) -> Self {
        Self { topic: topic.into(), subscription: default_subscription(), retry }
    }

    /// Sets the name of the subscription.
    #[must_use]
    pub fn with_subscription(self, name: impl Into<String>) -> Self {
        Self { subscription: name.into(), ..self }
    }

    /// The queue of the subscription.
    pub fn queue(&self) -> EventQueue {
        EventQueue::topic(&self.topic).named(&self.subscription)
    }
}

impl ObjectTrigger {
    /// A trigger of all object events of a bucket, with the name `default`.
    pub fn new(bucket: impl Into<String>, retry: RetryPolicy) -> Self {
        Self { bucket: bucket.into(), name: default_subscription(), filter: ObjectFilter::default(), retry }
    }

    /// Sets the name of the object events.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(self, filter: ObjectFilter) -> Self {
        Self { filter, ..self }
    }

    /// The queue of the events.
    pub fn queue(&self) -> EventQueue {
        EventQueue::bucket(&self.bucket).named(&self.name)
    }
}

impl WriteTrigger {
    /// A trigger of the writes of a table.
    pub fn new(table: impl Into<String>, retry: RetryPolicy) -> Self {
        Self { table: table.into(), retry }
    }

    /// The queue of the writes.
    pub fn queue(&self) -> EventQueue {
        EventQueue::table(&self.table)
    }
}

impl ScheduleTrigger {
    /// A trigger by a cron line, which is not checked here.
    pub fn new(name: impl Into<String>, cron: impl Into<String>) -> Self {
        Self { name: name.into(), cron: cron.into() }
    }
}

impl FunctionTrigger {
    /// A trigger of the direct calls of a function.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl DeclaredResource {
    /// A resource without options.
    pub fn new(kind: ResourceKind, name: impl Into<String>, access: Access) -> Self {
        Self { kind: kind.name().to_owned(), name: name.into(), access, options: Map::new() }
    }
}

impl Manifest {
    /// The manifest of an app without resources and triggers.
    pub fn new(app: impl Into<String>) -> Self {
        Self { version: VERSION, app: app.into(), resources: Vec::new(), triggers: Vec::new() }
    }

    /// Adds triggers.
    #[must_use]
    pub fn with_triggers(mut self, triggers: impl IntoIterator<Item = Trigger>) -> Self {
        self.triggers.extend(triggers);
        self
    }

    /// Adds resources.
    #[must_use]
    pub fn with_resources(mut self, resources: impl IntoIterator<Item = DeclaredResource>) -> Self {
        self.resources.extend(resources);
        self
    }

    /// Does the app serve HTTP?
    pub fn http(&self) -> bool {
        self.triggers.contains(&Trigger::Http)
    }

    /// The triggers of messages.
    pub fn messages(&self) -> impl Iterator<Item = &MessageTrigger> {
        self.triggers.iter().filter_map(|trigger| if let Trigger::Message(it) = trigger { Some(it) } else { None })
    }

    /// The triggers of object events.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectTrigger> {
        self.triggers.iter().filter_map(|trigger| if let Trigger::Object(it) = trigger { Some(it) } else { None })
    }

    /// The triggers of the writes of tables.
    pub fn writes(&self) -> impl Iterator<Item = &WriteTrigger> {
        self.triggers.iter().filter_map(|trigger| if let Trigger::Write(it) = trigger { Some(it) } else { None })
    }

    /// The queues of the triggers of messages, object events and writes, with the retry policy of each.
    pub fn queues(&self) -> impl Iterator<Item = (EventQueue, RetryPolicy)> {
        self.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Message(trigger) => Some((trigger.queue(), trigger.retry)),
            Trigger::Object(trigger) => Some((trigger.queue(), trigger.retry)),
            Trigger::Write(trigger) => Some((trigger.queue(), trigger.retry)),
            _ => None,
        })
    }

    /// Does the app publish to the topic of this queue?
    pub fn publishes(&self, queue: &EventQueue) -> bool {
        let mut topics = self.topics().filter(|_| queue.kind() == ResourceKind::Topic);
        topics.any(|topic| topic.name == queue.source() && topic.access.includes(Access::Write))
    }

    /// The triggers of schedules.
    pub fn schedules(&self) -> impl Iterator<Item = &ScheduleTrigger> {
        self.triggers.iter().filter_map(|trigger| if let Trigger::Schedule(it) = trigger { Some(it) } else { None })
    }

    /// The names of the functions that can be called directly.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.triggers
            .iter()
            .filter_map(|trigger| if let Trigger::Function(it) = trigger { Some(&*it.name) } else { None })
    }

    /// The resources of one kind.
    pub fn of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &DeclaredResource> {
        self.resources.iter().filter(move |resource| resource.kind == kind.name())
    }

    /// The tables that the app uses.
    pub fn tables(&self) -> impl Iterator<Item = &DeclaredResource> {
        self.of_kind(ResourceKind::Table)
    }

    /// The buckets that the app uses.
    pub fn buckets(&self) -> impl Iterator<Item = &DeclaredResource> {
        self.of_kind(ResourceKind::Bucket)
    }

    /// The topics that the app publishes to or handles.
    pub fn topics(&self) -> impl Iterator<Item = &DeclaredResource> {
        self.of_kind(ResourceKind::Topic)
    }

    /// The triggers as one line of text, for an error.
    pub fn handled(&self) -> String {
        let describe = |trigger: &Trigger| match trigger {
            Trigger::Http => "HTTP".to_owned(),
            Trigger::Message(trigger) => trigger.queue().to_string(),
            Trigger::Object(trigger) => trigger.queue().to_string(),
            Trigger::Write(trigger) => trigger.queue().to_string(),
            Trigger::Schedule(trigger) => format!("schedule `{}`", trigger.name),
            Trigger::Function(trigger) => format!("function `{}`", trigger.name),
            Trigger::Other(fields) => format!("a trigger of the kind {}", fields.get("kind").unwrap_or(&Value::Null)),
        };
        let handled: Vec<_> = self.triggers.iter().map(describe).collect();
        if handled.is_empty() { "nothing".to_owned() } else { handled.join(", ") }
    }

    /// The manifest as indented JSON, which is the same for equal declarations. Errors: `Internal`.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// Does a trigger of objects have a kind of change that this crate knows, or none?
fn has_known_change(fields: &Map<String, Value>) -> bool {
    let known = [ChangeKind::Created, ChangeKind::Deleted].map(|kind| json!(kind));
    fields.get("change").is_none_or(|change| !change.is_string() || known.contains(change))
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn read<T: serde::de::DeserializeOwned, E: serde::de::Error>(fields: Map<String, Value>) -> Result<T, E> {
            serde_json::from_value(Value::Object(fields)).map_err(E::custom)
        }
        let fields = Map::deserialize(deserializer)?;
        let kind = fields.get("kind").and_then(Value::as_str);
        Ok(match kind.ok_or_else(|| D::Error::missing_field("kind"))? {
            "http" => Self::Http,
            "message" => Self::Message(read(fields)?),
            "object" if has_known_change(&fields) => Self::Object(read(fields)?),
            "write" => Self::Write(read(fields)?),
            "schedule" => Self::Schedule(read(fields)?),
            "function" => Self::Function(read(fields)?),
            _ => Self::Other(fields),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_are_kept_and_unknown_fields_are_ignored() {
        let newer = json!({
            "version": 1, "app": "shop", "later": true,
            "resources": [{"kind": "cache", "name": "pages", "access": "read", "options": {"keep": 30}}],
            "triggers": [{"kind": "socket", "path": "/"}, {"kind": "object", "change": "archived"}, {"kind": "schedule", "name": "dust", "cron": "* * * * *", "zone": 1}],
        });
        let manifest: Manifest = serde_json::from_value(newer).unwrap();
        assert_eq!(
            manifest.handled(),
            "a trigger of the kind \"socket\", a trigger of the kind \"object\", schedule `dust`"
        );
        assert_eq!(manifest.of_kind(ResourceKind::Other("cache")).next().unwrap().options["keep"], 30);
        let written = serde_json::to_value(&manifest).unwrap();
        assert_eq!(written["triggers"][0], json!({"kind": "socket", "path": "/"}));
        assert_eq!(serde_json::from_value::<Manifest>(written).unwrap(), manifest);
    }

    #[test]
    fn another_version_is_an_error_that_contains_it() {
        let newer = json!({"version": 2, "app": "shop", "resources": [], "triggers": []});
        let error = serde_json::from_str::<Manifest>(&newer.to_string()).unwrap_err().to_string();
        assert!(error.contains("the version 2"), "{error}");
    }

    #[test]
    fn a_known_kind_with_a_wrong_field_is_an_error() {
        for wrong in [
            json!({"kind": "schedule", "name": 7}),
            json!({"kind": "object", "bucket": "scans", "change": 7}),
            json!({"name": "x"}),
            json!({"kind": 1}),
            json!(null),
        ] {
            assert!(serde_json::from_value::<Trigger>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
