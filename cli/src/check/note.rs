//! The notes of `isobar check`: what works, and differs from the portable contract.

use std::time::Duration;

use isobar::driver::{Access, Permission, ResourceKind, duration};
use isobar::manifest::{Manifest, Trigger};

use super::finding::Finding;
use super::{Deployed, Target};
use crate::part::Part;
use crate::target::stage_limit;

/// A part of a kind that another version of isobar, or another crate, knows.
pub(super) fn unknown(deployed: &Deployed, part: &Part) -> Finding {
    let text =
        "it is of a kind that this command does not know, and is not checked: update the command, or check it by hand";
    Finding::note(deployed, &part.label, part.row, text)
}

/// A name that leaves no room for usual stages. Where a stage is set, it fits, or is an error.
pub(super) fn of_name(manifest: &Manifest, deployed: &Deployed) -> Option<Finding> {
    let text = stage_limit(&manifest.app).filter(|_| !deployed.has_stage())?;
    Some(Finding::note(deployed, &format!("app `{}`", manifest.app), "FN-7", &text))
}

/// The notes of these parts, which have no error.
pub(super) fn all(manifest: &Manifest, deployed: &Deployed, parts: &[&Part]) -> Vec<Finding> {
    let mut found = Vec::new();
    for part in parts {
        let mut note = |row, text: &str| found.push(Finding::note(deployed, &part.label, row, text));
        if let Some(resource) = part.resource() {
            match resource.kind.as_str() {
                "table" => of_table(deployed, part, &mut note),
                "topic" => of_topic(deployed, manifest, part, &mut note),
                "secret" | "config" if deployed.needs_vault() => note(
                    "SE-1",
                    "Azure has no default store of values: set ISOBAR_SECRETS=keyvault://VAULT in the deployment",
                ),
                _ => {}
            }
        }
        if let Some(Trigger::Message(trigger)) = part.manifest.triggers.first() {
            of_retries(deployed, trigger.retry.max_backoff, &mut note);
        }
    }
    found
}

/// What a deployment allows beyond the declaration of these parts, where the platform has nothing narrower.
pub(super) fn of_permissions(deployed: &Deployed, app: &str, parts: &[&Part]) -> Vec<Finding> {
    let manifest = parts.iter().fold(Manifest::new(app), |all, part| {
        let Manifest { resources, triggers, .. } = part.manifest.clone();
        all.with_resources(resources).with_triggers(triggers)
    });
    let permissions = deployed.permissions(&manifest).unwrap_or_default();
    let note = |permission: &Permission| {
        let subject = permission.purpose.split_once(", ").map_or(&*permission.purpose, |(subject, _)| subject);
        let row = match subject {
            _ if subject.contains("table `") => "KV-20",
            _ if subject.contains("bucket `") => "BL-18",
            _ if subject.contains("topic `") => "PS-13",
            _ => "FN-9",
        };
        permission.wider.map(|wider| Finding::note(deployed, subject, row, wider))
    };
    permissions.iter().filter_map(note).collect()
}

/// Is the part in this service of Azure?
fn is_in(deployed: &Deployed, part: &Part, service: &str) -> bool {
    deployed.places(&part.manifest).is_ok_and(|places| places.iter().any(|place| place.service == service))
}

fn of_table(deployed: &Deployed, part: &Part, note: &mut impl FnMut(&'static str, &str)) {
    let lag = deployed.provider.profile().ttl_lag;
    if is_in(deployed, part, "Storage table") {
        note("KV-16", "an expired item is invisible, and stays in the store until it is deleted by its key");
        note("KV-18", "an item of Table Storage is smaller than the portable limit: keep values below 64 KiB");
    } else if lag > Duration::from_secs(3600) {
        let text = format!("an expired item is invisible, and stays in the store for up to {}", duration(lag));
        note("KV-16", &text);
    }
}

fn of_topic(deployed: &Deployed, manifest: &Manifest, part: &Part, note: &mut impl FnMut(&'static str, &str)) {
    if is_in(deployed, part, "Storage queue") {
        let advice = "place the topic in Service Bus by a URL servicebus://NAME";
        note("PS-7", &format!("a message with an ordering key is rejected: {advice}"));
        note("PS-9", &format!("a message is smaller than the portable limit: {advice}"));
    }
    let Some(topic) = part.manifest.of_kind(ResourceKind::Topic).next() else { return };
    let is_handled = manifest.messages().any(|trigger| trigger.topic == topic.name);
    if deployed.target == Target::Local && topic.access.includes(Access::Write) && !is_handled {
        note(
            "PS-1",
            "the app has no handler for its messages, and the laptop drops them: add a handler, or ignore this",
        );
    }
}

fn of_retries(deployed: &Deployed, backoff: Duration, note: &mut impl FnMut(&'static str, &str)) {
    let limits = &deployed.provider.profile().limits;
    if backoff > limits.ordered_retry_after {
        let (longest, policy) = (duration(limits.ordered_retry_after), duration(backoff));
        let text = format!(
            "after a failure, a message with an ordering key waits for at most {longest}, not for the {policy} of the retry policy"
        );
        note("PS-3", &text);
    }
}
