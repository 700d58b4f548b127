//! The one object store of the clouds, on requests of our own.
//!
//! A service says how it is asked ([`ObjectRequests`]); what is alike on all of them is done here ([`Store`]): the range
//! that came is held against the one that was asked for, a download that breaks off goes on where it was, in the same
//! version of the object, and a service error means the same whoever answers it ([`ObjectError`]).

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

/// The requests to one bucket: all that differs between the services, under a [`Store`].
///
/// Errors: those of the service by kind ([`ObjectError`]).
#[async_trait]
pub trait ObjectRequests: fmt::Debug + Send + Sync + 'static {
    /// What errors call the service, such as `S3`.
    const SERVICE: &'static str;
    /// The most names on a page of a list.
    const PAGE: usize;
    /// Does a list begin behind any name, or only where a page ended?
    const LISTS_FROM_ANY_NAME: bool = true;
    /// What the names of metadata may hold beside letters and digits.
    const METADATA_NAMES: &'static [u8] = b"-_.";

    /// The client that asks. It spaces the attempts to go on with a download that broke off.
    fn client(&self) -> &Client;

    /// The URL that places the bucket, such as `s3://pages`.
    fn place(&self) -> String;

    /// Asks for what is known of an object, under the conditions of `options` and in the version that
    /// they name. They name no range.
    ///
    /// Errors: as of [`open`](Self::open). An answer is always a success.
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>>;

    /// Asks for an object, or for the range of it that `options` name, and answers when its content
    /// begins to come ([`Client::open`]). Also asked for the rest of a download, with the ETag in
    /// `if_match` and the version of what came before: it must not answer another version's.
    ///
    /// Errors: by [`read_error`] where a condition says so. An answer is always a success.
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>>;

    /// What the head of such an answer says of the object; most of it is read by [`ObjectHead::read`].
    /// Errors: `Internal`, naming what is missing.
    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead>;

    /// Writes an object whole. Its attributes can stand in headers, and have a content type.
    async fn put(&self, at: &Path, content: PutPayload, options: &PutOptions) -> Result<PutResult>;

    /// Begins a multipart write. The mode holds when it ends.
    async fn begin(self: Arc<Self>, at: &Path, options: PutOptions) -> Result<Box<dyn MultipartUpload>>;

    /// Ends when the copy, to another name, is whole.
    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()>;

    /// Deletes an object; an absent one is `Ok`.
    async fn delete(&self, at: &Path) -> Result<()>;

    /// A page of a list; `token` is of the [empty page](Page::Empty) before.
    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page>;

    /// A URL that lets its bearer do one thing with one object until it expires.
    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl>;
}

/// What the head of an answer says of an object.
#[derive(Debug, Clone)]
pub struct ObjectHead {
    /// Size, time, ETag and version.
    pub meta: ObjectMeta,
    /// Which part of the object the answer holds.
    pub range: Range<u64>,
    /// Content type, metadata and the like.
    pub attributes: Attributes,
}

impl ObjectHead {
    fn with(self, content: BoxStream<'static, object_store::Result<Bytes>>) -> GetResult {
        let Self { meta, range, attributes } = self;
        let payload = GetResultPayload::Stream(content);
        GetResult { payload, meta, range, attributes, extensions: Default::default() }
    }
}
