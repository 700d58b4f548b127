//! SHA-256 of inputs and keys.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The digest of an input, which does not depend on the order of the members of objects. Errors: `InvalidInput` for a value
/// that JSON cannot represent.
pub(super) fn of_input(input: &(impl Serialize + ?Sized)) -> Result<String> {
    let unrepresentable = |error| Error::invalid_input("the input cannot be written as JSON").with_source(error);
    let mut value = serde_json::to_value(input).map_err(unrepresentable)?;
    // Without the feature `preserve_order` of serde_json, which any crate may enable, they are sorted.
    value.sort_all_objects();
    Ok(of_parts(&[value.to_string().as_bytes()]))
}

/// The digest of a list of parts as hexadecimal digits. Lists that differ have different digests: each part has its length
/// before it.
pub(super) fn of_parts(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_compared_without_the_order_of_its_members() {
        let digest = |json: &str| of_input(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap();
        assert_eq!(digest(r#"{"a": {"c": 1, "d": 2}, "b": 3}"#), digest(r#"{"b":3,"a":{"d":2,"c":1}}"#));
        assert_ne!(digest("[1, 2]"), digest("[2, 1]"));
        assert_ne!(digest("1"), digest(r#""1""#));
    }

    #[test]
    fn parts_are_not_joined() {
        assert_ne!(of_parts(&[b"a", b"bc"]), of_parts(&[b"ab", b"c"]));
        assert_eq!(of_parts(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
