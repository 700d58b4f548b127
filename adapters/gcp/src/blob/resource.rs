//! An object as the JSON API describes it.
//!
//! Source: <https://cloud.google.com/storage/docs/json_api/v1/objects>

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectMeta, PutResult, TagSet};
use serde::{Deserialize, Serialize};

/// What content is that was given no type. Cloud Storage has another word for it, which may be an
/// app's too, so it is always said.
pub(super) const NO_TYPE: &str = "binary/octet-stream";

/// The metadata by which a conditional write knows its own object again.
pub(super) const WRITE: &str = "isobar-write";

/// The class of an object that was given none.
const STANDARD: &str = "STANDARD";

/// What is asked for of each object of a list.
pub(super) const LISTED: &str = "name,size,generation,updated";

/// What is asked for of one object.
pub(super) const WHOLE: &str = "name,size,generation,updated,contentType,cacheControl,contentDisposition,\
     contentEncoding,contentLanguage,storageClass,metadata";

/// An object without its content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Resource {
    #[serde(skip_serializing)]
    pub(super) name: String,
    /// Numbers are text, since JavaScript's hold less.
    #[serde(skip_serializing)]
    size: String,
    #[serde(skip_serializing)]
    generation: String,
    #[serde(skip_serializing)]
    updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_class: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Resource {
    /// What is to be written. Errors: `InvalidInput`, where a header could not hold a value;
    /// `Unsupported` for tags.
    pub(super) fn describing(attributes: &Attributes, tags: &TagSet) -> Result<Self> {
        if !tags.encoded().is_empty() {
            return Err(Error::unsupported("put", "gcp", "use metadata: objects of Cloud Storage have no tags"));
        }
        let mut resource = Self { content_type: Some(NO_TYPE.to_owned()), ..Self::default() };
        for (attribute, value) in attributes {
            check(attribute, value)?;
            let value = value.to_string();
            match attribute {
                Attribute::Metadata(name) => {
                    // Headers, in which it comes back, fold the case.
                    resource.metadata.insert(name.to_ascii_lowercase(), value);
                }
                known => *resource.field(known).ok_or_else(unknown)? = Some(value),
            }
        }
        Ok(resource)
    }

    fn field(&mut self, attribute: &Attribute) -> Option<&mut Option<String>> {
        Some(match attribute {
            Attribute::CacheControl => &mut self.cache_control,
            Attribute::ContentDisposition => &mut self.content_disposition,
            Attribute::ContentEncoding => &mut self.content_encoding,
            Attribute::ContentLanguage => &mut self.content_language,
            Attribute::ContentType => &mut self.content_type,
            Attribute::StorageClass => &mut self.storage_class,
            _ => return None,
        })
    }

    /// Errors: `Internal`.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        let wrong = |error| Error::internal("Cloud Storage described no object").with_source(error);
        serde_json::from_slice(body).map_err(wrong)
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.size.parse().map_err(|_| silent("size"))
    }

    /// Errors: `Internal`, naming what is missing.
    pub(super) fn meta(&self, at: &Path) -> Result<ObjectMeta> {
        let updated: DateTime<Utc> = self.updated.parse().map_err(|_| silent("time"))?;
        // As a header tells it.
        let last_modified = updated.trunc_subsecs(0);
        let e_tag = Some(self.version()?);
        Ok(ObjectMeta { location: at.clone(), last_modified, size: self.size()?, e_tag, version: None })
    }

    /// What a write made. Errors: `Internal`, where Cloud Storage does not say.
    pub(super) fn written(&self) -> Result<PutResult> {
        let e_tag = Some(self.version().map_err(Error::with_outcome_unknown)?);
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    fn version(&self) -> Result<String> {
        let generation = super::condition::generation(&self.generation).ok_or_else(|| silent("generation"))?;
        Ok(generation.to_string())
    }

    pub(super) fn attributes(mut self) -> Attributes {
        let mut attributes = Attributes::new();
        for attribute in KNOWN {
            let value = self.field(&attribute).and_then(Option::take);
            if let Some(value) = value.filter(|value| given(&attribute, value)) {
                attributes.insert(attribute, value.into());
            }
        }
        for (name, value) in self.metadata {
            insert_metadata(&mut attributes, &name, value);
        }
        attributes
    }
}

/// All but metadata.
pub(super) const KNOWN: [Attribute; 6] = [
    Attribute::CacheControl,
    Attribute::ContentDisposition,
    Attribute::ContentEncoding,
    Attribute::ContentLanguage,
    Attribute::ContentType,
    Attribute::StorageClass,
];

/// Did somebody give it, or does it stand for nothing?
///
/// Sources: <https://cloud.google.com/storage/docs/metadata#cache-control> for the words of private and of
/// public objects.
pub(super) fn given(attribute: &Attribute, value: &str) -> bool {
    match attribute {
        Attribute::CacheControl => !["private, max-age=0", "public, max-age=3600"].contains(&value),
        Attribute::ContentType => value != NO_TYPE,
        Attribute::StorageClass => value != STANDARD,
        _ => true,
    }
}

pub(super) fn insert_metadata(attributes: &mut Attributes, name: &str, value: String) {
    if name != WRITE {
        attributes.insert(Attribute::Metadata(name.to_ascii_lowercase().into()), value.into());
    }
}

fn silent(what: &str) -> Error {
    Error::internal(format!("Cloud Storage answered without the object's {what}"))
}

fn unknown() -> Error {
    Error::unsupported("put", "gcp", "use metadata: Cloud Storage has no such attribute")
}

/// Refuses what no header can hold, in which it is to come back.
fn check(attribute: &Attribute, value: &str) -> Result<()> {
    let fits = match attribute {
        Attribute::Metadata(name) => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !name.is_empty() && name.bytes().all(fits) && !name.eq_ignore_ascii_case(WRITE)
        }
        _ => true,
    };
    let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits && printable && value.trim() == value {
        return Ok(());
    }
    Err(Error::invalid("an attribute or the metadata holds a character that no header can"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(attribute: Attribute, value: &str) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.insert(attribute, value.to_owned().into());
        attributes
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        for (attribute, value) in [
            (Attribute::ContentType, "a\r\nx: y"),
            (Attribute::CacheControl, "ä"),
            (Attribute::Metadata("a b".into()), "x"),
            (Attribute::Metadata("".into()), "x"),
            (Attribute::Metadata("Isobar-Write".into()), "x"),
            (Attribute::Metadata("a".into()), "\u{7f}"),
            (Attribute::Metadata("a".into()), " x"),
        ] {
            let refused = Resource::describing(&with(attribute, value), &TagSet::default());
            assert!(refused.is_err(), "{value:?}");
        }
        let mut tags = TagSet::default();
        tags.push("a", "b");
        assert!(Resource::describing(&Attributes::new(), &tags).is_err());
    }

    #[test]
    fn attributes_come_back_and_what_nobody_gave_does_not() {
        let mut given = with(Attribute::Metadata("kind".into()), "note");
        given.insert(Attribute::CacheControl, "no-store".into());
        given.insert(Attribute::ContentType, "application/octet-stream".into());
        given.insert(Attribute::StorageClass, "NEARLINE".into());
        let mut described = Resource::describing(&given, &TagSet::default()).unwrap();
        described.metadata.insert(WRITE.to_owned(), "1".to_owned());
        let text = serde_json::to_string(&described).unwrap();
        assert!(text.contains(r#""cacheControl":"no-store""#) && !text.contains("generation"), "{text}");
        assert_eq!(Resource::read(text.as_bytes()).unwrap().attributes(), given);
        let bare = Resource::describing(&Attributes::new(), &TagSet::default()).unwrap();
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"contentType":"binary/octet-stream"}"#);
        let told = br#"{"contentType":"binary/octet-stream","storageClass":"STANDARD","metadata":{"Kind":"x"}}"#;
        let told = Resource::read(told).unwrap().attributes();
        assert_eq!(told, with(Attribute::Metadata("kind".into()), "x"));
    }

    #[test]
    fn an_answer_without_what_an_object_has_is_an_error() {
        let whole = r#"{"size":"7","generation":"17","updated":"2026-01-02T03:04:05.678Z"}"#;
        let meta = |text: &str| Resource::read(text.as_bytes()).and_then(|resource| resource.meta(&Path::from("a")));
        let read = meta(whole).unwrap();
        assert_eq!((read.size, read.e_tag.as_deref(), read.version), (7, Some("17"), None));
        assert_eq!(read.last_modified.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        for part in [r#""size":"7","#, r#""generation":"17","#, r#","updated":"2026-01-02T03:04:05.678Z""#] {
            assert!(meta(&whole.replace(part, "")).is_err(), "{part}");
        }
        for nonsense in ["", "<html>", "[]", "null"] {
            assert!(meta(nonsense).is_err(), "{nonsense}");
        }
    }
}
