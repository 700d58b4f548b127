//! The requests to Table Storage: their URLs, their signatures, and who judges the answers.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use isobar_abstraction::clock::to_utc;
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use super::batch;
use super::key::RowKey;
use super::refusal::Refusal;
use super::stored::boundary;
use crate::State;
use crate::config::{Access, StorageAccount};
use crate::credentials::Audience;
use crate::key_value::attempt::unknown;

pub(super) const ACCEPT: &str = "application/json;odata=minimalmetadata";
pub(super) const VERSION_OF_DATA: &str = "3.0;NetFx";

/// The first that takes tokens of Entra is 2020-12-06.
const VERSION: &str = "2021-12-02";

/// All but what RFC 3986 leaves unreserved. Encoded once: the service decodes once.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// One write, alone or in a transaction.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) method: Method,
    /// Which row; the entity says it where one is inserted.
    row: Option<RowKey>,
    if_match: Option<String>,
    /// Empty for a delete.
    pub(super) entity: Bytes,
}

impl Change {
    /// Only where there is no row.
    pub(super) fn insert(entity: Bytes) -> Self {
        Self { method: Method::POST, row: None, if_match: None, entity }
    }

    /// Whatever is there.
    pub(super) fn upsert(row: RowKey, entity: Bytes) -> Self {
        Self { method: Method::PUT, row: Some(row), if_match: None, entity }
    }

    /// Only over this version.
    pub(super) fn replace(row: RowKey, etag: &str, entity: Bytes) -> Self {
        Self { if_match: Some(etag.to_owned()), ..Self::upsert(row, entity) }
    }

    /// Only this version; `*` is any.
    pub(super) fn delete(row: RowKey, etag: &str) -> Self {
        Self { method: Method::DELETE, row: Some(row), if_match: Some(etag.to_owned()), entity: Bytes::new() }
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let insert = self.row.is_none().then_some(("prefer", "return-no-content"));
        let json = (!self.entity.is_empty()).then_some(("content-type", "application/json"));
        insert.into_iter().chain(json).chain(self.if_match.as_deref().map(|etag| ("if-match", etag)))
    }
}

/// One table in its account.
#[derive(Debug)]
pub(super) struct TableService {
    state: Arc<State>,
    account: StorageAccount,
    table: String,
}

/// What the service answered: a success, or its refusal.
pub(super) type Answered = std::result::Result<Response<Bytes>, Refusal>;

impl TableService {
    pub(super) fn new(state: Arc<State>, account: StorageAccount, table: String) -> Self {
        Self { state, account, table }
    }

    /// The error of a refusal that is not about a condition.
    pub(super) fn explain(&self, refusal: Refusal) -> Error {
        refusal.explain(&self.table, &self.account.name)
    }

    /// One row.
    pub(super) async fn read(&self, row: &RowKey) -> Result<Answered> {
        self.exchange("GetEntity", Safety::Read, Request::get(self.url(Some(row)))).await
    }

    /// Rows; `query` is encoded already.
    pub(super) async fn query(&self, query: &str) -> Result<Answered> {
        let url = format!("{}/{}()?{query}", self.account.table, self.table);
        self.exchange("QueryEntities", Safety::Read, Request::get(url)).await
    }

    /// One write. All of them may be repeated: those that would do something else the second time carry
    /// a condition, and the row tells which write it is of.
    pub(super) async fn write(&self, operation: &'static str, change: &Change) -> Result<Answered> {
        let request = Request::builder().method(change.method.clone()).uri(self.url(change.row.as_ref()));
        let request = change.headers().fold(request, |request, (name, value)| request.header(name, value));
        self.send(operation, Safety::Idempotent, request, change.entity.clone()).await
    }

    /// Writes of one partition, all or none. Answers the ETag of each.
    pub(super) async fn transact(
        &self,
        changes: &[Change],
        safety: Safety,
    ) -> Result<std::result::Result<Vec<Option<String>>, Refusal>> {
        let boundary = boundary()?;
        let body = batch::body(&boundary, changes, |change| self.url(change.row.as_ref()));
        let request = Request::post(format!("{}/$batch", self.account.table))
            .header(CONTENT_TYPE, format!("multipart/mixed; boundary=batch_{boundary}"));
        let response = match self.send("EntityGroupTransaction", safety, request, body.into()).await? {
            Ok(response) => response,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let parts = batch::parts(response.body());
        if response.status() != StatusCode::ACCEPTED || parts.len() != changes.len() {
            let message =
                format!("Table Storage answered {} of {} writes of a transaction", parts.len(), changes.len());
            return Err(Error::internal(message).with_outcome_unknown());
        }
        Ok(Ok(parts.into_iter().map(|part| part.etag).collect()))
    }

    fn url(&self, row: Option<&RowKey>) -> String {
        let at = format!("{}/{}", self.account.table, self.table);
        match row {
            None => at,
            Some(RowKey { partition, row }) => {
                // Of what is in them, nothing is a quote.
                format!("{at}(PartitionKey='{}',RowKey='{}')", encoded(partition), encoded(row))
            }
        }
    }

    async fn exchange(
        &self,
        operation: &'static str,
        safety: Safety,
        request: http::request::Builder,
    ) -> Result<Answered> {
        self.send(operation, safety, request, Bytes::new()).await
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answered> {
        let request = request
            .header("accept", ACCEPT)
            .header("dataserviceversion", VERSION_OF_DATA)
            .header("maxdataserviceversion", VERSION_OF_DATA)
            .header("x-ms-version", VERSION)
            .body(PutPayload::from(body))
            .map_err(|error| Error::internal("the request cannot be made").with_source(error))?;
        let Answer { response, uncertain } = self.signed(operation, safety, request).await?;
        Ok(match Refusal::of(&response) {
            Some(refusal) => Err(refusal.uncertain(uncertain)),
            None => Ok(response),
        })
    }

    /// Once more where a token has expired.
    async fn signed(&self, operation: &'static str, safety: Safety, request: Request<PutPayload>) -> Result<Answer> {
        let signer = Signer { service: self, token: Mutex::default() };
        let call = |request| self.state.client.call(Call { operation, request, safety, service: &signer });
        let answer = call(request.clone()).await?;
        let token = signer.token.lock().take();
        let Some(token) = token.filter(|_| answer.response.status() == StatusCode::UNAUTHORIZED) else {
            return Ok(answer);
        };
        self.state.credentials.reject(Audience::Storage, &token);
        let earlier = answer.uncertain;
        let again = call(request).await.map_err(|error| unknown(error, earlier))?;
        Ok(Answer { uncertain: again.uncertain | earlier, ..again })
    }

    /// Source: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>, Shared
    /// Key Lite for the Table service. The path is signed as it is sent.
    fn shared_key(&self, key: &[u8], date: &str, path: &str) -> String {
        let name = &self.account.name;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let signature = hmac::sign(&key, format!("{date}\n/{name}{path}").as_bytes());
        format!("SharedKeyLite {name}:{}", BASE64_STANDARD.encode(signature))
    }
}

/// One call of the service.
struct Signer<'a> {
    service: &'a TableService,
    /// What the last attempt showed.
    token: Mutex<Option<Arc<str>>>,
}

#[async_trait]
impl Service for Signer<'_> {
    async fn authorize(&self, request: &mut Parts, _: &PutPayload) -> Result<()> {
        // The service goes by the machine's time, whatever clock the app has.
        let now = to_utc(SystemTime::now());
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        request.headers.insert("x-ms-date", secret(&date)?);
        let shown = match &self.service.account.access {
            Access::Key(key) => self.service.shared_key(&key.0, &date, request.uri.path()),
            Access::Sas(sas) => {
                request.uri = with_query(&request.uri, &String::from_utf8_lossy(&sas.0))?;
                return Ok(());
            }
            Access::Identity => {
                let token = self.service.state.credentials.token(Audience::Storage).await?;
                let shown = format!("Bearer {token}");
                *self.token.lock() = Some(token);
                shown
            }
        };
        request.headers.insert(AUTHORIZATION, secret(&shown)?);
        Ok(())
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        Refusal::of(answer).map_or(Judgement::Final, |refusal| refusal.judge())
    }
}

/// Errors: `Unauthenticated`, without its source, which may show it.
fn secret(text: &str) -> Result<HeaderValue> {
    let wrong = |_| {
        Error::new(
            isobar_abstraction::ErrorKind::Unauthenticated,
            "the storage account's credentials are no header's text",
        )
    };
    let mut value = HeaderValue::from_str(text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Errors: `Config`, without its source, which may show it.
fn with_query(uri: &Uri, more: &str) -> Result<Uri> {
    let joint = if uri.query().is_some() { '&' } else { '?' };
    let wrong = |_| Error::config("the shared access signature is not of the form of a URL's query");
    format!("{uri}{joint}{more}").parse().map_err(wrong)
}
