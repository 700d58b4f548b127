//! What opens an account, for `object_store`'s requests and for ours.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use isobar_abstraction::{Error, Result};
use object_store::CredentialProvider;
use object_store::azure::{AzureAccessKey, AzureCredential};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use super::sign;
use crate::State;
use crate::config::{Access, Secret, StorageAccount};
use crate::credentials::Audience;

/// The version of the protocol that our requests speak: list names may be encoded since 2021-02-12.
/// <https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services>
pub(super) const VERSION: &str = "2021-12-02";

/// An account and how it is opened.
pub(super) struct BlobAccess {
    state: Arc<State>,
    account: StorageAccount,
    /// For `object_store`, where it is not a token.
    fixed: Option<Arc<AzureCredential>>,
    /// The token that was shown last.
    shown: Mutex<Option<Arc<str>>>,
}

impl fmt::Debug for BlobAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobAccess").field("account", &self.account).finish_non_exhaustive()
    }
}

impl BlobAccess {
    pub(super) fn new(state: Arc<State>, account: StorageAccount) -> Result<Self> {
        let fixed = match &account.access {
            Access::Key(Secret(key)) => {
                let wrong = |_| Error::config("the key of the storage account is no key");
                let key = AzureAccessKey::try_new(&BASE64_STANDARD.encode(key)).map_err(wrong)?;
                Some(Arc::new(AzureCredential::AccessKey(key)))
            }
            Access::Sas(sas) => Some(Arc::new(AzureCredential::SASToken(pairs(query(sas)?)?))),
            Access::Identity => None,
        };
        Ok(Self { state, account, fixed, shown: Mutex::default() })
    }

    pub(super) fn account(&self) -> &StorageAccount {
        &self.account
    }

    async fn token(&self) -> Result<Arc<str>> {
        let token = self.state.credentials.token(Audience::Storage).await?;
        *self.shown.lock() = Some(Arc::clone(&token));
        Ok(token)
    }

    /// After a service has refused the token: is there another?
    pub(super) async fn renew(&self) -> bool {
        let Some(refused) = self.shown.lock().clone() else { return false };
        self.state.credentials.reject(Audience::Storage, &refused);
        self.token().await.is_ok_and(|token| !Arc::ptr_eq(&token, &refused))
    }

    /// Signs a request of ours, or gives it its token.
    pub(super) async fn authorize(&self, request: &mut Parts, length: usize) -> Result<()> {
        // The service goes by the machine's time, whatever clock the app has.
        let date = DateTime::<Utc>::from(SystemTime::now()).format("%a, %d %b %Y %T GMT").to_string();
        set(&mut request.headers, "x-ms-date", &date)?;
        set(&mut request.headers, "x-ms-version", VERSION)?;
        let authorization = match &self.account.access {
            Access::Key(Secret(key)) => sign::shared_key(request, length, &self.account.name, key),
            Access::Identity => format!("Bearer {}", self.token().await?),
            Access::Sas(sas) => {
                let url = Self::with_sas(&request.uri.to_string(), sas)?;
                request.uri = url.parse().map_err(|_| Error::config("the shared access signature is no query"))?;
                return Ok(());
            }
        };
        let mut value = HeaderValue::from_str(&authorization).map_err(|_| Error::internal("a malformed signature"))?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// A URL of this account as a source of a copy: other than our own request it is not signed.
    pub(super) fn source(&self, url: String) -> Result<String> {
        match &self.account.access {
            Access::Sas(sas) => Self::with_sas(&url, sas),
            Access::Key(_) | Access::Identity => Ok(url),
        }
    }

    fn with_sas(url: &str, sas: &Secret) -> Result<String> {
        let separator = if url.contains('?') { '&' } else { '?' };
        Ok(format!("{url}{separator}{}", query(sas)?))
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    let value = HeaderValue::from_str(value).map_err(|_| Error::internal("a malformed header"))?;
    headers.insert(name, value);
    Ok(())
}

fn query(Secret(sas): &Secret) -> Result<&str> {
    let text = std::str::from_utf8(sas).ok().filter(|text| text.contains("sig="));
    let fits = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'#';
    let text = text.filter(|text| text.bytes().all(fits));
    text.ok_or_else(|| Error::config("the shared access signature of the storage account is no query with a `sig`"))
}

/// Decoded; a `+` is a plus, since signatures have them.
fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    };
    let pairs: std::result::Result<_, std::str::Utf8Error> =
        query.split('&').filter(|it| !it.is_empty()).map(pair).collect();
    pairs.map_err(|_| Error::config("the shared access signature of the storage account is not UTF-8"))
}

#[async_trait]
impl CredentialProvider for BlobAccess {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        match &self.fixed {
            Some(fixed) => Ok(Arc::clone(fixed)),
            None => Ok(Arc::new(AzureCredential::BearerToken(self.token().await?.to_string()))),
        }
    }
}
