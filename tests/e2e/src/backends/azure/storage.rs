//! What a deployment and the Functions host do in a storage account, by its REST API and a shared access signature: no
//! code under test is in it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request};
use isobar::{Body, Error, ErrorKind, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use sha2::Sha256;

use super::Services;
use crate::backends::send;
use crate::emulators::{ACCOUNT, ACCOUNT_KEY};
use crate::server::not_a_request;

/// A storage account in Azurite.
#[derive(Debug)]
pub(super) struct Storage {
    services: Services,
    sas: String,
}

/// A message as a queue returns it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Queued {
    #[serde(rename = "MessageId")]
    pub(super) id: String,
    #[serde(rename = "PopReceipt")]
    pub(super) receipt: String,
    /// Empty in the response to a request that sends it.
    #[serde(rename = "MessageText", default)]
    pub(super) text: String,
    #[serde(rename = "DequeueCount", default)]
    pub(super) count: u32,
    #[serde(rename = "InsertionTime", default)]
    pub(super) inserted: String,
}

#[derive(Debug, Deserialize)]
struct QueueMessages {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Queued>,
}

impl Storage {
    pub(super) fn new(services: Services) -> Result<Self> {
        Ok(Self { services, sas: account_sas()? })
    }

    pub(super) async fn create_container(&self, name: &str) -> Result<()> {
        let url = format!("{}/{ACCOUNT}/{name}?restype=container&", self.services.blob);
        self.call(Method::PUT, url, None).await.map(drop)
    }

    pub(super) async fn create_queue(&self, name: &str) -> Result<()> {
        self.call(Method::PUT, format!("{}?", self.queue(name)), None).await.map(drop)
    }

    pub(super) async fn create_table(&self, name: &str) -> Result<()> {
        let url = format!("{}/{ACCOUNT}/Tables?", self.services.table);
        let body = serde_json::json!({ "TableName": name }).to_string();
        self.call(Method::POST, url, Some(("application/json", body))).await.map(drop)
    }

    /// The size of an object, in bytes. `None` where it has been deleted.
    pub(super) async fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.call(Method::HEAD, format!("{}{path}?", self.services.blob), None).await {
            Ok(response) => Ok(response.headers.get("content-length").and_then(|it| it.to_str().ok()?.parse().ok())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Receives up to 32 messages, and hides them for this many seconds.
    pub(super) async fn receive(&self, queue: &str, hide: u64) -> Result<Vec<Queued>> {
        let url = format!("{}/messages?numofmessages=32&visibilitytimeout={hide}&", self.queue(queue));
        queued(&self.call(Method::GET, url, None).await?.body)
    }

    pub(super) async fn send(&self, queue: &str, text: &str) -> Result<()> {
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let url = format!("{}/messages?messagettl=-1&", self.queue(queue));
        self.call(Method::POST, url, Some(("application/xml", body))).await.map(drop)
    }

    pub(super) async fn delete(&self, queue: &str, id: &str, receipt: &str) -> Result<()> {
        self.call(Method::DELETE, self.message(queue, id, receipt), None).await.map(drop)
    }

    /// Hides a message for this many seconds from now. Returns its new receipt.
    pub(super) async fn hide(&self, queue: &str, id: &str, receipt: &str, seconds: u64) -> Result<String> {
        let url = format!("{}visibilitytimeout={seconds}&", self.message(queue, id, receipt));
        let response = self.call(Method::PUT, url, None).await?;
        let receipt = response.headers.get("x-ms-popreceipt").and_then(|it| it.to_str().ok());
        receipt.map(str::to_owned).ok_or_else(|| Error::internal("the response has no x-ms-popreceipt"))
    }

    fn queue(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.services.queue)
    }

    fn message(&self, queue: &str, id: &str, receipt: &str) -> String {
        format!("{}/messages/{id}?popreceipt={}&", self.queue(queue), encoded(receipt))
    }

    /// Errors: `NotFound`, and `Internal` for any other service error.
    async fn call(&self, method: Method, url: String, body: Option<(&str, String)>) -> Result<isobar::TestResponse> {
        let mut request = Request::builder().method(&method).uri(format!("{url}{}", self.sas));
        request = request.header("x-ms-version", "2021-12-02").header("accept", "application/json;odata=nometadata");
        let body = match body {
            Some((kind, body)) => (request = request.header("content-type", kind), Body::from(body)).1,
            // The service requires a length of a PUT without a body.
            None if method == Method::PUT => (request = request.header("content-length", "0"), Body::empty()).1,
            None => Body::empty(),
        };
        let response = send(request.body(body).map_err(not_a_request)?).await?;
        match response.status.as_u16() {
            200..=299 => Ok(response),
            404 => Err(Error::not_found(format!("{method} {url} answers 404"))),
            status => Err(Error::internal(format!("{method} {url} answers {status}: {}", response.text()))),
        }
    }
}

/// The messages in a queue's response.
pub(super) fn queued(response: &Bytes) -> Result<Vec<Queued>> {
    let text = String::from_utf8_lossy(response);
    let list: QueueMessages = quick_xml::de::from_str(&text)
        .map_err(|error| Error::internal(format!("not a list of messages: {text}")).with_source(error))?;
    Ok(list.messages)
}

/// A signature for all operations of all services of the account, until 2099.
///
/// Source: <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>.
fn account_sas() -> Result<String> {
    let (permissions, services, kinds, expiry, version) =
        ("rwdlacup", "bqt", "sco", "2099-01-01T00:00:00Z", "2021-12-02");
    let text = format!("{ACCOUNT}\n{permissions}\n{services}\n{kinds}\n\n{expiry}\n\n\n{version}\n\n");
    let signature = sign(ACCOUNT_KEY, &text)?;
    Ok(format!(
        "sv={version}&ss={services}&srt={kinds}&sp={permissions}&se={}&sig={}",
        encoded(expiry),
        encoded(&signature)
    ))
}

/// HMAC-SHA256 in base64, of a key in base64.
pub(super) fn sign(key: &str, text: &str) -> Result<String> {
    let no_key = |_| Error::internal("not a key");
    let key = BASE64_STANDARD.decode(key).map_err(no_key)?;
    Ok(mac(&key, text))
}

/// HMAC-SHA256, in base64.
pub(super) fn mac(key: &[u8], text: &str) -> String {
    // A key of any length is valid.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
