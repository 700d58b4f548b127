//! What the resources and triggers of an app are in the data folder, for tools.

mod excess;

use isobar_abstraction::Result;
use isobar_abstraction::driver::{Location, Place, ResourceKind};
use isobar_abstraction::manifest::Manifest;

use crate::LocalConfig;
use crate::config::physical_name;
pub use excess::Excess;
pub(crate) use excess::beyond;

/// The resources of the app, without secrets: tables, buckets and topics, then those of triggers, each in the order of the
/// manifest. It opens nothing. Errors: `Config`.
pub fn places(manifest: &Manifest, config: &LocalConfig) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            let placed = config.placed.iter().find(|at| at.kind() == kind && at.name() == resource.name);
            let at = placed.cloned().unwrap_or_else(|| Location::new(kind, &resource.name));
            let service = match kind {
                ResourceKind::Table => "redb table",
                ResourceKind::Bucket => "files, redb",
                _ => "durable topic",
            };
            places.push(Place::new(service, physical_name(&at)?));
        }
    }
    places.extend(manifest.http().then(|| Place::new("HTTP server", "/")));
    places.extend(manifest.queues().map(|(queue, _)| {
        let queue = config.physical(&queue);
        Place::new("durable queue", queue.physical(queue.source()))
    }));
    places.extend(manifest.schedules().map(|schedule| Place::new("clock", schedule.cron.as_str())));
    places.extend(manifest.functions().map(|name| Place::new("the inspector", format!("/functions/{name}"))));
    Ok(places)
}
