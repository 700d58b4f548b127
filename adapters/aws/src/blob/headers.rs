//! What the headers of a request and its answer say of an object.

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::request::Builder;
use http::{HeaderMap, HeaderName};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::text;
use object_store::{Attribute, Attributes, TagSet};

/// What S3 calls content that was given no type. Other stores of its kind have other words for it,
/// so it is always said.
const NO_TYPE: &str = "binary/octet-stream";
/// What the headers of metadata begin with.
pub(super) const METADATA: &str = "x-amz-meta-";
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-amz-storage-class");

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

/// Adds what only S3 tells, and takes away the type that says that none was given.
pub(super) fn complete(attributes: &mut Attributes, headers: &HeaderMap) {
    if let Some(class) = text(headers, STORAGE_CLASS) {
        attributes.insert(Attribute::StorageClass, class.to_owned().into());
    }
    if attributes.get(&Attribute::ContentType).is_some_and(|given| given.as_ref() == NO_TYPE) {
        attributes.remove(&Attribute::ContentType);
    }
}

#[cfg(test)]
mod tests {
    use isobar_rest::object;

    use super::*;

    #[test]
    fn attributes_come_back_and_a_type_that_nobody_gave_does_not() {
        let mut given = Attributes::new();
        given.insert(Attribute::Metadata("kind".into()), "note".into());
        given.insert(Attribute::CacheControl, "no-store".into());
        let request = describe(http::Request::put("/a"), &given, &TagSet::default()).unwrap().body(()).unwrap();
        assert_eq!(request.headers()["content-type"], NO_TYPE);
        let mut found = object::attributes(request.headers(), METADATA);
        complete(&mut found, request.headers());
        assert_eq!(found, given);
    }
}
