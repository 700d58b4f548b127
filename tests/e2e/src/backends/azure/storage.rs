//! What the deployment and the Functions host do in a storage account: spoken by hand, under a shared access
//! signature, so that nothing of what is under test is in it.

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

/// A storage account of Azurite's.
#[derive(Debug)]
pub(super) struct Storage {
    services: Services,
    sas: String,
}

/// A message as a queue gives it out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Queued {
    #[serde(rename = "MessageId")]
    pub(super) id: String,
    #[serde(rename = "PopReceipt")]
    pub(super) receipt: String,
    /// Empty where it was just sent.
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

    pub(super) async fn make_container(&self, name: &str) -> Result<()> {
        let url = format!("{}/{ACCOUNT}/{name}?restype=container&", self.services.blob);
        self.call(Method::PUT, url, None).await.map(drop)
    }

    pub(super) async fn make_queue(&self, name: &str) -> Result<()> {
        self.call(Method::PUT, format!("{}?", self.queue(name)), None).await.map(drop)
    }

    pub(super) async fn make_table(&self, name: &str) -> Result<()> {
        let url = format!("{}/{ACCOUNT}/Tables?", self.services.table);
        let body = serde_json::json!({ "TableName": name }).to_string();
        self.call(Method::POST, url, Some(("application/json", body))).await.map(drop)
    }

    /// How large an object is. `None` where it is gone again.
    pub(super) async fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.call(Method::HEAD, format!("{}{path}?", self.services.blob), None).await {
            Ok(answer) => Ok(answer.headers.get("content-length").and_then(|it| it.to_str().ok()?.parse().ok())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes up to 32 messages, and hides them for so many seconds.
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

    /// Hides a message for so many seconds from now on, and answers its new receipt.
    pub(super) async fn hide(&self, queue: &str, id: &str, receipt: &str, seconds: u64) -> Result<String> {
        let url = format!("{}visibilitytimeout={seconds}&", self.message(queue, id, receipt));
        let answer = self.call(Method::PUT, url, None).await?;
        let receipt = answer.headers.get("x-ms-popreceipt").and_then(|it| it.to_str().ok());
        receipt.map(str::to_owned).ok_or_else(|| Error::internal("the queue told no receipt"))
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
            // Of a PUT without a body, the length is told.
            None if method == Method::PUT => (request = request.header("content-length", "0"), Body::empty()).1,
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| Error::internal("not a request").with_source(error))?;
        let answer = send(request).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(answer),
            404 => Err(Error::not_found(format!("{method} {url}: not there"))),
            status => Err(Error::internal(format!("{method} {url}: {status} {}", answer.text()))),
        }
    }
}

/// The messages in a queue's answer.
pub(super) fn queued(answer: &Bytes) -> Result<Vec<Queued>> {
    let text = String::from_utf8_lossy(answer);
    let told: QueueMessages = quick_xml::de::from_str(&text)
        .map_err(|error| Error::internal(format!("not a list of messages: {text}")).with_source(error))?;
    Ok(told.messages)
}

/// Everything in all services of the account, for years.
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

/// HMAC-SHA256 by a key in base64, in base64.
pub(super) fn sign(key: &str, text: &str) -> Result<String> {
    let no_key = |_| Error::internal("not a key");
    let key = BASE64_STANDARD.decode(key).map_err(no_key)?;
    Ok(mac(&key, text))
}

/// HMAC-SHA256, in base64.
pub(super) fn mac(key: &[u8], text: &str) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
