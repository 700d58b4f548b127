//! The headers of a write and of its response.

use http::header::{ETAG, InvalidHeaderName, InvalidHeaderValue};
use http::request::Builder;
use http::{HeaderMap, Request};
use isobar_abstraction::driver::blob::STANDARD_HEADERS;
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::{Attribute, Attributes, PutMode, PutPayload, PutResult, TagSet, UpdateVersion};

use super::headers::{NO_TYPE, header_text};

/// The names of the headers of a write in a service.
#[derive(Debug, Clone, Copy)]
pub struct WriteHeaders {
    /// The prefix of standard headers, such as `x-ms-blob-`.
    pub standard: &'static str,
    /// The prefix of metadata.
    pub metadata: &'static str,
    /// The header of the storage class.
    pub class: &'static str,
    /// The header of the tags.
    pub tags: &'static str,
}

impl WriteHeaders {
    /// Adds attributes and tags to a request. Errors: `Unsupported` for an attribute without a header.
    pub fn describe(&self, mut request: Builder, attributes: &Attributes, tags: &TagSet) -> Result<Builder> {
        for (attribute, value) in attributes {
            let standard = STANDARD_HEADERS.iter().find(|(_, known)| known == attribute);
            let name = match (standard, attribute) {
                (Some((name, _)), _) => format!("{}{name}", self.standard),
                (None, Attribute::Metadata(name)) => format!("{}{name}", self.metadata),
                (None, Attribute::StorageClass) => self.class.to_owned(),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "the service does not support an attribute of this kind",
                    ));
                }
            };
            request = request.header(name, value.as_ref());
        }
        let tags = tags.encoded();
        Ok(if tags.is_empty() { request } else { request.header(self.tags, tags) })
    }
}

/// Checks the attributes of an app and applies [`with_content_type`].
///
/// `names` are the bytes that names of metadata may contain in addition to letters and digits.
///
/// Errors: `InvalidInput` for a value that is not valid in a header. Spaces at its ends are not: they would be lost.
pub fn check_attributes(attributes: Attributes, names: &[u8]) -> Result<Attributes> {
    for (attribute, value) in &attributes {
        let named = match attribute {
            Attribute::Metadata(name) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || names.contains(&byte);
                !name.is_empty() && name.bytes().all(fits)
            }
            _ => true,
        };
        if !named || !is_printable(value) || value.trim() != value.as_ref() {
            return Err(invalid_in_header());
        }
    }
    Ok(with_content_type(attributes))
}

/// Adds `NO_TYPE` where the content type is missing: the default of each service differs, and an app may use it.
pub fn with_content_type(mut attributes: Attributes) -> Attributes {
    if attributes.get(&Attribute::ContentType).is_none() {
        attributes.insert(Attribute::ContentType, NO_TYPE.into());
    }
    attributes
}

/// Whether a value is printable ASCII, which is valid in a header and in a signature.
pub(super) fn is_printable(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

pub(super) fn invalid_in_header() -> Error {
    Error::invalid_input("an attribute, metadata or a condition contains a character that is not valid in a header")
}

/// Rejects the expected version of an update that is not a single strong ETag: in `If-Match`, `*` and lists
/// match other versions. Errors: `Conflict`.
pub fn check_expected_version(service: &str, mode: &PutMode) -> Result<()> {
    let PutMode::Update(UpdateVersion { e_tag, .. }) = mode else { return Ok(()) };
    let quoted = e_tag.as_deref().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    match quoted.is_some_and(|tag| !tag.is_empty() && tag.bytes().all(fits)) {
        true => Ok(()),
        false => Err(Error::conflict(format!("no object in {service} has this version"))),
    }
}

/// Adds the precondition of a write.
pub fn add_precondition(request: Builder, mode: &PutMode) -> Builder {
    match mode {
        PutMode::Overwrite => request,
        PutMode::Create => request.header("if-none-match", "*"),
        PutMode::Update(UpdateVersion { e_tag, .. }) => {
            request.header("if-match", e_tag.as_deref().unwrap_or_default())
        }
    }
}

/// Completes a request to `endpoint`. Errors: `InvalidInput` for a value that is not valid in a header; `Config` for an
/// invalid endpoint.
pub fn build_request(request: Builder, body: PutPayload, endpoint: &str) -> Result<Request<PutPayload>> {
    request.body(body).map_err(|error| match error.is::<InvalidHeaderValue>() || error.is::<InvalidHeaderName>() {
        true => invalid_in_header(),
        false => Error::config(format!("`{endpoint}` is not a valid endpoint")).with_source(error),
    })
}

/// The result of a write. Errors: `Internal` where the response has no ETag.
pub fn put_result(service: &str, response: &HeaderMap, version: Option<String>) -> Result<PutResult> {
    let missing =
        || Error::internal(format!("the response of {service} to a write has no ETag")).with_outcome_unknown();
    let e_tag = header_text(response, ETAG).ok_or_else(missing)?.to_owned();
    Ok(PutResult { e_tag: Some(e_tag), version, extensions: Default::default() })
}

#[cfg(test)]
mod tests {
    use super::super::read_attributes;
    use super::*;

    const HEADERS: WriteHeaders =
        WriteHeaders { standard: "x-", metadata: "x-meta-", class: "x-class", tags: "x-tags" };

    fn with(attribute: Attribute, value: &str) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.insert(attribute, value.to_owned().into());
        attributes
    }

    #[test]
    fn a_value_that_is_not_valid_in_a_header_is_rejected_without_a_panic() {
        for (attribute, value) in [
            (Attribute::ContentType, "a\r\nx: y"),
            (Attribute::CacheControl, "ä"),
            (Attribute::Metadata("a b".into()), "x"),
            (Attribute::Metadata("".into()), "x"),
            (Attribute::Metadata("ä".into()), "x"),
            (Attribute::Metadata("a".into()), "\u{7f}"),
            (Attribute::Metadata("a".into()), " x"),
        ] {
            assert_eq!(
                check_attributes(with(attribute, value), b"-_").unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{value:?}"
            );
        }
        let wrong = build_request(Request::get("http://a").header("if-match", "\n"), PutPayload::new(), "a");
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(build_request(Request::get(" "), PutPayload::new(), "a").unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn attributes_are_read_back_without_a_default_content_type() {
        for mut attributes in [with(Attribute::ContentType, "application/octet-stream"), Attributes::new()] {
            attributes.insert(Attribute::Metadata("kind".into()), "note".into());
            attributes.insert(Attribute::CacheControl, "no-store".into());
            let headers = WriteHeaders { standard: "", ..HEADERS };
            let request = headers.describe(
                Request::put("/a"),
                &check_attributes(attributes.clone(), b"-_").unwrap(),
                &TagSet::default(),
            );
            assert_eq!(read_attributes(request.unwrap().headers_ref().unwrap(), "x-meta-"), attributes);
        }
        let mut tags = TagSet::default();
        tags.push("a b", "c");
        let request = HEADERS.describe(Request::put("/a"), &with(Attribute::StorageClass, "COLD"), &tags).unwrap();
        let headers = request.headers_ref().unwrap();
        assert_eq!((&headers["x-class"], &headers["x-tags"]), (&"COLD".parse().unwrap(), &"a+b=c".parse().unwrap()));
        let request = HEADERS.describe(
            Request::put("/a"),
            &check_attributes(Attributes::new(), b"-_").unwrap(),
            &TagSet::default(),
        );
        assert_eq!(request.unwrap().headers_ref().unwrap()["x-content-type"], NO_TYPE);
    }

    #[test]
    fn only_one_strong_e_tag_is_the_version_of_an_update() {
        let check = |e_tag: Option<&str>| {
            let version = UpdateVersion { e_tag: e_tag.map(str::to_owned), version: None };
            check_expected_version("S", &PutMode::Update(version)).map_err(|error| error.kind())
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
