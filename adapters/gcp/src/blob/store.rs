//! The store that reads and writes, as `object_store` has them.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::StatusCode;
use isobar_abstraction::Error;
use isobar_abstraction::blob::{ListRequest, Listing, WriteCondition};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, coalesce_ranges,
};

use super::condition::{Wanted, generation};
use super::headers;
use super::requests::GcsRequests;
use super::resource::Resource;
use super::upload::GcsUpload;

/// Objects of one stream that are deleted at once.
const DELETED_AT_ONCE: usize = 20;

/// The names that are asked for at once.
const PAGE: usize = 1_000;

/// One bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct GcsStore {
    requests: GcsRequests,
}

impl GcsStore {
    pub(super) fn new(requests: GcsRequests) -> Self {
        Self { requests }
    }

    pub(super) fn requests(&self) -> &GcsRequests {
        &self.requests
    }

    /// The generation that a read must find, if it is to find one.
    ///
    /// The content's own request has one condition, of the generation; the others are held against what is
    /// known of the object. Where they ask for a change, any later write is one.
    async fn wanted(&self, at: &Path, options: &GetOptions, version: Option<i64>) -> Result<Option<i64>> {
        let others = options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some();
        match options.if_match.as_deref() {
            None | Some("*") if !others => return Ok(None),
            Some(e_tag) if !others && generation(e_tag).is_some() => return Ok(generation(e_tag)),
            _ => {}
        }
        let meta = self.requests.head(at, version).await?.meta(at)?;
        options.check_preconditions(&meta)?;
        let same = options.if_match.is_some() || options.if_unmodified_since.is_some();
        Ok(meta.e_tag.as_deref().and_then(generation).filter(|_| same))
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

/// The generation that is asked for. Errors: `NotFound`, for what is none.
fn version(options: &GetOptions) -> Result<Option<i64>> {
    let none = || Error::not_found("this is the version of no object in Cloud Storage");
    let number = |text: &str| generation(text).ok_or_else(none);
    Ok(options.version.as_deref().map(number).transpose()?)
}

impl fmt::Display for GcsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}", self.requests.bucket())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for GcsStore {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let wanted = Wanted::of(&options.mode)?;
        let resource = Resource::describing(&options.attributes, &options.tags)?;
        Ok(self.requests.put(at, resource, payload, wanted).await?)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let mode = options.extensions.remove::<WriteCondition>().map(|condition| condition.0).unwrap_or_default();
        let wanted = Wanted::of(&mode)?;
        let resource = Resource::describing(&options.attributes, &options.tags)?;
        Ok(Box::new(GcsUpload::new(self.requests.begin(at, &resource, wanted).await?)))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(range) = &options.range {
            range.is_valid().map_err(|error| Error::invalid("the range holds no byte").with_source(error))?;
        }
        let version = version(&options)?;
        if options.head {
            let resource = self.requests.head(at, version).await?;
            let meta = resource.meta(at)?;
            options.check_preconditions(&meta)?;
            let payload = GetResultPayload::Stream(stream::empty().boxed());
            let range = 0..meta.size;
            return Ok(result(payload, meta, range, resource.attributes()));
        }
        let wanted = self.wanted(at, &options, version).await?;
        let ask = |request| headers::ask(request, options.range.as_ref(), wanted);
        let answer = self.requests.get(at, version, ask).await?;
        let (meta, range) = headers::object(at, &answer)?;
        if options.range.is_some() && answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(Error::internal("Cloud Storage answered the whole object, and not the range of it").into());
        }
        // Not every emulator has heard of the condition.
        if wanted.is_some_and(|wanted| meta.e_tag != Some(wanted.to_string())) {
            return Err(Error::conflict("the object is not in the version that was expected").into());
        }
        let attributes = headers::attributes(answer.headers());
        let content = self.requests.content(meta.clone(), answer.into_body(), range.clone());
        Ok(result(GetResultPayload::Stream(content), meta, range, attributes))
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
        // What is renamed to itself stays.
        if from == to { Ok(()) } else { self.delete(from).await }
    }
}

fn result(payload: GetResultPayload, meta: ObjectMeta, range: Range<u64>, attributes: Attributes) -> GetResult {
    GetResult { payload, meta, range, attributes, extensions: Default::default() }
}
