//! [`FlatStore`]: an [`ObjectStore`] over a flat, ordered namespace of whole objects. The provider in memory and the local
//! one share it, so that the contract of `object_store` is implemented once for both.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::lock::Mutex;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    UploadPart,
};

use super::{ListRequest, Listing, WriteCondition, pages};
use crate::{Error, ErrorKind, Result};

/// The operations of a storage below a [`FlatStore`]. Names are stored names.
///
/// Implementers must make a commit atomic: before it, and if it fails, a read returns the old object. Each commit must have
/// a new `e_tag`, which was never used before.
#[async_trait]
pub trait FlatObjects: fmt::Debug + Send + Sync + 'static {
    /// Content that is not visible yet. Dropping it must free its space.
    type Staged: fmt::Debug + Send;
    /// Content that is open for reading. It must remain readable if the object is replaced or deleted.
    type Content: Send + Sync;

    /// Starts a write with empty content.
    async fn stage(&self) -> Result<Self::Staged>;

    /// Appends a part to staged content.
    async fn append(&self, staged: &mut Self::Staged, part: PutPayload) -> Result<()>;

    /// Makes staged content the object with this name, if `mode` permits it: see [`check_mode`].
    ///
    /// Errors: `AlreadyExists`, `Conflict`.
    async fn commit(
        &self,
        name: &str,
        staged: Self::Staged,
        attributes: Attributes,
        mode: PutMode,
    ) -> Result<PutResult>;

    /// Opens an object. Errors: `NotFound` of the origin `Data`.
    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, Self::Content)>;

    /// Reads the description of an object without opening it. Errors: `NotFound` of the origin `Data`.
    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)>;

    /// Reads bytes of an open object. The range is within the object.
    fn read(&self, content: Self::Content, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;

    /// Deletes an object; `Ok` if it is absent.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Lists names in byte order: see [`page_of`].
    async fn list(&self, request: &ListRequest) -> Result<Listing>;
}

/// The deletes of one stream that run in parallel. Writes that are made together are synced together.
const PARALLEL_DELETES: usize = 32;

/// An [`ObjectStore`] over [`FlatObjects`].
#[derive(Debug)]
pub struct FlatStore<O>(Arc<O>);

impl<O: FlatObjects> FlatStore<O> {
    /// A store over these objects.
    pub fn new(objects: Arc<O>) -> Self {
        Self(objects)
    }
}

impl<O: FlatObjects> fmt::Display for FlatStore<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: FlatObjects> ObjectStore for FlatStore<O> {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let mut staged = self.0.stage().await?;
        self.0.append(&mut staged, payload).await?;
        Ok(self.0.commit(at.as_ref(), staged, options.attributes, options.mode).await?)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let mode = options.extensions.get::<WriteCondition>().map(|condition| condition.0.clone());
        let parts = Parts { staged: Some(self.0.stage().await?), next: 0, early: BTreeMap::new() };
        Ok(Box::new(Upload {
            objects: Arc::clone(&self.0),
            name: at.to_string(),
            attributes: options.attributes,
            mode: mode.unwrap_or_default(),
            parts: Arc::new(Mutex::new(parts)),
            sent: 0,
        }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        if options.version.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "an object has one version only; use `if_match`").into());
        }
        if options.head {
            let (meta, attributes) = self.0.head(at.as_ref()).await?;
            options.check_preconditions(&meta)?;
            let payload = GetResultPayload::Stream(stream::empty().boxed());
            return Ok(GetResult { payload, range: 0..0, meta, attributes, extensions: Default::default() });
        }
        let (meta, attributes, content) = self.0.open(at.as_ref()).await?;
        options.check_preconditions(&meta)?;
        let range = pages::within(options.range.as_ref(), meta.size)?;
        let content = self.0.read(content, range.clone()).map_err(object_store::Error::from);
        let payload = GetResultPayload::Stream(content.boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions: Default::default() })
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            let options = GetOptions::new().with_range(Some(range.clone()));
            parts.push(self.get_opts(at, options).await?.bytes().await?);
        }
        Ok(parts)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let objects = Arc::clone(&self.0);
        let remove = move |path: object_store::Result<Path>| {
            let objects = Arc::clone(&objects);
            async move {
                let path = path?;
                objects.remove(path.as_ref()).await.map(|()| path).map_err(Into::into)
            }
        };
        paths.map(remove).buffered(PARALLEL_DELETES).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        pages::objects(self.pages(prefix, None))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |meta| std::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        pages::groups(self.pages(prefix, Some("/"))).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let (meta, attributes, content) = self.0.open(from.as_ref()).await?;
        let mut staged = self.0.stage().await?;
        let mut content = self.0.read(content, 0..meta.size);
        while let Some(part) = content.try_next().await? {
            self.0.append(&mut staged, part.into()).await?;
        }
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.0.commit(to.as_ref(), staged, attributes, mode).await?;
        Ok(())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> object_store::Result<()> {
        pages::rename(self, from, to, options).await
    }
}

impl<O: FlatObjects> FlatStore<O> {
    fn pages(&self, prefix: Option<&Path>, delimiter: Option<&str>) -> pages::Pages {
        let objects = Arc::clone(&self.0);
        let list = move |request| {
            let objects = Arc::clone(&objects);
            async move { objects.list(&request).await }
        };
        pages::pages(list, pages::below(prefix, delimiter, 1_000))
    }
}

/// A multipart write. Parts may be sent in parallel and arrive in any order.
#[derive(Debug)]
struct Upload<O: FlatObjects> {
    objects: Arc<O>,
    name: String,
    attributes: Attributes,
    mode: PutMode,
    parts: Arc<Mutex<Parts<O::Staged>>>,
    sent: usize,
}

#[derive(Debug)]
struct Parts<S> {
    staged: Option<S>,
    next: usize,
    early: BTreeMap<usize, PutPayload>,
}

#[async_trait]
impl<O: FlatObjects> MultipartUpload for Upload<O> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.sent;
        self.sent += 1;
        let (objects, parts) = (Arc::clone(&self.objects), Arc::clone(&self.parts));
        Box::pin(async move {
            let mut parts = parts.lock().await;
            let Parts { staged, next, early } = &mut *parts;
            let staged = staged.as_mut().ok_or_else(ended)?;
            early.insert(place, data);
            while let Some(part) = early.remove(next) {
                objects.append(staged, part).await?;
                *next += 1;
            }
            Ok(())
        })
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let mut parts = self.parts.lock().await;
        if parts.next != self.sent {
            return Err(Error::invalid_input("a part of the upload was not sent completely").into());
        }
        let staged = parts.staged.take().ok_or_else(ended)?;
        let (attributes, mode) = (self.attributes.clone(), self.mode.clone());
        Ok(self.objects.commit(&self.name, staged, attributes, mode).await?)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.parts.lock().await.staged.take();
        Ok(())
    }
}

/// Checks the condition of a write against the ETag of the stored object; `None` if there is none.
///
/// Errors: `AlreadyExists`, `Conflict`.
pub fn check_mode(mode: &PutMode, stored: Option<&str>) -> Result<()> {
    match (mode, stored) {
        (PutMode::Create, Some(_)) => Err(Error::already_exists("an object with this key exists")),
        (PutMode::Update(_), None) => Err(Error::conflict("the object is gone")),
        (PutMode::Update(version), Some(_)) if version.e_tag.as_deref() != stored => {
            Err(Error::conflict("the object was written by another writer"))
        }
        _ => Ok(()),
    }
}

fn ended() -> Error {
    Error::invalid_input("the upload has ended")
}

/// One page of a list. `names` are the stored names in byte order from [`page_start`] on.
///
/// The position after the page is the last name or group that was read. So the next page is correct, whatever is inserted
/// or deleted between them.
pub fn page_of<T>(
    request: &ListRequest,
    names: impl Iterator<Item = Result<(String, T)>>,
    mut meta: impl FnMut(&str, T) -> Result<ObjectMeta>,
) -> Result<Listing> {
    let mut page = Listing::default();
    let mut last = None;
    for entry in names {
        let (name, value) = entry?;
        let Some(rest) = name.strip_prefix(&request.prefix) else { break };
        let group = request.delimiter.as_ref().and_then(|delimiter| {
            let end = rest.find(delimiter.as_str())? + delimiter.len();
            Some(name[..request.prefix.len() + end].to_owned())
        });
        // The group is the last one of the previous page, or already on this page.
        if group.is_some() && (group == request.after || group.as_ref() == page.prefixes.last()) {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == request.limit {
            page.resume = last;
            return Ok(page);
        }
        last = Some(group.clone().unwrap_or_else(|| name.clone()));
        match group {
            Some(group) => page.prefixes.push(group),
            None => page.objects.push(meta(&name, value)?),
        }
    }
    Ok(page)
}

/// The first name of a page: the prefix, or the name after the position of the previous page.
pub fn page_start(request: &ListRequest) -> std::ops::Bound<&str> {
    match &request.after {
        Some(after) => std::ops::Bound::Excluded(after.as_str()),
        None => std::ops::Bound::Included(request.prefix.as_str()),
    }
}
