//! The records of a DynamoDB stream.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

use std::borrow::Cow;

use isobar_abstraction::driver::host::{Fields, excerpt};
use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, Result};

use super::{Arn, Incoming};
use crate::key_value::key_in_stream;

/// The keys that were written in each table. Deletes, which include expired items, are ignored. A record whose key isobar
/// does not write is skipped with a warning, since isobar cannot read that item either.
///
/// Errors: `InvalidInput` for a record without the ARN of its stream.
pub(crate) fn written_keys(event: &Incoming<'_>) -> Result<Vec<(Arn, Vec<Key>)>> {
    let mut tables: Vec<(Cow<'_, str>, Arn, Vec<Key>)> = Vec::new();
    for record in event.records()? {
        let missing = || Error::invalid_input("a record of the DynamoDB event has no `eventSourceARN`");
        let stream = record.text("eventSourceARN").ok_or_else(missing)?;
        let index = match tables.iter().position(|(known, ..)| *known == stream) {
            Some(index) => index,
            None => {
                let table = table(&stream)?;
                tables.push((stream, table, Vec::new()));
                tables.len() - 1
            }
        };
        if !matches!(record.text("eventName").as_deref(), Some("INSERT" | "MODIFY")) {
            continue;
        }
        let (_, Arn { name, .. }, keys) = &mut tables[index];
        if let Some(key) = key(&record) {
            keys.push(key);
        } else {
            tracing::warn!(table = name, "a write is skipped: its `pk` and `sk` are not a key that isobar writes");
        }
    }
    Ok(tables.into_iter().map(|(_, table, keys)| (table, keys)).collect())
}

/// The table of a stream: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL`. Errors: `InvalidInput`.
fn table(stream: &str) -> Result<Arn> {
    let arn = Arn::read(stream, "dynamodb", "a DynamoDB stream")?;
    match arn.name.split('/').collect::<Vec<_>>()[..] {
        ["table", name, "stream", _] => Ok(Arn { name: name.to_owned(), ..arn }),
        _ => Err(Error::invalid_input(format!("`{}` is not the ARN of a DynamoDB stream", excerpt(stream)))),
    }
}

fn key(record: &Fields<'_>) -> Option<Key> {
    key_in_stream(record.object("dynamodb")?.get("Keys")?.get())
}
