//! [`Provider`] and [`Adapter`]: the entry points that an adapter implements.
//!
//! Providers are rows of a table, not features with `cfg` in the code. A crate outside of this repository adds its own row,
//! and has the same selection, routing and manifest as isobar's providers.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::blob::Blob;
use crate::clock::Clock;
use crate::context::random_id;
use crate::event_queue::EventQueue;
use crate::function::Function;
use crate::key_value::KeyValue;
use crate::manifest::Manifest;
use crate::prefix::{ISOBAR_PREFIX, ISOBAR_STAGE, Prefix};
use crate::profile::Profile;
use crate::pub_sub::PubSub;
use crate::pub_sub::backlog::Backlog;
use crate::resource::{Location, ResourceKind, ResourceUrl, check_name};
use crate::secret::driver::SecretStore;
use crate::{Error, Result};

/// The variable with the URL of the store of secrets and configuration, such as `keyvault://VAULT`.
pub const ISOBAR_SECRETS: &str = "ISOBAR_SECRETS";

/// A provider of the services behind the portable types, and a host for a [`Function`].
///
/// Implementers:
/// - must open resources locally, lazily and cheaply: no connection, no file, no await, because every cold start opens all
///   resources;
/// - must return `Config` for a name or a URL that they cannot use, and must reject unknown URL parameters with
///   [`ResourceUrl::check_parameters`];
/// - must return `Unsupported` for a service that they do not have;
/// - must not create anything on a cloud; the local provider and that in memory create resources at first use;
/// - must use their clock for every time that they read;
/// - must read configuration from [`Environment`] only, never from the process.
///
/// [`ResourceUrl::check_parameters`]: crate::resource::ResourceUrl::check_parameters
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// The limits and differences of the provider.
    fn profile(&self) -> &'static Profile;

    /// The clock of all operations of this provider.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Opens a table. Errors: `Config`, `Unsupported`.
    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>>;

    /// Opens a bucket. Errors: `Config`, `Unsupported`.
    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>>;

    /// Opens a topic. Errors: `Config`, `Unsupported`.
    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>>;

    /// The process that uses this provider. A caller must keep the value: each call may return another one.
    ///
    /// A provider whose data one process at a time can open returns [`Instance::alone`], always with the same id, so that
    /// what an earlier process left unfinished can go on immediately.
    fn instance(&self) -> Instance {
        Instance::shared()
    }

    /// The prefix of the names of resources without a URL, and of the keys in a store of secrets.
    fn prefix(&self) -> Prefix {
        Prefix::default()
    }

    /// Opens a store of secrets and configuration: that of the URL in `ISOBAR_SECRETS`, whose scheme is one of this provider's,
    /// or without a URL the provider's own.
    ///
    /// Errors: `Config`; `Unsupported` without this method.
    fn secrets(&self, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        let _ = url;
        let instead = "set ISOBAR_SECRETS to the URL of a store at another provider";
        Err(Error::unsupported("open the store of secrets", self.profile().provider, instead))
    }

    /// Opens the waiting messages and dead letters of a queue, for a tool.
    ///
    /// Errors: `Config`; `Unsupported` without this method.
    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        let _ = queue;
        let instead = "let the app handle the messages of its queues before you move its data";
        Err(Error::unsupported("open the backlog of a queue", self.profile().provider, instead))
    }

    /// Checks, without a call, that the names which the triggers need fit the services, and are different. [`host`](Self::host)
    /// must call it before it serves; a tool calls it before a deployment.
    ///
    /// Errors: `Config` with the first problem. Without this method all names fit.
    fn check(&self, manifest: &Manifest) -> Result<()> {
        let _ = manifest;
        Ok(())
    }

    /// Runs the function until the platform stops the process: converts the platform's events to [`Event`](crate::Event)s,
    /// calls the functions of [`host`](crate::driver::host), and sends the replies.
    ///
    /// It must end running calls before it returns, as far as the platform gives time for that. Errors: `Config` for a
    /// configuration that cannot be served; `Unavailable` if the platform cannot be reached.
    async fn host(&self, app: Hosted) -> Result<()>;
}

/// The process that uses a provider, among others or alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// A random id.
    pub id: Arc<str>,
    /// Can no other process use the same data now?
    pub alone: bool,
}

impl Instance {
    /// A process among others, with a new id.
    pub fn shared() -> Self {
        Self { id: random_id(), alone: false }
    }

    /// The only process, with a new id.
    pub fn alone() -> Self {
        Self { id: random_id(), alone: true }
    }
}

/// An app that a host runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Hosted {
    /// The app, to call through [`host`](crate::driver::host).
    pub function: Arc<dyn Function>,
    /// The declaration of the app: the triggers that the host must serve.
    pub manifest: Arc<Manifest>,
}

impl Hosted {
    /// An app with its manifest.
    pub fn new(function: impl Function, manifest: Arc<Manifest>) -> Self {
        Self { function: Arc::new(function), manifest }
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

/// One row of a table of providers: the name of a provider, its schemes and marks, and the function that opens it.
///
/// The table is open: a provider outside of isobar also has a constant of this type, which `isobar::main_with` accepts. Two
/// rows of a table must not have the same name, scheme or mark.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Adapter {
    /// The name of the provider: the value of `ISOBAR_PROVIDER`, equal to [`Profile::provider`].
    pub name: &'static str,
    /// The schemes of the URLs that it opens, such as `dynamodb`.
    pub schemes: &'static [&'static str],
    /// Environment variables that only its platform sets. If one of them is set, this provider is selected. A provider that
    /// is not a platform has none.
    pub marks: &'static [&'static str],
    /// Builds the provider from the environment. It must be cheap: no connection, no file. Errors: `Config`, with the name of
    /// the variable.
    pub open: fn(&Environment) -> Result<Arc<dyn Provider>>,
    /// Does the platform deliver one event at a time? Then the runtime has one thread.
    pub single_threaded: bool,
    /// The openers of other kinds of resources than tables, buckets and topics, at most one for each kind.
    pub openers: &'static [Opener],
    /// Completes the environment if this provider is the host, such as from a file. Errors: `Config`.
    pub complete: Option<fn(Environment) -> Result<Environment>>,
}

impl Adapter {
    /// A row without marks and openers, with a runtime of many threads.
    pub const fn new(
        name: &'static str,
        schemes: &'static [&'static str],
        open: fn(&Environment) -> Result<Arc<dyn Provider>>,
    ) -> Self {
        Self { name, schemes, marks: &[], open, single_threaded: false, openers: &[], complete: None }
    }

    /// Sets the environment variables that select the provider.
    #[must_use]
    pub const fn with_marks(self, marks: &'static [&'static str]) -> Self {
        Self { marks, ..self }
    }

    /// Sets the openers of other kinds of resources.
    #[must_use]
    pub const fn with_openers(self, openers: &'static [Opener]) -> Self {
        Self { openers, ..self }
    }

    /// Sets the function that completes the environment of the host.
    #[must_use]
    pub const fn with_environment(self, complete: fn(Environment) -> Result<Environment>) -> Self {
        Self { complete: Some(complete), ..self }
    }

    /// Sets that the platform delivers one event at a time.
    #[must_use]
    pub const fn with_single_thread(self) -> Self {
        Self { single_threaded: true, ..self }
    }
}

/// A function that opens one kind of resource at a provider, for a crate of portable types in addition to isobar's own.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use isobar_abstraction::driver::{Access, AnyDriver, Environment, Opener, Resource, ResourceKind};
/// use isobar_abstraction::{Cloud, Result};
///
/// #[async_trait::async_trait]
/// trait Dice: Send + Sync {
///     async fn roll(&self) -> Result<u32>;
/// }
///
/// struct Loaded;
/// #[async_trait::async_trait]
/// impl Dice for Loaded {
///     async fn roll(&self) -> Result<u32> {
///         Ok(6)
///     }
/// }
///
/// const DICE: ResourceKind = ResourceKind::Other("dice");
/// const OPENER: Opener = Opener::new(DICE, |_| Ok(AnyDriver::new(Arc::new(Loaded) as Arc<dyn Dice>)));
///
/// let cloud = Cloud::memory().with_openers(&[OPENER], &Environment::default());
/// let dice: Resource<dyn Dice> = cloud.resource(DICE, "red");
/// assert_eq!(dice.run("roll", Access::Read, |driver| driver.roll()).await?, 6);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Opener {
    /// The kind of resource that it opens.
    pub kind: ResourceKind,
    /// Opens a resource. It must be local, lazy and cheap, like the methods of [`Provider`].
    pub open: fn(&OpenRequest<'_>) -> Result<AnyDriver>,
}

impl Opener {
    /// An opener of a kind of resource.
    pub const fn new(kind: ResourceKind, open: fn(&OpenRequest<'_>) -> Result<AnyDriver>) -> Self {
        Self { kind, open }
    }
}

/// The arguments of an [`Opener`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OpenRequest<'a> {
    /// The provider of the resource, for its clock and its profile.
    pub provider: &'a Arc<dyn Provider>,
    /// The environment of the process, for configuration.
    pub environment: &'a Environment,
    /// The name and the URL of the resource.
    pub at: &'a Location,
}

impl<'a> OpenRequest<'a> {
    pub(crate) fn new(provider: &'a Arc<dyn Provider>, environment: &'a Environment, at: &'a Location) -> Self {
        Self { provider, environment, at }
    }
}

/// A driver of any trait, the result of an [`Opener`].
pub struct AnyDriver(Box<dyn Any + Send + Sync>);

impl AnyDriver {
    /// Wraps a driver behind its trait, such as `Arc<dyn KeyValue>`.
    pub fn new<D: ?Sized + Send + Sync + 'static>(driver: Arc<D>) -> Self {
        Self(Box::new(driver))
    }

    /// The driver; `None` if it is not a `D`.
    pub(crate) fn downcast<D: ?Sized + Send + Sync + 'static>(self) -> Option<Arc<D>> {
        self.0.downcast::<Arc<D>>().ok().map(|driver| *driver)
    }
}

impl fmt::Debug for AnyDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyDriver")
    }
}

/// The environment variables and arguments of the process. They are read once in `main` and passed on, so that a test can set
/// them, and no adapter reads the process itself.
///
/// ```
/// use isobar_abstraction::driver::Environment;
/// let environment = Environment::default().with_var("PORT", "8080");
/// assert_eq!(environment.var("PORT"), Some("8080"));
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    vars: BTreeMap<String, String>,
    args: Vec<String>,
    /// The name of the app, from its start.
    app: Arc<OnceLock<String>>,
}

impl Environment {
    /// An environment of these variables and arguments. The arguments do not contain the name of the program.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, args: impl IntoIterator<Item = String>) -> Self {
        Self { vars: vars.into_iter().collect(), args: args.into_iter().collect(), app: Arc::default() }
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// Adds a variable, unless it is set.
    #[must_use]
    pub fn with_default(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.entry(name.into()).or_insert_with(|| value.into());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn with_arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The value of a variable; `None` if it is not set or empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables whose names begin with `prefix`: the rest of the name, and the value, which can be empty.
    pub fn vars_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.vars.iter();
        all.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// The prefix of physical names: that of [`ISOBAR_PREFIX`], or `<app>-<stage>-` with [`ISOBAR_STAGE`]. Errors: `Config`.
    ///
    /// ```
    /// use isobar_abstraction::driver::Environment;
    /// let environment = Environment::default().with_var("ISOBAR_STAGE", "dev");
    /// let prefix = environment.prefix()?;
    /// environment.set_app("shop");
    /// assert_eq!(prefix.get()?, "shop-dev-");
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn prefix(&self) -> Result<Prefix> {
        Prefix::of(self.var(ISOBAR_PREFIX), self.var(ISOBAR_STAGE), &self.app)
    }

    /// For hosts: sets the name of the app, for the prefix of a stage. Only the first call has an effect, also on clones of
    /// this environment.
    pub fn set_app(&self, name: &str) {
        let _ = self.app.set(name.to_owned());
    }

    /// The configured places of tables, buckets and topics: see [`locations_of`](Self::locations_of).
    pub fn locations(&self) -> Result<Vec<(String, Location)>> {
        self.locations_of(&ResourceKind::OWN)
    }

    /// The resources of these kinds with a configured URL, each with the name of its variable: `ISOBAR_TABLE_<NAME>`,
    /// `ISOBAR_BUCKET_<NAME>`, `ISOBAR_TOPIC_<NAME>`, and the same form for other kinds. A `-` of the logical name is a `_` in
    /// the variable. Empty variables are ignored.
    ///
    /// Errors: `Config` with the name of the variable for an invalid name or URL, and for two variables of one resource.
    ///
    /// ```
    /// use isobar_abstraction::driver::Environment;
    /// let environment = Environment::default().with_var("ISOBAR_TABLE_MY_LINKS", "dynamodb://links-prod");
    /// let (variable, location) = environment.locations()?.remove(0);
    /// assert_eq!((variable.as_str(), location.name()), ("ISOBAR_TABLE_MY_LINKS", "my-links"));
    /// assert_eq!(location.physical_name(), "links-prod");
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn locations_of(&self, kinds: &[ResourceKind]) -> Result<Vec<(String, Location)>> {
        let mut placed: Vec<(String, Location)> = Vec::new();
        for &kind in kinds {
            let prefix = kind.variable_prefix();
            for (name, text) in self.vars_with_prefix(&prefix).filter(|(_, text)| !text.is_empty()) {
                let variable = format!("{prefix}{name}");
                let named = |error: Error| Error::config(format!("{variable}: {}", error.message()));
                let name = ResourceKind::name_in_variable(name);
                check_name(&name).map_err(named)?;
                if placed.iter().any(|(_, at)| at.kind() == kind && at.name() == name) {
                    return Err(named(Error::config(format!(
                        "another variable is for the {kind} `{name}` too; remove one of them"
                    ))));
                }
                let url = ResourceUrl::parse(text).map_err(named)?;
                placed.push((variable, Location::new(kind, name).with_url(url)));
            }
        }
        Ok(placed)
    }

    /// The URL in [`ISOBAR_SECRETS`]; `None` for the store of the provider. Errors: `Config`, naming the variable.
    pub fn secret_store(&self) -> Result<Option<ResourceUrl>> {
        let named = |error: Error| Error::config(format!("{ISOBAR_SECRETS}: {}", error.message()));
        self.var(ISOBAR_SECRETS).map(ResourceUrl::parse_store).transpose().map_err(named)
    }

    /// The arguments of the process, without the name of the program.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The value of a variable, parsed as a `T`; `None` if it is not set or empty. `expected` describes the values for an
    /// error, such as `a number of seconds`.
    ///
    /// Errors: `Config` with the variable, its value and `expected`. Do not use it for secrets.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>> {
        let Some(value) = self.var(name) else { return Ok(None) };
        let wrong = |_| Error::config(format!("{name} is `{value}`; it must be {expected}"));
        value.parse().map(Some).map_err(wrong)
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("vars", &self.vars.keys()).finish_non_exhaustive()
    }
}
