//! The files that a deployment adds to the app: host.json, and a function.json for each function.
//!
//! | trigger | function | binding |
//! |---|---|---|
//! | HTTP | `http-<secret>` | `httpTrigger` for every path and method, anonymous |
//! | topic `clicks`, on Service Bus | `topic-clicks-<secret>`, `fifo-clicks-<secret>` | `serviceBusTrigger` of the topics `clicks` and, with sessions, `clicks--fifo` |
//! | its subscription `index` | `topic-clicks--index-<secret>`, `fifo-clicks--index-<secret>` | the same, with the subscription `clicks--index` |
//! | topic `clicks`, in a Storage Queue | `topic-clicks-<secret>` | `queueTrigger` of the queue `clicks` |
//! | bucket `pages` | `bucket-pages-<secret>` | `queueTrigger` of the queue `0events-pages`, to which Event Grid sends the container's events |
//! | its object events `thumbs` | `bucket-pages--thumbs-<secret>` | the same, with the queue `0events6-thumbs-pages` |
//! | writes of table `links` | `feed-links-<secret>` | `cosmosDBTrigger` of the container, with leases in the container `isobar--leases`, retried without an end |
//! | | `writes-links-<secret>` | `queueTrigger` of the queue `0writes-links`, to which the other function sends the keys |
//! | schedule `sweep` | `schedule-sweep-<secret>` | `timerTrigger`, in UTC |
//! | function `stats` | `invoke-stats-<secret>` | `httpTrigger` for `POST /.isobar/functions/stats`, with a function key |
//!
//! The names of the functions contain the secret of [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET): treat all
//! of these files as a secret. Bindings name the app settings that the account was configured by:
//! `AZURE_SERVICEBUS_CONNECTION_STRING`, or `AZURE_SERVICEBUS__fullyQualifiedNamespace`
//! by identity; `AZURE_COSMOS_CONNECTION_STRING`, or `AZURE_COSMOS__accountEndpoint`; `AZURE_STORAGE_CONNECTION_STRING`, `AZURE_STORAGE__queueServiceUri`, or `AzureWebJobsStorage`.

#[cfg(test)]
mod tests;

use isobar_abstraction::driver::{CronSchedule, Derived, POISON, Place, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, EventQueue, Result};
use serde_json::{Value, json};

use crate::AzureConfig;
use crate::config::{FunctionsHost, ISOBAR_TRIGGER_SECRET, Placed, TriggerSecret};
use crate::host::{Kind, check_names, queue_name};

/// The container with the leases of the Cosmos DB triggers, in the database of the tables. No table has this name without a
/// URL.
pub const LEASES: &str = "isobar--leases";

/// How the Functions host passes HTTP requests to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMode {
    /// Unchanged, with both bodies as streams: `enableProxyingHttpRequest`. The mode for deployments.
    #[default]
    Proxying,
    /// Rebuilt and buffered; bodies without a length are lost: `enableForwardingHttpRequest`, of older hosts.
    Forwarding,
    /// As JSON, with text bodies only.
    Json,
}

/// The files of a function app, except the app's executable.
#[derive(Clone)]
pub struct FunctionApp {
    /// host.json.
    pub host: Value,
    /// The names of the functions, each with its function.json.
    pub functions: Vec<(String, Value)>,
}

/// Leaves out the names of the functions, which are secret.
impl std::fmt::Debug for FunctionApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionApp").field("host", &self.host).finish_non_exhaustive()
    }
}

impl FunctionApp {
    /// The files: paths relative to the package's root, and contents.
    pub fn files(&self) -> Vec<(String, String)> {
        let pretty = |value: &Value| format!("{value:#}\n");
        let functions = self.functions.iter();
        let functions = functions.map(|(name, value)| (format!("{name}/function.json"), pretty(value)));
        std::iter::once(("host.json".to_owned(), pretty(&self.host))).chain(functions).collect()
    }
}

/// The function app for an app's manifest. `executable` is the handler's path within the package.
///
/// Errors: `Config` without [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET), for a resource without a configured
/// account, and for triggers that Azure does not have or whose names do not fit.
pub fn function_app(
    manifest: &Manifest,
    config: &AzureConfig,
    executable: &str,
    http: HttpMode,
) -> Result<FunctionApp> {
    Ok(FunctionApp { host: host_json(executable, http), functions: functions(manifest, config)? })
}

/// The functions of an app: their names, and their function.json. Errors: those of [`function_app`].
pub fn functions(manifest: &Manifest, config: &AzureConfig) -> Result<Vec<(String, Value)>> {
    let unset = || Error::config(format!("{ISOBAR_TRIGGER_SECRET} is not set: set it to 32 random a-z and 0-9"));
    let host = config.functions.clone().unwrap_or_default();
    let secret = host.secret.as_ref().ok_or_else(unset)?;
    check_names(config, manifest)?;
    let builder = Builder { config, host: &host, secret };
    let mut functions = Vec::new();
    functions.extend(manifest.http().then(|| builder.http()));
    for (queue, _) in manifest.queues() {
        functions.extend(builder.queue(&queue, &manifest.app)?);
    }
    for schedule in manifest.schedules() {
        let binding = json!({"type": "timerTrigger", "name": "timer", "schedule": ncrontab(&schedule.cron)?});
        functions.push(builder.function(Kind::Schedule, &schedule.name, vec![binding]));
    }
    functions.extend(manifest.functions().map(|function| builder.invoke(function)));
    Ok(functions)
}

/// The schedule as NCRONTAB: a field for seconds before the five of cron, and Sunday is 0. Errors: `Config`.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions>
fn ncrontab(cron: &str) -> Result<String> {
    Ok(format!("0 {}", CronSchedule::parse(cron)?.fields(0).join(" ")))
}

/// The host.json. `maxDequeueCount` limits the deliveries that isobar cannot count: calls that break off, or that are
/// unreadable. Without `dateParseHandling`, the Cosmos DB trigger would rewrite a partition key that looks like a time:
/// <https://github.com/Azure/azure-webjobs-sdk-extensions/pull/923>.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-host-json>
fn host_json(executable: &str, http: HttpMode) -> Value {
    json!({
        "version": "2.0",
        "functionTimeout": "00:05:00",
        "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
        "customHandler": {
            "description": {"defaultExecutablePath": executable},
            "enableProxyingHttpRequest": http == HttpMode::Proxying,
            "enableForwardingHttpRequest": http == HttpMode::Forwarding,
        },
        "extensions": {
            "http": {"routePrefix": ""},
            "queues": {"messageEncoding": "base64", "maxDequeueCount": 5, "maxPollingInterval": "00:00:10"},
            "serviceBus": {"autoCompleteMessages": true},
            "cosmosDB": {"serializerSettings": {"dateParseHandling": "None"}},
        },
    })
}

/// The resources that a deployment of the app needs on Azure, without secrets: those of tables, buckets and topics, then those
/// of triggers, each in the order of the manifest. It makes no call. Errors: `Config`.
pub fn places(manifest: &Manifest, config: &AzureConfig) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            places.extend(of_resource(config.place(&config.source_of(&EventQueue::of(kind, &resource.name)))?));
        }
    }
    places.extend(manifest.http().then(|| Place::new("HTTP trigger", "/")));
    for (queue, _) in manifest.queues() {
        places.extend(match config.trigger(&queue)? {
            Placed::ServiceBus { subscription, .. } => vec![
                Place::new("Service Bus queue", Derived::DeadLetters.of(&subscription)),
                Place::new("Service Bus subscription", subscription),
            ],
            Placed::Queue { queue, .. } => {
                [queue.clone(), format!("{queue}{POISON}")].map(|name| Place::new("Storage queue", name)).into()
            }
            other => of_resource(other),
        });
        if queue.kind() == ResourceKind::Table {
            places.push(Place::new("Cosmos DB container", LEASES));
        }
    }
    for schedule in manifest.schedules() {
        places.push(Place::new("timer trigger", ncrontab(&schedule.cron)?));
    }
    places.extend(manifest.functions().map(|name| Place::new("HTTP trigger", format!("/{}", route(name)))));
    Ok(places)
}

fn of_resource(placed: Placed) -> Vec<Place> {
    match placed {
        Placed::Cosmos { container, .. } => vec![Place::new("Cosmos DB container", container)],
        Placed::Table { table, .. } => vec![Place::new("Storage table", table)],
        Placed::Blob { container, .. } => vec![Place::new("blob container", container)],
        Placed::Queue { queue, .. } => vec![Place::new("Storage queue", queue)],
        Placed::ServiceBus { topic, .. } => {
            [topic.clone(), Derived::Ordered.of(&topic)].map(|name| Place::new("Service Bus topic", name)).into()
        }
    }
}

/// The route of a function.
fn route(function: &str) -> String {
    format!(".isobar/functions/{function}")
}

/// Builds the functions of one app.
struct Builder<'a> {
    config: &'a AzureConfig,
    host: &'a FunctionsHost,
    secret: &'a TriggerSecret,
}

impl Builder<'_> {
    fn function(&self, kind: Kind, name: &str, mut bindings: Vec<Value>) -> (String, Value) {
        for binding in &mut bindings {
            let trigger = binding["type"].as_str().is_some_and(|kind| kind.ends_with("Trigger"));
            binding["direction"] = if trigger { "in" } else { "out" }.into();
        }
        (kind.function(name, self.secret), json!({ "bindings": bindings }))
    }

    fn http(&self) -> (String, Value) {
        let trigger = json!({"type": "httpTrigger", "name": "req", "authLevel": "anonymous", "route": "{*route}"});
        self.function(Kind::Http, "", vec![trigger, json!({"type": "http", "name": "res"})])
    }

    /// The host proxies and forwards only to functions with one output. With a second, unused output it calls the
    /// function by its name, which contains the secret, so clients of the function do not need to know it.
    fn invoke(&self, name: &str) -> (String, Value) {
        let route = route(name);
        let trigger = json!({
            "type": "httpTrigger", "name": "req", "authLevel": "function", "methods": ["post"], "route": route,
        });
        let outputs = ["res", "unused"].map(|name| json!({"type": "http", "name": name}));
        self.function(Kind::Invoke, name, [vec![trigger], outputs.to_vec()].concat())
    }

    /// The functions of a trigger that has a queue.
    fn queue(&self, queue: &EventQueue, app: &str) -> Result<Vec<(String, Value)>> {
        let (name, connection) = (queue_name(queue), self.host.connections.storage);
        let kind = match queue.kind() {
            ResourceKind::Bucket => Kind::Bucket,
            ResourceKind::Table => Kind::Writes,
            _ => Kind::Topic,
        };
        let functions = match self.config.trigger(queue)? {
            Placed::ServiceBus { topic, subscription, .. } => {
                let function = |kind, topic: &str| {
                    let trigger = self.service_bus(topic, &subscription, kind == Kind::Fifo);
                    self.function(kind, &name, vec![trigger])
                };
                vec![function(Kind::Topic, &topic), function(Kind::Fifo, &Derived::Ordered.of(&topic))]
            }
            Placed::Queue { queue, .. } => {
                let trigger =
                    json!({"type": "queueTrigger", "name": "message", "queueName": queue, "connection": connection});
                vec![self.function(kind, &name, vec![trigger])]
            }
            _ => Vec::new(),
        };
        let feed = (kind == Kind::Writes).then(|| self.feed(queue, app)).transpose()?;
        Ok(feed.into_iter().chain(functions).collect())
    }

    /// As bytes: the host would convert any body to text.
    fn service_bus(&self, topic: &str, subscription: &str, ordered: bool) -> Value {
        json!({
            "type": "serviceBusTrigger", "name": "message", "topicName": topic, "subscriptionName": subscription,
            "isSessionsEnabled": ordered, "dataType": "binary", "connection": self.host.connections.service_bus,
        })
    }

    /// Without the retry policy, the host would go on after a failed call: see `host/feed.rs`. An identity cannot create
    /// the container of the leases.
    ///
    /// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-cosmosdb-v2-trigger>
    fn feed(&self, queue: &EventQueue, app: &str) -> Result<(String, Value)> {
        let Placed::Cosmos { account, container } = self.config.place(&self.config.source_of(queue))? else {
            return Err(Error::config(format!("{queue}: the table is not in Cosmos DB: use a URL cosmos://")));
        };
        let trigger = json!({
            "type": "cosmosDBTrigger", "name": "documents", "connection": self.host.connections.cosmos,
            "databaseName": account.database, "containerName": container, "startFromBeginning": false,
            "leaseContainerName": LEASES, "leaseContainerPrefix": format!("{app}--"),
        });
        let (name, mut function) = self.function(Kind::Feed, queue.source(), vec![trigger]);
        function["retry"] = json!({
            "strategy": "exponentialBackoff", "maxRetryCount": -1, "minimumInterval": "00:00:01",
            "maximumInterval": "00:01:00",
        });
        Ok((name, function))
    }
}
