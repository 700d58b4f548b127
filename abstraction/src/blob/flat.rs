//! An [`ObjectStore`] over a flat, ordered namespace of whole objects: what the in-memory and the
//! local provider share, so that both keep the contract in the same words.

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

/// The operations that a [`FlatStore`] is made of. Names are stored names.
///
/// Implementers must make a commit atomic: until it is done, and if it fails, what was there is
/// read; and must give each commit an `e_tag` of its own.
#[async_trait]
pub trait FlatObjects: fmt::Debug + Send + Sync + 'static {
    /// Content that nobody can see yet. Dropping it must give its space back.
    type Staged: fmt::Debug + Send;
    /// Content that is open for reading, whatever happens to its name.
    type Content: Send + Sync;

    /// Begins a write.
    async fn stage(&self) -> Result<Self::Staged>;

    /// Adds to staged content.
    async fn append(&self, staged: &mut Self::Staged, part: PutPayload) -> Result<()>;

    /// Makes staged content the object of this name, if `mode` allows it. Errors: `AlreadyExists`,
    /// `Conflict`.
    async fn commit(
        &self,
        name: &str,
        staged: Self::Staged,
        attributes: Attributes,
        mode: PutMode,
    ) -> Result<PutResult>;

    /// Opens an object. Errors: `NotFound`.
    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, Self::Content)>;

    /// What an object is, without opening it. Errors: `NotFound`.
    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)>;

    /// Bytes of an open object; the range lies within it.
    fn read(&self, content: Self::Content, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;

    /// Deletes an object; an absent one is `Ok`.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Names in byte order.
    async fn list(&self, request: &ListRequest) -> Result<Listing>;
}

/// Objects of one stream that are deleted at once: writes that are made together are made durable
/// together.
const DELETED_AT_ONCE: usize = 32;

/// An [`ObjectStore`] made of [`FlatObjects`].
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
            return Err(Error::new(ErrorKind::Unsupported, "there is one version of an object; use `if_match`").into());
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
        paths.map(remove).buffered(DELETED_AT_ONCE).boxed()
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

/// A multipart write. Parts may be sent at once and arrive in any order.
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
            return Err(Error::invalid_input("a part of the upload was not sent to its end").into());
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

/// Is a write allowed where the object of this ETag is stored, or none? Errors: `AlreadyExists`, `Conflict`.
pub fn check_mode(mode: &PutMode, stored: Option<&str>) -> Result<()> {
    match (mode, stored) {
        (PutMode::Create, Some(_)) => Err(Error::already_exists("an object with this key exists")),
        (PutMode::Update(_), None) => Err(Error::conflict("the object is gone")),
        (PutMode::Update(version), Some(_)) if version.e_tag.as_deref() != stored => {
            Err(Error::conflict("the object was written since"))
        }
        _ => Ok(()),
    }
}

fn ended() -> Error {
    Error::invalid_input("the upload has ended")
}

/// One page of a list, from names in byte order that begin at the request's prefix, or after its
/// cursor.
///
/// The cursor is the last name looked at, or the last group, so that a page goes on right whatever
/// is inserted or deleted between two of them.
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
        // A group that ended the page before, or is already on this one.
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

/// The name at which a page begins: that of the prefix, or what follows the cursor.
pub fn page_start(request: &ListRequest) -> std::ops::Bound<&str> {
    match &request.after {
        Some(after) => std::ops::Bound::Excluded(after.as_str()),
        None => std::ops::Bound::Included(request.prefix.as_str()),
    }
}
