//! The headers of a read and of its response (RFC 9110).

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

/// The value of a header, if it is text.
pub fn header_text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Adds the conditions and the range of a read to a request. The service adds the version.
pub fn add_get_options(mut request: Builder, options: &GetOptions) -> Builder {
    let time = |time: &DateTime<Utc>| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = [
        (IF_MATCH, options.if_match.clone()),
        (IF_NONE_MATCH, options.if_none_match.clone()),
        (IF_MODIFIED_SINCE, options.if_modified_since.as_ref().map(time)),
        (IF_UNMODIFIED_SINCE, options.if_unmodified_since.as_ref().map(time)),
        (RANGE, options.range.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request
}

impl ObjectHead {
    /// Reads the standard headers, and metadata from the headers with the prefix `metadata`, such as
    /// `x-amz-meta-`. The service adds the version. Errors: `Internal`, naming the missing header.
    pub fn read(service: &str, at: &Path, response: &Parts, metadata: &str) -> Result<Self> {
        let headers = &response.headers;
        let missing = |what: &str| Error::internal(format!("the response of {service} has no {what} of the object"));
        let modified = header_text(headers, LAST_MODIFIED).and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        let last_modified = modified.ok_or_else(|| missing("time"))?.with_timezone(&Utc);
        let length = header_text(headers, CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        let (range, size) = match response.status {
            StatusCode::PARTIAL_CONTENT => {
                part(header_text(headers, CONTENT_RANGE).unwrap_or_default()).ok_or_else(|| missing("range"))?
            }
            _ => {
                let size = length.ok_or_else(|| missing("size"))?;
                (0..size, size)
            }
        };
        if response.status == StatusCode::PARTIAL_CONTENT && range.is_empty() {
            return Err(ObjectError::EmptyRange.error(&PutMode::Overwrite));
        }
        let e_tag = header_text(headers, ETAG).map(str::to_owned);
        let meta = ObjectMeta { location: at.clone(), last_modified, size, e_tag, version: None };
        Ok(Self { meta, range, attributes: read_attributes(headers, metadata) })
    }
}

/// Parses `bytes 2-4/10` to a range and the size of the object. For a range after the end of the object, Azurite returns
/// one that ends before it begins; the result is empty then.
fn part(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse().ok()?, last.parse::<i64>().ok()?, size.parse().ok()?);
    let end = u64::try_from(last.checked_add(1)?).ok()?.max(first);
    (end == first || end <= size).then_some((first..end, size))
}

/// The content type of an object that was written without one.
pub(super) const NO_TYPE: &str = "binary/octet-stream";

/// Reads the attributes with standard headers, and the metadata. Values that are not text are left out, and so is
/// `NO_TYPE`.
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
    fn a_range_is_within_its_object() {
        assert_eq!(part("bytes 2-4/10"), Some((2..5, 10)));
        assert_eq!((part("bytes 5-4/5"), part("bytes 0--1/0")), (Some((5..5, 5)), Some((0..0, 0))));
        for wrong in ["", "bytes */10", "bytes 4--2/10", "bytes 0-10/10", "bytes 0-18446744073709551615/1", "2-4/10"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_response_without_a_required_header_is_an_error() {
        let read = |without: &str| {
            let headers = [("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("content-length", "7"), ("x-m-a", "b")];
            let headers = headers.into_iter().filter(|(name, _)| *name != without);
            let response = headers.fold(Response::builder(), |response, (name, value)| response.header(name, value));
            ObjectHead::read("S", &Path::from("a"), &response.body(()).unwrap().into_parts().0, "x-m-")
        };
        let head = read("").unwrap();
        assert_eq!((head.meta.size, head.range), (7, 0..7));
        assert_eq!(head.attributes.get(&Attribute::Metadata("a".into())).unwrap().as_ref(), "b");
        for (name, what) in
            [("last-modified", "the response of S has no time of the object"), ("content-length", "size")]
        {
            assert!(read(name).unwrap_err().message().contains(what), "{name}");
        }
    }

    #[test]
    fn a_read_sends_the_headers_of_its_options() {
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
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!((header("if-match"), header("if-none-match"), header("range")), ("\"1\"", "\"2\"", "bytes=2-4"));
        assert_eq!(header("if-modified-since"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(header("if-unmodified-since"), header("if-modified-since"));
        let bare = add_get_options(http::Request::get("/a"), &GetOptions::default()).body(()).unwrap();
        assert!(bare.headers().is_empty());
    }
}
