//! What the headers of a read and its answer say of an object.
//!
//! Source: <https://cloud.google.com/storage/docs/xml-api/get-object-download>

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use http::request::Builder;
use http::{HeaderMap, HeaderName};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::text;
use object_store::{Attribute, Attributes, GetRange};

use super::condition;
use super::resource::WRITE;

/// What the headers of metadata begin with.
pub(super) const METADATA: &str = "x-goog-meta-";

const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-goog-storage-class");
const STORED_ENCODING: HeaderName = HeaderName::from_static("x-goog-stored-content-encoding");

/// The class of an object that was given none.
const STANDARD: &str = "STANDARD";

/// What private and public objects are served with that were given nothing:
/// <https://cloud.google.com/storage/docs/metadata#cache-control>.
const CACHED: [&str; 2] = ["private, max-age=0", "public, max-age=3600"];

/// The headers of a read, of one generation where one is wanted.
pub(super) fn ask(mut request: Builder, range: Option<&GetRange>, wanted: Option<i64>) -> Builder {
    // Without it what is stored as gzip comes unpacked, and whole whatever the range is:
    // <https://cloud.google.com/storage/docs/transcoding>.
    request = request.header(ACCEPT_ENCODING, "gzip");
    request = match range {
        // A number that is larger than any object is none to everybody.
        Some(GetRange::Bounded(range)) if i64::try_from(range.end).is_err() => {
            request.header(RANGE, GetRange::Offset(range.start).to_string())
        }
        Some(range) => request.header(RANGE, range.to_string()),
        None => request,
    };
    match wanted {
        Some(generation) => request.header("x-goog-if-generation-match", generation),
        None => request,
    }
}

/// The object's generation.
pub(super) fn generation(headers: &HeaderMap) -> Option<i64> {
    text(headers, GENERATION).and_then(condition::generation)
}

/// The number that a conditional write has left in the object's metadata.
pub(super) fn write(headers: &HeaderMap) -> Option<&str> {
    text(headers, format!("{METADATA}{WRITE}"))
}

/// Refuses what does not come as it is stored: neither its size nor its ranges would be right.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<()> {
    let Some(stored) = text(headers, STORED_ENCODING) else { return Ok(()) };
    let stored = Some(stored).filter(|encoding| *encoding != "identity");
    match stored == text(headers, CONTENT_ENCODING) {
        true => Ok(()),
        false => Err(Error::internal("the object came in another encoding than it is stored in")),
    }
}

/// Adds what only Cloud Storage tells, and takes away what nobody gave.
pub(super) fn complete(attributes: &mut Attributes, headers: &HeaderMap) {
    if let Some(class) = text(headers, STORAGE_CLASS).filter(|class| *class != STANDARD) {
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
    fn a_read_asks_for_what_is_stored() {
        let asked = |range: &GetRange, wanted| {
            let request = ask(http::Request::get("/a"), Some(range), wanted).body(()).unwrap();
            let text = |name: &str| text(request.headers(), name).map(str::to_owned);
            [text("range"), text("x-goog-if-generation-match"), text("accept-encoding")].map(Option::unwrap_or_default)
        };
        assert_eq!(asked(&GetRange::Bounded(2..5), Some(17)), ["bytes=2-4", "17", "gzip"]);
        assert_eq!(asked(&GetRange::Bounded(2..u64::MAX), None), ["bytes=2-", "", "gzip"]);
        assert_eq!(asked(&GetRange::Suffix(2), None), ["bytes=-2", "", "gzip"]);
    }

    #[test]
    fn what_came_unpacked_is_an_error_and_what_came_packed_is_not() {
        let check = |told: &[(&str, &str)]| check_encoding(&headers(told));
        let (stored, came) = (("x-goog-stored-content-encoding", "gzip"), ("content-encoding", "gzip"));
        let identity = ("x-goog-stored-content-encoding", "identity");
        assert!(check(&[stored]).is_err() && check(&[stored, came]).is_ok());
        assert!(check(&[identity]).is_ok() && check(&[identity, came]).is_err());
        assert!(check(&[]).is_ok());
    }

    #[test]
    fn attributes_come_from_headers_without_what_nobody_gave() {
        let told = headers(&[
            ("content-type", "binary/octet-stream"),
            ("cache-control", "private, max-age=0"),
            ("x-goog-storage-class", "STANDARD"),
            ("content-language", "de"),
            ("x-goog-meta-kind", "note"),
            ("x-goog-meta-isobar-write", "1"),
        ]);
        let mut read = object::attributes(&told, METADATA);
        complete(&mut read, &told);
        let mut expected = Attributes::new();
        expected.insert(Attribute::ContentLanguage, "de".into());
        expected.insert(Attribute::Metadata("kind".into()), "note".into());
        assert_eq!((read, write(&told)), (expected, Some("1")));
    }

    #[test]
    fn attributes_that_somebody_gave_stay() {
        let told = headers(&[
            ("content-type", "application/octet-stream"),
            ("cache-control", "no-store"),
            ("x-goog-storage-class", "NEARLINE"),
        ]);
        let mut read = object::attributes(&told, METADATA);
        complete(&mut read, &told);
        assert_eq!(read.len(), 3);
    }
}
