//! One object store for all clouds, over isobar's HTTP client.
//!
//! Each service implements its requests ([`ObjectRequests`]). [`Store`] implements the rest once: it compares the range
//! of a response with the requested one, it resumes an interrupted download in the same version of the object, and it
//! maps service errors to the same errors for all services ([`ObjectError`]).

mod download;
mod encoded;
mod headers;
mod listing;
mod service_error;
mod store;
mod upload;
mod write;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::Response;
use http::response::Parts;
use isobar_abstraction::Result;
use isobar_abstraction::driver::blob::{ListRequest, SignRequest, SignedUrl};
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, GetResult, GetResultPayload, MultipartUpload, ObjectMeta, PutMode, PutOptions, PutPayload,
    PutResult,
};

use crate::{Client, StreamBody};
pub use encoded::{ESCAPED, encode, encode_path, encode_query};
pub use headers::{add_get_options, header_text, read_attributes};
pub use listing::{Page, last_prefix, object_path, page};
pub use service_error::{ObjectError, read_error};
pub use store::Store;
pub use upload::{PartUpload, UploadParts};
pub use write::{
    WriteHeaders, add_precondition, build_request, check_attributes, check_expected_version, put_result,
    with_content_type,
};

/// The requests to one bucket: the part of a [`Store`] that differs between the services.
///
/// Errors: service errors by kind ([`ObjectError`]).
#[async_trait]
pub trait ObjectRequests: fmt::Debug + Send + Sync + 'static {
    /// The name of the service in errors, such as `S3`.
    const SERVICE: &'static str;
    /// The most names on a page of a listing.
    const PAGE: usize;
    /// Whether a listing can begin after any name, or only where a page ended.
    const LISTS_FROM_ANY_NAME: bool = true;
    /// The bytes that names of metadata may contain in addition to letters and digits.
    const METADATA_NAMES: &'static [u8] = b"-_.";

    /// The client of the requests. Its backoff also applies to resumed downloads.
    fn client(&self) -> &Client;

    /// The URL of the bucket in the configuration, such as `s3://pages`.
    fn place(&self) -> String;

    /// Requests the metadata of an object, under the conditions of `options` and in their version.
    /// `options` have no range.
    ///
    /// Errors: as of [`open`](Self::open). The response is always a success.
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>>;

    /// Requests an object, or the range of `options`, and returns when the head of the response is received
    /// ([`Client::open`]). Also used to resume a download, with the ETag of its first part in `if_match`
    /// and its version: it must not return the content of another version.
    ///
    /// Errors: those of [`read_error`] where a condition does not hold. The response is always a success.
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>>;

    /// Reads the object's metadata from the head of such a response; [`ObjectHead::read`] reads most of it.
    /// Errors: `Internal`, naming the missing header.
    fn describe(&self, at: &Path, response: &Parts) -> Result<ObjectHead>;

    /// Writes a whole object. Its attributes are valid in headers and include a content type.
    async fn put(&self, at: &Path, content: PutPayload, options: &PutOptions) -> Result<PutResult>;

    /// Begins a multipart upload. The mode is the condition of its completion.
    async fn begin(self: Arc<Self>, at: &Path, options: PutOptions) -> Result<Box<dyn MultipartUpload>>;

    /// Copies an object to another name, and returns when the copy is complete.
    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()>;

    /// Deletes an object. A missing object is `Ok`.
    async fn delete(&self, at: &Path) -> Result<()>;

    /// A page of a listing; `token` is that of the [empty page](Page::Empty) before it.
    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page>;

    /// A URL that permits one operation on one object until it expires.
    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl>;
}

/// The metadata of an object, from the head of a response.
#[derive(Debug, Clone)]
pub struct ObjectHead {
    /// Size, time, ETag and version.
    pub meta: ObjectMeta,
    /// The range of the object that the response contains.
    pub range: Range<u64>,
    /// Content type, other standard headers, and metadata.
    pub attributes: Attributes,
}

impl ObjectHead {
    fn with(self, content: BoxStream<'static, object_store::Result<Bytes>>) -> GetResult {
        let Self { meta, range, attributes } = self;
        let payload = GetResultPayload::Stream(content);
        GetResult { payload, meta, range, attributes, extensions: Default::default() }
    }
}
