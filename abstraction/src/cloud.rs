//! The handle that an app is built with.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::blob::Bucket;
use crate::key_value::Table;
use crate::manifest::{DeclaredResource, Manifest};
use crate::memory::MemoryProvider;
use crate::pub_sub::Topic;
use crate::resource::check_name;
use crate::{Clock, Error, ErrorKind, Limits, Location, Origin, Profile, Provider, ResourceKind, Result};

/// What may be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Access {
    /// Nothing: the resource is only the source of a trigger.
    None = 0,
    /// Get, query, scan, list.
    Read = 1,
    /// Put, delete, add, publish.
    Write = 2,
    /// Both.
    ReadWrite = 3,
}

impl Access {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Read,
            2 => Self::Write,
            _ => Self::ReadWrite,
        }
    }

    /// Does this access include all of `other`?
    pub const fn includes(self, other: Self) -> bool {
        self as u8 & other as u8 == other as u8
    }

    /// What both allow.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self::from_bits(self as u8 & other as u8)
    }

    /// What either allows.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self::from_bits(self as u8 | other as u8)
    }
}

/// The cloud that the app runs on: opens tables, buckets and topics by logical name.
///
/// Opening is local, lazy and cheap: no connection and no await, and it never fails. A wrong name
/// is reported when the app starts, a missing resource at first use as `NotFound`. What is opened
/// while the app is built is what the app *declares*; see [`Manifest`].
///
/// ```
/// use isobar_abstraction::Cloud;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cloud = Cloud::memory();
/// let notes = cloud.table::<String>("notes");
/// notes.put("a", &"hello".to_owned()).await?;
/// assert_eq!(notes.get("a").await?.as_deref(), Some("hello"));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    provider: Arc<dyn Provider>,
    routes: HashMap<(ResourceKind, String), Route>,
    limits: Limits,
    declared: Arc<Mutex<Registry>>,
}

/// Where a resource lives that does not live at the cloud's own provider.
#[derive(Debug, Clone)]
pub struct Route {
    /// The provider that opens it.
    pub provider: Arc<dyn Provider>,
    /// The place that configuration gave.
    pub location: Location,
}

#[derive(Default)]
struct Registry {
    sealed: bool,
    grants: Vec<Arc<Declared>>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Declared {
    kind: ResourceKind,
    name: String,
    access: AtomicU8,
}

impl Declared {
    fn access(&self) -> Access {
        Access::from_bits(self.access.load(Ordering::Relaxed))
    }
}

impl Cloud {
    /// A cloud whose resources all live at `provider`.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self::with_routes(provider, Vec::new())
    }

    /// A cloud of which some resources live elsewhere.
    pub fn with_routes(provider: Arc<dyn Provider>, routes: Vec<Route>) -> Self {
        let routes = routes
            .into_iter()
            .map(|route| ((route.location.kind(), route.location.name().to_owned()), route))
            .collect();
        let declared = Arc::default();
        Self(Arc::new(Inner { provider, routes, limits: Limits::PORTABLE, declared }))
    }

    /// A new, empty cloud in memory, whose clock stands still until it is advanced.
    ///
    /// It is the executable specification of the contracts: see [`memory`](crate::memory).
    pub fn memory() -> Self {
        Self::new(Arc::new(MemoryProvider::default()))
    }

    /// Takes the provider's own limits instead of the portable ones.
    ///
    /// What is written past the portable limits cannot move to every other provider.
    #[must_use]
    pub fn allow_provider_limits(self) -> Self {
        let limits = self.0.provider.profile().limits;
        let Inner { provider, routes, declared, .. } = &*self.0;
        let (provider, routes) = (Arc::clone(provider), routes.clone());
        Self(Arc::new(Inner { provider, routes, limits, declared: Arc::clone(declared) }))
    }

    /// A key-value table of values of type `T`, as JSON; of raw bytes where `T` is
    /// [`Bytes`](bytes::Bytes).
    pub fn table<T>(&self, name: &str) -> Table<T> {
        Table::new(self.open(ResourceKind::Table, name, |provider, at| provider.key_value(at)))
    }

    /// A bucket of objects.
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.open(ResourceKind::Bucket, name, |provider, at| provider.blob(at)))
    }

    /// A topic of messages whose bodies are of type `T`, as JSON; of raw bytes where `T` is
    /// [`Bytes`](bytes::Bytes).
    pub fn topic<T>(&self, name: &str) -> Topic<T> {
        Topic::new(self.open(ResourceKind::Topic, name, |provider, at| provider.pub_sub(at)))
    }

    /// The provider that the app runs on.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// The profile of the provider that the app runs on.
    pub fn profile(&self) -> &'static Profile {
        self.0.provider.profile()
    }

    /// The limits that the portable types hold to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The clock of the provider that the app runs on.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.provider.clock()
    }

    fn open<D: ?Sized>(
        &self,
        kind: ResourceKind,
        name: &str,
        driver: impl FnOnce(&dyn Provider, &Location) -> Result<Arc<D>>,
    ) -> Resource<D> {
        let grant = self.declare(kind, name);
        let default;
        let (provider, location) = match self.0.routes.get(&(kind, name.to_owned())) {
            Some(route) => (&route.provider, &route.location),
            None => {
                default = Location::new(kind, name);
                (&self.0.provider, &default)
            }
        };
        let driver = check_name(name).and_then(|()| driver(provider.as_ref(), location));
        if let Err(error) = &driver {
            self.0.declared.lock().problems.push(format!("{kind} `{name}`: {}", error.message()));
        }
        Resource(
            Arc::new(Opened {
                kind,
                name: name.to_owned(),
                description: format!("{kind} `{name}`"),
                driver,
                limits: self.0.limits,
                profile: provider.profile(),
                clock: provider.clock(),
            }),
            grant,
        )
    }

    /// Once the app is started, what is opened has no more access than was declared before.
    fn declare(&self, kind: ResourceKind, name: &str) -> Grant {
        let mut registry = self.0.declared.lock();
        let full = if kind == ResourceKind::Topic { Access::Write } else { Access::ReadWrite };
        let access = if registry.sealed { declared_access(&registry.grants, kind, name) } else { full };
        let declared = Arc::new(Declared { kind, name: name.to_owned(), access: AtomicU8::new(access as u8) });
        if !registry.sealed {
            registry.grants.push(Arc::clone(&declared));
        }
        Grant { declared, registry: Arc::clone(&self.0.declared) }
    }

    pub(crate) fn owns(&self, grant: &Grant) -> bool {
        Arc::ptr_eq(&self.0.declared, &grant.registry)
    }

    /// For hosts and tests: from now on nothing more can be declared.
    pub(crate) fn seal(&self) {
        self.0.declared.lock().sealed = true;
    }

    /// The problems of what was opened, and the resources for the manifest.
    pub(crate) fn declared(&self, manifest: &mut Manifest) -> Vec<String> {
        let registry = self.0.declared.lock();
        let mut merged = BTreeMap::new();
        for declared in &registry.grants {
            let access = merged.entry((declared.kind, declared.name.clone())).or_insert(Access::None);
            *access = access.union(declared.access());
        }
        for ((kind, name), access) in merged {
            let list = match kind {
                ResourceKind::Table => &mut manifest.tables,
                ResourceKind::Bucket => &mut manifest.buckets,
                ResourceKind::Topic => &mut manifest.topics,
            };
            list.push(DeclaredResource { name, access });
        }
        registry.problems.clone()
    }
}

fn declared_access(grants: &[Arc<Declared>], kind: ResourceKind, name: &str) -> Access {
    let same = grants.iter().filter(|grant| grant.kind == kind && grant.name == name);
    same.fold(Access::None, |access, grant| access.union(grant.access()))
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("provider", &self.profile().provider).finish_non_exhaustive()
    }
}

/// The access that one handle has, and its entry in the declaration.
#[derive(Clone)]
pub(crate) struct Grant {
    declared: Arc<Declared>,
    registry: Arc<Mutex<Registry>>,
}

impl Grant {
    /// Narrows this handle's access. Clones of the handle that were made before keep theirs.
    fn narrow(self, access: Access) -> Self {
        let access = self.declared.access().intersection(access);
        let mut registry = self.registry.lock();
        let listed = registry.grants.iter().any(|grant| Arc::ptr_eq(grant, &self.declared));
        // Nobody but the declaration and this handle knows the entry: it can be changed in place.
        if Arc::strong_count(&self.declared) == 1 + usize::from(listed) {
            self.declared.access.store(access as u8, Ordering::Relaxed);
            drop(registry);
            return self;
        }
        let Declared { kind, name, .. } = &*self.declared;
        let declared = Arc::new(Declared { kind: *kind, name: name.clone(), access: AtomicU8::new(access as u8) });
        if listed && !registry.sealed {
            registry.grants.push(Arc::clone(&declared));
        }
        drop(registry);
        Self { declared, registry: self.registry }
    }
}

/// What every portable type does alike around its driver: access, spans, error context.
pub(crate) struct Resource<D: ?Sized>(Arc<Opened<D>>, pub(crate) Grant);

pub(crate) struct Opened<D: ?Sized> {
    kind: ResourceKind,
    pub(crate) name: String,
    description: String,
    driver: Result<Arc<D>>,
    pub(crate) limits: Limits,
    pub(crate) profile: &'static Profile,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<D: ?Sized> Clone for Resource<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1.clone())
    }
}

impl<D: ?Sized> std::ops::Deref for Resource<D> {
    type Target = Opened<D>;
    fn deref(&self) -> &Opened<D> {
        &self.0
    }
}

impl<D: ?Sized> fmt::Debug for Resource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`, {:?}", self.description, self.profile.provider, self.1.declared.access())
    }
}

impl<D: ?Sized> Resource<D> {
    pub(crate) fn narrow(self, access: Access) -> Self {
        Self(self.0, self.1.narrow(access))
    }

    /// The driver, if the handle has the access that `operation` needs.
    ///
    /// A missing access is `PermissionDenied` of the [`Origin::Request`](crate::Origin), which a client
    /// over HTTP sees as 500: the app declares too little, and the client can do nothing about it.
    pub(crate) fn driver(&self, operation: &'static str, needs: Access) -> Result<&Arc<D>> {
        let granted = self.1.declared.access();
        if !granted.includes(needs) {
            return Err(self.explain(operation, self.refusal(granted, needs)));
        }
        self.driver.as_ref().map_err(|error| self.explain(operation, error.duplicate().of_driver()))
    }

    fn refusal(&self, granted: Access, needs: Access) -> Error {
        let message = match granted {
            Access::None => format!("it was not declared; open the {} while the app is built", self.kind),
            granted => format!("it needs {needs:?} access, the handle has {granted:?}"),
        };
        Error::new(ErrorKind::PermissionDenied, message)
    }

    /// Adds operation and resource to an error that does not name them yet. An error that no driver
    /// has answered is a refusal of the arguments; a version that nothing can have is a lost race.
    pub(crate) fn explain(&self, operation: &'static str, error: Error) -> Error {
        let origin = if error.kind() == ErrorKind::Conflict { Origin::Data } else { Origin::Request };
        error.with_origin(origin).with_operation(operation).with_resource(self.description.as_str())
    }

    /// Runs one operation of the driver inside its span, explains its error and marks its origin.
    pub(crate) async fn run<'a, T, F>(
        &'a self,
        operation: &'static str,
        needs: Access,
        call: impl FnOnce(&'a Arc<D>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        use tracing::Instrument;
        let driver = self.driver(operation, needs)?;
        let span = tracing::debug_span!(
            "operation",
            provider = self.profile.provider,
            resource = %self.description,
            operation
        );
        let result = if span.is_disabled() { call(driver).await } else { call(driver).instrument(span).await };
        result.map_err(|error| self.explain(operation, error.of_driver()))
    }
}
