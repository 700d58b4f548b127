//! The files that a deployment adds to the app: host.json, and a function.json for each function.
//!
//! | trigger | function | binding |
//! |---|---|---|
//! | HTTP | `http-<secret>` | `httpTrigger` for every path and method, anonymous |
//! | topic `clicks`, on Service Bus | `topic-clicks-<secret>`, `fifo-clicks-<secret>` | `serviceBusTrigger` of the topics `clicks` and, with sessions, `clicks--fifo` |
//! | topic `clicks`, in a Storage Queue | `topic-clicks-<secret>` | `queueTrigger` of the queue `clicks` |
//! | bucket `pages` | `bucket-pages-<secret>` | `queueTrigger` of the queue `0events-pages`, to which Event Grid sends the container's events |
//! | schedule `sweep` | `schedule-sweep-<secret>` | `timerTrigger`, in UTC |
//! | function `stats` | `invoke-stats-<secret>` | `httpTrigger` for `POST /.isobar/functions/stats`, with a function key |
//!
//! The names of the functions contain the secret of [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET): treat all
//! of these files as a secret. Bindings name the app settings that the account was configured by:
//! `AZURE_SERVICEBUS_CONNECTION_STRING`, or `AZURE_SERVICEBUS__fullyQualifiedNamespace`
//! by identity; `AZURE_STORAGE_CONNECTION_STRING`, `AZURE_STORAGE__queueServiceUri`, or `AzureWebJobsStorage`.

#[cfg(test)]
mod tests;

use isobar_abstraction::driver::{CronSchedule, Derived, Location, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, Result};
use serde_json::{Value, json};

use crate::AzureConfig;
use crate::config::{FunctionsHost, ISOBAR_TRIGGER_SECRET, Placed, TriggerSecret};
use crate::host::{Kind, events_of};

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
/// Errors: `Config` without [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET), and for a resource without a
/// configured account.
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
    let builder = Builder { config, host: &host, secret };
    let mut functions = Vec::new();
    functions.extend(manifest.http().then(|| builder.http()));
    for trigger in manifest.messages() {
        functions.extend(builder.topic(&trigger.topic)?);
    }
    for trigger in manifest.objects() {
        functions.push(builder.bucket(&trigger.bucket)?);
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
/// unreadable.
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
        },
    })
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
        let route = format!(".isobar/functions/{name}");
        let trigger = json!({
            "type": "httpTrigger", "name": "req", "authLevel": "function", "methods": ["post"], "route": route,
        });
        let outputs = ["res", "unused"].map(|name| json!({"type": "http", "name": name}));
        self.function(Kind::Invoke, name, [vec![trigger], outputs.to_vec()].concat())
    }

    fn topic(&self, name: &str) -> Result<Vec<(String, Value)>> {
        let at = self.host.location(ResourceKind::Topic, name);
        let Placed::ServiceBus { topic, subscription, .. } = self.config.place(&at)? else {
            return Ok(vec![self.function(Kind::Topic, name, vec![self.queue(&at)?])]);
        };
        // As bytes: the host would convert any body to text.
        let trigger = |topic: &str, ordered: bool| {
            json!({
                "type": "serviceBusTrigger", "name": "message", "topicName": topic, "subscriptionName": subscription,
                "isSessionsEnabled": ordered, "dataType": "binary", "connection": self.host.connections.service_bus,
            })
        };
        let plain = self.function(Kind::Topic, name, vec![trigger(&topic, false)]);
        Ok(vec![plain, self.function(Kind::Fifo, name, vec![trigger(&Derived::Ordered.of(&topic), true)])])
    }

    fn bucket(&self, name: &str) -> Result<(String, Value)> {
        let bucket = self.host.location(ResourceKind::Bucket, name);
        let (_, queue) = events_of(self.config, &bucket)?;
        Ok(self.function(Kind::Bucket, name, vec![self.queue(&queue)?]))
    }

    fn queue(&self, at: &Location) -> Result<Value> {
        let Placed::Queue { queue, .. } = self.config.place(at)? else {
            return Err(Error::config(format!("{at} is not in a Storage Queue: use a URL azqueue://")));
        };
        let connection = self.host.connections.storage;
        Ok(json!({"type": "queueTrigger", "name": "message", "queueName": queue, "connection": connection}))
    }
}
