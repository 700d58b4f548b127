//! What every portable type does alike around its driver.

use std::fmt;
use std::sync::Arc;

use crate::access::{Access, Grant};
use crate::clock::Clock;
use crate::profile::{Limits, Profile};
use crate::resource::ResourceKind;
use crate::{Error, ErrorKind, Origin, Result};

/// What every portable type does alike around its driver: access, spans, error context.
pub(crate) struct Resource<D: ?Sized>(pub(crate) Arc<Opened<D>>, pub(crate) Grant);

pub(crate) struct Opened<D: ?Sized> {
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
    type Target = Opened<D>;
    fn deref(&self) -> &Opened<D> {
        &self.0
    }
}

impl<D: ?Sized> fmt::Debug for Resource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`, {:?}", self.description, self.profile.provider, self.1.access())
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
        let granted = self.1.access();
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
