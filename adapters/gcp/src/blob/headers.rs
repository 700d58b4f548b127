//! The headers of a read request and of its response.
//!
//! Source: <https://cloud.google.com/storage/docs/xml-api/get-object-download>

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use http::request::Builder;
use http::{HeaderMap, HeaderName};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::header_text;
use object_store::{Attribute, Attributes, GetRange};

use super::condition;
use super::resource::WRITE;

/// The prefix of metadata headers.
pub(super) const METADATA: &str = "x-goog-meta-";

const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-goog-storage-class");
const STORED_ENCODING: HeaderName = HeaderName::from_static("x-goog-stored-content-encoding");

/// The storage class of an object that was written without one.
const STANDARD: &str = "STANDARD";

/// The cache controls of private and public objects that were written without one:
/// <https://cloud.google.com/storage/docs/metadata#cache-control>.
const CACHED: [&str; 2] = ["private, max-age=0", "public, max-age=3600"];

/// Adds the headers of a read, with a precondition on the generation if one is required.
pub(super) fn with_read_headers(
    mut request: Builder,
    range: Option<&GetRange>,
    required_generation: Option<i64>,
) -> Builder {
    // Without this header Cloud Storage decompresses objects stored as gzip, and ignores the range:
    // <https://cloud.google.com/storage/docs/transcoding>.
    request = request.header(ACCEPT_ENCODING, "gzip");
    request = match range {
        // Servers ignore a number that is larger than any object.
        Some(GetRange::Bounded(range)) if i64::try_from(range.end).is_err() => {
            request.header(RANGE, GetRange::Offset(range.start).to_string())
        }
        Some(range) => request.header(RANGE, range.to_string()),
        None => request,
    };
    match required_generation {
        Some(generation) => request.header("x-goog-if-generation-match", generation),
        None => request,
    }
}

/// The generation of the object in a response.
pub(super) fn generation(headers: &HeaderMap) -> Option<i64> {
    header_text(headers, GENERATION).and_then(condition::generation)
}

/// The id that a conditional write left in the object's metadata.
pub(super) fn write_id(headers: &HeaderMap) -> Option<&str> {
    header_text(headers, format!("{METADATA}{WRITE}"))
}

/// Rejects an object that arrives in another encoding than it is stored in: its size and ranges would be wrong.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<()> {
    let Some(stored) = header_text(headers, STORED_ENCODING) else { return Ok(()) };
    let stored = Some(stored).filter(|encoding| *encoding != "identity");
    match stored == header_text(headers, CONTENT_ENCODING) {
        true => Ok(()),
        false => Err(Error::internal("the object arrived in another encoding than it is stored in")),
    }
}

/// Adds attributes that only Cloud Storage reports, and removes its defaults and isobar's own metadata.
pub(super) fn complete(attributes: &mut Attributes, headers: &HeaderMap) {
    if let Some(class) = header_text(headers, STORAGE_CLASS).filter(|class| *class != STANDARD) {
        attributes.insert(Attribute::StorageClass, class.to_owned().into());
    }
    if attributes.get(&Attribute::CacheControl).is_some_and(|value| CACHED.contains(&value.as_ref())) {
        attributes.remove(&Attribute::CacheControl);
    }
    attributes.remove(&Attribute::Metadata(WRITE.into()));
}

#[cfg(test)]
mod tests {
    use http::Response;
    use isobar_rest::object;

    use super::*;

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let answer = headers.iter().fold(Response::builder(), |answer, (name, value)| answer.header(*name, *value));
        answer.body(()).unwrap().headers().clone()
    }

    #[test]
    fn a_read_requests_the_stored_encoding() {
        let sent = |range: &GetRange, generation| {
            let request = with_read_headers(http::Request::get("/a"), Some(range), generation).body(()).unwrap();
            let text = |name: &str| header_text(request.headers(), name).map(str::to_owned);
            [text("range"), text("x-goog-if-generation-match"), text("accept-encoding")].map(Option::unwrap_or_default)
        };
        assert_eq!(sent(&GetRange::Bounded(2..5), Some(17)), ["bytes=2-4", "17", "gzip"]);
        assert_eq!(sent(&GetRange::Bounded(2..u64::MAX), None), ["bytes=2-", "", "gzip"]);
        assert_eq!(sent(&GetRange::Suffix(2), None), ["bytes=-2", "", "gzip"]);
    }

    #[test]
    fn content_decompressed_on_the_way_is_an_error() {
        let check = |pairs: &[(&str, &str)]| check_encoding(&headers(pairs));
        let (stored, received) = (("x-goog-stored-content-encoding", "gzip"), ("content-encoding", "gzip"));
        let identity = ("x-goog-stored-content-encoding", "identity");
        assert!(check(&[stored]).is_err() && check(&[stored, received]).is_ok());
        assert!(check(&[identity]).is_ok() && check(&[identity, received]).is_err());
        assert!(check(&[]).is_ok());
    }

    #[test]
    fn defaults_of_cloud_storage_are_not_attributes() {
        let headers = headers(&[
            ("content-type", "binary/octet-stream"),
            ("cache-control", "private, max-age=0"),
            ("x-goog-storage-class", "STANDARD"),
            ("content-language", "de"),
            ("x-goog-meta-kind", "note"),
            ("x-goog-meta-isobar-write", "1"),
        ]);
        let mut read = object::read_attributes(&headers, METADATA);
        complete(&mut read, &headers);
        let mut expected = Attributes::new();
        expected.insert(Attribute::ContentLanguage, "de".into());
        expected.insert(Attribute::Metadata("kind".into()), "note".into());
        assert_eq!((read, write_id(&headers)), (expected, Some("1")));
    }

    #[test]
    fn attributes_of_the_writer_stay() {
        let headers = headers(&[
            ("content-type", "application/octet-stream"),
            ("cache-control", "no-store"),
            ("x-goog-storage-class", "NEARLINE"),
        ]);
        let mut read = object::read_attributes(&headers, METADATA);
        complete(&mut read, &headers);
        assert_eq!(read.len(), 3);
    }
}
