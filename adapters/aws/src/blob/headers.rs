//! What the headers of a request and its answer say of an object.

use std::ops::Range;

use chrono::{DateTime, Utc};
use http::header::{
    AsHeaderName, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::request::Builder;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, ObjectMeta, TagSet};

use super::store::numbered;

/// What S3 calls content that was given no type. Other stores of its kind have other words for it,
/// so it is always said.
const NO_TYPE: &str = "binary/octet-stream";
const METADATA: &str = "x-amz-meta-";
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-amz-storage-class");

pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The headers of a write.
pub(super) fn describe(mut request: Builder, attributes: &Attributes, tags: &TagSet) -> Result<Builder> {
    for (attribute, value) in attributes {
        request = match (known(attribute), attribute) {
            (Some(name), _) => request.header(name, value.as_ref()),
            (None, Attribute::Metadata(name)) => request.header(format!("{METADATA}{name}"), value.as_ref()),
            _ => return Err(Error::new(isobar_abstraction::ErrorKind::Unsupported, "S3 has no such attribute")),
        };
    }
    if attributes.get(&Attribute::ContentType).is_none() {
        request = request.header(CONTENT_TYPE, NO_TYPE);
    }
    let tags = tags.encoded();
    Ok(if tags.is_empty() { request } else { request.header("x-amz-tagging", tags) })
}

fn known(attribute: &Attribute) -> Option<HeaderName> {
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

/// The headers of a read.
pub(super) fn ask(mut request: Builder, options: &GetOptions) -> Builder {
    let time = |time: &DateTime<Utc>| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let wishes = [
        (http::header::IF_MATCH, options.if_match.clone()),
        (http::header::IF_NONE_MATCH, options.if_none_match.clone()),
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

/// What an answer says of the object, and which part of it the answer holds.
/// Errors: `Internal`, naming what is missing.
pub(super) fn object<B>(at: &Path, answer: &Response<B>) -> Result<(ObjectMeta, Range<u64>)> {
    let headers = answer.headers();
    let missing = |what: &str| Error::internal(format!("S3 answered without the object's {what}"));
    let modified = text(headers, LAST_MODIFIED).and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    let last_modified = modified.ok_or_else(|| missing("time"))?.with_timezone(&Utc);
    let length = text(headers, CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let (range, size) = match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            part(text(headers, CONTENT_RANGE).unwrap_or_default()).ok_or_else(|| missing("range"))?
        }
        _ => {
            let size = length.ok_or_else(|| missing("size"))?;
            (0..size, size)
        }
    };
    let e_tag = text(headers, ETAG).map(str::to_owned);
    let version = numbered(text(headers, "x-amz-version-id").map(str::to_owned));
    Ok((ObjectMeta { location: at.clone(), last_modified, size, e_tag, version }, range))
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
    for attribute in [
        Attribute::CacheControl,
        Attribute::ContentDisposition,
        Attribute::ContentEncoding,
        Attribute::ContentLanguage,
        Attribute::ContentType,
        Attribute::StorageClass,
    ] {
        let Some(value) = known(&attribute).and_then(|name| text(headers, name)) else { continue };
        if attribute != Attribute::ContentType || value != NO_TYPE {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(METADATA), value.to_str()) {
            attributes.insert(Attribute::Metadata(name.to_owned().into()), value.to_owned().into());
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_within_its_whole() {
        assert_eq!(part("bytes 2-4/10"), Some((2..5, 10)));
        for wrong in ["", "bytes */10", "bytes 4-2/10", "bytes 0-10/10", "bytes 0-18446744073709551615/1", "2-4/10"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_without_what_an_object_has_is_an_error() {
        let answer = |name: &str| {
            let headers = [("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("content-length", "7")];
            let headers = headers.into_iter().filter(|(kept, _)| *kept != name);
            headers.fold(Response::builder(), |answer, (name, value)| answer.header(name, value)).body(()).unwrap()
        };
        let (meta, range) = object(&Path::from("a"), &answer("")).unwrap();
        assert_eq!((meta.size, range), (7, 0..7));
        for name in ["last-modified", "content-length"] {
            assert!(object(&Path::from("a"), &answer(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn attributes_come_back_and_a_type_that_nobody_gave_does_not() {
        let mut given = Attributes::new();
        given.insert(Attribute::Metadata("kind".into()), "note".into());
        given.insert(Attribute::CacheControl, "no-store".into());
        let request = describe(http::Request::put("/a"), &given, &TagSet::default()).unwrap().body(()).unwrap();
        assert_eq!(request.headers()["content-type"], NO_TYPE);
        assert_eq!(attributes(request.headers()), given);
    }
}
