//! [`Bucket`]: the blob type for apps.

mod attributes;
mod conditions;
mod parts;
mod serve;
mod sign;
mod write;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetRange, ObjectStore, ObjectStoreExt};

pub use serve::Serve;

use super::guard::GuardedStore;
use super::{Blob, GetOptions, ListQuery, Object, ObjectInfo, Version, key};
use crate::access::Access;
use crate::handle::Resource;
use crate::{Error, Origin, Result};

/// A bucket of objects. Cheap to clone.
///
/// | | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | service | files | S3 | Blob Storage | Cloud Storage |
/// | version of an object | of the write | of the content | of the write | of the write |
///
/// A key is any UTF-8 of 1 to 1,024 bytes as [stored](key), with at most 254 segments. Guarantees on every provider: an
/// object is returned bit for bit; a write is seen completely or not at all, also if the caller drops the future; every
/// write and delete sends an object event to the app with [`App::on_object`](crate::App::on_object).
///
/// Errors that each method can return: `PermissionDenied` if the handle or the deployment lacks the access; `NotFound` of
/// the origin `Service` if the bucket does not exist; `InvalidInput` and `TooLarge` for a key outside of the limits;
/// `Throttled`, `Unavailable` and `Timeout` after the retries of the adapter.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{Cloud, blob::PutOptions};
///
/// let pages = Cloud::memory().bucket("pages");
/// let html = PutOptions::default().with_content_type("text/html");
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

impl Bucket {
    pub(crate) fn new(resource: Resource<dyn Blob>) -> Self {
        Self { resource }
    }

    pub(crate) fn resource(&self) -> &Resource<dyn Blob> {
        &self.resource
    }

    /// The logical name of the bucket.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().bucket("pages").name(), "pages");
    /// ```
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// Reduces the access of the handle to reading, also in the declaration of the app: a deployment then grants no more.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    ///
    /// let pages = Cloud::memory().bucket("pages").read_only();
    /// let refused = pages.put("index.html", "<h1>hi</h1>").await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn read_only(self) -> Self {
        Self::new(self.resource.with_access(Access::Read))
    }

    /// Reduces the access of the handle to writing, also in the declaration of the app. [`copy`](Self::copy) needs both.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    ///
    /// let uploads = Cloud::memory().bucket("uploads").write_only();
    /// uploads.put("cat.png", "PNG").await?;
    /// assert_eq!(uploads.get("cat.png").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn write_only(self) -> Self {
        Self::new(self.resource.with_access(Access::Write))
    }

    /// The underlying [`ObjectStore`], for libraries that use one.
    ///
    /// It has the access of this handle. Its paths are stored names: see [`key`]. Its errors are those of `object_store`;
    /// `Error::from` returns isobar's error inside of them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// use object_store::{ObjectStoreExt, path::Path};
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// let found = pages.object_store().head(&Path::from("index.html")).await?;
    /// assert_eq!(found.size, 11);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(GuardedStore::new(self.resource.clone()))
    }

    /// Opens an object: its description is in the result, its content is read by [`Object::bytes`] or [`Object::stream`].
    ///
    /// Errors: `NotFound` of the origin `Data` if the object does not exist: 404 over HTTP.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// let page = pages.get("index.html").await?;
    /// assert_eq!(page.info.size, 11);
    /// assert_eq!(page.bytes().await?, "<h1>hi</h1>");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Object> {
        self.get_with(key, GetOptions::default()).await
    }

    /// Reads a range of bytes of an object into memory. A range that ends after the object is cut.
    ///
    /// Errors: `NotFound`; `InvalidInput` for a range without a byte of the object.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// pages.put("index.html", "<h1>hi</h1>").await?;
    /// assert_eq!(pages.get_range("index.html", 4..6).await?, "hi");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get_range(&self, key: impl AsRef<str>, range: Range<u64>) -> Result<Bytes> {
        self.get_with(key, GetOptions::default().with_range(range)).await?.bytes().await
    }

    /// Opens an object with a range or an expected version.
    ///
    /// Errors: `NotFound`; `Conflict` if the object has another version; `InvalidInput` for a range without a byte of the
    /// object.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind, blob::GetOptions};
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// let old = pages.put("index.html", "<h1>hi</h1>").await?;
    /// let part = GetOptions::default().with_range(4..6).with_version(old);
    /// assert_eq!(pages.get_with("index.html", part.clone()).await?.bytes().await?, "hi");
    /// pages.put("index.html", "<h1>ho</h1>").await?;
    /// let changed = pages.get_with("index.html", part).await.unwrap_err();
    /// assert_eq!(changed.kind(), ErrorKind::Conflict);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get_with(&self, key: impl AsRef<str>, options: GetOptions) -> Result<Object> {
        let GetOptions { range, version } = options;
        let options = object_store::GetOptions::new().with_range(range.map(GetRange::Bounded));
        self.read("get", key.as_ref(), options, version.as_ref()).await
    }

    /// Reads the description of an object without its content: key, size, version and time. Errors: `NotFound`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// let version = pages.put("index.html", "<h1>hi</h1>").await?;
    /// let info = pages.head("index.html").await?;
    /// assert_eq!((info.size, info.version), (11, version));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn head(&self, key: impl AsRef<str>) -> Result<ObjectInfo> {
        let options = object_store::GetOptions::new().with_head(true);
        Ok(self.read("head", key.as_ref(), options, None).await?.info)
    }

    pub(super) async fn read(
        &self,
        operation: &'static str,
        key: &str,
        mut options: object_store::GetOptions,
        version: Option<&Version>,
    ) -> Result<Object> {
        let (path, is_part) = (self.path(operation, key)?, options.range.is_some());
        options.range = options.range.map(within_63_bits);
        let result = self.resource.run(operation, Access::Read, async |driver: &Arc<dyn Blob>| {
            let store = driver.object_store();
            if options.range.as_ref().is_some_and(is_beyond_all) {
                let size = store.head(&path).await?.size;
                let message = format!("the range contains no byte of the object, which has {size} bytes");
                return Err(Error::invalid_input(message).with_origin(Origin::Data));
            }
            let found = store.get_opts(&path, options).await?;
            // Compared here, because a text such as `*` or `"a", "b"` has another meaning in a header.
            match version {
                Some(version) if found.meta.e_tag.as_deref() != Some(version.as_str()) => {
                    Err(Error::conflict("the object has another version; read it again without a version"))
                }
                _ => Ok(found),
            }
        });
        Ok(Object::new(result.await?, is_part))
    }

    /// An object as the response to an HTTP request, as of a web server: with HEAD, `range`, `if-range`, `if-none-match` and
    /// `if-modified-since`, and with a redirect to a signed URL for large objects, if the app permits it.
    ///
    /// | request | response |
    /// |---|---|
    /// | GET, HEAD | 200 with the headers of [`Object::into_response`](Object#impl-IntoResponse-for-Object) |
    /// | one range of bytes: `0-4`, `7-`, `-5` | 206; 416 if it contains no byte of the object |
    /// | several ranges, or another unit | 200 with the whole object |
    /// | `if-none-match` with the tag, `if-modified-since` with the time or a later one | 304 |
    /// | `if-range` with another tag or time | 200 with the whole object |
    ///
    /// A read is one request to the service; a condition, and a range without a byte, need one more. A range from the end
    /// is two requests on Azure. Content of users must be [`sandboxed`](Serve::sandboxed).
    ///
    /// Errors, when awaited: those of [`get`](Self::get).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum::extract::{Path, State};
    /// use axum::response::Response;
    /// use axum::{Router, routing::get};
    /// use http::{HeaderMap, Method};
    /// use isobar_abstraction::blob::Bucket;
    /// use isobar_abstraction::{App, Cloud, Result, TestClient};
    ///
    /// async fn film(
    ///     State(films): State<Bucket>, Path(key): Path<String>, method: Method, headers: HeaderMap,
    /// ) -> Result<Response> {
    ///     films.serve(key).request(&method, &headers).redirect_large(Duration::from_secs(3_600)).await
    /// }
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     App::new("films").http(Router::new().route("/{key}", get(film)).with_state(cloud.bucket("films")))
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// let films = client.cloud().bucket("films");
    /// films.put("short", "one two three").await?;
    /// let part = client.request(Method::GET, "/short").header("range", "bytes=4-6").send().await?;
    /// assert_eq!((part.status.as_u16(), part.header("content-range")), (206, Some("bytes 4-6/13")));
    /// assert_eq!(part.text(), "two");
    ///
    /// films.put("long", vec![7; 5_000_000]).await?;
    /// let whole = client.get("/long").await?;
    /// assert_eq!(whole.status, 307);
    /// let url = whole.header("location").unwrap();
    /// assert_eq!(client.get(url).await?.body.len(), 5_000_000);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn serve(&self, key: impl AsRef<str>) -> Serve {
        Serve::new(self.clone(), key.as_ref())
    }

    /// Starts a list of the objects whose keys begin with `prefix`, in order: see [`ListQuery`]. An empty prefix lists all.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    ///
    /// let pages = Cloud::memory().bucket("pages");
    /// for key in ["img/b.png", "index.html", "img/a.png"] {
    ///     pages.put(key, "x").await?;
    /// }
    /// let images = pages.list("img/").all().await?;
    /// assert_eq!(images.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["img/a.png", "img/b.png"]);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn list(&self, prefix: impl Into<String>) -> ListQuery {
        ListQuery::new(self.resource.clone(), prefix.into())
    }

    fn path(&self, operation: &'static str, key: &str) -> Result<Path> {
        let path = key::to_path(key, self.resource.limits.object_key_bytes);
        path.map_err(|error| self.resource.explain(operation, error))
    }
}

/// The same range with numbers of at most 63 bits, which every service accepts.
fn within_63_bits(range: GetRange) -> GetRange {
    const LARGEST: u64 = i64::MAX as u64;
    match range {
        GetRange::Bounded(range) if range.end > LARGEST && !range.is_empty() => GetRange::Offset(range.start),
        GetRange::Suffix(length) => GetRange::Suffix(length.min(LARGEST)),
        other => other,
    }
}

/// Can the range contain no byte of any object? Services treat such ranges differently, and numbers of more than 63 bits.
fn is_beyond_all(range: &GetRange) -> bool {
    match range {
        GetRange::Bounded(range) => range.is_empty() || i64::try_from(range.start).is_err(),
        GetRange::Offset(start) => i64::try_from(*start).is_err(),
        GetRange::Suffix(length) => *length == 0,
    }
}
