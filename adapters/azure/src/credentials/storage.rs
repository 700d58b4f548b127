//! Calls of a storage account's blobs and queues.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::clock::to_utc;
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Client, Judgement, Opened, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::renewal::{self, Renew};
use super::shared_key::shared_key;
use super::{Audience, Credentials};
use crate::config::{Access, Secret, StorageAccount};

/// The version of the protocol that requests are written for: a message may live for ever since
/// 2017-07-29, and names in lists may be encoded since 2021-02-12.
/// <https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services>
pub(crate) const VERSION: &str = "2021-12-02";

/// One call: its attempts are signed with the account's key, or show a signature or a token.
pub(crate) struct StorageCall<'a> {
    credentials: &'a Credentials,
    account: &'a StorageAccount,
    judge: fn(&Response<Bytes>) -> Judgement,
    /// The token that the last attempt showed.
    shown: Mutex<Option<Arc<str>>>,
}

impl<'a> StorageCall<'a> {
    pub(crate) fn new(
        credentials: &'a Credentials,
        account: &'a StorageAccount,
        judge: fn(&Response<Bytes>) -> Judgement,
    ) -> Self {
        Self { credentials, account, judge, shown: Mutex::default() }
    }

    /// Makes the call, with another token where one was refused and there is another.
    pub(crate) async fn make(
        &self,
        client: &Client,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<Answer> {
        renewal::call(client, self, operation, safety, request).await
    }

    /// Like [`make`](Self::make), but of a read whose answer is handed out as it comes.
    pub(crate) async fn open(
        &self,
        client: &Client,
        operation: &'static str,
        request: Request<PutPayload>,
    ) -> Result<Opened> {
        renewal::open(client, self, operation, request).await
    }
}

/// A URL with a shared access signature.
pub(crate) fn with_sas(url: &str, Secret(sas): &Secret) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}", String::from_utf8_lossy(sas))
}

#[async_trait]
impl Service for StorageCall<'_> {
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        // The service goes by the machine's time, whatever clock the app has.
        let date = to_utc(SystemTime::now()).format("%a, %d %b %Y %T GMT").to_string();
        set(request, HeaderName::from_static("x-ms-date"), &date)?;
        set(request, HeaderName::from_static("x-ms-version"), VERSION)?;
        match &self.account.access {
            Access::Key(Secret(key)) => {
                let signature = shared_key(request, body.content_length(), &self.account.name, key);
                set(request, AUTHORIZATION, &signature)
            }
            Access::Identity => {
                let token = self.credentials.token(Audience::Storage).await?;
                set(request, AUTHORIZATION, &format!("Bearer {token}"))?;
                *self.shown.lock() = Some(token);
                Ok(())
            }
            Access::Sas(sas) => {
                let url = with_sas(&request.uri.to_string(), sas).parse();
                // Without its source, which could show the signature.
                request.uri = url.map_err(|_| Error::config("the shared access signature is no query"))?;
                Ok(())
            }
        }
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        (self.judge)(answer)
    }
}

#[async_trait]
impl Renew for StorageCall<'_> {
    /// Storage answers 401 to a token that has expired only.
    async fn renew(&self, answer: &Response<Bytes>) -> bool {
        let refused = self.shown.lock().take().filter(|_| answer.status() == 401);
        match refused {
            Some(refused) => self.credentials.renew(Audience::Storage, &refused).await,
            None => false,
        }
    }
}

fn set(request: &mut Parts, name: HeaderName, value: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::internal("a malformed header"))?;
    value.set_sensitive(name == AUTHORIZATION);
    request.headers.insert(name, value);
    Ok(())
}
