//! What the headers of a read and of its answer say, as HTTP has them (RFC 9110).

use std::ops::Range;

use chrono::{DateTime, Utc};
use http::header::{
    AsHeaderName, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE,
};
use http::request::Builder;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use isobar_abstraction::driver::blob::STANDARD_HEADERS;
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, ObjectMeta, PutMode};

use super::{ObjectError, ObjectHead};

/// A header that is text.
pub fn header_text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Adds the conditions and the range of a read. The version is the source's to say.
pub fn add_get_options(mut request: Builder, options: &GetOptions) -> Builder {
    let time = |time: &DateTime<Utc>| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let wishes = [
        (IF_MATCH, options.if_match.clone()),
        (IF_NONE_MATCH, options.if_none_match.clone()),
        (IF_MODIFIED_SINCE, options.if_modified_since.as_ref().map(time)),
        (IF_UNMODIFIED_SINCE, options.if_unmodified_since.as_ref().map(time)),
        (RANGE, options.range.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in wishes {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request
}

impl ObjectHead {
    /// Reads the headers that HTTP has for it, and metadata from the headers that begin with `metadata`,
    /// such as `x-amz-meta-`. The version is the source's to add. Errors: `Internal`, naming what is missing.
    pub fn read(service: &str, at: &Path, answer: &Parts, metadata: &str) -> Result<Self> {
        let headers = &answer.headers;
        let missing = |what: &str| Error::internal(format!("{service} answered without the object's {what}"));
        let modified = header_text(headers, LAST_MODIFIED).and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        let last_modified = modified.ok_or_else(|| missing("time"))?.with_timezone(&Utc);
        let length = header_text(headers, CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        let (range, size) = match answer.status {
            StatusCode::PARTIAL_CONTENT => {
                part(header_text(headers, CONTENT_RANGE).unwrap_or_default()).ok_or_else(|| missing("range"))?
            }
            _ => {
                let size = length.ok_or_else(|| missing("size"))?;
                (0..size, size)
            }
        };
        if answer.status == StatusCode::PARTIAL_CONTENT && range.is_empty() {
            return Err(ObjectError::EmptyRange.error(&PutMode::Overwrite));
        }
        let e_tag = header_text(headers, ETAG).map(str::to_owned);
        let meta = ObjectMeta { location: at.clone(), last_modified, size, e_tag, version: None };
        Ok(Self { meta, range, attributes: read_attributes(headers, metadata) })
    }
}

/// `bytes 2-4/10`, as a range and the size of the whole. Azurite answers a range behind the end by one that ends
/// before it begins; it is empty here.
fn part(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse().ok()?, last.parse::<i64>().ok()?, size.parse().ok()?);
    let end = u64::try_from(last.checked_add(1)?).ok()?.max(first);
    (end == first || end <= size).then_some((first..end, size))
}

/// What content is that was given no type.
pub(super) const NO_TYPE: &str = "binary/octet-stream";

/// The attributes that HTTP has headers for, and the metadata. What is no text, and a type that nobody gave, is left out.
pub fn read_attributes(headers: &HeaderMap, metadata: &str) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, attribute) in STANDARD_HEADERS {
        if let Some(value) = header_text(headers, name).filter(|value| *value != NO_TYPE) {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(metadata), value.to_str()) {
            attributes.insert(Attribute::Metadata(name.to_owned().into()), value.to_owned().into());
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use http::Response;
    use object_store::GetRange;

    use super::*;

    #[test]
    fn a_part_is_within_its_whole() {
        assert_eq!(part("bytes 2-4/10"), Some((2..5, 10)));
        assert_eq!((part("bytes 5-4/5"), part("bytes 0--1/0")), (Some((5..5, 5)), Some((0..0, 0))));
        for wrong in ["", "bytes */10", "bytes 4--2/10", "bytes 0-10/10", "bytes 0-18446744073709551615/1", "2-4/10"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_without_what_an_object_has_is_an_error() {
        let read = |without: &str| {
            let headers = [("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("content-length", "7"), ("x-m-a", "b")];
            let headers = headers.into_iter().filter(|(kept, _)| *kept != without);
            let answer = headers.fold(Response::builder(), |answer, (name, value)| answer.header(name, value));
            ObjectHead::read("S", &Path::from("a"), &answer.body(()).unwrap().into_parts().0, "x-m-")
        };
        let head = read("").unwrap();
        assert_eq!((head.meta.size, head.range), (7, 0..7));
        assert_eq!(head.attributes.get(&Attribute::Metadata("a".into())).unwrap().as_ref(), "b");
        for (name, what) in [("last-modified", "S answered without the object's time"), ("content-length", "size")] {
            assert!(read(name).unwrap_err().message().contains(what), "{name}");
        }
    }

    #[test]
    fn a_read_asks_as_its_options_say() {
        let time = DateTime::UNIX_EPOCH;
        let options = GetOptions {
            if_match: Some("\"1\"".to_owned()),
            if_none_match: Some("\"2\"".to_owned()),
            if_modified_since: Some(time),
            if_unmodified_since: Some(time),
            range: Some(GetRange::Bounded(2..5)),
            ..GetOptions::default()
        };
        let request = add_get_options(http::Request::get("/a"), &options).body(()).unwrap();
        let said = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!((said("if-match"), said("if-none-match"), said("range")), ("\"1\"", "\"2\"", "bytes=2-4"));
        assert_eq!(said("if-modified-since"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(said("if-unmodified-since"), said("if-modified-since"));
        let bare = add_get_options(http::Request::get("/a"), &GetOptions::default()).body(()).unwrap();
        assert!(bare.headers().is_empty());
    }
}
