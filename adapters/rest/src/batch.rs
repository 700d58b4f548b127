//! Batches: how many entries one request contains, and puts of items in batches.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use isobar_abstraction::driver::key_value::{KeyValue, Put, PutMode, Version, Write, put_size};
use isobar_abstraction::{Error, ErrorKind, Result};

/// Splits `entries`, in their order, into one slice for each request: at most `max_entries` entries and `max_bytes` bytes,
/// as `size` counts them. An entry that is too large is a batch alone: the service rejects it.
pub fn batches<T>(mut entries: &[T], max_entries: usize, max_bytes: usize, size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let mut total = 0;
        let fits = |entry: &&T| {
            total += size(entry);
            total <= max_bytes
        };
        let count = entries.iter().take(max_entries).take_while(fits).count().max(1);
        let (batch, rest) = entries.split_at(count);
        batches.push(batch);
        entries = rest;
    }
    batches
}

/// What one request of a key-value service can write.
#[derive(Debug, Clone, Copy)]
pub struct PutBatch {
    /// The most puts.
    pub puts: usize,
    /// The most bytes, as [`put_size`] counts them.
    pub bytes: usize,
    /// Must all puts be of one partition?
    pub one_partition: bool,
    /// The most concurrent requests of one call.
    pub requests: usize,
}

/// [`KeyValue::put_many`] in batches. `send` writes several items in one request and returns a result for each. Puts with a
/// condition are sent by [`KeyValue::put`], so that they do not depend on others.
///
/// For the same reason the puts of a batch are sent one by one if it failed and a put of it may be the cause.
pub async fn put_in_batches<F>(
    table: &dyn KeyValue,
    puts: Vec<Put>,
    limits: PutBatch,
    send: impl Fn(Vec<Put>) -> F,
) -> Vec<Result<Version>>
where
    F: Future<Output = Vec<Result<Version>>>,
{
    let (plain, conditional): (Vec<_>, Vec<_>) =
        puts.into_iter().enumerate().partition(|(_, put)| put.mode == PutMode::Overwrite);
    let mut groups: BTreeMap<String, Vec<(usize, Put)>> = BTreeMap::new();
    for (place, put) in plain {
        let group = if limits.one_partition { put.key.partition.clone() } else { String::new() };
        groups.entry(group).or_default().push((place, put));
    }
    let size = |(_, put): &(usize, Put)| put_size(put);
    let in_batches = groups.values().flat_map(|group| batches(group, limits.puts, limits.bytes, size));
    let send = &send;
    let requests: Vec<_> = in_batches
        .chain(conditional.chunks(1))
        .map(|batch| async move {
            let (places, puts): (Vec<_>, Vec<_>) = batch.iter().cloned().unzip();
            let results = put_batch(table, puts, limits, send).await;
            places.into_iter().zip(results).collect::<Vec<_>>()
        })
        .collect();
    let results: Vec<_> = stream::iter(requests).buffer_unordered(limits.requests).collect().await;
    let results: BTreeMap<usize, Result<Version>> = results.into_iter().flatten().collect();
    results.into_values().collect()
}

async fn put_batch<F>(
    table: &dyn KeyValue,
    puts: Vec<Put>,
    limits: PutBatch,
    send: &impl Fn(Vec<Put>) -> F,
) -> Vec<Result<Version>>
where
    F: Future<Output = Vec<Result<Version>>>,
{
    let is_batch = puts.len() > 1;
    let sent = if is_batch { send(puts.clone()).await } else { Vec::new() };
    let mut sent = sent.into_iter();
    let results: Vec<_> = puts
        .into_iter()
        .map(|put| (put, sent.next()))
        .map(|(put, result)| async move {
            match result {
                Some(Err(error)) if !may_be_of_one_put(&error) => Err(error),
                Some(Ok(version)) => Ok(version),
                _ => table.put(put).await,
            }
        })
        .collect();
    stream::iter(results).buffered(limits.requests).collect().await
}

/// Whether the other puts of the batch may succeed alone.
fn may_be_of_one_put(error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, Conflict, Internal, InvalidInput, TooLarge, Unsupported};
    matches!(error.kind(), AlreadyExists | Conflict | Internal | InvalidInput | TooLarge | Unsupported)
}

/// The results of puts that a service applies together or not at all, as [`KeyValue::transact`] does.
pub async fn put_together(table: &dyn KeyValue, puts: Vec<Put>) -> Vec<Result<Version>> {
    let count = puts.len();
    let no_version = || Error::internal("bug in isobar: a put has no version; please report it").with_outcome_unknown();
    match table.transact(puts.into_iter().map(Write::Put).collect()).await {
        Ok(versions) => versions.into_iter().map(|version| version.ok_or_else(no_version)).collect(),
        Err(error) => vec![Err(error); count],
    }
}
