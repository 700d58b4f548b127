//! An Azure service as the driver of one resource uses it: its endpoint, its credentials, and its error codes.

mod service_error;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::{Builder, Parts};
use http::{HeaderValue, Request, Response};
use isobar_abstraction::clock::to_http;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Call, Safety, Service, ServiceError, ServiceResult, StreamBody};
use object_store::PutPayload;
use parking_lot::Mutex;

use crate::State;
use crate::config::{Access, CosmosAccount, Secret, ServiceBusNamespace, StorageAccount};
use crate::credentials::{Audience, cosmos, shared_key};

pub(crate) use service_error::{Place, element, explained, read};

/// The version of the storage protocol that requests use: messages without an expiry exist since 2017-07-29, tokens for
/// tables since 2020-12-06, encoded names in lists since 2021-02-12.
/// <https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services>
pub(crate) const VERSION: &str = "2021-12-02";

/// The error codes of a service: returns the service error of a response, `None` for a success.
pub(crate) type Codes = fn(&Response<Bytes>, &Place) -> Option<ServiceError>;

/// How requests are signed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// Blobs and queues.
    SharedKey,
    /// Table Storage.
    SharedKeyLite,
    MasterKey,
    /// A signature for the topic or queue.
    ServiceBus,
    /// No key opens a vault.
    KeyVault(Audience),
}

/// An Azure service as the driver of one resource uses it. Cheap to create; it connects to nothing.
#[derive(Clone)]
pub(crate) struct AzureService {
    state: Arc<State>,
    endpoint: String,
    access: Access,
    scheme: Scheme,
    /// The storage account, or the policy whose key signs.
    signer: String,
    codes: Codes,
    place: Arc<Place>,
}

impl fmt::Debug for AzureService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureService").field("place", &self.place.name).finish_non_exhaustive()
    }
}

impl AzureService {
    pub(crate) fn blobs(state: &Arc<State>, account: &StorageAccount, codes: Codes, place: Place) -> Self {
        let StorageAccount { name, blob, access, .. } = account;
        Self::new(state, blob, Scheme::SharedKey, access, name, codes, place)
    }

    pub(crate) fn queues(state: &Arc<State>, account: &StorageAccount, codes: Codes, place: Place) -> Self {
        let StorageAccount { name, queue, access, .. } = account;
        Self::new(state, queue, Scheme::SharedKey, access, name, codes, place)
    }

    pub(crate) fn tables(state: &Arc<State>, account: &StorageAccount, codes: Codes, place: Place) -> Self {
        let StorageAccount { name, table, access, .. } = account;
        Self::new(state, table, Scheme::SharedKeyLite, access, name, codes, place)
    }

    /// Errors: `Config` for a shared access signature, which Cosmos DB does not support.
    pub(crate) fn cosmos(state: &Arc<State>, account: &CosmosAccount, codes: Codes, place: Place) -> Result<Self> {
        let CosmosAccount { endpoint, access, .. } = account;
        if matches!(access, Access::Sas(_)) {
            return Err(Error::config("Cosmos DB requires a key or an identity, not a shared access signature"));
        }
        Ok(Self::new(state, endpoint, Scheme::MasterKey, access, "", codes, place))
    }

    pub(crate) fn service_bus(state: &Arc<State>, namespace: &ServiceBusNamespace, codes: Codes, place: Place) -> Self {
        let ServiceBusNamespace { endpoint, policy, access } = namespace;
        Self::new(state, endpoint, Scheme::ServiceBus, access, policy, codes, place)
    }

    /// A vault, by identity. `endpoint` must be safe for its token.
    pub(crate) fn key_vault(state: &Arc<State>, endpoint: &str, codes: Codes, place: Place) -> Self {
        let scheme = Scheme::KeyVault(Audience::of_vault(endpoint));
        Self::new(state, endpoint, scheme, &Access::Identity, "", codes, place)
    }

    fn new(
        state: &Arc<State>,
        endpoint: &str,
        scheme: Scheme,
        access: &Access,
        signer: &str,
        codes: Codes,
        place: Place,
    ) -> Self {
        let (state, access, place) = (Arc::clone(state), access.clone(), place.into());
        Self { state, endpoint: endpoint.to_owned(), access, scheme, signer: signer.to_owned(), codes, place }
    }

    /// The same service with another table of error codes.
    pub(crate) fn with_codes(&self, codes: Codes) -> Self {
        Self { codes, ..self.clone() }
    }

    /// A URL of the service; `path` begins with a slash and is already encoded.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    /// A URL that works without an `Authorization` header where a shared access signature opens the account, for a
    /// service that reads it itself.
    pub(crate) fn signed_url(&self, url: &str) -> String {
        match &self.access {
            Access::Sas(sas) => with_sas(url, sas),
            Access::Key(_) | Access::Identity => url.to_owned(),
        }
    }

    /// Makes a call. Errors: those of the client and of the credentials; `Config` where the endpoint is not a URL.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: impl Into<PutPayload>,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        let wrong = |error| Error::config(format!("the endpoint `{}` is not a URL", self.endpoint)).with_source(error);
        self.send(operation, safety, request.body(body.into()).map_err(wrong)?).await
    }

    /// Makes a call.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        self.state.client.call(Call { operation, request, safety, service: &OneCall::new(self) }).await
    }

    /// Makes a call that only reads, and returns the body of a success as a stream.
    pub(crate) async fn open(
        &self,
        operation: &'static str,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<StreamBody>>> {
        self.state.client.open(Call { operation, request, safety: Safety::Read, service: &OneCall::new(self) }).await
    }

    fn audience(&self) -> Audience {
        match self.scheme {
            Scheme::SharedKey | Scheme::SharedKeyLite => Audience::Storage,
            Scheme::MasterKey => Audience::Cosmos,
            Scheme::ServiceBus => Audience::ServiceBus,
            Scheme::KeyVault(audience) => audience,
        }
    }
}

/// One call: adds a signature or a token to each attempt.
struct OneCall<'a> {
    service: &'a AzureService,
    /// The identity's token in the last attempt.
    token: Mutex<Option<Arc<str>>>,
    /// The URL that the signature of Service Bus is for.
    resource: Mutex<String>,
}

impl<'a> OneCall<'a> {
    fn new(service: &'a AzureService) -> Self {
        Self { service, token: Mutex::default(), resource: Mutex::default() }
    }

    /// The `Authorization` header with a key.
    fn by_key(&self, key: &Secret, request: &Parts, body: &PutPayload, date: &str) -> String {
        let AzureService { state, scheme, signer, .. } = self.service;
        match scheme {
            Scheme::SharedKey => shared_key::shared_key(request, body.content_length(), signer, &key.0),
            Scheme::SharedKeyLite => shared_key::shared_key_lite(request.uri.path(), date, signer, &key.0),
            Scheme::MasterKey => cosmos::of_key(key, &request.method, request.uri.path(), date),
            Scheme::ServiceBus => {
                let resource = entity(&request.uri.to_string()).to_owned();
                let signature = state.credentials.signatures().get(&resource, signer, key);
                *self.resource.lock() = resource;
                signature.to_string()
            }
            // `key_vault` has no key.
            Scheme::KeyVault(_) => String::new(),
        }
    }

    async fn by_identity(&self) -> Result<String> {
        let AzureService { state, scheme, .. } = self.service;
        let token = state.credentials.token(self.service.audience()).await?;
        let text = if *scheme == Scheme::MasterKey { cosmos::of_token(&token) } else { format!("Bearer {token}") };
        *self.token.lock() = Some(token);
        Ok(text)
    }
}

#[async_trait]
impl Service for OneCall<'_> {
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        let AzureService { access, scheme, .. } = self.service;
        // The services check the machine's time, whatever clock the app has.
        let date = to_http(SystemTime::now());
        if *scheme != Scheme::ServiceBus {
            request.headers.insert("x-ms-date", header(&date)?);
        }
        if self.service.audience() == Audience::Storage {
            request.headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        }
        let text = match access {
            Access::Key(key) => self.by_key(key, request, body, &date),
            Access::Identity => self.by_identity().await?,
            Access::Sas(Secret(sas)) if *scheme == Scheme::ServiceBus => {
                format!("SharedAccessSignature {}", String::from_utf8_lossy(sas))
            }
            Access::Sas(sas) => {
                let url = with_sas(&request.uri.to_string(), sas).parse();
                // Without its source, which could show the signature.
                request.uri = url.map_err(|_| {
                    Error::config("the shared access signature is not the query of a URL: create it again")
                })?;
                return Ok(());
            }
        };
        request.headers.insert(AUTHORIZATION, header(&text)?);
        Ok(())
    }

    fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError> {
        (self.service.codes)(answer, &self.service.place)
    }

    /// A service responds with 401 to an expired token; Service Bus also to a token that does not allow sending.
    async fn renew(&self, service_error: &ServiceError) -> bool {
        if service_error.status() != 401 || service_error.kind != ErrorKind::Unauthenticated {
            return false;
        }
        let AzureService { state, access, scheme, .. } = self.service;
        let token = self.token.lock().take();
        match (access, token) {
            (Access::Identity, Some(token)) => state.credentials.renew(self.service.audience(), &token).await,
            // The signature may be older than a jump of the clock.
            (Access::Key(_), _) if *scheme == Scheme::ServiceBus => {
                state.credentials.signatures().reject(&self.resource.lock());
                true
            }
            _ => false,
        }
    }
}

/// The URL of a queue, a topic or a subscription, from that of a request for it or for its messages.
fn entity(url: &str) -> &str {
    let url = url.split('?').next().unwrap_or(url);
    // Only once: the topic itself may have this name.
    if let Some(entity) = url.strip_suffix("/messages").or_else(|| url.strip_suffix("/messages/head")) {
        return entity;
    }
    // `…/messages/<sequence number>/<lock>`.
    let mut ends = url.rmatch_indices('/').map(|(end, _)| end);
    let message = ends.nth(1).zip(ends.next()).filter(|(end, start)| &url[*start..*end] == "/messages");
    message.map_or(url, |(_, start)| &url[..start])
}

/// A URL with a shared access signature.
fn with_sas(url: &str, Secret(sas): &Secret) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}", String::from_utf8_lossy(sas))
}

/// A sensitive header. Errors: `Config`, without its source, which may contain the value.
fn header(text: &str) -> Result<HeaderValue> {
    let wrong = |_| Error::config("the credentials of the account contain characters that a header cannot: check them");
    let mut value = HeaderValue::from_str(text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}
