//! The blob type that apps hold.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::path::Path;
use object_store::{Attribute, Attributes, CopyMode, CopyOptions, ObjectStore, ObjectStoreExt, PutPayload, PutResult};

use super::guard::GuardedStore;
use super::object::version;
use super::{
    Blob, GetOptions, ListQuery, Object, ObjectInfo, PutMode, SignRequest, SignedAccess, SignedUrl, Version,
    WriteCondition, WriteOptions, key,
};
use crate::access::Access;
use crate::handle::Resource;
use crate::{BoxError, Error, ErrorKind, Origin, Result};

/// A bucket of objects. Cheap to clone.
///
/// | service | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | behind it | files | S3 | Blob Storage | Cloud Storage |
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{Cloud, blob::WriteOptions};
///
/// let pages = Cloud::memory().bucket("pages");
/// let html = WriteOptions::default().with_content_type("text/html");
/// pages.put_with("index.html", "<h1>hi</h1>", html).await?;
///
/// let page = pages.get("index.html").await?;
/// assert_eq!(page.content_type.as_deref(), Some("text/html"));
/// assert_eq!(page.bytes().await?, "<h1>hi</h1>");
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Bucket {
    resource: Resource<dyn Blob>,
}

/// The size of the first parts of a multipart write. S3 wants at least 5 MiB for all but the last.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The most parts that S3 takes.
const MOST_PARTS: usize = 10_000;

/// The size of a part, counted from 0: it grows, so that 10,000 parts hold 430 GiB and not 78 GiB.
fn part_bytes(number: usize) -> usize {
    PART_BYTES * (1 + number.min(MOST_PARTS - 1) / 1_000)
}

impl Bucket {
    pub(crate) fn new(resource: Resource<dyn Blob>) -> Self {
        Self { resource }
    }

    pub(crate) fn resource(&self) -> &Resource<dyn Blob> {
        &self.resource
    }

    /// The logical name.
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// A handle that can only read, and declares no more than that.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self::new(self.resource.narrow(Access::Read))
    }

    /// A handle that can only write, and declares no more than that.
    #[must_use]
    pub fn write_only(self) -> Self {
        Self::new(self.resource.narrow(Access::Write))
    }

    /// The underlying [`ObjectStore`], for libraries that want one.
    ///
    /// It refuses what this handle may not do. Its paths are stored names: see [`key`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(GuardedStore::new(self.resource.clone()))
    }

    /// Reads an object. Errors: `NotFound`.
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Object> {
        self.get_with(key, GetOptions::default()).await
    }

    /// Reads some bytes of an object. Errors: `NotFound`; `InvalidInput` past the end.
    pub async fn get_range(&self, key: impl AsRef<str>, range: Range<u64>) -> Result<Bytes> {
        self.get_with(key, GetOptions::default().with_range(range)).await?.bytes().await
    }

    /// Reads an object under conditions. Errors: `NotFound`, `Conflict`, `InvalidInput`.
    pub async fn get_with(&self, key: impl AsRef<str>, options: GetOptions) -> Result<Object> {
        let path = self.path("get", key.as_ref())?;
        let result = self.resource.run("get", Access::Read, async |driver: &Arc<dyn Blob>| {
            let (store, range) = (driver.object_store(), options.range.clone());
            if let Some(range) = range.clone().filter(is_beyond_all) {
                let size = store.head(&path).await?.size;
                let message = format!("the range {}..{} holds no byte of an object of {size}", range.start, range.end);
                return Err(Error::invalid(message).with_origin(Origin::Data));
            }
            let range = range.map(object_store::GetRange::Bounded);
            let found = store.get_opts(&path, object_store::GetOptions { range, ..Default::default() }).await?;
            // Compared here: in a header, text such as `*` or `"a", "b"` has a meaning of its own.
            match &options.version {
                Some(version) if found.meta.e_tag.as_deref() != Some(version.as_str()) => {
                    Err(Error::conflict("the object is not in this version; read it again without one"))
                }
                _ => Ok(found),
            }
        });
        Ok(Object::new(result.await?))
    }

    /// What an object is, without its content. Errors: `NotFound`.
    pub async fn head(&self, key: impl AsRef<str>) -> Result<ObjectInfo> {
        let path = self.path("head", key.as_ref())?;
        let meta = self
            .resource
            .run("head", Access::Read, async |driver: &Arc<dyn Blob>| Ok(driver.object_store().head(&path).await?));
        Ok(ObjectInfo::new(&meta.await?))
    }

    /// Writes an object whole, whatever is there. Returns the new version.
    pub async fn put(&self, key: impl AsRef<str>, content: impl Into<Bytes>) -> Result<Version> {
        self.put_with(key, content, WriteOptions::default()).await
    }

    /// Writes an object whole, under a [mode](PutMode), with content type and metadata.
    ///
    /// Errors: `AlreadyExists`, `Conflict`, `InvalidInput`, `TooLarge`.
    pub async fn put_with(
        &self,
        key: impl AsRef<str>,
        content: impl Into<Bytes>,
        options: impl Into<WriteOptions>,
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
    /// A stream has at most 430 GiB, else it is `TooLarge`. Up to 8 MiB of it are held in memory, and for every
    /// 8 GiB of a larger one 8 MiB more, at most 80 MiB.
    ///
    /// A [mode](PutMode) other than `Overwrite` on more than 8 MiB is `Unsupported` where the
    /// provider cannot hold a multipart write to it; nothing is written then.
    pub async fn put_stream<B, E>(
        &self,
        key: impl AsRef<str>,
        content: impl Stream<Item = Result<B, E>> + Send,
        options: impl Into<WriteOptions>,
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

    /// Objects whose keys begin with `prefix`, in order. An empty prefix lists all.
    pub fn list(&self, prefix: impl Into<String>) -> ListQuery {
        ListQuery::new(self.resource.clone(), prefix.into())
    }

    /// A URL with which anybody can GET the object until it expires, within 7 days.
    pub async fn signed_get(&self, key: impl AsRef<str>, expires_in: Duration) -> Result<SignedUrl> {
        self.sign("signed_get", key.as_ref(), SignedAccess::Get, expires_in).await
    }

    /// A URL with which anybody can PUT the object until it expires, within 7 days.
    ///
    /// The request must carry the [headers](SignedUrl::headers) that come with it.
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
        let longest = self.resource.limits.signed_url;
        if expires_in < Duration::from_secs(1) || expires_in > longest {
            let message = format!("a signed URL lives from 1 second to {} days", longest.as_secs() / 86_400);
            return Err(self.resource.explain(operation, Error::invalid(message)));
        }
        let request = SignRequest { stored: path.as_ref().to_owned(), access, expires_in };
        let needs = if access == SignedAccess::Get { Access::Read } else { Access::Write };
        self.resource.run(operation, needs, |driver| driver.sign(&request)).await
    }

    fn path(&self, operation: &'static str, key: &str) -> Result<Path> {
        let path = key::to_path(key, self.resource.limits.object_key_bytes);
        path.map_err(|error| self.resource.explain(operation, error))
    }

    fn attributes(&self, options: &WriteOptions) -> Result<Attributes> {
        let mut attributes = Attributes::new();
        let headers =
            [(Attribute::ContentType, &options.content_type), (Attribute::CacheControl, &options.cache_control)];
        for (attribute, value) in headers {
            if let Some(value) = value {
                check_header_value(value)?;
                attributes.insert(attribute, value.clone().into());
            }
        }
        let mut size = 0;
        for (name, value) in &options.metadata {
            check_metadata_name(name)?;
            check_header_value(value)?;
            size += (name.len() + value.len()) as u64;
            attributes.insert(Attribute::Metadata(name.clone().into()), value.clone().into());
        }
        let limit = self.resource.limits.metadata_bytes;
        if size > limit { Err(Error::too_large("the metadata", size, limit)) } else { Ok(attributes) }
    }

    fn multipart(&self, options: &WriteOptions) -> Result<object_store::PutMultipartOptions> {
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

/// Does the range hold no byte of any object? Services disagree on such ranges, and on numbers of more than 63 bits.
fn is_beyond_all(range: &Range<u64>) -> bool {
    range.is_empty() || i64::try_from(range.start).is_err()
}

fn check_metadata_name(name: &str) -> Result<()> {
    // Azure wants C# identifiers, S3 and Cloud Storage headers; all of them fold the case.
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(good) && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is not a metadata name: use a-z, 0-9 and _, beginning with a letter",
        name.escape_debug()
    )))
}

fn check_header_value(value: &str) -> Result<()> {
    let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && !value.is_empty() && value.trim() == value {
        return Ok(());
    }
    Err(Error::invalid(
        "content type, cache control and metadata values are printable ASCII with no blank at either end",
    ))
}

/// The bytes of all parts: `part_bytes` of 0 to 9,999.
const LARGEST_STREAM: u64 = PART_BYTES as u64 * 1_000 * 55;

/// Cuts a stream into parts of [`part_bytes`], however its own pieces lie.
#[derive(Default)]
struct Parts {
    rest: BytesMut,
    cut: usize,
}

impl Parts {
    /// The next part: of full size, or shorter at the end of the stream.
    async fn next<B, E>(&mut self, content: &mut (impl Stream<Item = Result<B, E>> + Unpin)) -> Result<Bytes>
    where
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let size = part_bytes(self.cut);
        self.cut += 1;
        while self.rest.len() < size {
            match content.next().await {
                Some(Ok(piece)) => self.rest.extend_from_slice(&piece.into()),
                Some(Err(error)) => {
                    let error: BoxError = error.into();
                    // A content that comes from a service fails as that does; all else is what a client sends.
                    let origin = error.downcast_ref::<Error>().map_or(Origin::Request, Error::origin);
                    let message = "the content could not be read; nothing was written";
                    return Err(Error::invalid(message).with_origin(origin).with_source(error));
                }
                None => return Ok(self.rest.split().freeze()),
            }
        }
        Ok(self.rest.split_to(size).freeze())
    }
}

async fn send_parts<B, E>(
    upload: &mut dyn object_store::MultipartUpload,
    first: Bytes,
    mut parts: Parts,
    mut content: impl Stream<Item = Result<B, E>> + Unpin,
) -> Result<PutResult>
where
    B: Into<Bytes>,
    E: Into<BoxError>,
{
    let mut part = first;
    while !part.is_empty() {
        if parts.cut > MOST_PARTS {
            let error = Error::new(ErrorKind::TooLarge, "the stream has more than 430 GiB").with_limit(LARGEST_STREAM);
            return Err(error.with_origin(Origin::Request));
        }
        upload.put_part(part.into()).await?;
        part = parts.next(&mut content).await?;
    }
    Ok(upload.complete().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_stream() {
        assert_eq!((0..MOST_PARTS).map(|number| part_bytes(number) as u64).sum::<u64>(), LARGEST_STREAM);
        assert_eq!((part_bytes(0), part_bytes(usize::MAX)), (PART_BYTES, 10 * PART_BYTES));
    }

    #[tokio::test]
    async fn a_stream_of_more_parts_than_a_service_takes_is_too_large() {
        #[derive(Debug)]
        struct Sink;
        #[async_trait::async_trait]
        impl object_store::MultipartUpload for Sink {
            fn put_part(&mut self, _: PutPayload) -> object_store::UploadPart {
                Box::pin(async { Ok(()) })
            }
            async fn complete(&mut self) -> object_store::Result<PutResult> {
                Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
            }
            async fn abort(&mut self) -> object_store::Result<()> {
                Ok(())
            }
        }
        let content = || futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"))]);
        let parts = |cut| Parts { cut, ..Parts::default() };
        let first = Bytes::from_static(b"first");
        send_parts(&mut Sink, first.clone(), parts(MOST_PARTS - 1), content()).await.unwrap();
        let error = send_parts(&mut Sink, first, parts(MOST_PARTS), content()).await.unwrap_err();
        assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LARGEST_STREAM)));
    }
}
