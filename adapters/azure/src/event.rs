//! The format of the Functions host's calls.
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
pub(crate) use value::{bytes, items, number, object, text};

use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pub_sub::wire::PLATFORM_PREFIX;

/// A call of a trigger, parsed to the fields of its two objects.
#[derive(Debug, Default)]
pub(crate) struct Payload<'a> {
    /// The trigger's value, under the name of its binding.
    pub(crate) data: Fields<'a>,
    /// The host's metadata of the trigger.
    pub(crate) metadata: Fields<'a>,
}

impl<'a> Payload<'a> {
    /// Parses a call. Errors: `InvalidInput`, with the position where it is not JSON, with the field where one is not
    /// an object.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self> {
        let fields: Fields<'a> = serde_json::from_slice(body).map_err(|error| malformed("the call", &error))?;
        let nested = |name: &str| {
            let wrong = || Error::invalid_input(format!("the call's `{name}` is not an object"));
            fields.get(name).map(|value| Fields::of(value).ok_or_else(wrong)).transpose()
        };
        let missing = || Error::invalid_input(r#"the call has no `Data`; the host sends {"Data":{…},"Metadata":{…}}"#);
        Ok(Self { data: nested("Data")?.ok_or_else(missing)?, metadata: nested("Metadata")?.unwrap_or_default() })
    }

    /// The value of the trigger's only binding, whatever its name. Errors: `InvalidInput`.
    pub(crate) fn only(&self) -> Result<&'a RawValue> {
        let mut all = self.data.iter();
        match (all.next(), all.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(Error::invalid_input("the call's `Data` is empty")),
            _ => Err(Error::invalid_input("the call's `Data` has more than one field; a trigger has one binding")),
        }
    }

    /// Checks that the call contains one message. Where `cardinality` of the binding is `many`, the host sends a batch
    /// and takes one response for all of it. Errors: `InvalidInput` for a batch.
    pub(crate) fn check_single(&self) -> Result<()> {
        let counted = ["DequeueCount", "DeliveryCount"].iter().any(|name| self.metadata.has(name));
        let is_list = self.only()?.get().starts_with('[');
        if (is_list && !counted) || BATCH.iter().any(|name| self.metadata.has(name)) {
            let message = "the call contains a batch of messages, which can be acknowledged only as a whole: set \
                           `cardinality` of the trigger's binding to `one`";
            return Err(Error::invalid_input(message));
        }
        Ok(())
    }

    /// The delivery attempt, starting at 1: the queue's own counter, plus the retries of the host's retry policy, which
    /// the queue does not count.
    pub(crate) fn attempt(&self) -> u32 {
        let counter = |name| self.metadata.get(name).and_then(number);
        let delivered = counter("DequeueCount").or_else(|| counter("DeliveryCount")).unwrap_or(1).max(1);
        let retries = self.metadata.get("RetryContext").and_then(object);
        let retries = retries.as_ref().and_then(|context| context.get("RetryCount"));
        let retries = retries.and_then(value::whole).unwrap_or(0);
        u32::try_from(delivered.saturating_add(retries)).unwrap_or(u32::MAX)
    }

    /// The sender's properties of a message, which newer hosts call `ApplicationProperties`; and the platform's, with
    /// `$` before their names, so that no sender can forge them.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let named = |name| self.metadata.get(name).and_then(object).filter(|properties| !properties.is_empty());
        let properties = named("ApplicationProperties").or_else(|| named("UserProperties")).unwrap_or_default();
        let text_of = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let of_sender = properties.into_iter().filter(|(name, _)| !name.starts_with(PLATFORM_PREFIX));
        let of_sender = of_sender.map(|(name, value)| (name, text_of(value)));
        let of_platform = PLATFORM_PROPERTIES.iter().filter_map(|name| {
            let value = self.metadata.get(name)?;
            Some((format!("{PLATFORM_PREFIX}{name}"), text(value).into_owned()))
        });
        of_sender.chain(of_platform).collect()
    }
}

/// The properties of a message that are read from the metadata of Service Bus and Storage Queues.
const PLATFORM_PROPERTIES: [&str; 5] = ["MessageId", "SessionId", "EnqueuedTimeUtc", "Id", "InsertionTime"];

/// The metadata that Service Bus adds only to a batch.
const BATCH: [&str; 5] =
    ["MessageIdArray", "DeliveryCountArray", "LockTokenArray", "SequenceNumberArray", "EnqueuedTimeUtcArray"];

/// The error of malformed JSON, without its source: serde's message quotes the call, and errors are logged.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::invalid_input(format!("{what} is not the expected JSON: line {line} column {column}"))
}
