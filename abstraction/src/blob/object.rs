//! Objects for apps: description, content, and the response over HTTP.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::SystemTime;

use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use object_store::{Attribute, Attributes, GetResult, ObjectMeta};

use super::{STANDARD_HEADERS, Version, key};
use crate::clock::{from_utc, to_http};
use crate::{Body, Error, Result};

/// The description of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// The key, as the app wrote it.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The version, for [`PutMode::Update`](super::PutMode::Update). It changes with each write of the key; on S3 with the
    /// content only.
    pub version: Version,
    /// The time of the last write, in whole seconds on some services.
    pub modified: SystemTime,
}

impl ObjectInfo {
    pub(super) fn new(meta: &ObjectMeta) -> Self {
        Self {
            key: key::decode(meta.location.as_ref()),
            size: meta.size,
            version: version(meta.e_tag.as_deref()),
            modified: from_utc(&meta.last_modified).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// The version of an object is its ETag. If the service returns none, no version ever matches.
pub(super) fn version(e_tag: Option<&str>) -> Version {
    Version::new(e_tag.unwrap_or_default())
}

/// The options of a read: a range and an expected version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// The bytes to read. A range that ends after the object is cut; one without a byte of it is `InvalidInput`.
    pub range: Option<Range<u64>>,
    /// The expected version; for another one the read is `Conflict`.
    pub version: Option<Version>,
}

impl GetOptions {
    /// Sets the bytes to read.
    #[must_use]
    pub fn with_range(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }

    /// Sets the expected version.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }
}

/// An open object: its description, and its content as a stream that has not been read yet.
///
/// The content is that of one version, also if the object is replaced during the read.
#[non_exhaustive]
pub struct Object {
    /// The description: key, size, version and time.
    pub info: ObjectInfo,
    /// The bytes of the object that the content contains.
    pub range: Range<u64>,
    /// The media type; `None` if none was set.
    pub content_type: Option<String>,
    /// The header `cache-control`; `None` if none was set.
    pub cache_control: Option<String>,
    /// The user metadata.
    pub metadata: BTreeMap<String, String>,
    /// Was a range requested?
    is_part: bool,
    result: GetResult,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("info", &self.info).field("range", &self.range).finish_non_exhaustive()
    }
}

impl Object {
    pub(super) fn new(result: GetResult, is_part: bool) -> Self {
        let text = |attribute| result.attributes.get(&attribute).map(|value| value.as_ref().to_owned());
        Self {
            info: ObjectInfo::new(&result.meta),
            range: result.range.clone(),
            content_type: text(Attribute::ContentType),
            cache_control: text(Attribute::CacheControl),
            metadata: metadata(&result.attributes),
            is_part,
            result,
        }
    }

    /// Reads the content into memory.
    pub async fn bytes(self) -> Result<Bytes> {
        self.result.bytes().await.map_err(|error| Error::from(error).with_operation("get"))
    }

    /// The content as a stream of parts. Dropping it ends the request to the service.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.result.into_stream().map(|part| part.map_err(Error::from)).boxed()
    }

    /// The content as the body of an HTTP response, streamed. Its size is known, so the response has a `content-length`. If
    /// it is larger than [`Limits::response_bytes`](crate::profile::Limits::response_bytes), the response is a 500 before
    /// the first byte: use [`Serve::redirect_large`](super::Serve::redirect_large) for such objects. `into_response` adds
    /// the headers of the object.
    pub fn into_body(self) -> Body {
        Body::new(Content { left: self.size(), stream: self.stream() })
    }

    /// The size of the content in bytes.
    pub(super) fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// The headers of the whole object.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, attribute) in STANDARD_HEADERS {
            let value = match attribute {
                Attribute::ContentType => Some(self.content_type.as_deref().unwrap_or("application/octet-stream")),
                Attribute::CacheControl => self.cache_control.as_deref(),
                other => self.result.attributes.get(&other).map(AsRef::as_ref),
            };
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        let modified = HeaderValue::try_from(to_http(self.info.modified)).ok();
        headers.extend(modified.map(|modified| (LAST_MODIFIED, modified)));
        headers.extend(entity_tag(&self.info.version).map(|tag| (ETAG, tag)));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // Without it a browser may guess a page from content of another type.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers
    }
}

/// The response of a web server, with the headers `content-type` (`application/octet-stream` if none was set),
/// `cache-control`, `etag`, `last-modified`, `content-length`, `accept-ranges` and `x-content-type-options: nosniff`. A
/// range that was read is a 206 with its `content-range`.
///
/// [`Bucket::serve`](super::Bucket::serve) also obeys range and conditions of the request. Content of users needs its
/// [`sandboxed`](super::Serve::sandboxed): otherwise their pages run scripts in the origin of the app.
impl IntoResponse for Object {
    fn into_response(self) -> Response {
        let (mut headers, Range { start, end }) = (self.headers(), self.range.clone());
        headers.insert(CONTENT_LENGTH, self.size().into());
        if !self.is_part || start == end {
            return (headers, self.into_body()).into_response();
        }
        let range = [(CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, self.info.size))];
        (StatusCode::PARTIAL_CONTENT, headers, range, self.into_body()).into_response()
    }
}

/// A version as an entity tag ([RFC 9110, 8.8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3)); `None` if its text
/// is not permitted there.
fn entity_tag(version: &Version) -> Option<HeaderValue> {
    let text = version.as_str();
    let (weak, tag) = text.strip_prefix("W/").map_or(("", text), |tag| ("W/", tag));
    // Cloud Storage has versions without quotes.
    let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte == b'!' || (b'#'..=b'~').contains(&byte));
    is_tag.then(|| HeaderValue::try_from(format!("{weak}\"{tag}\"")).ok()).flatten()
}

/// The content of an object as a body of known size.
struct Content {
    left: u64,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let part = ready!(self.stream.poll_next_unpin(task));
        if let Some(Ok(part)) = &part {
            self.left = self.left.saturating_sub(part.len() as u64);
        }
        Poll::Ready(part.map(|part| part.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn metadata(attributes: &Attributes) -> BTreeMap<String, String> {
    let entry = |(name, value): (&Attribute, &object_store::AttributeValue)| match name {
        Attribute::Metadata(name) => Some((name.to_string(), value.as_ref().to_owned())),
        _ => None,
    };
    attributes.iter().filter_map(entry).collect()
}
