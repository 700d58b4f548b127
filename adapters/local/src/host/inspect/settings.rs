//! Schedules with their next ticks, the names of secrets and configuration, and the places of resources; never a value.

use std::sync::Arc;

use axum::extract::State;
use isobar_abstraction::Error;
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::{CronSchedule, Location, ResourceKind};
use isobar_abstraction::manifest::{DeclaredResource, ScheduleTrigger};
use serde_json::{Value, json};

use super::{Answer, Indented, Inspector};

/// How many ticks of a schedule are shown.
const NEXT: usize = 5;

pub(super) async fn schedules(State(inspector): State<Arc<Inspector>>) -> Answer {
    let now = inspector.state.clock.now();
    let describe = |trigger: &ScheduleTrigger| {
        let cron = CronSchedule::parse(&trigger.cron)?;
        let next = std::iter::successors(cron.next_after(now), |last| cron.next_after(*last));
        Ok(json!({
            "name": trigger.name,
            "cron": trigger.cron,
            "next": next.take(NEXT).map(to_rfc3339).collect::<Vec<_>>(),
            "last": inspector.state.history.last_run(&trigger.name).map(to_rfc3339),
        }))
    };
    let schedules: Result<Vec<_>, Error> = inspector.app.manifest.schedules().map(describe).collect();
    Ok(Indented(json!({"schedules": schedules?})))
}

pub(super) async fn settings(State(inspector): State<Arc<Inspector>>) -> Answer {
    let manifest = &inspector.app.manifest;
    let of_kind = |kind| manifest.of_kind(kind).map(move |resource| (kind, resource));
    let settings = ResourceKind::VALUES.into_iter().flat_map(of_kind);
    let settings: Vec<_> = settings.map(|(kind, resource)| setting(&inspector, kind, resource)).collect();
    let place = |at: &Location| {
        let url = at.url().map(|url| format!("{}://{}", url.scheme(), url.name()));
        json!({"kind": at.kind().name(), "name": at.name(), "url": url})
    };
    let places: Vec<_> = inspector.state.config.placed.iter().map(place).collect();
    Ok(Indented(json!({"settings": settings, "places": places})))
}

fn setting(inspector: &Inspector, kind: ResourceKind, resource: &DeclaredResource) -> Value {
    let config = &inspector.state.config;
    let variable = kind.variable(&resource.name);
    let prefix = config.prefix.get().unwrap_or_default();
    let key = format!("{prefix}{}", resource.name);
    let store = inspector.provider.secrets(config.secret_store.as_ref());
    let (from, how) = match store {
        _ if config.variables.contains(&variable) => (Some(format!("variable {variable}")), None),
        Ok(store) => {
            let found = matches!(store.check(&key, kind), Ok(Some(_)));
            let from = found.then(|| format!("file {}", config.secret_file().display()));
            (from, Some(store.how_to_set(&key, kind)))
        }
        // It is a store of another provider, whose values are not read here.
        Err(_) => (config.secret_store.as_ref().map(|url| format!("store {}://{}", url.scheme(), url.name())), None),
    };
    json!({
        "kind": kind.name(),
        "name": resource.name,
        "from": from,
        "how": how.map_or_else(|| format!("set {variable}"), |how| format!("{how}, or set {variable}")),
        "optional": resource.options.get("required") != Some(&Value::Bool(true)),
    })
}
