//! The parts of an app: each resource and each trigger as a manifest of its own, so that a problem has one source.

use isobar::EventQueue;
use isobar::driver::ResourceKind;
use isobar::manifest::{DeclaredResource, Manifest, Trigger};
use serde_json::Value;

/// A resource or a trigger of an app.
#[derive(Debug)]
pub(crate) struct Part {
    /// Such as ``table `links` ``.
    pub(crate) label: String,
    /// The row of `mappings.md` with the guarantee that the part needs.
    pub(crate) row: &'static str,
    pub(crate) manifest: Manifest,
}

impl Part {
    /// The resources, then the triggers, in the order of the manifest.
    pub(crate) fn all(manifest: &Manifest) -> Vec<Self> {
        let resources = manifest.resources.iter().map(|resource| Self::of_resource(&manifest.app, resource));
        let triggers = manifest.triggers.iter().map(|trigger| Self::of_trigger(&manifest.app, trigger));
        resources.chain(triggers).collect()
    }

    fn of_resource(app: &str, resource: &DeclaredResource) -> Self {
        let row = match resource.kind.as_str() {
            "table" => "KV-23",
            "bucket" => "BL-21",
            "topic" => "PS-9",
            "secret" | "config" => "SE-3",
            _ => "FN-9",
        };
        let label = format!("{} `{}`", resource.kind, resource.name);
        Self { label, row, manifest: Manifest::new(app).with_resources([resource.clone()]) }
    }

    fn of_trigger(app: &str, trigger: &Trigger) -> Self {
        let queue = |what: &str, queue: &EventQueue| match queue.kind() {
            ResourceKind::Table => queue.to_string(),
            _ => format!("{what} of {queue}"),
        };
        let (label, row) = match trigger {
            Trigger::Http => ("HTTP".to_owned(), "FN-1"),
            Trigger::Message(it) if it.queue().is_default() => (queue("messages", &it.queue()), "PS-9"),
            Trigger::Message(it) => (it.queue().to_string(), "PS-15"),
            Trigger::Object(it) if it.queue().is_default() => (queue("objects", &it.queue()), "BL-14"),
            Trigger::Object(it) => (it.queue().to_string(), "BL-24"),
            Trigger::Write(it) => (queue("writes", &it.queue()), "KV-26"),
            Trigger::Schedule(it) => (format!("schedule `{}`", it.name), "FN-5"),
            Trigger::Function(it) => (format!("function `{}`", it.name), "FN-4"),
            Trigger::Other(fields) => {
                (format!("trigger {}", fields.get("kind").and_then(Value::as_str).unwrap_or("?")), "FN-9")
            }
            _ => ("trigger".to_owned(), "FN-9"),
        };
        Self { label, row, manifest: Manifest::new(app).with_triggers([trigger.clone()]) }
    }

    /// The resource, if the part is one.
    pub(crate) fn resource(&self) -> Option<&DeclaredResource> {
        self.manifest.resources.first()
    }

    /// Is it of a kind that this version knows?
    pub(crate) fn is_known(&self) -> bool {
        self.row != "FN-9"
    }

    /// Both parts in one manifest.
    pub(crate) fn with(&self, other: &Self) -> Manifest {
        let manifest = self.manifest.clone();
        manifest.with_triggers(other.manifest.triggers.clone()).with_resources(other.manifest.resources.clone())
    }
}
