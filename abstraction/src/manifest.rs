//! What an app needs and serves, as data: packaging, permissions and checks start from it.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::access::Access;
use crate::outcome::RetryPolicy;
use crate::pub_sub::DEFAULT_SUBSCRIPTION;

/// The declaration of an app. `ISOBAR_MANIFEST=1` makes the app print it as JSON and exit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The app's name.
    pub app: String,
    /// Does it serve HTTP?
    pub http: bool,
    /// Topics whose messages it handles.
    pub messages: Vec<MessageTrigger>,
    /// Buckets whose object events it handles.
    pub objects: Vec<EventTrigger>,
    /// Schedules that it runs.
    pub schedules: Vec<ScheduleTrigger>,
    /// Functions that can be invoked directly.
    pub invokes: Vec<String>,
    /// Tables that it uses.
    pub tables: Vec<DeclaredResource>,
    /// Buckets that it uses.
    pub buckets: Vec<DeclaredResource>,
    /// Topics that it publishes to.
    pub topics: Vec<DeclaredResource>,
}

/// A handler of a topic's messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageTrigger {
    /// The logical name of the topic.
    pub source: String,
    /// The subscription; [`DEFAULT_SUBSCRIPTION`] where the app names none.
    #[serde(default = "default_subscription")]
    pub subscription: String,
    /// How often a message is tried.
    pub retry: RetryPolicy,
}

fn default_subscription() -> String {
    DEFAULT_SUBSCRIPTION.to_owned()
}

impl MessageTrigger {
    /// The default subscription of a topic.
    pub fn new(topic: impl Into<String>, retry: RetryPolicy) -> Self {
        Self { source: topic.into(), subscription: default_subscription(), retry }
    }
}

/// A handler of a bucket's object events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTrigger {
    /// The logical name of the bucket.
    pub source: String,
    /// How often an event is tried.
    pub retry: RetryPolicy,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// Its name.
    pub name: String,
    /// Five-field cron, in UTC.
    pub cron: String,
}

/// A resource and the access to it that the app declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredResource {
    /// Its logical name.
    pub name: String,
    /// What the app may do with it.
    pub access: Access,
}

impl Manifest {
    /// The events that the app handles, for an error.
    pub fn handled(&self) -> String {
        let http = self.http.then(|| "HTTP".to_owned());
        let topics = self.messages.iter().map(|trigger| format!("topic `{}`", trigger.source));
        let buckets = self.objects.iter().map(|trigger| format!("bucket `{}`", trigger.source));
        let schedules = self.schedules.iter().map(|schedule| format!("schedule `{}`", schedule.name));
        let functions = self.invokes.iter().map(|function| format!("function `{function}`"));
        let all = http.into_iter().chain(topics).chain(buckets).chain(schedules).chain(functions);
        let handled: Vec<_> = all.collect();
        if handled.is_empty() { "nothing".to_owned() } else { handled.join(", ") }
    }

    /// The manifest as indented JSON.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}
