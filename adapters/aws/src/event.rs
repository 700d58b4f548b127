//! What Lambda's events look like: which service sent one, and what it says.

mod direct;
mod fields;
mod http;
mod response;
mod shape;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod uri;

pub(crate) use direct::{Direct, invocation, tick};
pub(crate) use fields::Fields;
pub(crate) use http::request;
pub(crate) use response::Answer;
pub(crate) use shape::{Gateway, Shape, shown};
pub(crate) use time::schedule;
pub(crate) use trace::trace_parent;

use isobar_abstraction::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;

/// An event as far as it has been read: the fields of its object, and those of `requestContext`.
#[derive(Debug, Default)]
pub(crate) struct Incoming<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) context: Fields<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads an event; what is JSON but no object has no fields. Errors: `InvalidInput`, with the
    /// position, for what is not JSON.
    pub(crate) fn read(event: &'a [u8]) -> Result<Self> {
        match serde_json::from_slice::<Fields<'a>>(event) {
            Ok(fields) => {
                let context = fields.object("requestContext").unwrap_or_default();
                Ok(Self { fields, context })
            }
            Err(error) if error.is_data() && serde_json::from_slice::<&RawValue>(event).is_ok() => Ok(Self::default()),
            Err(_) if event.is_empty() => Ok(Self::default()),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                Err(Error::invalid(format!("the event is not JSON: line {line} column {column}")))
            }
        }
    }

    /// The `Records` of an event that has them. Errors: `InvalidInput`.
    pub(crate) fn records(&self) -> Result<Vec<Value>> {
        let records = self.fields.get("Records").map_or("[]", RawValue::get);
        serde_json::from_str(records).map_err(|error| malformed("Records", &error))
    }
}

/// The whole event as a value. Errors: `InvalidInput`.
pub(crate) fn value(event: &[u8]) -> Result<Value> {
    serde_json::from_slice(event).map_err(|error| malformed("the event", &error))
}

/// Without its source: the words of serde quote the event, and this goes into logs.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::invalid(format!("{what}: not the expected JSON at line {line} column {column}"))
}
