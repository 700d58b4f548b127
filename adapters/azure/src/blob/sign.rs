//! Signed URLs: shared access signatures of one object, with the account's key or with a user delegation key, which
//! Azure issues to an identity.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat};
use http::Request;
use http::header::CONTENT_TYPE;
use isobar_abstraction::clock::{later, to_utc};
use isobar_abstraction::driver::blob::{SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode_query;
use object_store::path::Path;
use serde::Deserialize;

use super::requests::BlobRequests;
use crate::config::{Access, Secret};
use crate::credentials::shared_key::hmac;
use crate::service::VERSION;

/// The shortest lifetime of a user delegation key, so that one key signs many URLs.
const SHORTEST: Duration = Duration::from_secs(12 * 3_600);

/// The longest lifetime of a user delegation key, from its start:
/// <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// How far Azure's clocks may be behind the machine's.
const SKEW: Duration = Duration::from_secs(300);

/// Signs URLs.
#[derive(Debug)]
pub(super) struct Sas {
    requests: Arc<BlobRequests>,
    delegated: tokio::sync::Mutex<Option<Arc<Delegated>>>,
}

/// A user delegation key, as Azure returns it.
#[derive(Clone, Deserialize)]
struct DelegationKey {
    #[serde(rename = "SignedOid")]
    oid: String,
    #[serde(rename = "SignedTid")]
    tid: String,
    #[serde(rename = "SignedStart")]
    start: String,
    #[serde(rename = "SignedExpiry")]
    expiry: String,
    #[serde(rename = "SignedService")]
    service: String,
    #[serde(rename = "SignedVersion")]
    version: String,
    #[serde(rename = "Value")]
    value: String,
}

/// A user delegation key, decoded.
struct Delegated {
    key: DelegationKey,
    secret: Vec<u8>,
    expires: SystemTime,
}

impl fmt::Debug for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegated").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The access that a signature grants.
struct Grant<'a> {
    /// `r` reads, `w` writes.
    permissions: &'a str,
    expiry: String,
    /// `/blob/account/container/name`, not encoded.
    resource: String,
    /// `https` forbids the URL in clear text; empty where the endpoint has no TLS.
    protocol: &'a str,
}

impl Sas {
    pub(super) fn new(requests: Arc<BlobRequests>) -> Self {
        Self { requests, delegated: tokio::sync::Mutex::default() }
    }

    /// Signs a URL. Errors: `Unsupported` where the account is accessed by a shared access signature, which cannot
    /// create another one.
    pub(super) async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        let path = Path::parse(&request.stored).map_err(object_store::Error::from)?;
        // Azure checks the machine's time, whatever clock the app has.
        let now = SystemTime::now();
        let end = later(now, request.expires_in.min(LONGEST));
        let grant = self.grant(&path, request.access, end);
        let query = match &self.requests.account.access {
            Access::Key(Secret(key)) => by_key(&grant, key),
            Access::Identity => by_identity(&grant, &*self.delegated(now, end).await?),
            Access::Sas(_) => {
                let instead = "set the account's key, or use an identity: a shared access signature cannot sign URLs";
                return Err(Error::unsupported("sign", "azure", instead));
            }
        };
        let signed = SignedUrl::new(format!("{}?{query}", self.requests.url(&path)));
        Ok(match request.access {
            SignedAccess::Get => signed,
            SignedAccess::Put => signed.with_header("x-ms-blob-type", "BlockBlob"),
            _ => return Err(Error::unknown_variant("SignedAccess")),
        })
    }

    fn grant(&self, path: &Path, access: SignedAccess, end: SystemTime) -> Grant<'static> {
        let account = &self.requests.account;
        Grant {
            permissions: if access == SignedAccess::Get { "r" } else { "w" },
            expiry: time(end),
            resource: format!("/blob/{}/{}/{path}", account.name, self.requests.container),
            protocol: if account.blob.starts_with("https://") { "https" } else { "" },
        }
    }

    /// A user delegation key that is valid until `end`.
    async fn delegated(&self, now: SystemTime, end: SystemTime) -> Result<Arc<Delegated>> {
        let mut cached = self.delegated.lock().await;
        if let Some(delegated) = cached.as_ref().filter(|delegated| delegated.expires >= end) {
            return Ok(Arc::clone(delegated));
        }
        let end = end.max(later(now, SHORTEST));
        let back = |from: SystemTime, by| from.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH);
        let start = back(now, SKEW).max(back(end, LONGEST));
        let fresh = Arc::new(self.request_key(&time(start), &time(end)).await?);
        *cached = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>
    async fn request_key(&self, start: &str, expiry: &str) -> Result<Delegated> {
        let url = format!("{}/?restype=service&comp=userdelegationkey", self.requests.account.blob);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>"
        );
        let request = Request::post(url).header(CONTENT_TYPE, "application/xml");
        let answer = self.requests.ask("GetUserDelegationKey", request, body.into()).await?;
        Delegated::read(answer.body())
    }
}

impl Delegated {
    /// Reads a response. Errors: `Internal`, without its text.
    fn read(answer: &[u8]) -> Result<Self> {
        let wrong = || Error::internal("Blob Storage did not return the expected user delegation key");
        let text = std::str::from_utf8(answer).map_err(|_| wrong())?.trim_start_matches('\u{feff}');
        let key: DelegationKey = quick_xml::de::from_str(text).map_err(|_| wrong())?;
        let secret = BASE64_STANDARD.decode(key.value.trim()).map_err(|_| wrong())?;
        let expires = DateTime::parse_from_rfc3339(&key.expiry).map_err(|_| wrong())?;
        Ok(Self { key, secret, expires: expires.into() })
    }
}

fn time(at: SystemTime) -> String {
    to_utc(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Source: <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>, since 2020-12-06.
fn by_key(grant: &Grant<'_>, key: &[u8]) -> String {
    let Grant { permissions, expiry, resource, protocol } = grant;
    // Without a start it is valid immediately, whatever Azure's clocks show.
    let (start, identifier, address) = ("", "", "");
    let text = format!(
        "{permissions}\n{start}\n{expiry}\n{resource}\n{identifier}\n{address}\n{protocol}\n{VERSION}\nb\n\n\n\n\n\n\n"
    );
    query(grant, &[], &hmac(key, &text))
}

/// Source: <https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas>, since 2020-12-06.
fn by_identity(grant: &Grant<'_>, delegated: &Delegated) -> String {
    let Grant { permissions, expiry, resource, protocol } = grant;
    let DelegationKey { oid, tid, start, expiry: key_expiry, service, version, .. } = &delegated.key;
    let key = format!("{oid}\n{tid}\n{start}\n{key_expiry}\n{service}\n{version}");
    let text = format!("{permissions}\n\n{expiry}\n{resource}\n{key}\n\n\n\n\n{protocol}\n{VERSION}\nb\n\n\n\n\n\n\n");
    let of_key = [
        ("skoid", oid.as_str()),
        ("sktid", tid),
        ("skt", start),
        ("ske", key_expiry),
        ("sks", service),
        ("skv", version),
    ];
    query(grant, &of_key, &hmac(&delegated.secret, &text))
}

fn query(grant: &Grant<'_>, of_key: &[(&str, &str)], signature: &str) -> String {
    let mut pairs = vec![("sv", VERSION), ("sr", "b"), ("sp", grant.permissions), ("se", grant.expiry.as_str())];
    if !grant.protocol.is_empty() {
        pairs.push(("spr", grant.protocol));
    }
    pairs.extend(of_key);
    pairs.push(("sig", signature));
    encode_query(&pairs)
}
