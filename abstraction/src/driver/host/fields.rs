//! A JSON object whose values are parsed on demand.
//!
//! A host reads a few fields of an event of up to 6 MB, on each invocation of a cold process. Values that are not needed
//! are not parsed, and a body is copied once.

use std::borrow::Cow;
use std::fmt;

use crate::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a JSON object, in their order. Each value remains text, borrowed from the event, until a method reads it.
///
/// `null` counts as absent, because clients send fields that do not apply. Of fields with the same name the last one
/// counts.
#[derive(Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Names only: values may be secrets.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<'a> Fields<'a> {
    /// The fields of a JSON value; `None` if it is not an object.
    pub fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// The value of a field; `None` if it is absent or `null`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known == name)?;
        (value.get() != "null").then_some(value)
    }

    /// Is the field present and not `null`?
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of a field; `None` if it is not a string.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }

    /// The text of a field; `None` if it is absent or `null`. Errors: `InvalidInput` with the field's name for another type.
    pub fn optional_text(&self, name: &str) -> Result<Option<Cow<'a, str>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        text(value).map(Some).ok_or_else(|| Error::invalid_input(format!("the event's `{name}` is not a string")))
    }

    /// Is the value of the field `true`?
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }

    /// The fields of a field's value; `None` if it is not an object.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?)
    }

    /// The elements of a field's value; `None` if it is not an array.
    pub fn array(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// The names of all fields, also of those that are `null`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The names and values of the fields that are not `null`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter(|(_, value)| value.get() != "null").map(|(name, value)| (name.as_ref(), *value))
    }
}

/// The text of a JSON string, borrowed if it has no escapes; `None` for another type.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str(value.get()).ok().map(Cow::Owned),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(Fields)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some((Name(name), value)) = map.next_entry()? {
            fields.push((name, value));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn null_is_absent_and_the_last_of_a_name_counts() {
        let fields = fields(r#"{"a": null, "b": 1, "b": "x", "c": true, "d": "\u0041\n", "e": {"f": [1, "2"]}}"#);
        assert!(!fields.has("a") && !fields.has("z"));
        assert_eq!(fields.text("b").as_deref(), Some("x"));
        assert!(fields.flag("c") && !fields.flag("b"));
        assert_eq!(fields.text("d").as_deref(), Some("A\n"));
        assert_eq!(fields.object("e").unwrap().array("f").unwrap().len(), 2);
        assert_eq!(fields.names().count(), 6);
    }

    #[test]
    fn a_string_without_escapes_is_not_copied() {
        let fields = fields(r#"{"a":"plain","b":"esc\"aped"}"#);
        assert!(matches!(fields.text("a"), Some(Cow::Borrowed("plain"))));
        assert!(matches!(fields.text("b"), Some(Cow::Owned(text)) if text == "esc\"aped"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error_and_an_absent_one_is_none() {
        let fields = fields(r#"{"a": 1, "b": null, "c": "\ud800"}"#);
        assert!(fields.optional_text("a").unwrap_err().message().contains("`a`"));
        assert_eq!(fields.optional_text("b").unwrap(), None);
        assert!(fields.optional_text("c").is_err(), "half of a surrogate pair is no text");
    }

    #[test]
    fn a_value_of_any_depth_is_skipped() {
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(fields(&deep).has("a"));
    }

    #[test]
    fn debug_contains_names_and_no_values() {
        let debug = format!("{:?}", fields(r#"{"token":"secret"}"#));
        assert!(debug.contains("token") && !debug.contains("secret"));
    }
}
