//! One container of Cosmos DB, request by request.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, ETAG};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Call, Judgement, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tracing::field::Empty;
use tracing::{Instrument, debug_span};

use super::refusal::{Place, Refusal, text};
use super::session::Session;
use super::sign;
use crate::State;
use crate::config::{Access, CosmosAccount};
use crate::credentials::Audience;
use crate::key_value::attempt::unknown;

/// The version of the REST API that Azure's own clients speak.
const API: HeaderValue = HeaderValue::from_static("2020-07-15");

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One container.
pub(super) struct Container {
    state: Arc<State>,
    account: CosmosAccount,
    name: String,
    session: Arc<Session>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:?}", self.place(), self.session)
    }
}

/// What is asked of a container.
pub(super) struct Ask<'a> {
    /// For spans and errors.
    pub(super) operation: &'static str,
    pub(super) safety: Safety,
    method: Method,
    /// `docs` or `pkranges`.
    resource: &'static str,
    id: Option<&'a str>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Show the session's token: for what reads, be it before it writes.
    in_session: bool,
    /// Leave it to the caller to ask other ranges of partitions.
    ranged: bool,
}

impl<'a> Ask<'a> {
    /// Of the items of the container.
    pub(super) fn items(operation: &'static str, method: Method, safety: Safety) -> Self {
        let in_session = safety == Safety::Read;
        let (headers, body) = (Vec::new(), Bytes::new());
        let (resource, id, ranged) = ("docs", None, false);
        Self { operation, safety, method, resource, id, headers, body, in_session, ranged }
    }

    /// Of one item.
    pub(super) fn item(operation: &'static str, method: Method, safety: Safety, id: &'a str) -> Self {
        Self { id: Some(id), ..Self::items(operation, method, safety) }
    }

    /// Of the ranges of partitions.
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

    /// Shows the session's token although it writes.
    pub(super) fn in_session(mut self) -> Self {
        self.in_session = true;
        self
    }

    /// Names a range of partitions, which may be gone.
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
    /// What follows, in a feed that has not ended.
    pub(super) fn continuation(&self) -> Option<&str> {
        text(&self.headers, "x-ms-continuation").filter(|continuation| !continuation.is_empty())
    }

    /// The ETag of what was written: in the header, or in a body that was not asked for.
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
        let lacks = |_| Error::internal("Cosmos DB's answer to a write has no ETag").with_outcome_unknown();
        written.map(|written| written.etag).map_err(lacks)
    }

    /// Reads the body. Errors: `Internal`, without its source: the words of serde quote the value.
    pub(super) fn read<'b, T: Deserialize<'b>>(&'b self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::internal(format!("Cosmos DB's answer is not of the expected form at line {line} column {column}"))
        })
    }
}

/// What a container answers.
pub(super) type Answered = std::result::Result<Success, Refusal>;

impl Container {
    /// Errors: `Config` for a shared access signature, which Cosmos DB does not know.
    pub(super) fn new(state: Arc<State>, account: CosmosAccount, name: String, session: Arc<Session>) -> Result<Self> {
        if matches!(account.access, Access::Sas(_)) {
            return Err(Error::config("Cosmos DB takes a key or an identity, no shared access signature"));
        }
        Ok(Self { state, account, name, session })
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place { endpoint: &self.account.endpoint, database: &self.account.database, container: &self.name }
    }

    /// The error of a refusal.
    pub(super) fn explain(&self, refusal: Refusal) -> Error {
        refusal.explain(&self.place())
    }

    /// The inner result is the service's own. Errors: those of the client and of the credentials.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answered> {
        let span = debug_span!("cosmos", operation = ask.operation, container = self.name, request_charge = Empty);
        let answered = self.exchange(&ask).instrument(span.clone()).await?;
        let (response, uncertain) = answered;
        if let Some(charge) =
            text(response.headers(), "x-ms-request-charge").and_then(|charge| charge.parse::<f64>().ok())
        {
            span.record("request_charge", charge);
        }
        if let Some(token) = text(response.headers(), "x-ms-session-token") {
            self.session.learn(token);
        }
        if let Some(refusal) = Refusal::of(&response) {
            return Ok(Err(refusal.uncertain(uncertain)));
        }
        let (parts, body) = response.into_parts();
        Ok(Ok(Success { headers: parts.headers, body }))
    }

    /// The last answer, and whether an attempt before it may have been applied.
    async fn exchange(&self, ask: &Ask<'_>) -> Result<(Response<Bytes>, bool)> {
        let service = Signed::new(self, ask);
        let request = self.request(ask)?;
        let call = |request| {
            self.state.client.call(Call { operation: ask.operation, request, safety: ask.safety, service: &service })
        };
        let answer = call(request.clone()).await?;
        if !service.renew(&answer.response) {
            return Ok((answer.response, answer.uncertain));
        }
        let earlier = answer.uncertain;
        let again = call(request).await.map_err(|error| unknown(error, earlier))?;
        Ok((again.response, again.uncertain | earlier))
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<PutPayload>> {
        let encoded = |name| utf8_percent_encode(name, SEGMENT);
        let (database, container) = (encoded(&self.account.database), encoded(&self.name));
        let id = ask.id.map(|id| format!("/{}", encoded(id))).unwrap_or_default();
        let uri = format!("{}/dbs/{database}/colls/{container}/{}{id}", self.account.endpoint, ask.resource);
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        request = request.header("x-ms-version", API).header(ACCEPT, "application/json");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = ask.in_session.then(|| self.session.token()).flatten() {
            request = request.header("x-ms-session-token", token);
        }
        let wrong = |error| Error::internal("the request cannot be made").with_source(error);
        request.body(PutPayload::from(ask.body.clone())).map_err(wrong)
    }

    /// What a request is about, as its signature names it: ids as they are.
    fn link(&self, ask: &Ask<'_>) -> String {
        let link = format!("dbs/{}/colls/{}", self.account.database, self.name);
        ask.id.map_or_else(|| link.clone(), |id| format!("{link}/{}/{id}", ask.resource))
    }
}

/// Signs one request, and judges its answers.
struct Signed<'a> {
    container: &'a Container,
    link: String,
    resource: &'static str,
    ranged: bool,
    /// The identity's token that the last attempt showed.
    used: Mutex<Option<Arc<str>>>,
}

impl<'a> Signed<'a> {
    fn new(container: &'a Container, ask: &Ask<'_>) -> Self {
        let (link, resource, ranged) = (container.link(ask), ask.resource, ask.ranged);
        Self { container, link, resource, ranged, used: Mutex::default() }
    }

    /// Was a token refused, so that another may do?
    fn renew(&self, answer: &Response<Bytes>) -> bool {
        let used = self.used.lock().take().filter(|_| answer.status() == 401);
        if let Some(token) = &used {
            self.container.state.credentials.reject(Audience::Cosmos, token);
        }
        used.is_some()
    }

    async fn authorization(&self, verb: &Method, date: &str) -> Result<String> {
        if let Access::Key(key) = &self.container.account.access {
            return Ok(sign::of_key(key, verb.as_str(), self.resource, &self.link, date));
        }
        let token = self.container.state.credentials.token(Audience::Cosmos).await?;
        let authorization = sign::of_token(&token);
        *self.used.lock() = Some(token);
        Ok(authorization)
    }
}

#[async_trait]
impl Service for Signed<'_> {
    async fn authorize(&self, request: &mut Parts, _: &PutPayload) -> Result<()> {
        // The service goes by the machine's time, whatever clock the app has.
        let date = sign::date(SystemTime::now());
        let authorization = self.authorization(&request.method, &date).await?;
        let wrong = |_| Error::internal("the authorization fits into no header");
        let mut authorization = HeaderValue::try_from(authorization).map_err(wrong)?;
        authorization.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, authorization);
        request.headers.insert("x-ms-date", HeaderValue::try_from(date).map_err(wrong)?);
        Ok(())
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        match Refusal::of(answer) {
            Some(refusal) if self.ranged && refusal.is_range_gone() => Judgement::Final,
            Some(refusal) => refusal.judge(),
            None => Judgement::Final,
        }
    }
}
