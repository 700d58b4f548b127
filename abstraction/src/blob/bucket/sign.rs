//! Signed URLs: URLs that contain their permission.
//!
//! They are for objects over the limits of a request or a response: the client reads or writes at the service itself.

use std::time::Duration;

use super::Bucket;
use crate::access::Access;
use crate::blob::{SignRequest, SignedAccess, SignedUrl};
use crate::{Error, Result};

/// Signed URLs.
impl Bucket {
    /// Signs a URL that permits any client to GET the object. `expires_in` is from 1 second to 7 days. The client reads
    /// from the service itself, without the limits of the app; [`serve`](Self::serve) can redirect to such a URL.
    ///
    /// The URL is a secret until it expires. On AWS it expires with the credentials that signed it, if that is earlier. The
    /// object need not exist yet. The handle needs access to read.
    ///
    /// Errors: `InvalidInput` for a lifetime out of range; those of the credentials.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use isobar_abstraction::{App, TestClient};
    ///
    /// let client = TestClient::new(|_| App::new("films"))?;
    /// let films = client.cloud().bucket("films");
    /// films.put("short", "one two").await?;
    /// let url = films.signed_get("short", Duration::from_secs(60)).await?.url;
    /// assert_eq!(client.get(&url).await?.text(), "one two");
    /// client.advance(Duration::from_secs(60));
    /// assert_eq!(client.get(&url).await?.status, 403);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn signed_get(&self, key: impl AsRef<str>, expires_in: Duration) -> Result<SignedUrl> {
        self.sign("signed_get", key.as_ref(), SignedAccess::Get, expires_in).await
    }

    /// Signs a URL that permits any client to PUT the object. `expires_in` is from 1 second to 7 days. So a client can write
    /// more than [`Limits::request_bytes`](crate::profile::Limits::request_bytes).
    ///
    /// The request must have the [headers](SignedUrl::headers) of the result; Azure requires one. It replaces a stored
    /// object, and has no limit of size by isobar. The handle needs access to write. Errors: those of
    /// [`signed_get`](Self::signed_get).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use http::Method;
    /// use isobar_abstraction::{App, TestClient};
    ///
    /// let client = TestClient::new(|_| App::new("films"))?;
    /// let films = client.cloud().bucket("films");
    /// let signed = films.signed_put("long", Duration::from_secs(60)).await?;
    /// let upload = client.request(Method::PUT, &signed.url).header("content-type", "video/mp4");
    /// let upload = signed.headers.iter().fold(upload, |upload, (name, value)| upload.header(name, value));
    /// assert_eq!(upload.body(vec![7; 5_000_000]).send().await?.status, 200);
    /// assert_eq!(films.head("long").await?.size, 5_000_000);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn signed_put(&self, key: impl AsRef<str>, expires_in: Duration) -> Result<SignedUrl> {
        self.sign("signed_put", key.as_ref(), SignedAccess::Put, expires_in).await
    }

    async fn sign(
        &self,
        operation: &'static str,
        key: &str,
        access: SignedAccess,
        expires_in: Duration,
    ) -> Result<SignedUrl> {
        let path = self.path(operation, key)?;
        self.check_lifetime(expires_in).map_err(|error| self.resource.explain(operation, error))?;
        let request = SignRequest { stored: path.as_ref().to_owned(), access, expires_in };
        let needs = if access == SignedAccess::Get { Access::Read } else { Access::Write };
        self.resource.run(operation, needs, |driver| driver.sign(&request)).await
    }

    pub(super) fn check_lifetime(&self, expires_in: Duration) -> Result<()> {
        let longest = self.resource.limits.signed_url_lifetime;
        if expires_in >= Duration::from_secs(1) && expires_in <= longest {
            return Ok(());
        }
        let days = longest.as_secs() / 86_400;
        Err(Error::invalid_input(format!(
            "the lifetime of a signed URL is {expires_in:?}; it must be from 1 second to {days} days"
        )))
    }
}
