//! The store that reads and writes, as `object_store` has them.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use isobar_abstraction::Error;
use isobar_abstraction::blob::{ListRequest, Listing, WriteCondition};
use isobar_rest::object;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result, coalesce_ranges,
};

use super::headers;
use super::requests::BlobRequests;
use super::upload::BlobUpload;

/// Objects of one stream that are deleted at once.
const DELETED_AT_ONCE: usize = 20;

/// The names that are asked for at once.
const PAGE: usize = 5_000;

/// One container. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct BlobStore {
    requests: BlobRequests,
}

impl BlobStore {
    pub(super) fn new(requests: BlobRequests) -> Self {
        Self { requests }
    }

    pub(super) fn requests(&self) -> &BlobRequests {
        &self.requests
    }

    /// Azure has no ranges that are told from the end.
    async fn bounded(&self, at: &Path, mut options: GetOptions) -> Result<GetOptions> {
        let Some(GetRange::Suffix(length)) = options.range.clone().filter(|_| !options.head) else {
            return Ok(options);
        };
        let meta = self.head(at).await?;
        // Of an empty object there is no range, but the whole.
        let end = meta.size.saturating_sub(length)..meta.size;
        options.range = (meta.size > 0).then_some(GetRange::Bounded(end));
        options.if_match = options.if_match.or(meta.e_tag);
        Ok(options)
    }

    /// All pages of a list.
    fn pages(&self, first: ListRequest) -> BoxStream<'static, Result<Listing>> {
        let requests = self.requests.clone();
        let pages = stream::try_unfold(Some(first), move |next| {
            let requests = requests.clone();
            async move {
                let Some(request) = next else { return Ok(None) };
                let page = requests.list(&request).await?;
                let next = page.resume.clone().map(|after| ListRequest { after: Some(after), ..request });
                Ok::<_, object_store::Error>(Some((page, next)))
            }
        });
        pages.boxed()
    }
}

/// A list of all that is below a path.
fn below(prefix: Option<&Path>, delimiter: Option<&str>) -> ListRequest {
    let prefix = prefix.filter(|prefix| !prefix.as_ref().is_empty()).map(|prefix| format!("{prefix}/"));
    let delimiter = delimiter.map(str::to_owned);
    ListRequest { prefix: prefix.unwrap_or_default(), delimiter, limit: PAGE, after: None }
}

impl fmt::Display for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "az://{}", self.requests.container())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for BlobStore {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        object::check_version("Blob Storage", &options.mode)?;
        let options = PutOptions { attributes: headers::typed(options.attributes)?, ..options };
        Ok(self.requests.put(at, payload, &options).await?)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let mode = options.extensions.remove::<WriteCondition>().map(|condition| condition.0).unwrap_or_default();
        object::check_version("Blob Storage", &mode)?;
        let attributes = headers::typed(options.attributes)?;
        Ok(Box::new(BlobUpload::new(self.requests.clone(), at.clone(), mode, attributes, options.tags)?))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        headers::check_conditions(&options)?;
        let options = self.bounded(at, options).await?;
        object::get(&self.requests, at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetch = |range: Range<u64>| async move { self.get_range(at, range).await };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let requests = self.requests.clone();
        let delete = move |path: Result<Path>| {
            let requests = requests.clone();
            async move {
                let path = path?;
                requests.delete(&path).await?;
                Ok(path)
            }
        };
        paths.map(delete).buffered(DELETED_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = self.pages(below(prefix, None));
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        // Azure goes on only where one of its own markers is, and Azurite knows no `startFrom`.
        let offset = offset.clone();
        self.list(prefix).try_filter(move |meta| std::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut pages = self.pages(below(prefix, Some("/")));
        let mut all = ListResult { objects: Vec::new(), common_prefixes: Vec::new(), extensions: Default::default() };
        while let Some(page) = pages.try_next().await? {
            all.objects.extend(page.objects);
            for prefix in page.prefixes {
                all.common_prefixes.push(Path::parse(prefix)?);
            }
        }
        Ok(all)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if from != to {
            return Ok(self.requests.copy(from, to, options.mode).await?);
        }
        self.head(from).await?;
        match options.mode {
            CopyMode::Overwrite => Ok(()),
            CopyMode::Create => Err(Error::already_exists("an object with this key exists").into()),
        }
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        self.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        if from == to { Ok(()) } else { self.delete(from).await }
    }
}
