//! What a deployment puts beside the app: host.json, and a function.json for each function.
//!
//! | trigger | function | binding |
//! |---|---|---|
//! | HTTP | `http-<secret>` | `httpTrigger` for every path and method, anonymous |
//! | topic `clicks`, on Service Bus | `topic-clicks-<secret>`, `fifo-clicks-<secret>` | `serviceBusTrigger` of the topics `clicks` and, with sessions, `clicks--fifo` |
//! | topic `clicks`, in a Storage Queue | `topic-clicks-<secret>` | `queueTrigger` of the queue `clicks` |
//! | bucket `pages` | `bucket-pages-<secret>` | `queueTrigger` of the queue `0events-pages`, into which Event Grid puts what happens in the container |
//! | schedule `sweep` | `schedule-sweep-<secret>` | `timerTrigger`, in UTC |
//! | function `stats` | `invoke-stats-<secret>` | `httpTrigger` for `POST /.isobar/functions/stats`, with a function key |
//!
//! The names of the functions bear the secret of [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET): what is
//! made here is a secret as a whole. Bindings take their accounts from the app settings that the
//! configuration was read from: `AZURE_SERVICEBUS_CONNECTION_STRING`, or `AZURE_SERVICEBUS__fullyQualifiedNamespace`
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

/// How the Functions host hands HTTP to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMode {
    /// As it came, both ways as a stream: `enableProxyingHttpRequest`. What a deployment wants.
    #[default]
    Proxying,
    /// Rebuilt and whole; bodies without a length are lost: `enableForwardingHttpRequest`, of older hosts.
    Forwarding,
    /// As JSON, and text only.
    Json,
}

/// The files of a function app, but for the app itself.
#[derive(Clone)]
pub struct FunctionApp {
    /// host.json.
    pub host: Value,
    /// Names of functions, and their function.json.
    pub functions: Vec<(String, Value)>,
}

/// Without names: those are secrets.
impl std::fmt::Debug for FunctionApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionApp").field("host", &self.host).finish_non_exhaustive()
    }
}

impl FunctionApp {
    /// Paths and contents, as they belong into the package's root.
    pub fn files(&self) -> Vec<(String, String)> {
        let pretty = |value: &Value| format!("{value:#}\n");
        let functions = self.functions.iter();
        let functions = functions.map(|(name, value)| (format!("{name}/function.json"), pretty(value)));
        std::iter::once(("host.json".to_owned(), pretty(&self.host))).chain(functions).collect()
    }
}

/// The function app of an app. `executable` is the handler's path within the package.
///
/// Errors: `Config` without [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET), and for a resource that
/// nothing places.
pub fn function_app(
    manifest: &Manifest,
    config: &AzureConfig,
    executable: &str,
    http: HttpMode,
) -> Result<FunctionApp> {
    Ok(FunctionApp { host: host_json(executable, http), functions: functions(manifest, config)? })
}

/// The functions of an app: their names, and their function.json. Errors: as [`function_app`].
pub fn functions(manifest: &Manifest, config: &AzureConfig) -> Result<Vec<(String, Value)>> {
    let unset = || Error::config(format!("{ISOBAR_TRIGGER_SECRET} is not set; make one of 32 random a-z and 0-9"));
    let host = config.functions.clone().unwrap_or_default();
    let secret = host.secret.as_ref().ok_or_else(unset)?;
    let maker = Maker { config, host: &host, secret };
    let mut functions = Vec::new();
    functions.extend(manifest.http().then(|| maker.http()));
    for trigger in manifest.messages() {
        functions.extend(maker.topic(&trigger.topic)?);
    }
    for trigger in manifest.objects() {
        functions.push(maker.bucket(&trigger.bucket)?);
    }
    for schedule in manifest.schedules() {
        let binding = json!({"type": "timerTrigger", "name": "timer", "schedule": ncrontab(&schedule.cron)?});
        functions.push(maker.function(Kind::Schedule, &schedule.name, vec![binding]));
    }
    functions.extend(manifest.functions().map(|function| maker.invoke(function)));
    Ok(functions)
}

/// NCRONTAB: a field for seconds before the five of cron, and Sunday is 0. Errors: `Config`.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions>
fn ncrontab(cron: &str) -> Result<String> {
    Ok(format!("0 {}", CronSchedule::parse(cron)?.fields(0).join(" ")))
}

/// `maxDequeueCount` counts what we do not: calls that break off, or that nobody can read.
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

struct Maker<'a> {
    config: &'a AzureConfig,
    host: &'a FunctionsHost,
    secret: &'a TriggerSecret,
}

impl Maker<'_> {
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

    /// The host proxies and forwards to functions with one output only. With a second one, which nobody
    /// writes, it calls the function by its name: so nobody needs to know that who may call the function.
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
        // As bytes: the host would make a text of what is none.
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
            return Err(Error::config(format!("{at} is in no Storage Queue")));
        };
        let connection = self.host.connections.storage;
        Ok(json!({"type": "queueTrigger", "name": "message", "queueName": queue, "connection": connection}))
    }
}
