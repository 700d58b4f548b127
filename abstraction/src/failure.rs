//! The error behind a response. Tests read it from the extensions of the response, which no host sends.

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
