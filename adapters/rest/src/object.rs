//! Objects of a store as `object_store` hands them out, read by requests of our own.
//!
//! A store says how it is asked, and what its answers say ([`ObjectSource`]). What is alike on all of
//! them is done here ([`get`]): the range that came is held against the one that was wanted, and a
//! download that breaks off goes on where it was, in the same version of the object.

mod download;
mod headers;

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::Response;
use http::response::Parts;
use isobar_abstraction::{Error, ErrorKind, Origin, Result};
use object_store::path::Path;
use object_store::{Attributes, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, PutMode, UpdateVersion};

use crate::{Client, StreamBody};
use download::Download;
pub use headers::{ask, attributes, text};

/// A store whose objects are read. Cheap to clone: each download holds one.
#[async_trait]
pub trait ObjectSource: fmt::Debug + Clone + Send + Sync + 'static {
    /// What errors call the service, such as `S3`.
    const SERVICE: &'static str;

    /// The client that asks. It spaces the attempts to go on with a download that broke off.
    fn client(&self) -> &Client;

    /// Asks for what is known of an object, under the conditions of `options` and in the version that
    /// they name. They name no range.
    ///
    /// Errors: as of [`open`](Self::open). An answer is always a success.
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>>;

    /// Asks for an object, or for the range of it that `options` name, and answers when its content
    /// begins to come ([`Client::open`]). Also asked for the rest of a download, with the ETag in
    /// `if_match` and the version of what came before: it must not answer another version's.
    ///
    /// Errors: those of the service by kind; [`not_modified`] where a condition says so. An answer is
    /// always a success.
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>>;

    /// What the head of such an answer says of the object; most of it is read by [`ObjectHead::read`].
    /// Errors: `Internal`, naming what is missing.
    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead>;
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

/// Reads an object, or what is known of it.
///
/// Errors: those of the source; `InvalidInput` for a range without a byte; `Internal` where another
/// range came than was asked for. While the content is read also:
/// - `Unavailable` and `Timeout`: it broke off, and there is no use in another try to go on, or nothing
///   tells which version it was.
/// - `Conflict` or `NotFound`: the object was written or deleted meanwhile.
pub async fn get<S: ObjectSource>(source: &S, at: &Path, mut options: GetOptions) -> object_store::Result<GetResult> {
    if let Some(range) = &options.range {
        range.is_valid().map_err(|error| {
            Error::invalid("the range holds no byte").with_origin(Origin::Request).with_source(error)
        })?;
    }
    if options.head {
        let range = options.range.take();
        let answer = source.head(at, &options).await?;
        let mut head = source.describe(at, &answer.into_parts().0)?;
        head.range = wanted(range.as_ref(), head.meta.size)?;
        return Ok(head.with(stream::empty().boxed()));
    }
    let (answer, body) = source.open(at, &options).await?.into_parts();
    let head = source.describe(at, &answer)?;
    let (wanted, came) = (wanted(options.range.as_ref(), head.meta.size)?, &head.range);
    if *came != wanted {
        let service = S::SERVICE;
        let message = format!("{service} answered the bytes {came:?} of the object, where {wanted:?} were asked for");
        return Err(Error::internal(message).into());
    }
    let download = Download::new(source.clone(), head.meta.clone(), body, wanted);
    Ok(head.with(download.stream()))
}

/// The range that is meant, of an object of this size.
fn wanted(range: Option<&GetRange>, size: u64) -> Result<Range<u64>> {
    let Some(range) = range else { return Ok(0..size) };
    let none =
        |error| Error::invalid("the range holds no byte of the object").with_origin(Origin::Data).with_source(error);
    range.as_range(size).map_err(none)
}

/// Refuses the version of an update that no service gives for an ETag: in `If-Match`, `*` and lists match
/// what they do not name. Errors: `Conflict`.
pub fn check_version(service: &str, mode: &PutMode) -> Result<()> {
    let PutMode::Update(UpdateVersion { e_tag, .. }) = mode else { return Ok(()) };
    let quoted = e_tag.as_deref().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    match quoted.is_some_and(|tag| !tag.is_empty() && tag.bytes().all(fits)) {
        true => Ok(()),
        false => Err(Error::conflict(format!("no object in {service} has this version"))),
    }
}

/// The answer to `If-None-Match` and `If-Modified-Since`, as `object_store` tells it.
pub fn not_modified(at: &Path) -> object_store::Error {
    let source = Error::new(ErrorKind::Conflict, "the object has not changed");
    object_store::Error::NotModified { path: at.to_string(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_strong_e_tag_is_the_version_of_an_update() {
        let check = |e_tag: Option<&str>| {
            let version = UpdateVersion { e_tag: e_tag.map(str::to_owned), version: None };
            check_version("S", &PutMode::Update(version)).map_err(|error| error.kind())
        };
        for good in ["\"0x8DDE1F\"", "\"9a0364b9e99bb480dd25e1f0284c8555-2\""] {
            assert_eq!(check(Some(good)), Ok(()), "{good}");
        }
        let lists = ["\"a\", \"b\"", "\"a,b\"", "\"a\",*", "*, \"a\""];
        let others =
            ["", "*", "\"*\"", "\"\"", "\"", "a", "0x1", "W/\"1\"", "\"\u{e4}\"", "\"a\"\r\nx: y", "\"a\" ", "\"a b\""];
        for wrong in lists.into_iter().chain(others) {
            assert_eq!(check(Some(wrong)), Err(ErrorKind::Conflict), "{wrong}");
        }
        assert_eq!(check(None), Err(ErrorKind::Conflict));
    }
}
