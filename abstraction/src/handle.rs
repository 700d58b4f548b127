//! The handle inside every portable type: what all of them do alike around their drivers.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::access::{Access, Grant};
use crate::clock::Clock;
use crate::profile::{Limits, Profile};
use crate::resource::ResourceKind;
use crate::{Error, ErrorKind, Origin, Result};

/// A resource that an app has opened, for a portable type around its driver `D`: it checks access, makes spans, and
/// gives errors their context. Cheap to clone. [`Cloud::resource`](crate::Cloud::resource) opens it.
///
/// A portable type refuses arguments before it calls the driver, and [explains](Self::explain) such an error;
/// [`run`](Self::run) does all else.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::driver::{Access, Resource, ResourceKind};
/// use isobar_abstraction::driver::key_value::{Key, KeyValue};
/// use isobar_abstraction::{Cloud, Result};
///
/// /// Does a table have an item?
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

/// What all handles of a resource share.
#[doc(hidden)]
#[allow(missing_debug_implementations)] // no app can name it
pub struct ResourceInner<D: ?Sized> {
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) driver: Result<Arc<D>>,
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
    /// The logical name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The profile of the provider that opened it.
    pub fn profile(&self) -> &'static Profile {
        self.0.profile
    }

    /// The limits that the app holds to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The clock of its provider.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// A handle with this access at most, which declares no more than that.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self(self.0, self.1.narrow(access))
    }

    /// Declares an option of the resource in the [manifest](crate::manifest). Another value for the same option, from
    /// another handle, is a problem that the start of the app lists.
    #[must_use]
    pub fn with_option(self, name: &str, value: impl Into<Value>) -> Self {
        self.1.declare_option(name, &value.into());
        self
    }

    /// The driver, if the handle has the access that `operation` needs.
    ///
    /// Errors: those of opening it; `PermissionDenied` of the [`Origin::Request`](crate::Origin) where the access is
    /// missing, which a client over HTTP sees as 500: the app declares too little, and the client can do nothing about it.
    pub fn driver(&self, operation: &'static str, needs: Access) -> Result<&Arc<D>> {
        let granted = self.1.access();
        if !granted.includes(needs) {
            return Err(self.explain(operation, self.service_error(granted, needs)));
        }
        self.driver.as_ref().map_err(|error| self.explain(operation, error.clone().of_driver()))
    }

    fn service_error(&self, granted: Access, needs: Access) -> Error {
        let message = match granted {
            Access::None => format!("it was not declared; open the {} while the app is built", self.kind),
            granted => format!("it needs {needs:?} access, the handle has {granted:?}"),
        };
        Error::new(ErrorKind::PermissionDenied, message)
    }

    /// Adds operation and resource to an error that does not name them yet. An error that no driver
    /// has answered is a service error of the arguments; a version that nothing can have is a lost race.
    pub fn explain(&self, operation: &'static str, error: Error) -> Error {
        let origin = if error.kind() == ErrorKind::Conflict { Origin::Data } else { Origin::Request };
        error.with_origin(origin).with_operation(operation).with_resource(self.description.as_str())
    }

    /// Runs one operation of the driver inside its span, explains its error and marks its origin.
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
