//! How typed values become bytes: JSON, and bytes as they are where the type is `Bytes`.

use std::any::Any;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<Bytes> {
    if let Some(bytes) = (value as &dyn Any).downcast_ref::<Bytes>() {
        return Ok(bytes.clone());
    }
    let json = serde_json::to_vec(value);
    json.map(Bytes::from).map_err(|source| Error::invalid("the value cannot be written as JSON").with_source(source))
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
