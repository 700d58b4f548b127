//! The requests to one container of Cosmos DB.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ETAG};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode;
use isobar_rest::{Safety, ServiceResult};
use serde::Deserialize;
use tracing::field::Empty;
use tracing::{Instrument, debug_span};

use super::service_error::{self, text};
use super::session::Session;
use crate::State;
use crate::config::CosmosAccount;
use crate::service::AzureService;

/// The version of the REST API that Azure's clients use.
const API: HeaderValue = HeaderValue::from_static("2020-07-15");

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    service: AzureService,
    path: String,
    name: String,
    session: Arc<Session>,
}

/// A request to a container.
pub(super) struct Ask<'a> {
    /// The name for spans and errors.
    operation: &'static str,
    safety: Safety,
    method: Method,
    /// The resource type: `docs` or `pkranges`.
    resource: &'static str,
    id: Option<&'a str>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Sends the session token: for requests that read, also before they write.
    in_session: bool,
    /// Names a partition key range; where it is gone, the caller tries other ranges.
    ranged: bool,
}

impl<'a> Ask<'a> {
    /// A request to the items of the container.
    pub(super) fn items(operation: &'static str, method: Method, safety: Safety) -> Self {
        let in_session = safety == Safety::Read;
        let (headers, body) = (Vec::new(), Bytes::new());
        let (resource, id, ranged) = ("docs", None, false);
        Self { operation, safety, method, resource, id, headers, body, in_session, ranged }
    }

    /// A request to one item.
    pub(super) fn item(operation: &'static str, method: Method, safety: Safety, id: &'a str) -> Self {
        Self { id: Some(id), ..Self::items(operation, method, safety) }
    }

    /// A request for the partition key ranges.
    pub(super) fn ranges() -> Self {
        Self {
            resource: "pkranges",
            in_session: false,
            ..Self::items("ReadPartitionKeyRanges", Method::GET, Safety::Read)
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn with_body(mut self, kind: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with("content-type", kind)
    }

    /// Sends the session token also with a write.
    pub(super) fn in_session(mut self) -> Self {
        self.in_session = true;
        self
    }

    /// Marks a request that names a partition key range, which may be gone.
    pub(super) fn ranged(mut self) -> Self {
        self.ranged = true;
        self
    }
}

/// A success.
pub(super) struct Success {
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Success {
    /// The continuation of a feed that has more pages.
    pub(super) fn continuation(&self) -> Option<&str> {
        text(&self.headers, "x-ms-continuation").filter(|continuation| !continuation.is_empty())
    }

    /// The ETag of a written item: from the header, or from a body, which may be sent although it was not requested.
    /// Errors: `Internal`, with `outcome_unknown`.
    pub(super) fn etag(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(rename = "_etag")]
            etag: String,
        }
        if let Some(etag) = text(&self.headers, ETAG.as_str()) {
            return Ok(etag.to_owned());
        }
        let written: Result<Written, _> = serde_json::from_slice(&self.body);
        let lacks = |_| Error::internal("Cosmos DB returned no ETag for a write").with_outcome_unknown();
        written.map(|written| written.etag).map_err(lacks)
    }

    /// Reads the body. Errors: `Internal`, without its source: serde's message quotes the value.
    pub(super) fn read<'b, T: Deserialize<'b>>(&'b self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::internal(format!("Cosmos DB's response is not of the expected form at line {line} column {column}"))
        })
    }
}

impl Container {
    /// Errors: `Config` for a shared access signature, which Cosmos DB does not support.
    pub(super) fn new(
        state: &Arc<State>,
        account: &CosmosAccount,
        name: String,
        session: Arc<Session>,
    ) -> Result<Self> {
        let service = AzureService::cosmos(state, account, service_error::read, service_error::place(account, &name))?;
        let path = format!("/dbs/{}/colls/{}", encode(&account.database), encode(&name));
        Ok(Self { service, path, name, session })
    }

    /// Sends a request. The inner error is the service's. Errors: those of the client and of the credentials.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<ServiceResult<Success>> {
        let span = debug_span!("cosmos", operation = ask.operation, container = self.name, request_charge = Empty);
        let answered = self.exchange(ask).instrument(span.clone()).await?;
        let headers = match &answered {
            Ok(answer) => answer.headers(),
            Err(service_error) => service_error.response.headers(),
        };
        if let Some(charge) = text(headers, "x-ms-request-charge").and_then(|charge| charge.parse::<f64>().ok()) {
            span.record("request_charge", charge);
        }
        if let Some(token) = text(headers, "x-ms-session-token") {
            self.session.learn(token);
        }
        Ok(answered.map(|answer| {
            let (parts, body) = answer.into_parts();
            Success { headers: parts.headers, body }
        }))
    }

    async fn exchange(&self, ask: Ask<'_>) -> Result<ServiceResult<Response<Bytes>>> {
        let id = ask.id.map(|id| format!("/{}", encode(id))).unwrap_or_default();
        let url = self.service.url(&format!("{}/{}{id}", self.path, ask.resource));
        let mut request = Request::builder().method(ask.method).uri(url);
        request = request.header("x-ms-version", API).header(ACCEPT, "application/json");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = ask.in_session.then(|| self.session.token()).flatten() {
            request = request.header("x-ms-session-token", token);
        }
        match ask.ranged {
            true => {
                let service = self.service.with_codes(service_error::read_ranged);
                service.call(ask.operation, ask.safety, request, ask.body).await
            }
            false => self.service.call(ask.operation, ask.safety, request, ask.body).await,
        }
    }
}
