//! Preconditions of writes on the generation of an object.

use isobar_abstraction::{Error, Result};
use object_store::{PutMode, UpdateVersion};

/// The parameter `ifGenerationMatch` of a write. Generations of a name are never reused; 0 requires that no object
/// exists.
///
/// Errors: `Conflict`, for a version that no object of Cloud Storage can have.
pub(super) fn generation_match(mode: &PutMode) -> Result<Option<i64>> {
    Ok(match mode {
        PutMode::Overwrite => None,
        PutMode::Create => Some(0),
        PutMode::Update(UpdateVersion { e_tag, version }) => {
            let found = e_tag.as_deref().or(version.as_deref()).and_then(generation);
            Some(
                found.ok_or_else(|| {
                    Error::conflict("the version is not one of Cloud Storage's: read the object again")
                })?,
            )
        }
    })
}

/// Parses a version as a generation. `None` for 0, which means that no object exists, and for other text.
pub(super) fn generation(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::ErrorKind;

    use super::*;

    #[test]
    fn only_a_generation_number_is_a_version() {
        let update = |e_tag: Option<&str>, version: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            generation_match(&PutMode::Update(UpdateVersion { e_tag: owned(e_tag), version: owned(version) }))
        };
        assert_eq!(update(Some("17"), None).unwrap(), Some(17));
        assert_eq!(update(None, Some("17")).unwrap(), Some(17));
        for wrong in ["", "0", "*", "-1", "+1", "017", "1 ", "\"1\"", "0x1", "99999999999999999999"] {
            assert_eq!(update(Some(wrong), None).unwrap_err().kind(), ErrorKind::Conflict, "{wrong}");
        }
        assert!(update(None, None).is_err());
    }

    #[test]
    fn a_create_requires_generation_zero() {
        assert_eq!(generation_match(&PutMode::Create).unwrap(), Some(0));
        assert_eq!(generation_match(&PutMode::Overwrite).unwrap(), None);
    }
}
