//! [`Cloud`]: the factory of tables, buckets and topics that an app is built with.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use crate::access::{Grant, Registry};
use crate::blob::Bucket;
use crate::clock::Clock;
use crate::handle::{Resource, ResourceInner};
use crate::key_value::Table;
use crate::manifest::{DeclaredResource, Manifest};
use crate::memory::MemoryProvider;
use crate::once::Once;
use crate::profile::{Limits, Profile};
use crate::provider::{AnyDriver, Environment, Instance, OpenRequest, Opener, Provider};
use crate::pub_sub::Topic;
use crate::resource::{Location, ResourceKind, ResourceUrl, check_name};
use crate::secret::config::parse;
use crate::secret::{self, Config, Secret, Source};
use crate::{Error, ErrorKind, Result};

/// The cloud that the app runs on. It opens tables, buckets and topics by logical name. Cheap to clone.
///
/// Opening is local, lazy and cheap: it makes no connection, does not wait and does not fail. An invalid name is reported
/// when the app starts. A resource that does not exist is `NotFound` at its first use; the laptop and the cloud in memory
/// create resources at first use, the clouds never do: a deployment must.
///
/// The resources that are opened while the app is built are its declaration: see [`Manifest`]. A handle that is opened
/// after the start has the access that was declared for its name before, or none.
///
/// A logical name has 3 to 40 characters of `a-z`, `0-9` and single `-`, begins with a letter and does not end with `-`.
/// A variable such as `ISOBAR_TABLE_NOTES` gives one resource another place, also at another provider.
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
    /// The store in `ISOBAR_SECRETS`, with its provider.
    store: Option<(Arc<dyn Provider>, ResourceUrl)>,
    /// Ignores resources of kinds without an opener, because they are only declared.
    only_declares: bool,
    limits: Limits,
    declared: Registry,
}

/// The place of a resource that is not at the cloud's own provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// The provider that opens it.
    pub provider: Arc<dyn Provider>,
    /// The name and the URL of the resource.
    pub location: Location,
    /// The openers in that provider's [`Adapter`](crate::provider::Adapter).
    pub openers: &'static [Opener],
}

impl Route {
    /// A resource at another provider, and the openers of that provider.
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
    /// A cloud whose resources are all at `provider`, with the portable limits.
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

    /// A cloud at `provider`, with some resources at other providers. Each route is for one resource, by kind and name.
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
        let (store, only_declares, limits) = (None, false, Limits::PORTABLE);
        Self(Arc::new(Inner { provider, routes, openers, environment, store, only_declares, limits, declared }))
    }

    /// A new, empty cloud in memory. Its clock does not move until it is advanced.
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

    /// For hosts: a cloud in memory that prints the [manifest](crate::manifest) of an app. It accepts resources of every
    /// kind; those of a kind without an opener can be declared but not used.
    ///
    /// ```
    /// use isobar_abstraction::driver::{ResourceKind, key_value::KeyValue};
    /// use isobar_abstraction::{App, Cloud, Error};
    /// let cloud = Cloud::declaration();
    /// let _cache = cloud.resource::<dyn KeyValue>(ResourceKind::Other("cache"), "pages");
    /// assert_eq!(App::new("shop").start(&cloud)?.resources[0].kind, "cache");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn declaration() -> Self {
        Self::memory().with(|inner| inner.only_declares = true)
    }

    /// Uses the provider's own limits instead of the portable ones.
    ///
    /// Data beyond the portable limits cannot move to every other provider. On AWS an item then has up to 409,509 bytes,
    /// on Azure 1,500,000 and on Google Cloud 1,040,380, instead of 390,000: see `mappings.md`.
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

    /// For hosts and tests: sets the environment, which contains values of secrets and configuration, and adds openers of
    /// other kinds of resources. Tables, buckets and topics need none.
    #[must_use]
    pub fn with_openers(self, openers: &[Opener], environment: &Environment) -> Self {
        self.with(|inner| {
            inner.openers.extend_from_slice(openers);
            inner.environment = environment.clone();
        })
    }

    /// For hosts: sets the provider of the store of secrets in `ISOBAR_SECRETS`, and its URL. Without it the cloud's own
    /// provider opens its store.
    #[must_use]
    pub fn with_secret_store(self, provider: Arc<dyn Provider>, url: ResourceUrl) -> Self {
        self.with(|inner| inner.store = Some((provider, url)))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Opens a key-value table with values of type `T`: JSON, or bytes without change if `T` is [`Bytes`](bytes::Bytes).
    ///
    /// The handle reads and writes, until [`Table::read_only`] or [`Table::write_only`] reduces its access.
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

    /// Opens the table of a [`Once`]: work that runs once for each key.
    ///
    /// In the declaration of the app it is a table that is read and written.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, Context};
    /// let cloud = Cloud::memory();
    /// let cx = Context::new("memory", cloud.clock());
    /// let mails = cloud.once("mails");
    /// mails.run(&cx, "order-7", async |_attempt| Ok(())).await?.into_value()?;
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn once(&self, name: &str) -> Once {
        Once::new(self.open(ResourceKind::Table, name, |provider, at| provider.key_value(at)))
    }

    /// Opens a bucket of objects.
    ///
    /// The handle reads and writes, until [`Bucket::read_only`] or [`Bucket::write_only`] reduces its access.
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

    /// Opens a topic of messages with bodies of type `T`: JSON, or bytes without change if `T` is
    /// [`Bytes`](bytes::Bytes).
    ///
    /// The handle publishes, until [`Topic::subscribe_only`] removes that access.
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

    /// Opens a secret. It has a value before the app starts, or [`optional`](Secret::optional) is called.
    ///
    /// At the start a missing value is an error on a laptop; a cloud finds it at the first use.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let token = Cloud::memory().secret("api-token");
    /// let missing = token.get().await.unwrap_err();
    /// assert!(missing.message().contains("ISOBAR_SECRET_API_TOKEN"), "{missing}");
    /// # });
    /// ```
    pub fn secret(&self, name: &str) -> Secret {
        let is_optional = Arc::default();
        Secret::new(self.value(ResourceKind::Secret, name, &is_optional, |_, _| Ok(())), is_optional)
    }

    /// Opens a configuration: JSON that is a `T`. The rules are those of [`secret`](Self::secret).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let limit = Cloud::memory().config::<u32>("limit").optional();
    /// assert_eq!(limit.find().await?, None);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn config<T: DeserializeOwned + 'static>(&self, name: &str) -> Config<T> {
        let is_optional = Arc::default();
        Config::new(self.value(ResourceKind::Config, name, &is_optional, parse::<T>), is_optional)
    }

    fn value<V: 'static>(
        &self,
        kind: ResourceKind,
        name: &str,
        is_optional: &Arc<AtomicBool>,
        parse: secret::Parse<V>,
    ) -> Resource<Source> {
        let (provider, url) = match &self.0.store {
            Some((provider, url)) => (provider, Some(url.clone())),
            None => (&self.0.provider, None),
        };
        let variable = kind.variable(name);
        let fixed = self.0.environment.var(&variable).map(str::to_owned);
        let resource = self.open_at(provider, Location::new(kind, name), move |provider, at| {
            Ok(Arc::new(match &fixed {
                Some(value) => Source::of_variable(variable.clone(), value),
                None => {
                    let (store, prefix) = (provider.secrets(url.as_ref())?, provider.prefix().get()?);
                    Source::in_store(variable.clone(), store, format!("{prefix}{}", at.name()))
                }
            }))
        });
        let (opened, is_optional) = (Arc::clone(&resource.0), Arc::clone(is_optional));
        let (only_declares, limit) = (self.0.only_declares, self.0.limits.secret_bytes);
        self.0.declared.check_at_start(move |declared| {
            let is_optional = is_optional.load(Ordering::Relaxed);
            if !is_optional {
                declared.declare_option(kind, &opened.name, "required", &true.into());
            }
            // The error of opening it is a problem already.
            let source = opened.opened().as_ref().ok().filter(|_| !only_declares)?;
            let error = secret::check(source, kind, limit, is_optional, parse).err()?;
            Some(format!("{}: {}", opened.description, error.message()))
        });
        resource
    }

    /// For crates of portable types: opens a resource of any kind by the [opener](crate::driver::Opener) of its kind, behind
    /// its driver trait `D`.
    ///
    /// Without an opener the start of the app reports a problem, and each operation returns `Unsupported`. An opener of a
    /// driver that is not a `D` is an `Internal` error.
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
        let opener = openers.iter().chain(&OWN).find(|opener| opener.kind == kind).copied();
        let environment = self.0.environment.clone();
        self.open(kind, name, move |provider, at| {
            let opener = opener.ok_or_else(|| kind.not_opened(provider.profile().provider))?;
            let driver = (opener.open)(&OpenRequest::new(provider, &environment, at))?.downcast();
            driver.ok_or_else(|| {
                Error::internal(format!("the opener of the kind `{kind}` returned another driver trait"))
            })
        })
    }

    /// The provider that the app runs on. Resources with a route are at others.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().provider().profile().provider, "memory");
    /// ```
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// The profile of the provider that the app runs on: its own limits and its differences.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().profile().provider, "memory");
    /// ```
    pub fn profile(&self) -> &'static Profile {
        self.0.provider.profile()
    }

    /// The limits that the portable types check: [`Limits::PORTABLE`], or those of the provider after
    /// [`allow_provider_limits`](Self::allow_provider_limits).
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
    /// // The clock of the cloud in memory does not move.
    /// assert_eq!(clock.now(), clock.now());
    /// ```
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.provider.clock()
    }

    /// For crates of isobar: the process that uses the provider of a resource. See [`Provider::instance`].
    pub fn instance(&self, kind: ResourceKind, name: &str) -> Instance {
        let route = self.0.routes.get(&(kind, name.to_owned()));
        route.map_or(&self.0.provider, |route| &route.provider).instance()
    }

    fn open<D: ?Sized + Send + Sync + 'static>(
        &self,
        kind: ResourceKind,
        name: &str,
        driver: impl Fn(&Arc<dyn Provider>, &Location) -> Result<Arc<D>> + Send + Sync + 'static,
    ) -> Resource<D> {
        match self.0.routes.get(&(kind, name.to_owned())) {
            Some(route) => self.open_at(&route.provider, route.location.clone(), driver),
            None => self.open_at(&self.0.provider, Location::new(kind, name), driver),
        }
    }

    /// The handle of a resource. Its driver is opened later: the names of a stage contain that of the app.
    fn open_at<D: ?Sized + Send + Sync + 'static>(
        &self,
        provider: &Arc<dyn Provider>,
        at: Location,
        driver: impl Fn(&Arc<dyn Provider>, &Location) -> Result<Arc<D>> + Send + Sync + 'static,
    ) -> Resource<D> {
        let (kind, name) = (at.kind(), at.name().to_owned());
        let grant = self.0.declared.declare(kind, &name);
        let opens = Arc::clone(provider);
        let open = move || {
            check_name(at.name())?;
            kind.check()?;
            driver(&opens, &at)
        };
        let inner = Arc::new(ResourceInner {
            kind,
            description: format!("{kind} `{name}`"),
            name,
            driver: OnceLock::new(),
            open: Box::new(open),
            limits: self.0.limits,
            profile: provider.profile(),
            clock: provider.clock(),
        });
        let (opened, only_declares) = (Arc::clone(&inner), self.0.only_declares);
        self.0.declared.check_at_start(move |_| {
            let error = opened.opened().as_ref().err()?;
            let is_ignored = only_declares && error.kind() == ErrorKind::Unsupported;
            (!is_ignored).then(|| format!("{}: {}", opened.description, error.message()))
        });
        Resource(inner, grant)
    }

    /// The name of the provider of a resource, if it is not that of this cloud.
    pub(crate) fn other_provider_of(&self, kind: ResourceKind, name: &str) -> Option<&'static str> {
        let route = self.0.routes.get(&(kind, name.to_owned()))?;
        let provider = route.provider.profile().provider;
        (provider != self.profile().provider).then_some(provider)
    }

    pub(crate) fn owns(&self, grant: &Grant) -> bool {
        self.0.declared.owns(grant)
    }

    /// Ends the declaration: later, nothing more can be declared.
    pub(crate) fn seal(&self) {
        self.0.declared.seal();
    }

    /// Adds the declared resources to the manifest, and returns the problems of opening them.
    pub(crate) fn declared(&self, manifest: &mut Manifest) -> Vec<String> {
        let problems = self.0.declared.problems();
        let resource =
            |(kind, name, access, options)| DeclaredResource { options, ..DeclaredResource::new(kind, name, access) };
        manifest.resources.extend(self.0.declared.resources().into_iter().map(resource));
        problems
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("provider", &self.profile().provider).finish_non_exhaustive()
    }
}
