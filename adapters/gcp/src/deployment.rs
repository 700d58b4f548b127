//! The requests that create the resources of an app.
//!
//! | for | created |
//! |---|---|
//! | topic `clicks` with a handler | topics `clicks` and `clicks--dead`; a subscription `clicks` that pushes to the service, in order, with a dead-letter policy; a subscription `clicks--dead` that stores dead letters |
//! | bucket `pages` with a handler | topics `pages--events` and `pages--events--dead` with the same subscriptions; a notification of the bucket |
//! | schedule `sweep` | a job of Cloud Scheduler, in UTC |
//! | table `links` | index exemptions and the TTL policy of the collection group |
//!
//! Buckets, which need a location, and the service itself are not included: create them before.

mod script;
#[cfg(test)]
mod tests;

use isobar_abstraction::driver::{CronSchedule, Derived, Location, ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, Result};
use serde_json::{Value, json};

use crate::GcpConfig;
use crate::config::Placement;
use crate::host::{Kind, events_of};

pub use script::deployment_script;

/// Delivery attempts of Pub/Sub's dead-letter policy: the maximum, since the app counts attempts itself.
const MAX_DELIVERY_ATTEMPTS: u32 = 100;

/// The deadline of a push in seconds: the maximum of Pub/Sub.
const ACK_DEADLINE: u32 = 600;

/// A request to one of Google's APIs, to send with the token of the account that deploys.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiRequest {
    /// The HTTP method.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// The body.
    pub body: Value,
}

/// The service and the account that calls it.
struct Target<'a> {
    project: &'a str,
    service: &'a str,
    account: &'a str,
}

/// The requests that create the resources of an app except its service and buckets, in order. All of them may be
/// repeated, where 409 means that the resource exists, except those of bucket notifications: a repeated request
/// creates a second notification, which sends each event twice. Check first with a `GET` of the same URL.
///
/// Two grants are not included, since they need the number of the project: Cloud Storage's service agent must be
/// allowed to publish to the topics of events, and Pub/Sub's to publish to the topics of dead letters and to
/// acknowledge at the subscriptions.
///
/// `service` is the URL of the service, such as `https://shortener-abc.a.run.app`, and the audience of the tokens in
/// calls of triggers; `account` is the service account that calls them. The location of jobs is `region`.
///
/// Errors: `Config` without a project (`GOOGLE_CLOUD_PROJECT`), and for a resource that is not on Google Cloud.
pub fn deployment(
    manifest: &Manifest,
    config: &GcpConfig,
    service: &str,
    account: &str,
    region: &str,
) -> Result<Vec<ApiRequest>> {
    let no_project = || Error::config("no project of Google Cloud: set GOOGLE_CLOUD_PROJECT");
    let project = config.project.as_deref().ok_or_else(no_project)?;
    let target = Target { project, service: service.trim_end_matches('/'), account };
    let mut requests = Vec::new();
    for topic in manifest.topics() {
        let (endpoint, topic, project) = topic_at(config, &config.location(ResourceKind::Topic, &topic.name), project)?;
        requests.push(put(&endpoint, &project, "topics", &topic, json!({})));
    }
    for trigger in manifest.messages() {
        let at = config.location(ResourceKind::Topic, &trigger.topic);
        requests.extend(target.subscription(config, &at, &trigger.retry, &Kind::Topic.path(&trigger.topic))?);
    }
    for trigger in manifest.objects() {
        let (bucket, events) = events_of(config, &config.location(ResourceKind::Bucket, &trigger.bucket))?;
        requests.extend(target.subscription(config, &events, &trigger.retry, &Kind::Bucket.path(&trigger.bucket))?);
        requests.push(target.notification(config, &bucket, &events)?);
    }
    for schedule in manifest.schedules() {
        let cron = CronSchedule::parse(&schedule.cron)?.fields(0).join(" ");
        requests.push(target.job(region, &schedule.name, &cron, &config.prefix));
    }
    for table in manifest.tables() {
        requests.extend(fields(config, &config.location(ResourceKind::Table, &table.name), project)?);
    }
    Ok(requests)
}

fn topic_at(config: &GcpConfig, at: &Location, project: &str) -> Result<(String, String, String)> {
    match config.placement(at)? {
        Placement::PubSub { endpoint, topic, project: named_project } => {
            Ok((endpoint.url, topic, named_project.unwrap_or_else(|| project.to_owned())))
        }
        _ => Err(Error::config(format!("{at} is not in Pub/Sub"))),
    }
}

fn put(endpoint: &str, project: &str, kind: &str, name: &str, body: Value) -> ApiRequest {
    ApiRequest { method: "PUT", url: format!("{endpoint}/v1/projects/{project}/{kind}/{name}"), body }
}

impl Target<'_> {
    /// The OIDC token of calls of triggers.
    fn token(&self) -> Value {
        json!({"serviceAccountEmail": self.account, "audience": self.service})
    }

    /// The topic, the topic of its dead letters, and their subscriptions.
    fn subscription(
        &self,
        config: &GcpConfig,
        at: &Location,
        retry: &RetryPolicy,
        path: &str,
    ) -> Result<[ApiRequest; 4]> {
        let (endpoint, topic, project) = topic_at(config, at, self.project)?;
        let dead = Derived::DeadLetters.of(&topic);
        let name = |topic: &str| format!("projects/{project}/topics/{topic}");
        // Pub/Sub accepts 0 s to 600 s.
        let seconds = |time: std::time::Duration| format!("{}s", time.as_secs().clamp(1, 600));
        let push = json!({
            "topic": name(&topic),
            "ackDeadlineSeconds": ACK_DEADLINE,
            "enableMessageOrdering": true,
            "expirationPolicy": {},
            "pushConfig": {
                "pushEndpoint": format!("{}{path}", self.service),
                "oidcToken": self.token(),
            },
            "retryPolicy": {
                "minimumBackoff": seconds(retry.min_backoff),
                "maximumBackoff": seconds(retry.max_backoff),
            },
            "deadLetterPolicy": {"deadLetterTopic": name(&dead), "maxDeliveryAttempts": MAX_DELIVERY_ATTEMPTS},
        });
        let dead_letters = json!({"topic": name(&dead), "messageRetentionDuration": "604800s", "expirationPolicy": {}});
        Ok([
            put(&endpoint, &project, "topics", &topic, json!({})),
            put(&endpoint, &project, "topics", &dead, json!({})),
            put(&endpoint, &project, "subscriptions", &topic, push),
            put(&endpoint, &project, "subscriptions", &dead, dead_letters),
        ])
    }

    fn notification(&self, config: &GcpConfig, bucket: &str, events: &Location) -> Result<ApiRequest> {
        let (_, topic, project) = topic_at(config, events, self.project)?;
        let body = json!({
            "topic": format!("//pubsub.googleapis.com/projects/{project}/topics/{topic}"),
            "payload_format": "JSON_API_V1",
            "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"],
        });
        let url = format!("https://storage.googleapis.com/storage/v1/b/{bucket}/notificationConfigs");
        Ok(ApiRequest { method: "POST", url, body })
    }

    /// The job of a schedule. A failed job is not retried: the next one follows, and no other provider retries it.
    fn job(&self, region: &str, name: &str, cron: &str, prefix: &str) -> ApiRequest {
        let project = self.project;
        let parent = format!("projects/{project}/locations/{region}/jobs");
        let body = json!({
            "name": format!("{parent}/{prefix}{name}"),
            "schedule": cron,
            "timeZone": "Etc/UTC",
            "attemptDeadline": "600s",
            "retryConfig": {"retryCount": 0},
            "httpTarget": {
                "uri": format!("{}{}", self.service, Kind::Schedule.path(name)),
                "httpMethod": "POST",
                "oidcToken": self.token(),
            },
        });
        ApiRequest { method: "POST", url: format!("https://cloudscheduler.googleapis.com/v1/{parent}"), body }
    }
}

/// Removes all indexes except that of `s`, and sets the time to live. No query uses the other fields, so their indexes
/// would only make writes more expensive; and the rising times of `expireAt` would all be written to one end of an
/// index, a hotspot in Firestore's terms. Each request starts an operation that may run for minutes; it may be
/// repeated.
///
/// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.collectionGroups.fields/patch>.
fn fields(config: &GcpConfig, at: &Location, project: &str) -> Result<[ApiRequest; 5]> {
    let Placement::Firestore { endpoint, project: named_project, database, collection } = config.placement(at)? else {
        return Err(Error::config(format!("{at} is not in Firestore")));
    };
    let project = named_project.as_deref().unwrap_or(project);
    let group = format!("projects/{project}/databases/{database}/collectionGroups/{collection}/fields");
    Ok(["p", "v", "n", "w", "expireAt"].map(|field| {
        let mut body = json!({"indexConfig": {"indexes": []}});
        let mut mask = "indexConfig";
        if field == "expireAt" {
            body["ttlConfig"] = json!({});
            mask = "indexConfig,ttlConfig";
        }
        let url = format!("{}/v1/{group}/{field}?updateMask={mask}", endpoint.url);
        ApiRequest { method: "PATCH", url, body }
    }))
}
