//! What an adapter implements.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob::Blob;
use crate::clock::Clock;
use crate::function::Function;
use crate::key_value::KeyValue;
use crate::manifest::Manifest;
use crate::profile::Profile;
use crate::pub_sub::PubSub;
use crate::resource::{Location, ResourceKind, ResourceUrl, check_name};
use crate::{Error, Result};

/// A provider of the services behind the portable types, and a host for a [`Function`].
///
/// Opening must be local, lazy and cheap: no connection, no file, no await. Implementers must
/// refuse unknown URL parameters ([`ResourceUrl::check_parameters`]) and must not create
/// anything on a cloud; the local and the in-memory provider create on first use.
///
/// [`ResourceUrl::check_parameters`]: crate::resource::ResourceUrl::check_parameters
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Limits and quirks.
    fn profile(&self) -> &'static Profile;

    /// The clock of all that this provider does.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Opens a table.
    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>>;

    /// Opens a bucket.
    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>>;

    /// Opens a topic.
    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>>;

    /// Runs the function until the platform says stop: turns the platform's events into
    /// [`Event`](crate::Event)s, and the replies back.
    async fn host(&self, app: Hosted) -> Result<()>;
}

/// What a host runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Hosted {
    /// The app.
    pub function: Arc<dyn Function>,
    /// What it declared.
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

/// One row of a table of providers: what it is called, what it claims, and how it is opened.
///
/// The table is open: a provider that is not isobar's own has a constant of this type as well, and
/// `isobar::main_with` takes it. No two rows of a table may claim the same name, scheme or mark.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Adapter {
    /// The provider's name: what `ISOBAR_PROVIDER` selects, and [`Profile::provider`].
    pub name: &'static str,
    /// The URL schemes that it opens.
    pub schemes: &'static [&'static str],
    /// Environment variables that only its platform sets: one of them selects the provider. Without any, it
    /// is not a platform but runs anywhere.
    pub marks: &'static [&'static str],
    /// Builds the provider from the environment. Must be cheap: no connection, no file.
    pub open: fn(&Environment) -> Result<Arc<dyn Provider>>,
    /// Does the platform run one event at a time? Then one thread serves it.
    pub single_threaded: bool,
    /// How other kinds of resources than tables, buckets and topics are opened; a kind has one.
    pub openers: &'static [Opener],
}

impl Adapter {
    /// A provider without a mark, for a runtime of many threads.
    pub const fn new(
        name: &'static str,
        schemes: &'static [&'static str],
        open: fn(&Environment) -> Result<Arc<dyn Provider>>,
    ) -> Self {
        Self { name, schemes, marks: &[], open, single_threaded: false, openers: &[] }
    }

    /// The same, selected where one of these environment variables is set.
    #[must_use]
    pub const fn with_marks(self, marks: &'static [&'static str]) -> Self {
        Self { marks, ..self }
    }

    /// The same, which opens these kinds too.
    #[must_use]
    pub const fn with_openers(self, openers: &'static [Opener]) -> Self {
        Self { openers, ..self }
    }

    /// The same, for a platform that runs one event at a time.
    #[must_use]
    pub const fn with_single_thread(self) -> Self {
        Self { single_threaded: true, ..self }
    }
}

/// How a provider opens one kind of resource: a row for a crate of portable types beside those of isobar's own.
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
    /// The kind that it opens.
    pub kind: ResourceKind,
    /// Opens one, as [`Provider`]'s own methods do: local, lazy and cheap.
    pub open: fn(&OpenRequest<'_>) -> Result<AnyDriver>,
}

impl Opener {
    /// An opener of this kind.
    pub const fn new(kind: ResourceKind, open: fn(&OpenRequest<'_>) -> Result<AnyDriver>) -> Self {
        Self { kind, open }
    }
}

/// What an [`Opener`] opens a resource with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OpenRequest<'a> {
    /// The provider that it belongs to.
    pub provider: &'a Arc<dyn Provider>,
    /// The environment of the process.
    pub environment: &'a Environment,
    /// The resource.
    pub at: &'a Location,
}

impl<'a> OpenRequest<'a> {
    pub(crate) fn new(provider: &'a Arc<dyn Provider>, environment: &'a Environment, at: &'a Location) -> Self {
        Self { provider, environment, at }
    }
}

/// A driver of any kind, as an [`Opener`] returns it.
pub struct AnyDriver(Box<dyn Any + Send + Sync>);

impl AnyDriver {
    /// A driver behind its trait, such as `Arc<dyn KeyValue>`.
    pub fn new<D: ?Sized + Send + Sync + 'static>(driver: Arc<D>) -> Self {
        Self(Box::new(driver))
    }

    /// The driver, where it is a `D`.
    pub(crate) fn downcast<D: ?Sized + Send + Sync + 'static>(self) -> Option<Arc<D>> {
        self.0.downcast::<Arc<D>>().ok().map(|driver| *driver)
    }
}

impl fmt::Debug for AnyDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyDriver")
    }
}

/// The process's environment variables and arguments, read once and passed on.
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
}

impl Environment {
    /// From variables and arguments, the program's own name not among them.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, args: impl IntoIterator<Item = String>) -> Self {
        Self { vars: vars.into_iter().collect(), args: args.into_iter().collect() }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// The same with one more argument.
    #[must_use]
    pub fn with_arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable, if it is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables whose names begin with `prefix`, without it.
    pub fn vars_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.vars.iter();
        all.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// [`locations_of`](Self::locations_of) tables, buckets and topics.
    pub fn locations(&self) -> Result<Vec<(String, Location)>> {
        self.locations_of(&ResourceKind::OWN)
    }

    /// The resources of these kinds that variables place elsewhere than where they are by default, of all providers, each
    /// with its variable: `ISOBAR_TABLE_<NAME>`, `ISOBAR_BUCKET_<NAME>`, `ISOBAR_TOPIC_<NAME>`, and alike for other kinds. A
    /// `-` of the logical name is a `_` there.
    ///
    /// Errors: `Config`, naming the variable, for a malformed name or URL, and for two variables of one resource.
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
                    return Err(named(Error::config(format!("another variable places the {kind} `{name}` too"))));
                }
                let url = ResourceUrl::parse(text).map_err(named)?;
                placed.push((variable, Location::new(kind, name).with_url(url)));
            }
        }
        Ok(placed)
    }

    /// The arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// A variable parsed as `T`. Errors: `Config`, naming the variable and what is wanted.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>> {
        let Some(value) = self.var(name) else { return Ok(None) };
        let wrong = |_| Error::config(format!("{name} is `{value}`; it must be {wanted}"));
        value.parse().map(Some).map_err(wrong)
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("vars", &self.vars.keys()).finish_non_exhaustive()
    }
}
