//! The error that a response was made of. Tests read it; no host sends the extensions of a response.

use std::fmt::Debug;
use std::sync::Arc;

use axum_core::response::Response;
use http::Extensions;

#[derive(Clone)]
struct Failure(Arc<dyn Debug + Send + Sync>);

/// Keeps an error with its response.
pub(crate) fn keep(error: impl Debug + Send + Sync + 'static, response: &mut Response) {
    response.extensions_mut().insert(Failure(Arc::new(error)));
}

/// The error of a response with its sources, as the log has it.
pub(crate) fn text(extensions: &Extensions) -> Option<String> {
    extensions.get().map(|Failure(error)| format!("{error:?}"))
}
