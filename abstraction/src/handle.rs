//! The handle inside every portable type: access, spans and the context of errors around each driver.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::access::{Access, Grant};
use crate::clock::Clock;
use crate::profile::{Limits, Profile};
use crate::resource::ResourceKind;
use crate::{Error, ErrorKind, Origin, Result};

/// A resource that an app has opened, with its driver `D`. It checks access, opens spans, and adds the context of errors.
/// Cheap to clone. [`Cloud::resource`](crate::Cloud::resource) opens it.
///
/// For implementers of a portable type: check the arguments first, and pass the error of a wrong one through
/// [`explain`](Self::explain). Call the driver through [`run`](Self::run) only; it does the rest.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::driver::{Access, Resource, ResourceKind};
/// use isobar_abstraction::driver::key_value::{Key, KeyValue};
/// use isobar_abstraction::{Cloud, Result};
///
/// /// A portable type that reports whether a table contains an item.
/// struct Presence(Resource<dyn KeyValue>);
///
/// impl Presence {
///     fn open(cloud: &Cloud, name: &str) -> Self {
///         Self(cloud.resource(ResourceKind::Table, name).with_access(Access::Read))
///     }
///
///     async fn has(&self, key: &Key) -> Result<bool> {
///         Ok(self.0.run("has", Access::Read, |driver| driver.get(key)).await?.is_some())
///     }
/// }
///
/// let cloud = Cloud::memory();
/// cloud.table::<u32>("stock").put("nails", &7).await?;
/// assert!(Presence::open(&cloud, "stock").has(&Key::from("nails")).await?);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
pub struct Resource<D: ?Sized>(pub(crate) Arc<ResourceInner<D>>, pub(crate) Grant);

/// The part that all handles of a resource share.
#[doc(hidden)]
#[allow(missing_debug_implementations)] // apps cannot name this type
pub struct ResourceInner<D: ?Sized> {
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) driver: OnceLock<Result<Arc<D>>>,
    pub(crate) open: Box<dyn Fn() -> Result<Arc<D>> + Send + Sync>,
    pub(crate) limits: Limits,
    pub(crate) profile: &'static Profile,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<D: ?Sized> ResourceInner<D> {
    /// The driver, which the first call opens: physical names are known after the start of the app.
    pub(crate) fn opened(&self) -> &Result<Arc<D>> {
        self.driver.get_or_init(|| (self.open)())
    }
}

impl<D: ?Sized> Clone for Resource<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1.clone())
    }
}

impl<D: ?Sized> std::ops::Deref for Resource<D> {
    type Target = ResourceInner<D>;
    fn deref(&self) -> &ResourceInner<D> {
        &self.0
    }
}

impl<D: ?Sized> fmt::Debug for Resource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`, {:?}", self.description, self.profile.provider, self.1.access())
    }
}

impl<D: ?Sized> Resource<D> {
    /// The logical name of the resource.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The profile of the provider that opened it.
    pub fn profile(&self) -> &'static Profile {
        self.0.profile
    }

    /// The limits that the portable type must check: the portable ones, or those of the provider.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The clock of the provider that opened it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Reduces the access of this handle to `access` at most, also in the declaration. Clones from before keep theirs.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self(self.0, self.1.narrow(access))
    }

    /// Declares an option of the resource in the [manifest](crate::manifest). If two handles declare different values of one
    /// option, the start of the app reports a problem.
    #[must_use]
    pub fn with_option(self, name: &str, value: impl Into<Value>) -> Self {
        self.1.declare_option(name, &value.into());
        self
    }

    /// Reports a problem of the declaration, which the start of the app returns.
    pub(crate) fn report(&self, problem: &str) {
        self.1.report(format!("{}: {problem}", self.description));
    }

    /// The driver, if the handle has the access `needs`.
    ///
    /// Errors: those of opening it; `PermissionDenied` of the [`Origin::Request`](crate::Origin) if the access is missing.
    /// Over HTTP that is a 500: the app declares too little, and its client cannot change that.
    pub fn driver(&self, operation: &'static str, needs: Access) -> Result<&Arc<D>> {
        let granted = self.1.access();
        if !granted.includes(needs) {
            return Err(self.explain(operation, self.missing_access(granted, needs)));
        }
        self.opened().as_ref().map_err(|error| self.explain(operation, error.clone().of_driver()))
    }

    fn missing_access(&self, granted: Access, needs: Access) -> Error {
        let message = match granted {
            Access::None => format!("it was not declared; open the {} in the app function", self.kind),
            granted => format!("it needs {needs:?} access, the handle has {granted:?}"),
        };
        Error::new(ErrorKind::PermissionDenied, message)
    }

    /// Adds operation, resource and origin to an error that does not have them.
    ///
    /// The origin of an error that no driver returned is `Request`, because the arguments are wrong. That of a `Conflict`
    /// is `Data`: a text that cannot be a version counts as an old version.
    pub fn explain(&self, operation: &'static str, error: Error) -> Error {
        let origin = if error.kind() == ErrorKind::Conflict { Origin::Data } else { Origin::Request };
        error.with_origin(origin).with_operation(operation).with_resource(self.description.as_str())
    }

    /// Runs one operation of the driver inside a span, and adds operation, resource and origin to its error.
    ///
    /// Errors: those of [`driver`](Self::driver) and of the call.
    pub async fn run<'a, T, F>(
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
