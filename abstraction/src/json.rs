//! How typed values become bytes: JSON, and bytes as they are where the type is `Bytes`.

mod finite;

use std::any::Any;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Errors: `InvalidInput` for what JSON cannot hold, such as a float that is not a number.
pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<Bytes> {
    if let Some(bytes) = (value as &dyn Any).downcast_ref::<Bytes>() {
        return Ok(bytes.clone());
    }
    if finite::has_other_floats(value) {
        return Err(Error::invalid("the value has a float that is infinite or not a number, which JSON cannot hold"));
    }
    let json = serde_json::to_vec(value);
    json.map(Bytes::from).map_err(|source| Error::invalid("the value cannot be written as JSON").with_source(source))
}

/// [`encode`], for values that are read back as the same type. Errors: `InvalidInput` also for what could
/// not be read back, such as a value that is nested too deep.
pub(crate) fn encode_readable<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<Bytes> {
    let bytes = encode(value)?;
    match decode::<T>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let expected = std::any::type_name::<T>();
            let why = error.message();
            Err(Error::invalid(format!("the value could not be read back from JSON as a `{expected}`: {why}")))
        }
    }
}

pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &Bytes) -> Result<T> {
    let mut raw = None::<T>;
    if let Some(slot) = (&mut raw as &mut dyn Any).downcast_mut::<Option<Bytes>>() {
        *slot = Some(bytes.clone());
    }
    match raw {
        Some(value) => Ok(value),
        None => Ok(serde_json::from_slice(bytes)?),
    }
}

/// The bytes of a text within JSON, its escapes counted.
pub fn escaped_size(text: &[u8]) -> usize {
    let size = |byte: &u8| match byte {
        b'"' | b'\\' | b'\t' | b'\n' | b'\r' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.iter().map(size).sum()
}
