//! Why a webhook is not accepted, and what its sender is told.

use isobar::axum::extract::rejection::BytesRejection;
use isobar::prelude::*;
use serde_json::json;

use crate::Missing;

#[derive(Debug)]
pub(crate) enum Refusal {
    /// The service's secrets are not set, so nothing of it can be verified.
    NotConfigured(Missing),
    /// Nobody knows who sent it.
    Unverified(&'static str),
    /// The service sent it, but it is no JSON.
    Malformed(serde_json::Error),
    /// The body broke off or is too large.
    Unreadable(BytesRejection),
    /// It could not be queued. The service tries again.
    Failed(Error),
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        Self::NotConfigured(missing)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::Unreadable(rejection)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NotConfigured(missing) => {
                tracing::error!("a webhook was refused, because it cannot be verified: {missing}");
                // Strangers need not know what is missing.
                let detail = "this webhook is not set up; the log of the app says what is missing";
                problem(StatusCode::SERVICE_UNAVAILABLE, "not-configured", detail)
            }
            Self::Unverified(reason) => {
                tracing::warn!(reason, "a webhook was refused");
                problem(StatusCode::UNAUTHORIZED, "unauthenticated", reason)
            }
            Self::Malformed(error) => problem(StatusCode::BAD_REQUEST, "invalid-input", &error.to_string()),
            Self::Unreadable(rejection) => rejection.into_response(),
            Self::Failed(error) => error.into_response(),
        }
    }
}

fn problem(status: StatusCode, error: &str, detail: &str) -> Response {
    (status, Json(json!({ "error": error, "detail": detail }))).into_response()
}
