//! What opens an account, for `object_store`'s requests.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use isobar_abstraction::{Error, Result};
use object_store::CredentialProvider;
use object_store::azure::{AzureAccessKey, AzureCredential};
use percent_encoding::percent_decode_str;

use crate::config::{Access, Secret, StorageAccount};
use crate::credentials::{Audience, Credentials};

/// An account and how it is opened.
pub(super) struct BlobAccess {
    credentials: Credentials,
    /// Where it is not a token.
    fixed: Option<Arc<AzureCredential>>,
}

impl fmt::Debug for BlobAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobAccess").finish_non_exhaustive()
    }
}

impl BlobAccess {
    /// Errors: `Config`.
    pub(super) fn new(credentials: Credentials, account: &StorageAccount) -> Result<Self> {
        let fixed = match &account.access {
            Access::Key(Secret(key)) => {
                let wrong = |_| Error::config("the key of the storage account is no key");
                let key = AzureAccessKey::try_new(&BASE64_STANDARD.encode(key)).map_err(wrong)?;
                Some(Arc::new(AzureCredential::AccessKey(key)))
            }
            Access::Sas(Secret(sas)) => Some(Arc::new(AzureCredential::SASToken(pairs(sas)?))),
            Access::Identity => None,
        };
        Ok(Self { credentials, fixed })
    }

    /// The token that a request will show, if it shows one.
    pub(super) async fn token(&self) -> Result<Option<Arc<str>>> {
        match &self.fixed {
            Some(_) => Ok(None),
            None => self.credentials.token(Audience::Storage).await.map(Some),
        }
    }

    /// After a service has refused this token: is there another?
    pub(super) async fn renew(&self, refused: &Arc<str>) -> bool {
        self.credentials.renew(Audience::Storage, refused).await
    }
}

/// Of a query, decoded; a `+` is a plus, since signatures have them.
fn pairs(query: &[u8]) -> Result<Vec<(String, String)>> {
    let query = String::from_utf8_lossy(query);
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
            None => {
                let token = self.credentials.token(Audience::Storage).await?;
                Ok(Arc::new(AzureCredential::BearerToken(token.to_string())))
            }
        }
    }
}
