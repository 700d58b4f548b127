//! The implementation of `object_store`'s trait over the requests of a service.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, SignRequest, SignedUrl, WriteCondition, pages};
use isobar_abstraction::{Error, Origin};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, coalesce_ranges,
};

use super::download::Download;
use super::write::{check_attributes, invalid_in_header, is_printable};
use super::{ObjectError, ObjectRequests, Page};

/// The most concurrent requests of a stream of deletes.
const CONCURRENT_DELETES: usize = 20;

/// One bucket of a cloud.
#[derive(Debug)]
pub struct Store<R>(Arc<R>);

impl<R: ObjectRequests> Store<R> {
    /// The bucket of these requests.
    pub fn new(requests: R) -> Self {
        Self(Arc::new(requests))
    }

    fn pages(&self, prefix: Option<&Path>, delimiter: Option<&str>, after: Option<String>) -> pages::Pages {
        let requests = Arc::clone(&self.0);
        let list = move |request| {
            let requests = Arc::clone(&requests);
            async move { list(&*requests, &request).await }
        };
        pages::pages(list, pages::below(prefix, delimiter, R::PAGE).with_after(after))
    }
}

async fn list<R: ObjectRequests>(requests: &R, request: &ListRequest) -> isobar_abstraction::Result<Listing> {
    let mut token = None;
    loop {
        match requests.page(request, token.as_deref()).await? {
            Page::Names(listing) => return Ok(listing),
            Page::Empty(next) if token.as_ref() == Some(&next) => {
                return Err(Error::internal(format!(
                    "{} returned the same empty page twice: it would never end",
                    R::SERVICE
                )));
            }
            Page::Empty(next) => token = Some(next),
        }
    }
}

impl<R: ObjectRequests> fmt::Display for Store<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place())
    }
}

#[async_trait]
impl<R: ObjectRequests> Blob for Store<R> {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(Self(Arc::clone(&self.0)))
    }

    async fn list(&self, request: &ListRequest) -> isobar_abstraction::Result<Listing> {
        list(&*self.0, request).await
    }

    async fn sign(&self, request: &SignRequest) -> isobar_abstraction::Result<SignedUrl> {
        self.0.sign(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: ObjectRequests> ObjectStore for Store<R> {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let options = PutOptions { attributes: check_attributes(options.attributes, R::METADATA_NAMES)?, ..options };
        Ok(self.0.put(at, payload, &options).await?)
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let PutMultipartOptions { tags, attributes, mut extensions } = options;
        let mode = extensions.remove::<WriteCondition>().map(|condition| condition.0).unwrap_or_default();
        let options =
            PutOptions { mode, tags, attributes: check_attributes(attributes, R::METADATA_NAMES)?, extensions };
        Ok(Arc::clone(&self.0).begin(at, options).await?)
    }

    /// Errors: those of the service; `InvalidInput` for a range without a byte; `Internal` where the range of
    /// the response is not the requested one. While the content is read also:
    /// - `Unavailable` and `Timeout`: the response was interrupted, and no retry is left or nothing identifies
    ///   its version.
    /// - `Conflict` or `NotFound`: the object was written or deleted meanwhile.
    async fn get_opts(&self, at: &Path, mut options: GetOptions) -> Result<GetResult> {
        if let Some(range) = &options.range {
            range.is_valid().map_err(|error| {
                Error::invalid_input("the range holds no byte").with_origin(Origin::Request).with_source(error)
            })?;
        }
        if [&options.if_match, &options.if_none_match, &options.version]
            .into_iter()
            .flatten()
            .any(|it| !is_printable(it))
        {
            return Err(invalid_in_header().into());
        }
        if options.head {
            let range = options.range.take();
            let answer = self.0.head(at, &options).await?;
            let mut head = self.0.describe(at, &answer.into_parts().0)?;
            head.range = pages::within(range.as_ref(), head.meta.size)?;
            return Ok(head.with(stream::empty().boxed()));
        }
        let (answer, body) = self.0.open(at, &options).await?.into_parts();
        let head = self.0.describe(at, &answer)?;
        let (expected, received) = (pages::within(options.range.as_ref(), head.meta.size)?, &head.range);
        if *received != expected {
            let service = R::SERVICE;
            let message = format!("{service} returned the bytes {received:?} of the object, expected {expected:?}");
            return Err(Error::internal(message).into());
        }
        let download = Download::new(Arc::clone(&self.0), head.meta.clone(), body, expected);
        Ok(head.with(download.stream()))
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetch = |range: Range<u64>| async move { self.get_range(at, range).await };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let requests = Arc::clone(&self.0);
        let delete = move |path: Result<Path>| {
            let requests = Arc::clone(&requests);
            async move {
                let path = path?;
                requests.delete(&path).await?;
                Ok(path)
            }
        };
        paths.map(delete).buffered(CONCURRENT_DELETES).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        pages::objects(self.pages(prefix, None, None))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (offset, after) = (offset.clone(), R::LISTS_FROM_ANY_NAME.then(|| offset.to_string()));
        let objects = pages::objects(self.pages(prefix, None, after));
        objects.try_filter(move |meta| std::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        pages::groups(self.pages(prefix, Some("/"), None)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        if from != to {
            return Ok(Arc::clone(&self.0).copy(from, to, mode).await?);
        }
        self.head(from).await?;
        if mode == PutMode::Overwrite { Ok(()) } else { Err(ObjectError::Exists.error(&mode).into()) }
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        pages::rename(self, from, to, options).await
    }
}
