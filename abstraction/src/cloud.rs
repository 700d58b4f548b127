//! The handle that an app is built with.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::access::{Grant, Registry};
use crate::blob::Bucket;
use crate::clock::Clock;
use crate::handle::{Resource, ResourceInner};
use crate::key_value::Table;
use crate::manifest::{DeclaredResource, Manifest};
use crate::memory::MemoryProvider;
use crate::profile::{Limits, Profile};
use crate::provider::{AnyDriver, Environment, OpenRequest, Opener, Provider};
use crate::pub_sub::Topic;
use crate::resource::{Location, ResourceKind, check_name};
use crate::{Error, ErrorKind, Result};

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

#[derive(Clone)]
struct Inner {
    provider: Arc<dyn Provider>,
    routes: HashMap<(ResourceKind, String), Route>,
    openers: Vec<Opener>,
    environment: Environment,
    /// A kind that nothing opens is no problem then.
    only_declares: bool,
    limits: Limits,
    declared: Registry,
}

/// Where a resource lives that does not live at the cloud's own provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// The provider that opens it.
    pub provider: Arc<dyn Provider>,
    /// The place that configuration gave.
    pub location: Location,
    /// The openers of that provider's row.
    pub openers: &'static [Opener],
}

impl Route {
    /// A resource at another provider, and the openers of that provider's row.
    pub fn new(provider: Arc<dyn Provider>, location: Location, openers: &'static [Opener]) -> Self {
        Self { provider, location, openers }
    }
}

/// The openers of the kinds that every provider opens.
const OWN: [Opener; 3] = [
    Opener::new(ResourceKind::Table, |it| it.provider.key_value(it.at).map(AnyDriver::new)),
    Opener::new(ResourceKind::Bucket, |it| it.provider.blob(it.at).map(AnyDriver::new)),
    Opener::new(ResourceKind::Topic, |it| it.provider.pub_sub(it.at).map(AnyDriver::new)),
];

impl Cloud {
    /// A cloud whose resources all live at `provider`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use isobar_abstraction::{Cloud, memory::MemoryProvider};
    /// // Two clouds with the same data.
    /// let provider = MemoryProvider::default();
    /// let (one, other) = (Cloud::new(Arc::new(provider.clone())), Cloud::new(Arc::new(provider)));
    /// one.table::<u32>("ages").put("ada", &36).await?;
    /// assert_eq!(other.table::<u32>("ages").get("ada").await?, Some(36));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self::with_routes(provider, Vec::new())
    }

    /// A cloud of which some resources live elsewhere.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use isobar_abstraction::driver::{Location, ResourceKind, Route};
    /// use isobar_abstraction::{Cloud, memory::MemoryProvider};
    /// let archive = MemoryProvider::default();
    /// let location = Location::new(ResourceKind::Table, "ages");
    /// let route = Route::new(Arc::new(archive.clone()), location, &[]);
    /// let cloud = Cloud::with_routes(Arc::new(MemoryProvider::default()), vec![route]);
    /// cloud.table::<u32>("ages").put("ada", &36).await?;
    /// assert_eq!(Cloud::new(Arc::new(archive)).table::<u32>("ages").get("ada").await?, Some(36));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn with_routes(provider: Arc<dyn Provider>, routes: Vec<Route>) -> Self {
        let routes = routes
            .into_iter()
            .map(|route| ((route.location.kind(), route.location.name().to_owned()), route))
            .collect();
        let (openers, environment, declared) = (Vec::new(), Environment::default(), Registry::default());
        let (only_declares, limits) = (false, Limits::PORTABLE);
        Self(Arc::new(Inner { provider, routes, openers, environment, only_declares, limits, declared }))
    }

    /// A new, empty cloud in memory, whose clock stands still until it is advanced.
    ///
    /// It is the executable specification of the contracts: see [`memory`](crate::memory).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// assert_eq!(pages.get("index.html").await?.bytes().await?, "<h1>hi</h1>");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn memory() -> Self {
        Self::new(Arc::new(MemoryProvider::default()))
    }

    /// For hosts: a cloud in memory for the [manifest](crate::manifest) of an app, of any kinds of resources. Those that
    /// nothing opens in memory cannot be used.
    ///
    /// ```
    /// use isobar_abstraction::driver::{ResourceKind, key_value::KeyValue};
    /// use isobar_abstraction::{App, Cloud, Error};
    /// let cloud = Cloud::declaration();
    /// let _secret = cloud.resource::<dyn KeyValue>(ResourceKind::Other("secret"), "api-key");
    /// assert_eq!(App::new("shop").start(&cloud)?.resources[0].kind, "secret");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn declaration() -> Self {
        Self::memory().with(|inner| inner.only_declares = true)
    }

    /// Takes the provider's own limits instead of the portable ones.
    ///
    /// What is written past the portable limits cannot move to every other provider.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// let cloud = Cloud::memory().allow_provider_limits();
    /// assert_eq!(cloud.limits(), &cloud.profile().limits);
    /// ```
    #[must_use]
    pub fn allow_provider_limits(self) -> Self {
        let limits = self.0.provider.profile().limits;
        self.with(|inner| inner.limits = limits)
    }

    /// For hosts and tests: with these openers, which get this environment, beside those of the kinds that every
    /// provider opens.
    #[must_use]
    pub fn with_openers(self, openers: &[Opener], environment: &Environment) -> Self {
        // Nothing reads the environment then, and each cold start passes here.
        if openers.is_empty() && self.0.routes.values().all(|route| route.openers.is_empty()) {
            return self;
        }
        self.with(|inner| {
            inner.openers.extend_from_slice(openers);
            inner.environment = environment.clone();
        })
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// A key-value table of values of type `T`, as JSON; of raw bytes where `T` is
    /// [`Bytes`](bytes::Bytes).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let ages = Cloud::memory().table::<u32>("ages");
    /// ages.put("ada", &36).await?;
    /// assert_eq!(ages.get("ada").await?, Some(36));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn table<T>(&self, name: &str) -> Table<T> {
        Table::new(self.open(ResourceKind::Table, name, |provider, at| provider.key_value(at)))
    }

    /// A bucket of objects.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// assert_eq!(pages.head("index.html").await?.size, 11);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.open(ResourceKind::Bucket, name, |provider, at| provider.blob(at)))
    }

    /// A topic of messages whose bodies are of type `T`, as JSON; of raw bytes where `T` is
    /// [`Bytes`](bytes::Bytes).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let greetings = Cloud::memory().topic::<String>("greetings");
    /// greetings.publish("hello".to_owned()).await?;
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn topic<T>(&self, name: &str) -> Topic<T> {
        Topic::new(self.open(ResourceKind::Topic, name, |provider, at| provider.pub_sub(at)))
    }

    /// For crates of portable types: a resource of any kind behind its driver trait `D`, opened by the
    /// [opener](crate::driver::Opener) of its kind. A provider without one is a problem that the start of the app lists,
    /// and the error of each operation.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// use isobar_abstraction::driver::key_value::{Key, KeyValue};
    /// use isobar_abstraction::driver::{Access, Resource, ResourceKind};
    /// let cloud = Cloud::memory();
    /// cloud.table::<u32>("ages").put("ada", &36).await?;
    /// let ages: Resource<dyn KeyValue> = cloud.resource(ResourceKind::Table, "ages");
    /// let ada = Key::from("ada");
    /// assert_eq!(ages.run("get", Access::Read, |driver| driver.get(&ada)).await?.unwrap().value, "36");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn resource<D: ?Sized + Send + Sync + 'static>(&self, kind: ResourceKind, name: &str) -> Resource<D> {
        let route = self.0.routes.get(&(kind, name.to_owned()));
        let openers = route.map_or(&self.0.openers[..], |route| route.openers);
        self.open(kind, name, |provider, at| {
            let opener = openers.iter().chain(&OWN).find(|opener| opener.kind == kind);
            let opener = opener.ok_or_else(|| kind.not_opened(provider.profile().provider))?;
            let driver = (opener.open)(&OpenRequest::new(provider, &self.0.environment, at))?.downcast();
            driver.ok_or_else(|| Error::internal(format!("the opener of the kind `{kind}` made another driver")))
        })
    }

    /// The provider that the app runs on.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().provider().profile().provider, "memory");
    /// ```
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// The profile of the provider that the app runs on.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().profile().provider, "memory");
    /// ```
    pub fn profile(&self) -> &'static Profile {
        self.0.provider.profile()
    }

    /// The limits that the portable types hold to.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().limits().item_bytes, 390_000);
    /// ```
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The clock of the provider that the app runs on.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// let clock = Cloud::memory().clock();
    /// // The clock of the cloud in memory stands still.
    /// assert_eq!(clock.now(), clock.now());
    /// ```
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.provider.clock()
    }

    fn open<D: ?Sized>(
        &self,
        kind: ResourceKind,
        name: &str,
        driver: impl FnOnce(&Arc<dyn Provider>, &Location) -> Result<Arc<D>>,
    ) -> Resource<D> {
        let grant = self.0.declared.declare(kind, name);
        let default;
        let (provider, location) = match self.0.routes.get(&(kind, name.to_owned())) {
            Some(route) => (&route.provider, &route.location),
            None => {
                default = Location::new(kind, name);
                (&self.0.provider, &default)
            }
        };
        let checked = check_name(name).and_then(|()| kind.check());
        let driver = checked.and_then(|()| driver(provider, location));
        let excused = |error: &Error| self.0.only_declares && error.kind() == ErrorKind::Unsupported;
        if let Some(error) = driver.as_ref().err().filter(|error| !excused(error)) {
            self.0.declared.report(format!("{kind} `{name}`: {}", error.message()));
        }
        Resource(
            Arc::new(ResourceInner {
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

    pub(crate) fn owns(&self, grant: &Grant) -> bool {
        self.0.declared.owns(grant)
    }

    /// For hosts and tests: from now on nothing more can be declared.
    pub(crate) fn seal(&self) {
        self.0.declared.seal();
    }

    /// The problems of what was opened, and the resources for the manifest.
    pub(crate) fn declared(&self, manifest: &mut Manifest) -> Vec<String> {
        let resource =
            |(kind, name, access, options)| DeclaredResource { options, ..DeclaredResource::new(kind, name, access) };
        manifest.resources.extend(self.0.declared.resources().into_iter().map(resource));
        self.0.declared.problems()
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("provider", &self.profile().provider).finish_non_exhaustive()
    }
}
