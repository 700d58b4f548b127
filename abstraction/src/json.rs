//! Typed values as bytes: JSON, or the bytes without change if the type is `Bytes`.

mod holdable;

use std::any::Any;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Encodes a value. Errors: `InvalidInput` for a value that JSON cannot represent, such as a float that is not a number,
/// and for a value that is nested too deep to be read again.
pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<Bytes> {
    if let Some(bytes) = (value as &dyn Any).downcast_ref::<Bytes>() {
        return Ok(bytes.clone());
    }
    to_text(value).map(Bytes::from)
}

/// Encodes a value of any type as JSON. Errors: those of [`encode`].
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    holdable::check(value).map_err(Error::invalid_input)?;
    serde_json::to_string(value)
        .map_err(|source| Error::invalid_input("the value cannot be written as JSON").with_source(source))
}

/// Decodes a value. Errors: `InvalidInput` with line and column for other JSON.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &Bytes) -> Result<T> {
    let mut raw = None::<T>;
    if let Some(slot) = (&mut raw as &mut dyn Any).downcast_mut::<Option<Bytes>>() {
        *slot = Some(bytes.clone());
    }
    match raw {
        Some(value) => Ok(value),
        None => serde_json::from_slice(bytes).map_err(|source| {
            let message = format!("not the expected JSON at line {} column {}", source.line(), source.column());
            Error::invalid_input(message).with_source(source)
        }),
    }
}

/// The size of a text inside a JSON string in bytes, with its escapes and without the quotes.
pub fn escaped_size(text: &[u8]) -> usize {
    let size = |byte: &u8| match byte {
        b'"' | b'\\' | b'\t' | b'\n' | b'\r' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.iter().map(size).sum()
}
