//! The blob type that apps hold.

mod asked;
mod attributes;
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
/// | service | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | behind it | files | S3 | Blob Storage | Cloud Storage |
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

    /// The logical name.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().bucket("pages").name(), "pages");
    /// ```
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// A handle that can only read, and declares no more than that.
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

    /// A handle that can only write, and declares no more than that.
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

    /// The underlying [`ObjectStore`], for libraries that want one.
    ///
    /// It refuses what this handle may not do. Its paths are stored names: see [`key`].
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

    /// Reads an object. Errors: `NotFound`.
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

    /// Reads some bytes of an object. Errors: `NotFound`; `InvalidInput` past the end.
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

    /// Reads an object under conditions. Errors: `NotFound`, `Conflict`, `InvalidInput`.
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

    /// What an object is, without its content. Errors: `NotFound`.
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
                let message = format!("the range holds no byte of an object of {size}");
                return Err(Error::invalid_input(message).with_origin(Origin::Data));
            }
            let found = store.get_opts(&path, options).await?;
            // Compared here: in a header, text such as `*` or `"a", "b"` has a meaning of its own.
            match version {
                Some(version) if found.meta.e_tag.as_deref() != Some(version.as_str()) => {
                    Err(Error::conflict("the object is not in this version; read it again without one"))
                }
                _ => Ok(found),
            }
        });
        Ok(Object::new(result.await?, is_part))
    }

    /// An object as the response to an HTTP request, as a web server answers: HEAD, a `range`, `if-range`,
    /// `if-none-match` and `if-modified-since`, and where asked a redirect to a signed URL of what is too large.
    ///
    /// | request | response |
    /// |---|---|
    /// | GET, HEAD | 200 with the headers of [`Object::into_response`](Object#impl-IntoResponse-for-Object) |
    /// | one range of bytes: `0-4`, `7-`, `-5` | 206; 416 where it holds no byte of the object |
    /// | several ranges, or no range of bytes | 200 with the whole object |
    /// | `if-none-match` of its tag, `if-modified-since` its time or later | 304 |
    /// | `if-range` of another tag or time | 200 with the whole object |
    ///
    /// A read is one request to the service; a condition, and a range that holds no byte, take one more. A range from
    /// the end is two requests on Azure. Content of users is to be [`sandboxed`](Serve::sandboxed). Errors: `NotFound`, and
    /// those of [`get`](Self::get).
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

    /// Objects whose keys begin with `prefix`, in order. An empty prefix lists all.
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

/// The same bytes of any object, in numbers that every service reads.
fn within_63_bits(range: GetRange) -> GetRange {
    const LARGEST: u64 = i64::MAX as u64;
    match range {
        GetRange::Bounded(range) if range.end > LARGEST && !range.is_empty() => GetRange::Offset(range.start),
        GetRange::Suffix(length) => GetRange::Suffix(length.min(LARGEST)),
        other => other,
    }
}

/// Does the range hold no byte of any object? Services disagree on such ranges, and on numbers of more than 63 bits.
fn is_beyond_all(range: &GetRange) -> bool {
    match range {
        GetRange::Bounded(range) => range.is_empty() || i64::try_from(range.start).is_err(),
        GetRange::Offset(start) => i64::try_from(*start).is_err(),
        GetRange::Suffix(length) => *length == 0,
    }
}
