//! What the headers of a write say, and what those of its answer do.

use http::header::{ETAG, InvalidHeaderName, InvalidHeaderValue};
use http::request::Builder;
use http::{HeaderMap, Request};
use isobar_abstraction::driver::blob::STANDARD_HEADERS;
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::{Attribute, Attributes, PutMode, PutPayload, PutResult, TagSet, UpdateVersion};

use super::headers::{NO_TYPE, header_text};

/// What a service calls the headers of a write.
#[derive(Debug, Clone, Copy)]
pub struct WriteHeaders {
    /// What stands before HTTP's own names, such as `x-ms-blob-`.
    pub standard: &'static str,
    /// What those of metadata begin with.
    pub metadata: &'static str,
    /// The storage class.
    pub class: &'static str,
    /// The tags.
    pub tags: &'static str,
}

impl WriteHeaders {
    /// Adds attributes and tags. Errors: `Unsupported`.
    pub fn describe(&self, mut request: Builder, attributes: &Attributes, tags: &TagSet) -> Result<Builder> {
        for (attribute, value) in attributes {
            let standard = STANDARD_HEADERS.iter().find(|(_, known)| known == attribute);
            let name = match (standard, attribute) {
                (Some((name, _)), _) => format!("{}{name}", self.standard),
                (None, Attribute::Metadata(name)) => format!("{}{name}", self.metadata),
                (None, Attribute::StorageClass) => self.class.to_owned(),
                _ => return Err(Error::new(ErrorKind::Unsupported, "the service has no such attribute")),
            };
            request = request.header(name, value.as_ref());
        }
        let tags = tags.encoded();
        Ok(if tags.is_empty() { request } else { request.header(self.tags, tags) })
    }
}

/// [`with_content_type`], of attributes that the app gives.
///
/// `names` is what names of metadata may hold beside letters and digits.
///
/// Errors: `InvalidInput` where no header can hold a value. Blanks at the ends would be cut off on the way.
pub fn check_attributes(attributes: Attributes, names: &[u8]) -> Result<Attributes> {
    for (attribute, value) in &attributes {
        let named = match attribute {
            Attribute::Metadata(name) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || names.contains(&byte);
                !name.is_empty() && name.bytes().all(fits)
            }
            _ => true,
        };
        if !named || !printable(value) || value.trim() != value.as_ref() {
            return Err(unwritable());
        }
    }
    Ok(with_content_type(attributes))
}

/// Adds a type where none was given: each service has another word for that, which may be an app's too.
pub fn with_content_type(mut attributes: Attributes) -> Attributes {
    if attributes.get(&Attribute::ContentType).is_none() {
        attributes.insert(Attribute::ContentType, NO_TYPE.into());
    }
    attributes
}

/// Can a header hold it, and a signature of its text?
pub(super) fn printable(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

pub(super) fn unwritable() -> Error {
    Error::invalid_input("an attribute, the metadata or a condition holds a character that no header can")
}

/// Refuses the version of an update that no service gives for an ETag: in `If-Match`, `*` and lists match
/// what they do not name. Errors: `Conflict`.
pub fn check_expected_version(service: &str, mode: &PutMode) -> Result<()> {
    let PutMode::Update(UpdateVersion { e_tag, .. }) = mode else { return Ok(()) };
    let quoted = e_tag.as_deref().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    match quoted.is_some_and(|tag| !tag.is_empty() && tag.bytes().all(fits)) {
        true => Ok(()),
        false => Err(Error::conflict(format!("no object in {service} has this version"))),
    }
}

/// Adds what a write must find.
pub fn add_precondition(request: Builder, mode: &PutMode) -> Builder {
    match mode {
        PutMode::Overwrite => request,
        PutMode::Create => request.header("if-none-match", "*"),
        PutMode::Update(UpdateVersion { e_tag, .. }) => {
            request.header("if-match", e_tag.as_deref().unwrap_or_default())
        }
    }
}

/// The request, to `endpoint`. Errors: `InvalidInput` where no header can hold what it is to hold; `Config`.
pub fn build_request(request: Builder, body: PutPayload, endpoint: &str) -> Result<Request<PutPayload>> {
    request.body(body).map_err(|error| match error.is::<InvalidHeaderValue>() || error.is::<InvalidHeaderName>() {
        true => unwritable(),
        false => Error::config(format!("`{endpoint}` is not an endpoint")).with_source(error),
    })
}

/// What a write made. Errors: `Internal`, where the service does not say.
pub fn put_result(service: &str, answer: &HeaderMap, version: Option<String>) -> Result<PutResult> {
    let silent = || Error::internal(format!("{service} took the object without an ETag")).with_outcome_unknown();
    let e_tag = header_text(answer, ETAG).ok_or_else(silent)?.to_owned();
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
    fn what_no_header_can_hold_is_refused_and_does_not_panic() {
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
    fn attributes_come_back_and_a_type_that_nobody_gave_does_not() {
        for mut given in [with(Attribute::ContentType, "application/octet-stream"), Attributes::new()] {
            given.insert(Attribute::Metadata("kind".into()), "note".into());
            given.insert(Attribute::CacheControl, "no-store".into());
            let own = WriteHeaders { standard: "", ..HEADERS };
            let request =
                own.describe(Request::put("/a"), &check_attributes(given.clone(), b"-_").unwrap(), &TagSet::default());
            assert_eq!(read_attributes(request.unwrap().headers_ref().unwrap(), "x-meta-"), given);
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
