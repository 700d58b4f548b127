//! The streams of tables. The keys of a batch of records go into the queue of the trigger, which delivers them like
//! messages: with attempts and dead letters of their own, so that one write that fails does not block the shard of a table.

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::host::write_messages;

use super::Lambda;
use super::source::{Source, matching};
use crate::event::{Arn, Incoming, written_keys};
use crate::pub_sub::sqs::SqsQueue;

/// Lambda's partial batch response without failures. Without `ReportBatchItemFailures` Lambda ignores it.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
const ALL_STORED: Bytes = Bytes::from_static(br#"{"batchItemFailures":[]}"#);

/// Handles the `Records` of a DynamoDB event. `Ok` means that the queues have stored all keys; an error fails the
/// invocation, so that Lambda sends the batch again, with duplicates of the keys that are stored.
///
/// Errors: `NotFound` for a table whose writes the app does not handle, or without the queue.
pub(super) async fn handle(lambda: &Lambda, event: &Incoming<'_>) -> Result<Bytes> {
    let sources = Source::all(lambda)?;
    for (table, keys) in written_keys(event)? {
        let Arn { region, account, name } = &table;
        let is_table = |source: &Source| source.is(ResourceKind::Table) && source.placed.name == *name;
        for source in matching(lambda, &sources, "DynamoDB table", name, is_table)? {
            let queue = SqsQueue::new(&lambda.state, Some(region), account, &source.queue)?;
            queue.send_all(&write_messages(source.trigger.source(), keys.clone())?).await?;
        }
    }
    Ok(ALL_STORED)
}

#[cfg(test)]
mod tests;
