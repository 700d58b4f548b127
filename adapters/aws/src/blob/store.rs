//! The store that reads and writes: `object_store`'s client for S3, with errors as isobar has them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use isobar_abstraction::Error;
use isobar_abstraction::blob::WriteCondition;
use isobar_rest::StoreConnector;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, RenameTargetMode, Result,
};

use super::requests::S3Requests;
use super::upload::S3Upload;

/// Objects of one stream that are deleted at once.
const DELETED_AT_ONCE: usize = 20;

/// What S3 calls content that was given no type. Other stores of its kind have other words for it,
/// so it is always said.
const NO_TYPE: &str = "binary/octet-stream";

/// One bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3Store {
    s3: AmazonS3,
    connector: StoreConnector,
    requests: S3Requests,
}

impl S3Store {
    pub(super) fn new(s3: AmazonS3, connector: StoreConnector, requests: S3Requests) -> Self {
        Self { s3, connector, requests }
    }

    pub(super) fn s3(&self) -> &AmazonS3 {
        &self.s3
    }

    pub(super) fn connector(&self) -> &StoreConnector {
        &self.connector
    }

    pub(super) fn requests(&self) -> &S3Requests {
        &self.requests
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.s3)
    }
}

/// Refuses a version that no object of S3 has: to it `*` is every version.
fn check(mode: &PutMode) -> Result<()> {
    let PutMode::Update(version) = mode else { return Ok(()) };
    let e_tag = version.e_tag.as_deref().unwrap_or_default();
    let quoted = e_tag.len() > 2 && e_tag.starts_with('"') && e_tag.ends_with('"');
    if quoted { Ok(()) } else { Err(Error::conflict("this is the version of no object in S3").into()) }
}

fn typed(mut attributes: Attributes) -> Attributes {
    if attributes.get(&Attribute::ContentType).is_none() {
        attributes.insert(Attribute::ContentType, NO_TYPE.into());
    }
    attributes
}

fn untyped(mut attributes: Attributes) -> Attributes {
    if attributes.get(&Attribute::ContentType).is_some_and(|given| given.as_ref() == NO_TYPE) {
        attributes.remove(&Attribute::ContentType);
    }
    attributes
}

/// Without versioning S3 calls the only version `null`, or does not speak of it.
pub(super) fn numbered(version: Option<String>) -> Option<String> {
    version.filter(|version| version != "null")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3Store {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        check(&options.mode)?;
        let options = PutOptions { attributes: typed(options.attributes), ..options };
        let put = self.connector.run(self.s3.put_opts(at, payload, options)).await?;
        Ok(PutResult { version: numbered(put.version), ..put })
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let mode = options.extensions.remove::<WriteCondition>().map(|condition| condition.0).unwrap_or_default();
        check(&mode)?;
        options.attributes = typed(options.attributes);
        let id = self.connector.run(self.s3.create_multipart_opts(at, options)).await?;
        Ok(Box::new(S3Upload::new(Arc::new(self.clone()), at.clone(), id, mode)))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.connector.run(self.s3.get_opts(at, options)).await?;
        let attributes = untyped(std::mem::take(&mut result.attributes));
        let extensions = std::mem::take(&mut result.extensions);
        let meta = ObjectMeta { version: numbered(result.meta.version.take()), ..result.meta.clone() };
        let range = result.range.clone();
        let payload = GetResultPayload::Stream(self.connector.read(result.into_stream()));
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.connector.run(self.s3.get_ranges(at, ranges)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Result<Path>| {
            let store = store.clone();
            async move {
                let path = path?;
                store.connector.run(store.s3.delete(&path)).await.map(|()| path)
            }
        };
        paths.map(delete).buffered(DELETED_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.connector.read(self.s3.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.connector.read(self.s3.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.connector.run(self.s3.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if from != to {
            return self.connector.run(self.s3.copy_opts(from, to, options)).await;
        }
        // S3 refuses it as a mistake.
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
        self.delete(from).await
    }
}
