//! Writes, copies and deletes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use object_store::{Attributes, CopyMode, CopyOptions, ObjectStoreExt, PutPayload};

use super::Bucket;
use super::attributes::attributes;
use super::parts::{PART_BYTES, Parts, send_parts};
use crate::access::Access;
use crate::blob::object::version;
use crate::blob::{Blob, PutMode, PutOptions, Version, WriteCondition};
use crate::{BoxError, Error, ErrorKind, Origin, Result};

/// Writes, copies and deletes.
impl Bucket {
    /// Writes an object and replaces a stored one. Returns the new version. Errors: those of [`put_with`](Self::put_with).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// let first = pages.put("index.html", "<h1>hi</h1>").await?;
    /// let second = pages.put("index.html", "<h1>ho</h1>").await?;
    /// assert_ne!(first, second);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put(&self, key: impl AsRef<str>, content: impl Into<Bytes>) -> Result<Version> {
        self.put_with(key, content, PutOptions::default()).await
    }

    /// Writes an object with a [condition](PutMode), a content type and metadata. Returns the new version.
    ///
    /// The content is in memory and is sent as one request; for large content use [`put_stream`](Self::put_stream).
    ///
    /// Errors: `AlreadyExists` for `Create`; `Conflict` for `Update`, also if the object is absent; `InvalidInput` for a
    /// content type, a `cache-control` or metadata that one of the services would reject; `TooLarge` for more than 2,000
    /// bytes of metadata. Nothing is written then.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::blob::{PutMode, PutOptions};
    /// use isobar_abstraction::{Cloud, ErrorKind};
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// let html = PutOptions::from(PutMode::Create).with_content_type("text/html").with_metadata("author", "ada");
    /// let first = pages.put_with("index.html", "<h1>hi</h1>", html.clone()).await?;
    /// let taken = pages.put_with("index.html", "<h1>ho</h1>", html).await.unwrap_err();
    /// assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    /// pages.put_with("index.html", "<h1>ho</h1>", PutMode::Update(first)).await?;
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put_with(
        &self,
        key: impl AsRef<str>,
        content: impl Into<Bytes>,
        options: impl Into<PutOptions>,
    ) -> Result<Version> {
        let (path, options) = (self.path("put", key.as_ref())?, options.into());
        let explain = |error| self.resource.explain("put", error);
        let attributes = self.attributes(&options).map_err(explain)?;
        let mode = put_mode(&options.mode).map_err(explain)?;
        let payload = PutPayload::from(content.into());
        let put = self.resource.run("put", Access::Write, async |driver: &Arc<dyn Blob>| {
            let options = object_store::PutOptions { mode, attributes, ..Default::default() };
            let updates = matches!(options.mode, object_store::PutMode::Update(_));
            let written = driver.object_store().put_opts(&path, payload, options).await.map_err(Error::from);
            // Services return different errors for the update of an absent object; the contract is `Conflict`.
            written.map_err(|error| match updates && is_absent(&error) {
                true => Error::conflict("the object is gone").with_source(error),
                false => error,
            })
        });
        Ok(version(put.await?.e_tag.as_deref()))
    }

    /// Writes an object from a stream. The object is visible after the stream has ended without an error. An error of the
    /// stream, or dropping the future, changes nothing.
    ///
    /// A stream has at most 430 GiB. A part of it is in memory: 8 MiB, and 8 MiB more for every 8 GiB of the stream, at most
    /// 80 MiB. A stream of less than 8 MiB is one request, a larger one a multipart upload.
    ///
    /// Errors: those of [`put_with`](Self::put_with), and:
    /// - `TooLarge` for a larger stream;
    /// - `Unsupported` for a [condition](PutMode) on 8 MiB or more if the provider has no conditional multipart upload, as
    ///   its [`Profile`](crate::profile::Profile::conditional_multipart) states; nothing is written then;
    /// - `Conflict`, also for `Create`, if S3 finds another write of the key at the end of a multipart upload; nothing is
    ///   written then, and the whole stream must be written again;
    /// - the error of the stream, or the first isobar error among its sources; any other is `InvalidInput` of
    ///   [`Origin::Data`]: over HTTP a 400, as for the body of a client that breaks off, and in a handler of messages another
    ///   attempt.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use futures_util::stream;
    /// use isobar_abstraction::{BoxError, Cloud, blob::PutMode};
    ///
    /// let films = Cloud::memory().bucket("films");
    /// let pieces = stream::iter(["one ", "two"].map(Ok::<_, BoxError>));
    /// films.put_stream("short", pieces, PutMode::Overwrite).await?;
    /// assert_eq!(films.get("short").await?.bytes().await?, "one two");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put_stream<B, E>(
        &self,
        key: impl AsRef<str>,
        content: impl Stream<Item = Result<B, E>> + Send,
        options: impl Into<PutOptions>,
    ) -> Result<Version>
    where
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let (key, options) = (key.as_ref(), options.into());
        let mut content = std::pin::pin!(content.fuse());
        let mut parts = Parts::default();
        let first = parts.next(&mut content).await.map_err(|error| self.resource.explain("put_stream", error))?;
        if first.len() < PART_BYTES {
            return self.put_with(key, first, options).await;
        }
        let path = self.path("put_stream", key)?;
        let explain = |error| self.resource.explain("put_stream", error);
        let upload = self.multipart(&options).map_err(explain)?;
        let result = self.resource.run("put_stream", Access::Write, async |driver: &Arc<dyn Blob>| {
            let mut upload = driver.object_store().put_multipart_opts(&path, upload).await?;
            match send_parts(upload.as_mut(), first, parts, content).await {
                Ok(result) => Ok(result),
                Err(error) => {
                    // The first error is returned; an upload that was not completed is never visible.
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        });
        Ok(version(result.await?.e_tag.as_deref()))
    }

    /// Deletes an object; `Ok` if it is absent.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// pages.delete("index.html").await?;
    /// pages.delete("index.html").await?;
    /// assert!(pages.head("index.html").await.is_err());
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<()> {
        let path = self.path("delete", key.as_ref())?;
        let deleted = self.resource.run("delete", Access::Write, async |driver: &Arc<dyn Blob>| {
            let deleted = driver.object_store().delete(&path).await.map_err(Error::from);
            // Some services report an absent object and some do not; the contract is `Ok`.
            deleted.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(error) })
        });
        deleted.await
    }

    /// Copies an object with its content type and metadata within the bucket, at the service. The handle needs access to
    /// read and to write.
    ///
    /// Errors: `NotFound` if `from` is absent; `AlreadyExists` for [`PutMode::Create`] if `to` exists; `Unsupported` for
    /// [`PutMode::Update`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, blob::PutMode};
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// pages.copy("index.html", "old.html", PutMode::Create).await?;
    /// assert_eq!(pages.get("old.html").await?.bytes().await?, "<h1>hi</h1>");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn copy(&self, from: impl AsRef<str>, to: impl AsRef<str>, mode: PutMode) -> Result<()> {
        let (from, to) = (self.path("copy", from.as_ref())?, self.path("copy", to.as_ref())?);
        let mode = match mode {
            PutMode::Overwrite => CopyMode::Overwrite,
            PutMode::Create => CopyMode::Create,
            PutMode::Update(_) => {
                let provider = self.resource.profile.provider;
                let error = Error::unsupported("copy", provider, "read the object and `put_with` the version");
                return Err(self.resource.explain("copy", error));
            }
        };
        let copy = self.resource.run("copy", Access::ReadWrite, async |driver: &Arc<dyn Blob>| {
            Ok(driver.object_store().copy_opts(&from, &to, CopyOptions::new().with_mode(mode)).await?)
        });
        copy.await
    }

    fn attributes(&self, options: &PutOptions) -> Result<Attributes> {
        attributes(options, self.resource.limits.metadata_bytes)
    }

    fn multipart(&self, options: &PutOptions) -> Result<object_store::PutMultipartOptions> {
        let profile = self.resource.profile;
        let attributes = self.attributes(options)?;
        let mut multipart = object_store::PutMultipartOptions { attributes, ..Default::default() };
        if options.mode != PutMode::Overwrite {
            if !profile.conditional_multipart {
                let instead = "write at most 8 MiB, or the whole object with `put_with`";
                return Err(Error::unsupported("put_stream", profile.provider, instead));
            }
            multipart.extensions.insert(WriteCondition(put_mode(&options.mode)?));
        }
        Ok(multipart)
    }
}

/// Is the object missing, and not the bucket?
fn is_absent(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && error.origin() == Origin::Data
}

/// The condition in the form of `object_store`. Errors: `Conflict` for a text that cannot be a version.
fn put_mode(mode: &PutMode) -> Result<object_store::PutMode> {
    Ok(match mode {
        PutMode::Overwrite => object_store::PutMode::Overwrite,
        PutMode::Create => object_store::PutMode::Create,
        PutMode::Update(version) => {
            version.check()?;
            let e_tag = Some(version.as_str().to_owned());
            object_store::PutMode::Update(object_store::UpdateVersion { e_tag, version: None })
        }
    })
}
