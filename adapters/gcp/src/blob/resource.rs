//! An object in the JSON API.
//!
//! Source: <https://cloud.google.com/storage/docs/json_api/v1/objects>

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectMeta, PutResult, TagSet};
use serde::{Deserialize, Serialize};

use super::condition;

/// The metadata by which a conditional write recognizes its own object.
pub(super) const WRITE: &str = "isobar-write";

/// The attributes of an object to write.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    pub(super) content_type: String,
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

impl Description {
    /// Errors: `InvalidInput` for isobar's own metadata; `Unsupported` for tags.
    pub(super) fn of(attributes: &Attributes, tags: &TagSet) -> Result<Self> {
        if !tags.encoded().is_empty() {
            return Err(Error::unsupported("put", "gcp", "use metadata: objects of Cloud Storage have no tags"));
        }
        let mut description = Self::default();
        for (attribute, value) in attributes {
            description.set(attribute, value.to_string())?;
        }
        Ok(description)
    }

    fn set(&mut self, attribute: &Attribute, value: String) -> Result<()> {
        let field = match attribute {
            Attribute::CacheControl => &mut self.cache_control,
            Attribute::ContentDisposition => &mut self.content_disposition,
            Attribute::ContentEncoding => &mut self.content_encoding,
            Attribute::ContentLanguage => &mut self.content_language,
            Attribute::StorageClass => &mut self.storage_class,
            Attribute::ContentType => {
                self.content_type = value;
                return Ok(());
            }
            Attribute::Metadata(name) if name.eq_ignore_ascii_case(WRITE) => {
                return Err(Error::invalid_input(format!(
                    "the metadata name `{WRITE}` is reserved by isobar: use another name"
                )));
            }
            Attribute::Metadata(name) => {
                // Reads return metadata in headers, which lose the case.
                self.metadata.insert(name.to_ascii_lowercase(), value);
                return Ok(());
            }
            _ => return Err(Error::unsupported("put", "gcp", "use metadata: Cloud Storage has no such attribute")),
        };
        *field = Some(value);
        Ok(())
    }
}

/// An object in a list or in the response to a write. Numbers are strings, since JavaScript numbers have 53 bits.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    pub(super) name: String,
    size: String,
    generation: String,
    updated: String,
}

impl Resource {
    /// Errors: `Internal`.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        let wrong = |error| Error::internal("Cloud Storage's response does not describe an object").with_source(error);
        serde_json::from_slice(body).map_err(wrong)
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.size.parse().map_err(|_| missing("size"))
    }

    /// Errors: `Internal`, naming what is missing.
    pub(super) fn meta(&self, location: Path) -> Result<ObjectMeta> {
        let updated: DateTime<Utc> = self.updated.parse().map_err(|_| missing("time"))?;
        // As precise as the header of a read.
        let last_modified = updated.trunc_subsecs(0);
        let e_tag = Some(self.version()?);
        Ok(ObjectMeta { location, last_modified, size: self.size()?, e_tag, version: None })
    }

    /// The result of a write. Errors: `Internal` without a generation.
    pub(super) fn written(&self) -> Result<PutResult> {
        let e_tag = Some(self.version().map_err(Error::with_outcome_unknown)?);
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    fn version(&self) -> Result<String> {
        let generation = condition::generation(&self.generation).ok_or_else(|| missing("generation"))?;
        Ok(generation.to_string())
    }
}

fn missing(name: &str) -> Error {
    Error::internal(format!("Cloud Storage responded without the object's {name}"))
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
    fn tags_and_isobar_metadata_are_rejected() {
        let of = |attributes: &Attributes, tags: &TagSet| Description::of(attributes, tags);
        let mut attributes = with(Attribute::Metadata("Kind".into()), "note");
        attributes.insert(Attribute::CacheControl, "no-store".into());
        attributes.insert(Attribute::ContentType, "text/x".into());
        let text = serde_json::to_string(&of(&attributes, &TagSet::default()).unwrap()).unwrap();
        assert_eq!(text, r#"{"contentType":"text/x","cacheControl":"no-store","metadata":{"kind":"note"}}"#);
        let own = with(Attribute::Metadata("Isobar-Write".into()), "x");
        assert_eq!(of(&own, &TagSet::default()).unwrap_err().kind(), isobar_abstraction::ErrorKind::InvalidInput);
        let mut tags = TagSet::default();
        tags.push("a", "b");
        assert_eq!(of(&attributes, &tags).unwrap_err().kind(), isobar_abstraction::ErrorKind::Unsupported);
    }

    #[test]
    fn a_response_without_a_required_field_is_an_error() {
        let whole = r#"{"size":"7","generation":"17","updated":"2026-01-02T03:04:05.678Z"}"#;
        let meta = |text: &str| Resource::read(text.as_bytes()).and_then(|resource| resource.meta(Path::from("a")));
        let read = meta(whole).unwrap();
        assert_eq!((read.size, read.e_tag.as_deref(), read.version), (7, Some("17"), None));
        assert_eq!(read.last_modified.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        for part in [r#""size":"7","#, r#""generation":"17","#, r#","updated":"2026-01-02T03:04:05.678Z""#] {
            assert!(meta(&whole.replace(part, "")).is_err(), "{part}");
        }
        for nonsense in ["", "<html>", "[]", "null"] {
            assert!(meta(nonsense).is_err(), "{nonsense}");
        }
        assert!(Resource::default().written().unwrap_err().outcome_unknown());
    }
}
