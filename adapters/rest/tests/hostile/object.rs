//! Reads of objects from a faulty store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::request::Builder;
use http::response::Parts;
use http::{Extensions, Request, Response};
use isobar_abstraction::driver::blob::{Blob, ListRequest, SignRequest, SignedUrl};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::{
    self, ObjectError, ObjectHead, ObjectRequests, Page, PartUpload, Store, UploadParts, add_get_options, header_text,
};
use isobar_rest::{Call, Client, ClientConfig, Safety, ServiceError, StreamBody};
use object_store::path::Path;
use object_store::{
    Attribute, GetOptions, GetRange, GetResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutOptions,
    PutPayload, PutResult,
};

use crate::caller::{Caller, Signed};
use crate::double::{Act, Double, always, answer, say};

mod resumed;
mod store;

/// A store with one object. A service error is expected by its status, and says `body: ` and its body.
#[derive(Debug, Clone)]
struct Bucket {
    caller: Caller,
    url: String,
}

impl Bucket {
    /// Calls are tried three times.
    fn at(url: &str, change: impl FnOnce(&mut ClientConfig)) -> Self {
        Self { caller: Caller::new(change), url: url.to_owned() }
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        Store::new(self.clone()).object_store()
    }

    async fn opened(&self, options: GetOptions) -> Result<GetResult> {
        Ok(self.store().get_opts(&Path::from("a"), options).await?)
    }

    async fn part(&self, range: GetRange) -> Result<Bytes> {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        Ok(self.opened(options).await?.bytes().await?)
    }

    async fn get(&self) -> Result<Bytes> {
        Ok(self.opened(GetOptions::default()).await?.bytes().await?)
    }

    fn request(&self, request: Builder, options: &GetOptions) -> Request<PutPayload> {
        object::build_request(add_get_options(request.uri(&self.url), options), PutPayload::new(), &self.url).unwrap()
    }

    /// Makes a write whose target describes it: `GET /copy?a&b`.
    async fn write(&self, what: &str) -> Result<()> {
        self.caller.call(Safety::Read, &format!("{}{what}", self.url)).await.map(drop)
    }
}

fn refused(at: &Path, service_error: &ServiceError) -> object_store::Error {
    let kind = match service_error.status().as_u16() {
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        412 => ErrorKind::Conflict,
        429 | 503 => ErrorKind::Throttled,
        _ => ErrorKind::Unavailable,
    };
    let expected = format!("body: {}", String::from_utf8_lossy(service_error.response.body()));
    object::read_error(at, service_error, ObjectError::Other(kind, expected).error(&PutMode::Overwrite))
}

#[async_trait]
impl ObjectRequests for Bucket {
    const SERVICE: &'static str = "Double";
    const PAGE: usize = 2;

    fn client(&self) -> &Client {
        &self.caller.client
    }

    fn place(&self) -> String {
        "double://pages".to_owned()
    }

    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let request = self.request(Request::builder().method("HEAD"), options);
        let service = &Signed::default();
        let call = Call { operation: "Head", request, safety: Safety::Read, service };
        self.caller.client.call(call).await?.map_err(|service_error| refused(at, &service_error))
    }

    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let (request, service) = (self.request(Request::builder(), options), &Signed::default());
        let call = Call { operation: "Get", request, safety: Safety::Read, service };
        self.caller.client.open(call).await?.map_err(|service_error| refused(at, &service_error))
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        let mut head = ObjectHead::read(Self::SERVICE, at, answer, "x-meta-")?;
        head.meta.version = header_text(&answer.headers, "x-version").map(str::to_owned);
        Ok(head)
    }

    async fn put(&self, at: &Path, _: PutPayload, options: &PutOptions) -> Result<PutResult> {
        let kind = options.attributes.get(&Attribute::ContentType).map(AsRef::as_ref);
        self.write(&format!("put?{at}&{}", kind.unwrap_or_default())).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn begin(self: Arc<Self>, _: &Path, _: PutOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(PartUpload::new(Self::clone(&self))))
    }

    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()> {
        self.write(&format!("copy?{from}&{to}&{}", mode == PutMode::Create)).await
    }

    async fn delete(&self, at: &Path) -> Result<()> {
        self.write(&format!("delete?{at}")).await
    }

    /// Three pages of one object each, the second behind an empty one.
    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page> {
        self.write(&format!("list?{}&{}", request.after.as_deref().unwrap_or_default(), token.unwrap_or_default()))
            .await?;
        let (name, more) = match (request.prefix.as_str(), request.after.as_deref(), token) {
            ("empty/", ..) => return Ok(Page::Empty("same".to_owned())),
            (_, None, _) => ("a", true),
            (_, Some("a"), None) => return Ok(Page::Empty("behind".to_owned())),
            (_, Some("a"), _) => ("b", true),
            _ => ("c", false),
        };
        object::page(request, vec![(name.to_owned(), Some(()))], more.then_some(""), |location, ()| {
            let last_modified = std::time::SystemTime::UNIX_EPOCH.into();
            Ok(ObjectMeta { location, last_modified, size: 1, e_tag: None, version: None })
        })
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        Ok(SignedUrl::new(request.stored.clone()))
    }
}

#[async_trait]
impl UploadParts for Bucket {
    const MAX_PARTS: usize = 3;

    async fn send(&self, place: usize, _: PutPayload) -> Result<String> {
        self.write(&format!("part?{place}")).await?;
        Ok(place.to_string())
    }

    async fn complete(&self, parts: Vec<String>) -> Result<PutResult> {
        self.write(&format!("end?{}", parts.join(","))).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn abort(&self) -> Result<()> {
        self.write("abort").await
    }
}

const TIME: &str = "last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
const OBJECT: &str = "etag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// An object of this length, of which this comes.
fn object(length: usize, content: &str) -> Act {
    say(format!("HTTP/1.1 200 OK\r\n{OBJECT}content-length: {length}\r\n\r\n{content}"))
}

/// A part of an object, such as `4-7/8`. `headers` are lines.
fn part(headers: &str, range: &str, content: &str) -> Act {
    let length = content.len();
    let head = format!("HTTP/1.1 206 Partial\r\n{headers}content-range: bytes {range}\r\ncontent-length: {length}");
    say(format!("{head}\r\n\r\n{content}"))
}

#[tokio::test]
async fn an_object_that_has_not_changed_is_the_error_of_object_store() {
    let double = Double::start(vec![vec![Act::Hear, say("HTTP/1.1 304 Same\r\n\r\n"), Act::Again]]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    for head in [false, true] {
        let options = GetOptions { if_none_match: Some("\"1\"".to_owned()), head, ..GetOptions::default() };
        let error = bucket.store().get_opts(&Path::from("a"), options).await.unwrap_err();
        assert!(matches!(error, object_store::Error::NotModified { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_error_answer_is_not_read_without_end_and_is_what_its_status_says() {
    let double = Double::start(vec![always(answer(403, "", &"a".repeat(1 << 20)))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::PermissionDenied, "body: "));
}

#[tokio::test]
async fn the_requested_range_is_returned_or_an_error() {
    for (range, received, content) in [
        (GetRange::Bounded(2..5), "2-4/8", Some("cde")),
        (GetRange::Bounded(6..99), "6-7/8", Some("gh")),
        (GetRange::Offset(5), "5-7/8", Some("fgh")),
        (GetRange::Suffix(3), "5-7/8", Some("fgh")),
        (GetRange::Suffix(99), "0-7/8", Some("abcdefgh")),
        (GetRange::Bounded(2..5), "1-3/8", None),
        (GetRange::Bounded(2..5), "2-3/8", None),
        (GetRange::Offset(5), "5-6/8", None),
        (GetRange::Bounded(2..5), "2-4", None),
    ] {
        let sent = content.unwrap_or("xyz");
        let double = Double::start(vec![vec![Act::Hear, part(OBJECT, received, sent)]]).await;
        match (Bucket::at(&double.url("/"), |_| ()).part(range.clone()).await, content) {
            (Ok(result), Some(content)) => assert_eq!(result, content, "{range:?}"),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}"),
            (result, _) => panic!("{range:?}, {received}: {result:?}"),
        }
    }
    // The whole, where a part was asked for, and a part, where the whole was.
    let double =
        Double::start(vec![vec![Act::Hear, object(8, "abcdefgh"), Act::Hear, part(OBJECT, "2-4/8", "cde")]]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    assert_eq!(bucket.part(GetRange::Bounded(2..5)).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(bucket.get().await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_range_without_a_byte_is_invalid_and_is_not_asked_for() {
    let double = Double::start(vec![always(answer(200, OBJECT, ""))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).part(GetRange::Bounded(5..5)).await.unwrap_err();
    assert_eq!((error.kind(), double.connections()), (ErrorKind::InvalidInput, 0));
}

#[tokio::test]
async fn the_head_of_an_object_is_requested_without_a_range_and_returns_it() {
    let known =
        say(format!("HTTP/1.1 200 OK\r\n{OBJECT}x-version: 7\r\nx-meta-kind: note\r\ncontent-length: 8\r\n\r\n"));
    let double = Double::start(vec![vec![Act::Hear, known, Act::Again]]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    let head = |range| GetOptions { head: true, range, ..GetOptions::default() };
    for (range, expected) in [(None, 0..8), (Some(GetRange::Suffix(3)), 5..8), (Some(GetRange::Bounded(6..99)), 6..8)] {
        let result = bucket.opened(head(range)).await.unwrap();
        assert_eq!((result.range.clone(), result.meta.size, result.meta.version.as_deref()), (expected, 8, Some("7")));
        assert_eq!(result.attributes.len(), 1);
        assert!(result.bytes().await.unwrap().is_empty());
    }
    let beyond = bucket.opened(head(Some(GetRange::Offset(8)))).await.unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::InvalidInput);
    assert!(double.heard().iter().all(|heard| heard.head.starts_with("HEAD ") && heard.header("range").is_none()));
}

#[tokio::test]
async fn the_deadline_ends_a_read() {
    for first in [vec![Act::Hear], vec![Act::Hear, object(8, "half")]] {
        // The clock of the invocation does not advance, so the download is requested once more.
        let double = Double::start(vec![first, vec![Act::Hear]]).await;
        let (bucket, started) = (Bucket::at(&double.url("/"), |_| ()), Instant::now());
        let caller = bucket.caller.clone();
        let call = |_| async move { bucket.get().await };
        let error = caller.within(Duration::from_millis(200), call).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn no_error_of_a_read_holds_a_secret() {
    let double = Double::start(vec![vec![Act::Hear, object(8, "half"), Act::Close]]).await;
    let bucket = Bucket::at(&double.url("/?signature=hush-query"), |_| ());
    let stream = bucket.opened(GetOptions::default()).await.unwrap().into_stream();
    let pieces: Vec<_> = stream.collect().await;
    assert!(double.heard()[0].header("authorization") == Some("hush-token-1"));
    let error = pieces.last().unwrap().as_ref().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}
