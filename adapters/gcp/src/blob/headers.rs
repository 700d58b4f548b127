//! What the headers of a read and its answer say of an object.
//!
//! Source: <https://cloud.google.com/storage/docs/xml-api/get-object-download>

use std::ops::Range;

use chrono::{DateTime, Utc};
use http::header::{
    ACCEPT_ENCODING, AsHeaderName, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED, RANGE,
};
use http::request::Builder;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetRange, ObjectMeta};

use super::condition;
use super::resource::{KNOWN, given, insert_metadata};

const METADATA: &str = "x-goog-meta-";
const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-goog-storage-class");
const STORED_ENCODING: HeaderName = HeaderName::from_static("x-goog-stored-content-encoding");
const STORED_LENGTH: HeaderName = HeaderName::from_static("x-goog-stored-content-length");

pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The headers of a read, of one generation where one is wanted.
pub(super) fn ask(mut request: Builder, range: Option<&GetRange>, generation: Option<i64>) -> Builder {
    // Without it what is stored as gzip comes unpacked, and whole whatever the range is:
    // <https://cloud.google.com/storage/docs/transcoding>.
    request = request.header(ACCEPT_ENCODING, "gzip");
    if let Some(range) = range {
        request = request.header(RANGE, range.to_string());
    }
    match generation {
        Some(generation) => request.header("x-goog-if-generation-match", generation),
        None => request,
    }
}

/// What an answer says of the object, and which part of it the answer holds.
/// Errors: `Internal`, naming what is missing.
pub(super) fn object<B>(at: &Path, answer: &Response<B>) -> Result<(ObjectMeta, Range<u64>)> {
    let headers = answer.headers();
    let missing = |what: &str| Error::internal(format!("Cloud Storage answered without the object's {what}"));
    check_encoding(headers)?;
    let modified = text(headers, LAST_MODIFIED).and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    let last_modified = modified.ok_or_else(|| missing("time"))?.with_timezone(&Utc);
    let generation = text(headers, GENERATION).and_then(condition::generation).ok_or_else(|| missing("generation"))?;
    let (range, size) = match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            part(text(headers, CONTENT_RANGE).unwrap_or_default()).ok_or_else(|| missing("range"))?
        }
        _ => {
            let told = [CONTENT_LENGTH, STORED_LENGTH].into_iter().find_map(|name| text(headers, name)?.parse().ok());
            let size = told.ok_or_else(|| missing("size"))?;
            (0..size, size)
        }
    };
    let e_tag = Some(generation.to_string());
    Ok((ObjectMeta { location: at.clone(), last_modified, size, e_tag, version: None }, range))
}

/// Refuses what does not come as it is stored: neither its size nor its ranges would be right.
fn check_encoding(headers: &HeaderMap) -> Result<()> {
    let Some(stored) = text(headers, STORED_ENCODING) else { return Ok(()) };
    let stored = Some(stored).filter(|encoding| *encoding != "identity");
    match stored == text(headers, CONTENT_ENCODING) {
        true => Ok(()),
        false => Err(Error::internal("the object came in another encoding than it is stored in")),
    }
}

/// `bytes 2-4/10`, as a range and the size of the whole.
fn part(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?;
    Some((range, size.parse().ok()?)).filter(|(range, size)| range.start < range.end && range.end <= *size)
}

pub(super) fn attributes(headers: &HeaderMap) -> Attributes {
    let mut attributes = Attributes::new();
    for attribute in KNOWN {
        let value = header(&attribute).and_then(|name| text(headers, name)).filter(|value| given(&attribute, value));
        if let Some(value) = value {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(METADATA), value.to_str()) {
            insert_metadata(&mut attributes, name, value.to_owned());
        }
    }
    attributes
}

fn header(attribute: &Attribute) -> Option<HeaderName> {
    Some(match attribute {
        Attribute::CacheControl => CACHE_CONTROL,
        Attribute::ContentDisposition => CONTENT_DISPOSITION,
        Attribute::ContentEncoding => CONTENT_ENCODING,
        Attribute::ContentLanguage => CONTENT_LANGUAGE,
        Attribute::ContentType => CONTENT_TYPE,
        Attribute::StorageClass => STORAGE_CLASS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 3] = [
        ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("x-goog-generation", "17"),
        ("content-length", "7"),
    ];

    fn answer(headers: &[(&str, &str)]) -> Response<()> {
        headers.iter().fold(Response::builder(), |answer, (name, value)| answer.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn a_part_is_within_its_whole() {
        assert_eq!(part("bytes 2-4/10"), Some((2..5, 10)));
        for wrong in ["", "bytes */10", "bytes 4-2/10", "bytes 0-10/10", "bytes 0-18446744073709551615/1", "2-4/10"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_without_what_an_object_has_is_an_error() {
        let (meta, range) = object(&Path::from("a"), &answer(&WHOLE)).unwrap();
        assert_eq!((meta.size, range, meta.e_tag.as_deref()), (7, 0..7, Some("17")));
        for missing in 0..WHOLE.len() {
            let mut headers = WHOLE.to_vec();
            headers.remove(missing);
            assert!(object(&Path::from("a"), &answer(&headers)).is_err(), "{missing}");
        }
    }

    #[test]
    fn what_came_unpacked_is_an_error_and_what_came_packed_is_not() {
        let with = |more: &[(&str, &str)]| object(&Path::from("a"), &answer(&[&WHOLE, more].concat()));
        let (stored, came) = (("x-goog-stored-content-encoding", "gzip"), ("content-encoding", "gzip"));
        assert!(with(&[stored]).is_err() && with(&[stored, came]).is_ok());
        assert!(with(&[("x-goog-stored-content-encoding", "identity")]).is_ok());
        assert!(with(&[("x-goog-stored-content-encoding", "identity"), came]).is_err());
    }

    #[test]
    fn attributes_come_from_headers_without_what_nobody_gave() {
        let told = answer(&[
            ("content-type", "binary/octet-stream"),
            ("cache-control", "private, max-age=0"),
            ("x-goog-storage-class", "STANDARD"),
            ("content-language", "de"),
            ("x-goog-meta-kind", "note"),
            ("x-goog-meta-isobar-write", "1"),
        ]);
        let mut expected = Attributes::new();
        expected.insert(Attribute::ContentLanguage, "de".into());
        expected.insert(Attribute::Metadata("kind".into()), "note".into());
        assert_eq!(attributes(told.headers()), expected);
    }
}
