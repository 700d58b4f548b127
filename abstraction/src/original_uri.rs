//! [`OriginalUri`]: the URI of a request before modules remove their prefixes.

use std::convert::Infallible;

use axum_core::extract::FromRequestParts;
use http::Uri;
use http::request::Parts;

/// The URI of a request as the app received it: in a [mounted](crate::App::mount) module, with all prefixes.
///
/// As an extractor it never fails. It restores the prefixes of `mount`; for those of axum's `nest`, use axum's own
/// `OriginalUri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalUri(pub Uri);

impl<S: Send + Sync> FromRequestParts<S> for OriginalUri {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let whole = parts.extensions.get::<Self>().cloned();
        Ok(whole.unwrap_or_else(|| Self(parts.uri.clone())))
    }
}
