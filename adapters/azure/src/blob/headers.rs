//! What is known of an object, as headers.

use http::request::Builder;
use isobar_abstraction::{Error, Result};
use object_store::{Attribute, Attributes, GetOptions, PutMode, TagSet, UpdateVersion};

/// What content is that was given no type. Azure's own word for it may be an app's too, so it is
/// always said.
const NO_TYPE: &str = "binary/octet-stream";

/// What the headers of metadata begin with.
pub(super) const METADATA: &str = "x-ms-meta-";

/// Adds a type, where none was given. Errors: `InvalidInput`, where a header cannot hold a value.
pub(super) fn typed(mut attributes: Attributes) -> Result<Attributes> {
    for (attribute, value) in &attributes {
        let name = match attribute {
            Attribute::Metadata(name) => name,
            _ => "x",
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        // Blanks at the ends are cut off on the way, and are no part of what is signed.
        if name.is_empty() || !name.bytes().all(fits) || !printable(value) || value.trim() != value.as_ref() {
            return Err(Error::invalid("an attribute or the metadata holds a character that no header can"));
        }
    }
    if attributes.get(&Attribute::ContentType).is_none() {
        attributes.insert(Attribute::ContentType, NO_TYPE.into());
    }
    Ok(attributes)
}

/// Takes away the type that says that none was given.
pub(super) fn untyped(mut attributes: Attributes) -> Attributes {
    if attributes.get(&Attribute::ContentType).is_some_and(|given| given.as_ref() == NO_TYPE) {
        attributes.remove(&Attribute::ContentType);
    }
    attributes
}

fn printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Adds the attributes and tags of an object. <https://learn.microsoft.com/rest/api/storageservices/put-blob>
pub(super) fn describe(request: Builder, attributes: &Attributes, tags: &TagSet) -> Builder {
    let request = attributes.iter().fold(request, |request, (attribute, value)| match attribute {
        Attribute::CacheControl => request.header("x-ms-blob-cache-control", value.as_ref()),
        Attribute::ContentDisposition => request.header("x-ms-blob-content-disposition", value.as_ref()),
        Attribute::ContentEncoding => request.header("x-ms-blob-content-encoding", value.as_ref()),
        Attribute::ContentLanguage => request.header("x-ms-blob-content-language", value.as_ref()),
        Attribute::ContentType => request.header("x-ms-blob-content-type", value.as_ref()),
        Attribute::StorageClass => request.header("x-ms-access-tier", value.as_ref()),
        Attribute::Metadata(name) => request.header(format!("{METADATA}{name}"), value.as_ref()),
        _ => request,
    });
    if tags.encoded().is_empty() { request } else { request.header("x-ms-tags", tags.encoded()) }
}

/// Adds what a write must find.
pub(super) fn under(request: Builder, mode: &PutMode) -> Builder {
    match mode {
        PutMode::Overwrite => request,
        PutMode::Create => request.header("if-none-match", "*"),
        PutMode::Update(UpdateVersion { e_tag, .. }) => {
            request.header("if-match", e_tag.as_deref().unwrap_or_default())
        }
    }
}

/// Refuses conditions that no header can hold.
pub(super) fn check_conditions(options: &GetOptions) -> Result<()> {
    let conditions = [&options.if_match, &options.if_none_match, &options.version];
    if conditions.into_iter().flatten().all(|text| printable(text)) {
        return Ok(());
    }
    Err(Error::invalid("a condition of the read holds a character that no header can"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut attributes = Attributes::new();
            attributes.insert(attribute, value.into());
            assert!(typed(attributes).is_err(), "{value:?}");
        }
        let options = GetOptions { if_match: Some("\n".to_owned()), ..GetOptions::default() };
        assert!(check_conditions(&options).is_err());
    }

    #[test]
    fn no_type_stays_none_and_a_given_one_as_it_was() {
        let typed_as = |attributes| untyped(typed(attributes).unwrap());
        assert_eq!(typed_as(Attributes::new()), Attributes::new());
        let mut given = Attributes::new();
        given.insert(Attribute::ContentType, "application/octet-stream".into());
        assert_eq!(typed_as(given.clone()), given);
    }
}
