//! Lambda's events: the detection of their sender and their content.

mod direct;
mod http;
mod object;
mod response;
mod shape;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod topic;
mod trace;
mod uri;

pub(crate) use direct::Direct;
pub(crate) use http::request;
pub(crate) use object::changes;
pub(crate) use response::ResponseFormat;
pub(crate) use shape::{Gateway, Shape};
pub(crate) use stream::written_keys;
pub(crate) use time::schedule;
pub(crate) use topic::Notification;
pub(crate) use trace::from_xray;

use isobar_abstraction::driver::host::{Fields, excerpt};
use isobar_abstraction::{Error, Result};
use serde_json::value::RawValue;

/// The parsed fields of an event and of its `requestContext`.
#[derive(Debug, Default)]
pub(crate) struct Incoming<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) context: Fields<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads an event; JSON other than an object has no fields. Errors: `InvalidInput` with the
    /// position for an event that is not JSON.
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
                Err(Error::invalid_input(format!("the event is not JSON: line {line} column {column}")))
            }
        }
    }

    /// The `Records` of an event, if it has them. Errors: `InvalidInput`.
    pub(crate) fn records(&self) -> Result<Vec<Fields<'a>>> {
        let records = self.fields.array("Records").unwrap_or_default();
        let fields =
            |record| Fields::of(record).ok_or_else(|| Error::invalid_input("a record of the event is not an object"));
        records.into_iter().map(fields).collect()
    }
}

/// The parts of `arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME`.
#[derive(Debug)]
pub(crate) struct Arn {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) name: String,
}

impl Arn {
    /// Reads an ARN. Errors: `InvalidInput` for anything except an ARN of this service.
    pub(crate) fn read(arn: &str, service: &str, what: &str) -> Result<Self> {
        match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", _, arn_service, region, account, name] if arn_service == service => {
                Ok(Self { region: region.to_owned(), account: account.to_owned(), name: name.to_owned() })
            }
            _ => Err(Error::invalid_input(format!("`{}` is not the ARN of {what}", excerpt(arn)))),
        }
    }
}

/// The error of malformed JSON, without its source: the text of serde quotes the event, and the error is logged.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::invalid_input(format!("{what}: not the expected JSON at line {line} column {column}"))
}
