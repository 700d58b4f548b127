//! What is known of the attempts of one call, across the layers of `object_store`.

use std::error::Error as StdError;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{self, BoxFuture, Either};
use http::Method;
use isobar_abstraction::{Error, ErrorKind};

tokio::task_local! {
    /// May an attempt of the call that is being polled have been applied?
    static APPLIED: Arc<AtomicBool>;
}

/// One attempt of a write: until something else is known, it may have been applied.
pub(super) struct Attempt(Option<(Arc<AtomicBool>, bool)>);

impl Attempt {
    pub(super) fn begin(method: &Method) -> Self {
        let call = APPLIED.try_with(Arc::clone).ok().filter(|_| !method.is_safe());
        Self(call.map(|applied| {
            let before = applied.swap(true, Ordering::Relaxed);
            (applied, before)
        }))
    }

    /// It was surely not applied, though one before it may have been.
    pub(super) fn not_applied(&self) {
        if let Some((applied, before)) = &self.0 {
            applied.store(*before, Ordering::Relaxed);
        }
    }
}

/// Runs a call until its end or the deadline's, whichever comes first.
pub(super) async fn watch<T>(
    call: impl Future<Output = object_store::Result<T>>,
    deadline: Option<BoxFuture<'static, ()>>,
) -> object_store::Result<T> {
    let applied = Arc::new(AtomicBool::new(false));
    let call = pin!(APPLIED.scope(Arc::clone(&applied), call));
    let deadline = deadline.unwrap_or_else(|| Box::pin(pending()));
    let result = match future::select(call, deadline).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => {
            let message = "the service did not answer before the invocation's deadline";
            Err(Error::new(ErrorKind::Timeout, message).into())
        }
    };
    result.map_err(|error| match ours(error) {
        error if applied.load(Ordering::Relaxed) => Error::from(error).with_outcome_unknown().into(),
        error => error,
    })
}

/// The isobar error that `object_store` wrapped, if there is one.
pub(super) fn ours(error: object_store::Error) -> object_store::Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(ours) = found.downcast_ref::<Error>() {
            return ours.duplicate().into();
        }
        cause = found.source();
    }
    error
}
