//! Signed URLs: V4, by a service account's key or through IAM.
//!
//! Source: <https://cloud.google.com/storage/docs/authentication/canonical-requests> and
//! <https://cloud.google.com/storage/docs/authentication/signatures>.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use isobar_abstraction::blob::{SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::path::Path;
use ring::digest::{SHA256, digest};
use url::Url;

use super::encoded;
use super::requests::GcsRequests;

/// The longest that Cloud Storage takes.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What is to be signed.
struct Grant<'a> {
    method: &'a str,
    /// Of the object, encoded, without a query.
    url: &'a str,
    /// Of the service account.
    email: &'a str,
    now: DateTime<Utc>,
    lasts: Duration,
}

/// A URL that is good for whoever holds it. Only the host is signed, so that they may send any content type.
///
/// An emulator's URLs are signed like Google's own. Errors: those of the credentials, where there are none
/// that sign.
pub(super) async fn sign(requests: &GcsRequests, request: &SignRequest) -> Result<SignedUrl> {
    let path = Path::parse(&request.stored).map_err(object_store::Error::from)?;
    let credentials = &requests.state().credentials;
    let email = credentials.email().await?;
    let grant = Grant {
        method: match request.access {
            SignedAccess::Get => "GET",
            SignedAccess::Put => "PUT",
        },
        url: &requests.content_url(&path),
        email: &email,
        // Google goes by the machine's time, whatever clock the app has.
        now: SystemTime::now().into(),
        lasts: request.expires_in,
    };
    let signed = credentials.sign(grant.text()?.as_bytes()).await?;
    if signed.email != *email {
        return Err(Error::new(ErrorKind::Unavailable, "the credentials changed while a URL was signed: sign it anew"));
    }
    Ok(SignedUrl::new(grant.signed(&signed.signature)))
}

impl Grant<'_> {
    fn day(&self) -> String {
        self.now.format("%Y%m%d").to_string()
    }

    fn time(&self) -> String {
        self.now.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/auto/storage/goog4_request", self.day())
    }

    /// In the order in which it is signed.
    fn query(&self) -> String {
        let credential = format!("{}/{}", self.email, self.scope());
        let seconds = self.lasts.min(LONGEST).as_secs().max(1).to_string();
        encoded::query(&[
            ("X-Goog-Algorithm", "GOOG4-RSA-SHA256"),
            ("X-Goog-Credential", &credential),
            ("X-Goog-Date", &self.time()),
            ("X-Goog-Expires", &seconds),
            ("X-Goog-SignedHeaders", "host"),
        ])
    }

    /// The text that is signed. Errors: `Config`.
    fn text(&self) -> Result<String> {
        let wrong = |error| Error::config("the endpoint of Cloud Storage is not a URL").with_source(error);
        let url = Url::parse(self.url).map_err(wrong)?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let (method, query) = (self.method, self.query());
        // As it is sent, and not as `Url` would have it.
        let path = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        let canonical = format!("{method}\n/{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        Ok(format!("GOOG4-RSA-SHA256\n{}\n{}\n{hash}", self.time(), self.scope()))
    }

    fn signed(&self, signature: &[u8]) -> String {
        format!("{}?{}&X-Goog-Signature={}", self.url, self.query(), hex(signature))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
