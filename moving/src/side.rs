//! The two sides of a move: tables and buckets by their logical names.

use std::collections::BTreeMap;
use std::sync::Arc;

use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::driver::key_value::KeyValue;
use isobar_abstraction::driver::pub_sub::Backlog;
use isobar_abstraction::driver::{Limits, Location, Profile, Provider, ResourceKind};
use isobar_abstraction::{EventQueue, Result};

/// One side: where data is, or where it goes.
///
/// ```
/// use isobar_abstraction::driver::ResourceKind;
/// use isobar_abstraction::memory::MemoryProvider;
/// use isobar_moving::Side;
///
/// let side = Side::new("memory").with(&MemoryProvider::default(), &[(ResourceKind::Table, "links")])?;
/// assert_eq!(side.names().collect::<Vec<_>>(), [(ResourceKind::Table, "links")]);
/// # Ok::<(), isobar_abstraction::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Side {
    name: String,
    tables: BTreeMap<String, TableSide>,
    buckets: BTreeMap<String, BucketSide>,
    queues: BTreeMap<EventQueue, Arc<dyn Backlog>>,
}

/// A table of one side.
#[derive(Debug, Clone)]
pub(crate) struct TableSide {
    pub(crate) driver: Arc<dyn KeyValue>,
    pub(crate) limits: Limits,
    /// The segments of a scan that are read in parallel.
    pub(crate) segments: u32,
}

/// A bucket of one side.
#[derive(Debug, Clone)]
pub(crate) struct BucketSide {
    pub(crate) driver: Arc<dyn Blob>,
    pub(crate) limits: Limits,
}

/// The segments of a scan of a service. What is on this machine reads all of a table for each segment.
const SEGMENTS: u32 = 8;

impl Side {
    /// A side without resources. The name is for people, such as `aws:prod`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds resources of a provider, at its default places. Errors: those of opening them.
    pub fn with(self, provider: &dyn Provider, resources: &[(ResourceKind, &str)]) -> Result<Self> {
        let add =
            |side: Self, (kind, name): &(ResourceKind, &str)| side.with_at(provider, &Location::new(*kind, *name));
        resources.iter().try_fold(self, add)
    }

    /// Adds a resource of a provider, at a place. Resources of other kinds than table and bucket are ignored. Errors: those of
    /// opening it.
    pub fn with_at(mut self, provider: &dyn Provider, at: &Location) -> Result<Self> {
        match at.kind() {
            ResourceKind::Table => {
                self = self.with_table(at.name(), provider.key_value(at)?, provider.profile());
            }
            ResourceKind::Bucket => {
                self = self.with_bucket(at.name(), provider.blob(at)?, provider.profile());
            }
            _ => {}
        }
        Ok(self)
    }

    /// Adds a table.
    #[must_use]
    pub fn with_table(mut self, name: &str, driver: Arc<dyn KeyValue>, profile: &Profile) -> Self {
        let segments = if is_near(profile) { 1 } else { SEGMENTS };
        self.tables.insert(name.to_owned(), TableSide { driver, limits: profile.limits, segments });
        self
    }

    /// Adds a bucket.
    #[must_use]
    pub fn with_bucket(mut self, name: &str, driver: Arc<dyn Blob>, profile: &Profile) -> Self {
        self.buckets.insert(name.to_owned(), BucketSide { driver, limits: profile.limits });
        self
    }

    /// Adds a queue of a provider, for [`move_messages`](crate::move_messages). Errors: those of opening it.
    pub fn with_queue(self, provider: &dyn Provider, queue: &EventQueue) -> Result<Self> {
        Ok(self.with_backlog(queue, provider.backlog(queue)?))
    }

    /// Adds a queue.
    #[must_use]
    pub fn with_backlog(mut self, queue: &EventQueue, backlog: Arc<dyn Backlog>) -> Self {
        self.queues.insert(queue.clone(), backlog);
        self
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = (&EventQueue, &dyn Backlog)> {
        self.queues.iter().map(|(queue, backlog)| (queue, &**backlog))
    }

    pub(crate) fn queue(&self, queue: &EventQueue) -> Option<&dyn Backlog> {
        self.queues.get(queue).map(|backlog| &**backlog)
    }

    /// Leaves out the other resources than these.
    #[must_use]
    pub fn only(mut self, names: &[(ResourceKind, String)]) -> Self {
        let has = |kind: ResourceKind, name: &str| names.iter().any(|(of, it)| *of == kind && it == name);
        self.tables.retain(|name, _| has(ResourceKind::Table, name));
        self.buckets.retain(|name, _| has(ResourceKind::Bucket, name));
        self
    }

    /// The name of the side.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kinds and the names of the resources.
    pub fn names(&self) -> impl Iterator<Item = (ResourceKind, &str)> {
        let tables = self.tables.keys().map(|name| (ResourceKind::Table, name.as_str()));
        tables.chain(self.buckets.keys().map(|name| (ResourceKind::Bucket, name.as_str())))
    }

    pub(crate) fn table(&self, name: &str) -> Option<&TableSide> {
        self.tables.get(name)
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&BucketSide> {
        self.buckets.get(name)
    }
}

/// The provider of backup files.
pub(crate) const FILE: &str = "file";

/// Is it in this process or in a file?
fn is_near(profile: &Profile) -> bool {
    ["memory", "local", FILE].contains(&profile.provider)
}
