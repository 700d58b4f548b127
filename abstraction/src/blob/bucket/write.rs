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

/// Writing.
impl Bucket {
    /// Writes an object whole, whatever is there. Returns the new version.
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

    /// Writes an object whole, under a [mode](PutMode), with content type and metadata.
    ///
    /// Errors: `AlreadyExists`, `Conflict`, `InvalidInput`, `TooLarge`.
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
            // Services disagree on the update of an absent object; to us it is a lost race.
            written.map_err(|error| match updates && is_absent(&error) {
                true => Error::conflict("the object is gone").with_source(error),
                false => error,
            })
        });
        Ok(version(put.await?.e_tag.as_deref()))
    }

    /// Writes an object from a stream. Nothing is visible before the stream has ended well; an
    /// error of the stream, or dropping the future, leaves what was there.
    ///
    /// An isobar error of the stream, or the first one inside an error of the stream, is the error of the write. Any
    /// other is `InvalidInput` of [`Origin::Data`]: over HTTP a 400, as for the body of a client that breaks off, and in
    /// a handler of messages another attempt.
    ///
    /// A stream has at most 430 GiB, else it is `TooLarge`. Up to 8 MiB of it are held in memory, and for every
    /// 8 GiB of a larger one 8 MiB more, at most 80 MiB.
    ///
    /// A [mode](PutMode) other than `Overwrite` on more than 8 MiB is `Unsupported` where the
    /// provider cannot hold a multipart write to it; nothing is written then.
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
                    // The first error matters, and an upload that is not completed is never visible.
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        });
        Ok(version(result.await?.e_tag.as_deref()))
    }

    /// Deletes an object. An absent one is `Ok`.
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
            // Some services say that it was absent, some do not; the contract is that it does not matter.
            deleted.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(error) })
        });
        deleted.await
    }

    /// Copies an object with its content type and metadata. Errors: `NotFound`, and `AlreadyExists`
    /// under [`PutMode::Create`]; [`PutMode::Update`] is `Unsupported`.
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

/// Is it the object that is missing, and not the bucket?
fn is_absent(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && error.origin() == Origin::Data
}

/// Errors: `Conflict`, for a version that no object has.
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
