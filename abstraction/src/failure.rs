//! The error behind a response. It is in the extensions of the response, which no host sends.

use std::fmt::Debug;
use std::sync::Arc;

use axum_core::response::Response;
use http::Extensions;

#[derive(Clone)]
struct Failure(Arc<dyn Debug + Send + Sync>);

/// Stores an error in the extensions of its response.
pub(crate) fn keep(error: impl Debug + Send + Sync + 'static, response: &mut Response) {
    response.extensions_mut().insert(Failure(Arc::new(error)));
}

/// The error behind a response with its sources, in the form of the log.
pub(crate) fn text(extensions: &Extensions) -> Option<String> {
    extensions.get().map(|Failure(error)| format!("{error:?}"))
}

/// A mark of a response whose error has an unknown outcome.
#[derive(Clone)]
struct OutcomeUnknown;

pub(crate) fn mark_outcome_unknown(response: &mut Response) {
    response.extensions_mut().insert(OutcomeUnknown);
}

/// May a write have been applied although the response is an error?
pub(crate) fn outcome_unknown(extensions: &Extensions) -> bool {
    extensions.get::<OutcomeUnknown>().is_some()
}
