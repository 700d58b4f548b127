//! The requests that create the resources of an app.
//!
//! | for | created |
//! |---|---|
//! | topic `clicks` | the topic `clicks` |
//! | subscription `default` of topic `clicks` | a subscription `clicks` that pushes to the service, in order, with a dead-letter policy; a topic `clicks--dead` with a subscription of the same name, which stores dead letters |
//! | subscription `index` of topic `clicks` | the same as `clicks--index` and `clicks--index--dead` |
//! | object events of bucket `pages` | the topic `pages--events`, a notification of the bucket, and for each trigger the same as for a subscription: `pages--events`, and `pages--events--thumbs` for the events `thumbs` |
//! | writes of table `links` | the topic `links--writes` with the same subscriptions, and a trigger of Eventarc |
//! | schedule `sweep` | a job of Cloud Scheduler, in UTC |
//! | table `links` | index exemptions and the TTL policy of the collection group |
//!
//! Each subscription that pushes has a filter, for the messages that are for it; the filters of an app are no part of it.
//! Buckets, which need a location, and the service itself are not included: create them before.

mod script;
#[cfg(test)]
mod tests;

use std::time::Duration;

use isobar_abstraction::driver::{CronSchedule, Location, Place, ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, EventQueue, Result};
use serde_json::{Value, json};

use crate::GcpConfig;
use crate::config::{Placement, QueuePlacement};
use crate::host::{Kind, MAX_BACKOFF, path_of};
use crate::pub_sub::wire::FOR;

pub use script::deployment_script;

/// Delivery attempts of Pub/Sub's dead-letter policy: the maximum, since the app counts attempts itself.
const MAX_DELIVERY_ATTEMPTS: u32 = 100;

/// The deadline of a push in seconds: the maximum of Pub/Sub.
const ACK_DEADLINE: u32 = 600;

/// The largest size of a filter. <https://cloud.google.com/pubsub/docs/subscription-message-filter>
const FILTER_BYTES: usize = 256;

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

/// The Cloud Run service of an app, and the account that calls its triggers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeployedService {
    /// The name, such as `shortener`.
    pub name: String,
    /// The URL, such as `https://shortener-abc.a.run.app`, which is the audience of the tokens in calls of triggers.
    pub url: String,
    /// The e-mail address of the service account that calls triggers.
    pub account: String,
    /// The region of the service, and of the jobs of schedules.
    pub region: String,
    /// The region of the triggers of tables, which must be that of the database of Firestore: for `eur3` it is
    /// `europe-west4`, for `nam5` it is `us-central1`.
    ///
    /// <https://docs.cloud.google.com/firestore/native/docs/eventarc>
    pub database_region: String,
}

impl DeployedService {
    /// A service whose database is in the same region.
    pub fn new(
        name: impl Into<String>,
        url: impl Into<String>,
        account: impl Into<String>,
        region: impl Into<String>,
    ) -> Self {
        let (url, region) = (url.into().trim_end_matches('/').to_owned(), region.into());
        Self { name: name.into(), url, account: account.into(), database_region: region.clone(), region }
    }

    /// Sets the region of the triggers of tables.
    #[must_use]
    pub fn with_database_region(self, region: impl Into<String>) -> Self {
        Self { database_region: region.into(), ..self }
    }
}

/// A service in its project.
struct Target<'a> {
    project: &'a str,
    service: &'a DeployedService,
}

/// The requests that create the resources of an app except its service and buckets, in order. All of them may be
/// repeated, where 409 means that the resource exists, except those of bucket notifications: a repeated request
/// creates a second notification, which sends each event twice. Check first with a `GET` of the same URL.
///
/// A subscription that exists keeps its filter, and a trigger its settings: one that another tool made may drop what the
/// app handles. The script of [`deployment_script`] stops there.
///
/// Two grants are not included, since they need the number of the project: Cloud Storage's service agent must be
/// allowed to publish to the topics of events, and Pub/Sub's to publish to the topics of dead letters and to
/// acknowledge at the subscriptions. The calling account needs the role `roles/eventarc.eventReceiver` for the writes
/// of tables.
///
/// Errors: `Config` without a project (`GOOGLE_CLOUD_PROJECT`), for a resource that is not on Google Cloud, and for the
/// writes of a table in another project.
pub fn deployment(manifest: &Manifest, config: &GcpConfig, service: &DeployedService) -> Result<Vec<ApiRequest>> {
    let no_project = || Error::config("no project of Google Cloud: set GOOGLE_CLOUD_PROJECT");
    let project = config.project.as_deref().ok_or_else(no_project)?;
    let target = Target { project, service };
    let prefix = config.prefix.get()?;
    let mut requests = Vec::new();
    for topic in manifest.topics() {
        let at = config.location(ResourceKind::Topic, &topic.name);
        let Placement::PubSub { endpoint, topic, project: named_project } = config.placement(&at)? else {
            return Err(Error::config(format!("{at} is not in Pub/Sub: use a URL pubsub://")));
        };
        requests.push(put(&endpoint.url, named_project.as_deref().unwrap_or(project), "topics", &topic, json!({})));
    }
    for (queue, retry) in manifest.queues() {
        let place = config.queue(&queue)?;
        requests.extend(target.subscription(&place, &retry, &path_of(&queue)));
        match &place.source {
            Placement::Storage { bucket, .. } => requests.push(target.notification(bucket, &place)),
            Placement::Firestore { .. } => requests.push(target.trigger(&queue, &place, &prefix)?),
            Placement::PubSub { .. } => {}
        }
    }
    for schedule in manifest.schedules() {
        requests.push(target.job(&schedule.name, &cron_line(&schedule.cron)?, &prefix));
    }
    for table in manifest.tables() {
        requests.extend(fields(config, &config.location(ResourceKind::Table, &table.name), project)?);
    }
    Ok(without_repetitions(requests))
}

/// The resources that a deployment of the app needs on Google Cloud, without secrets: those of tables, buckets and topics, then
/// those of triggers, each in the order of the manifest. It makes no call. Errors: `Config`.
pub fn places(manifest: &Manifest, config: &GcpConfig) -> Result<Vec<Place>> {
    let prefix = config.prefix.get()?;
    let mut places = Vec::new();
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            places.push(match config.placement(&config.location(kind, &resource.name))? {
                Placement::Firestore { collection, .. } => Place::new("Firestore collection", collection),
                Placement::Storage { bucket, .. } => Place::new("Cloud Storage bucket", bucket),
                Placement::PubSub { topic, .. } => Place::new("Pub/Sub topic", topic),
            });
        }
    }
    places.extend(manifest.http().then(|| Place::new("Cloud Run service", "/")));
    for (queue, _) in manifest.queues() {
        let place = config.queue(&queue)?;
        let dead = place.dead_letters();
        if queue.kind() == ResourceKind::Table {
            places.push(Place::new("Eventarc trigger", format!("{prefix}{}", queue.source())));
        }
        places.extend([place.topic, dead.clone()].map(|name| Place::new("Pub/Sub topic", name)));
        places.extend([place.subscription, dead].map(|name| Place::new("Pub/Sub subscription", name)));
    }
    for schedule in manifest.schedules() {
        places.push(Place::new("Cloud Scheduler job", format!("{prefix}{}", schedule.name)));
        places.push(Place::new("its schedule", cron_line(&schedule.cron)?));
    }
    places.extend(manifest.functions().map(|name| Place::new("authenticated request", Kind::Invoke.path(name))));
    Ok(places)
}

/// The schedule of a job: five fields, in UTC. Errors: `Config`.
fn cron_line(cron: &str) -> Result<String> {
    Ok(CronSchedule::parse(cron)?.fields(0).join(" "))
}

/// Queues of one source share their topic and their notification.
fn without_repetitions(requests: Vec<ApiRequest>) -> Vec<ApiRequest> {
    let mut different: Vec<ApiRequest> = Vec::new();
    for request in requests {
        if !different.contains(&request) {
            different.push(request);
        }
    }
    different
}

/// The filter of a subscription, which depends on its name only: Pub/Sub never changes the filter of a subscription, and an app
/// may change its own. `None` if it is too long: it only saves pushes, since the host checks [`FOR`] too.
fn filter_of(subscription: &str) -> Option<String> {
    let filter = format!("(attributes.{FOR} = \"{subscription}\" OR NOT attributes:{FOR})");
    (filter.len() <= FILTER_BYTES).then_some(filter)
}

fn put(endpoint: &str, project: &str, kind: &str, name: &str, body: Value) -> ApiRequest {
    ApiRequest { method: "PUT", url: format!("{endpoint}/v1/projects/{project}/{kind}/{name}"), body }
}

impl Target<'_> {
    /// The OIDC token of calls of triggers.
    fn token(&self) -> Value {
        json!({"serviceAccountEmail": self.service.account, "audience": self.service.url})
    }

    fn project_of<'a>(&'a self, place: &'a QueuePlacement) -> &'a str {
        place.project.as_deref().unwrap_or(self.project)
    }

    /// The topic and the subscription of a queue, and those of its dead letters.
    fn subscription(&self, place: &QueuePlacement, retry: &RetryPolicy, path: &str) -> [ApiRequest; 4] {
        let (project, dead) = (self.project_of(place), place.dead_letters());
        let QueuePlacement { endpoint, topic, subscription, .. } = place;
        let name = |topic: &str| format!("projects/{project}/topics/{topic}");
        // Only for pushes that are not acknowledged, such as those of messages that are not due: the host counts the wait of
        // a handler itself.
        let seconds = |time: Duration| format!("{}s", time.as_secs().clamp(1, MAX_BACKOFF.as_secs()));
        let mut push = json!({
            "topic": name(topic),
            "ackDeadlineSeconds": ACK_DEADLINE,
            "enableMessageOrdering": true,
            "expirationPolicy": {},
            "pushConfig": {
                "pushEndpoint": format!("{}{path}", self.service.url),
                "oidcToken": self.token(),
            },
            "retryPolicy": {
                "minimumBackoff": seconds(retry.min_backoff),
                "maximumBackoff": seconds(retry.max_backoff),
            },
            "deadLetterPolicy": {"deadLetterTopic": name(&dead), "maxDeliveryAttempts": MAX_DELIVERY_ATTEMPTS},
        });
        if let Some(filter) = filter_of(subscription) {
            push["filter"] = filter.into();
        }
        let dead_letters = json!({"topic": name(&dead), "messageRetentionDuration": "604800s", "expirationPolicy": {}});
        [
            put(&endpoint.url, project, "topics", topic, json!({})),
            put(&endpoint.url, project, "topics", &dead, json!({})),
            put(&endpoint.url, project, "subscriptions", subscription, push),
            put(&endpoint.url, project, "subscriptions", &dead, dead_letters),
        ]
    }

    fn notification(&self, bucket: &str, place: &QueuePlacement) -> ApiRequest {
        let (project, topic) = (self.project_of(place), &place.topic);
        let body = json!({
            "topic": format!("//pubsub.googleapis.com/projects/{project}/topics/{topic}"),
            "payload_format": "JSON_API_V1",
            "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"],
        });
        let url = format!("https://storage.googleapis.com/storage/v1/b/{bucket}/notificationConfigs");
        ApiRequest { method: "POST", url, body }
    }

    /// The trigger of Eventarc that reports the writes of a table. Eventarc calls the service as `account`; that the audience
    /// of its token is the URL of the service, as in pushes of Pub/Sub, was not tried.
    ///
    /// <https://docs.cloud.google.com/eventarc/docs/reference/rest/v1/projects.locations.triggers>
    fn trigger(&self, queue: &EventQueue, place: &QueuePlacement, prefix: &str) -> Result<ApiRequest> {
        let Placement::Firestore { project, database, collection, .. } = &place.source else {
            return Err(Error::config(format!("{queue}: the table is not in Firestore: use a URL firestore://")));
        };
        if let Some(other) = project.as_deref().filter(|project| *project != self.project) {
            return Err(Error::config(format!(
                "{queue}: Eventarc does not report writes in the project `{other}` to a service in `{}`; place the table in the \
                 project of the service",
                self.project
            )));
        }
        let DeployedService { name, account, region, database_region, .. } = self.service;
        let (parent, id) = (format!("projects/{}/locations/{database_region}/triggers", self.project), queue.source());
        let body = json!({
            "name": format!("{parent}/{prefix}{id}"),
            "eventFilters": [
                {"attribute": "type", "value": "google.cloud.firestore.document.v1.written"},
                {"attribute": "database", "value": database},
                {
                    "attribute": "document",
                    "value": format!("{collection}/{{partition}}/{collection}/{{item}}"),
                    "operator": "match-path-pattern",
                },
            ],
            "eventDataContentType": "application/protobuf",
            "serviceAccount": account,
            "destination": {"cloudRun": {"service": name, "region": region, "path": path_of(queue)}},
        });
        let url = format!("https://eventarc.googleapis.com/v1/{parent}?triggerId={prefix}{id}");
        Ok(ApiRequest { method: "POST", url, body })
    }

    /// The job of a schedule. A failed job is not retried: the next one follows, and no other provider retries it.
    fn job(&self, name: &str, cron: &str, prefix: &str) -> ApiRequest {
        let (project, region) = (self.project, &self.service.region);
        let parent = format!("projects/{project}/locations/{region}/jobs");
        let body = json!({
            "name": format!("{parent}/{prefix}{name}"),
            "schedule": cron,
            "timeZone": "Etc/UTC",
            "attemptDeadline": "600s",
            "retryConfig": {"retryCount": 0},
            "httpTarget": {
                "uri": format!("{}{}", self.service.url, Kind::Schedule.path(name)),
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
        return Err(Error::config(format!("{at} is not in Firestore: use a URL firestore://")));
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
