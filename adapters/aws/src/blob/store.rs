//! The store that reads and writes, as `object_store` has them.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::Method;
use isobar_abstraction::Error;
use isobar_abstraction::blob::{ListRequest, Listing, WriteCondition};
use isobar_rest::object::{self, ObjectHead, ObjectSource};
use object_store::path::Path;
use object_store::{
    Attribute, CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, TagSet, coalesce_ranges,
};

use super::headers;
use super::requests::S3Requests;
use super::upload::{S3Upload, copied_part};

/// Objects of one stream that are deleted at once.
const DELETED_AT_ONCE: usize = 20;

/// The names that are asked for at once.
const PAGE: usize = 1_000;

/// The largest object that is copied in one request: 512 MiB. S3 takes 5 GiB, but ends its answer only when the copy
/// is done, and for so much that takes longer than the client waits for an answer (`attempt_timeout`, 20 s). Each
/// part is a short request.
const LARGEST_COPY: u64 = 512 << 20;

/// How many tags an object has: S3 sends it only if there are some, and to callers that may read them.
const TAGS: &str = "x-amz-tagging-count";

/// One bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3Store {
    requests: S3Requests,
}

/// An object that is to be copied.
struct Found {
    head: ObjectHead,
    tagged: bool,
}

impl S3Store {
    pub(super) fn new(requests: S3Requests) -> Self {
        Self { requests }
    }

    pub(super) fn requests(&self) -> &S3Requests {
        &self.requests
    }

    /// Copies an object that was found, in parts if one request would take too long.
    async fn copy(&self, found: Found, to: &Path, mode: PutMode) -> Result<()> {
        let Found { head: ObjectHead { meta, mut attributes, .. }, tagged } = found;
        let largest = self.requests.state.config.largest_copy.unwrap_or(LARGEST_COPY);
        if meta.size <= largest {
            return Ok(self.requests.copy(&meta.location, to, mode).await?);
        }
        // As with `CopyObject`, which copies the tags, but not the class.
        attributes.remove(&Attribute::StorageClass);
        // Without tags nobody needs the permission to read them.
        let tags = if tagged { self.requests.tags(&meta.location).await? } else { TagSet::default() };
        let request = headers::describe(self.requests.beginning(to), &attributes, &tags)?;
        let id = self.requests.begin(request).await?;
        let mut upload = S3Upload::new(self.requests.clone(), to.clone(), id, mode);
        let (e_tag, part) = (meta.e_tag.unwrap_or_default(), copied_part(meta.size, largest));
        let copied = async {
            upload.copy_all(&meta.location, &e_tag, meta.size, part).await?;
            upload.complete().await
        };
        match copied.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // The first error matters, and parts without an end are never seen.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    /// What is known of an object that is to be copied.
    async fn find(&self, from: &Path) -> Result<Found> {
        let (answer, _) = self.requests.head(from, &GetOptions::default()).await?.into_parts();
        Ok(Found { head: self.requests.describe(from, &answer)?, tagged: answer.headers.contains_key(TAGS) })
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
fn below(prefix: Option<&Path>, delimiter: Option<&str>, after: Option<String>) -> ListRequest {
    let prefix = prefix.filter(|prefix| !prefix.as_ref().is_empty()).map(|prefix| format!("{prefix}/"));
    let delimiter = delimiter.map(str::to_owned);
    ListRequest { prefix: prefix.unwrap_or_default(), delimiter, limit: PAGE, after }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.requests.bucket())
    }
}

/// Without versioning S3 calls the only version `null`, or does not speak of it.
pub(super) fn numbered(version: Option<String>) -> Option<String> {
    version.filter(|version| version != "null")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3Store {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        object::check_version("S3", &options.mode)?;
        let request = self.requests.request(Method::PUT, at, None);
        let request = headers::describe(request, &options.attributes, &options.tags)?;
        Ok(self.requests.put(request, payload, &options.mode).await?)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let mode = options.extensions.remove::<WriteCondition>().map(|condition| condition.0).unwrap_or_default();
        object::check_version("S3", &mode)?;
        let request = headers::describe(self.requests.beginning(at), &options.attributes, &options.tags)?;
        let id = self.requests.begin(request).await?;
        Ok(Box::new(S3Upload::new(self.requests.clone(), at.clone(), id, mode)))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
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
        let pages = self.pages(below(prefix, None, None));
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = self.pages(below(prefix, None, Some(offset.as_ref().to_owned())));
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut pages = self.pages(below(prefix, Some("/"), None));
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
        let found = self.find(from).await?;
        match options.mode {
            // S3 refuses it as a mistake.
            CopyMode::Overwrite if from == to => Ok(()),
            CopyMode::Create if from == to => Err(Error::already_exists("an object with this key exists").into()),
            CopyMode::Overwrite => self.copy(found, to, PutMode::Overwrite).await,
            CopyMode::Create => self.copy(found, to, PutMode::Create).await,
        }
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        self.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        // What is renamed to itself stays.
        if from == to { Ok(()) } else { self.delete(from).await }
    }
}
