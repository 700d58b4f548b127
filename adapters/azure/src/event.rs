//! What the Functions host's calls look like, and what they say.
//!
//! A call of a trigger is `POST /{FunctionName}` with `{"Data":{…},"Metadata":{…}}`. Sources: Azure's
//! guide to custom handlers, <https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers>,
//! and the host itself, `Workers/Http/HttpScriptInvocationContext.cs` in Azure/azure-functions-host.

mod http;
mod object;
mod timer;
mod value;

pub(crate) use http::{output, request};
pub(crate) use object::changes;
pub(crate) use timer::due;
pub(crate) use value::{bytes, number, object, text};

use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pub_sub::wire::OF_PLATFORM;

/// A call of a trigger, as far as it has been read.
#[derive(Debug, Default)]
pub(crate) struct Payload<'a> {
    /// What the trigger brings, under the name of its binding.
    pub(crate) data: Fields<'a>,
    /// What the host knows of it beside that.
    pub(crate) metadata: Fields<'a>,
}

impl<'a> Payload<'a> {
    /// Errors: `InvalidInput`, with the position, for what is not JSON; for another nesting, naming
    /// the field.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self> {
        let fields: Fields<'a> = serde_json::from_slice(body).map_err(|error| malformed("the call", &error))?;
        let nested = |name: &str| {
            let wrong = || Error::invalid_input(format!("the call's `{name}` is not an object"));
            fields.get(name).map(|value| Fields::of(value).ok_or_else(wrong)).transpose()
        };
        let missing = || Error::invalid_input(r#"the call has no `Data`; the host sends {"Data":{…},"Metadata":{…}}"#);
        Ok(Self { data: nested("Data")?.ok_or_else(missing)?, metadata: nested("Metadata")?.unwrap_or_default() })
    }

    /// What the trigger's only binding brings, whatever its name. Errors: `InvalidInput`.
    pub(crate) fn only(&self) -> Result<&'a RawValue> {
        let mut all = self.data.iter();
        match (all.next(), all.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(Error::invalid_input("the call's `Data` is empty")),
            _ => Err(Error::invalid_input("the call's `Data` has more than one field; a trigger has one binding")),
        }
    }

    /// Is it one message? The host hands over a batch where `cardinality` of the binding is `many`, and takes one answer for
    /// all of it. Errors: `InvalidInput` for a batch.
    pub(crate) fn check_single(&self) -> Result<()> {
        let counted = ["DequeueCount", "DeliveryCount"].iter().any(|name| self.metadata.has(name));
        let is_list = self.only()?.get().starts_with('[');
        if (is_list && !counted) || BATCH.iter().any(|name| self.metadata.has(name)) {
            let message = "the call brings a batch of messages, which could only be acknowledged as a whole: set \
                           `cardinality` of the trigger's binding to `one`";
            return Err(Error::invalid_input(message));
        }
        Ok(())
    }

    /// The how-manieth delivery this is, from 1: of the queue's own counter, and of the host's retry
    /// policy, which delivers again without telling the queue.
    pub(crate) fn attempt(&self) -> u32 {
        let counter = |name| self.metadata.get(name).and_then(number);
        let delivered = counter("DequeueCount").or_else(|| counter("DeliveryCount")).unwrap_or(1).max(1);
        let retries = self.metadata.get("RetryContext").and_then(object);
        let retries = retries.as_ref().and_then(|told| told.get("RetryCount")).and_then(value::whole).unwrap_or(0);
        u32::try_from(delivered.saturating_add(retries)).unwrap_or(u32::MAX)
    }

    /// The properties that a message's sender gave it, which newer hosts call `ApplicationProperties`; and
    /// what the platform says of it, with a `$` before the name, so that no sender can say it.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let named = |name| self.metadata.get(name).and_then(object).filter(|told| !told.is_empty());
        let told = named("ApplicationProperties").or_else(|| named("UserProperties")).unwrap_or_default();
        let text_of = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let of_sender = told.into_iter().filter(|(name, _)| !name.starts_with(OF_PLATFORM));
        let of_sender = of_sender.map(|(name, value)| (name, text_of(value)));
        let of_platform = TOLD.iter().filter_map(|name| {
            let value = self.metadata.get(name)?;
            Some((format!("{OF_PLATFORM}{name}"), text(value).into_owned()))
        });
        of_sender.chain(of_platform).collect()
    }
}

/// What Service Bus and Storage Queues say of a message, as far as anybody wants to know.
const TOLD: [&str; 5] = ["MessageId", "SessionId", "EnqueuedTimeUtc", "Id", "InsertionTime"];

/// What Service Bus says of a batch.
const BATCH: [&str; 5] =
    ["MessageIdArray", "DeliveryCountArray", "LockTokenArray", "SequenceNumberArray", "EnqueuedTimeUtcArray"];

/// Without its source: the words of serde quote the call, and this goes into logs.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::invalid_input(format!("{what} is not the expected JSON: line {line} column {column}"))
}
