//! `apply`: writes of one partition of an app's table, exactly once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use isobar_abstraction::driver::key_value::OwnItems;
use isobar_abstraction::key_value::{PutMode, PutOptions, Table, Transaction};
use isobar_abstraction::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::draft::{Draft, Work};
use crate::flow::{Active, Call, Flow};
use crate::replay::{Polled, Prevent};
use crate::row::{CallKind, Failure, Record, Stored};
use crate::store::encode;
use crate::turn::pause;

/// What is stored with the writes, under a sort key of isobar: the run makes or prevents them once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Receipt {
    Applied,
    Prevented,
}

/// The attempts of a transaction whose service does not answer, in one turn.
const ATTEMPTS: u32 = 5;

/// How long a receipt is stored: longer than a worker can be stopped and go on.
const RECEIPT_TTL: Duration = Duration::from_secs(400 * 24 * 3_600);

impl Flow {
    /// Writes items of one partition of a table exactly once, in a transaction with a receipt of this run.
    ///
    /// `writes` adds the writes to the transaction: at most 99, because the receipt is one. It may run several times, and its
    /// transaction is applied once at most. Two calls of `apply` are not one transaction.
    ///
    /// A write with a condition that is not met is an error of the kind `AlreadyExists` or `Conflict`, and is recorded. A
    /// receipt is stored for 400 days.
    pub fn apply<T, F>(
        &self,
        name: &str,
        table: &Table<T>,
        partition: impl Into<String>,
        writes: F,
    ) -> BoxFuture<'static, Result<()>>
    where
        T: Send + Sync + 'static,
        F: Fn(Transaction<T>) -> Transaction<T> + Send + Sync + 'static,
    {
        let call = self.call_of(CallKind::Apply, name);
        let (table, partition) = (table.clone(), partition.into());
        let path = call.calls.with(|state| state.kind_and_path(call.index)).map(|(_, path)| path).unwrap_or_default();
        let target = Target { receipts: OwnItems::of(&table), partition, sort: format!("flow/{}", self.key(&path)) };
        let prevent = target.clone();
        let prevent: Prevent = Arc::new(move || {
            let target = prevent.clone();
            async move { target.prevent().await }.boxed()
        });
        call.calls.with(|state| state.prevent.insert(call.index, prevent));
        let flow = self.clone();
        Box::pin(async move { flow.applied(call, table, target, writes).await })
    }

    async fn applied<T, F>(&self, call: Call, table: Table<T>, target: Target, writes: F) -> Result<()>
    where
        T: Send + Sync + 'static,
        F: Fn(Transaction<T>) -> Transaction<T> + Send + Sync + 'static,
    {
        let mut polled = call.polled().await;
        if matches!(polled, Polled::Live) && !call.calls.with(|state| state.has_begun(call.index)) {
            let (table, partition) = (table.name().to_owned(), target.partition.clone());
            let work = Work::Begin(Record::Applying { table, partition });
            call.calls.draft(Draft::new(call.index, self.inner.store.now(), work));
            polled = call.polled().await;
        }
        let record = match polled {
            Polled::Recorded(record) => record,
            Polled::Live => {
                let began = self.inner.store.now();
                let active = Active::new(&call.calls);
                let record = match self.transact(&table, &target, writes).await {
                    Ok(record) => record,
                    Err(error) => return call.fail(error).await,
                };
                drop(active);
                call.calls.draft(Draft::new(call.index, began, Work::Record(record)));
                call.recorded().await
            }
        };
        match record {
            Record::Error(failure) => Err(failure.error()),
            _ => Ok(()),
        }
    }

    /// Errors: of the service, after which it is not known whether the writes are made.
    async fn transact<T, F>(&self, table: &Table<T>, target: &Target, writes: F) -> Result<Record>
    where
        T: Send + Sync + 'static,
        F: Fn(Transaction<T>) -> Transaction<T>,
    {
        for attempt in 0..ATTEMPTS {
            let transaction = writes(table.transact(target.partition.clone()));
            let transaction = target.receipts.put_in(transaction, &target.sort, &Receipt::Applied, receipt_options());
            let Err(error) = transaction.commit().await else { return done() };
            // The receipt says whether an earlier attempt was applied.
            match target.receipts.entry((target.partition.as_str(), target.sort.as_str())).await?.map(|it| it.value) {
                Some(Receipt::Applied) => return done(),
                Some(Receipt::Prevented) => {
                    return Err(Error::conflict("the writes are prevented, because the run has ended"));
                }
                None if error.is_retryable() || error.outcome_unknown() => {
                    self.inner.store.clock.pause(pause(attempt + 3)).await;
                }
                None => return Ok(Record::Error(Failure::of(&error))),
            }
        }
        Err(Error::unavailable("the transaction of `apply` cannot be written"))
    }
}

#[derive(Debug, Clone)]
struct Target {
    receipts: OwnItems<Receipt>,
    partition: String,
    sort: String,
}

impl Target {
    /// Prevents the writes, unless they are made: then `true`.
    async fn prevent(&self) -> Result<bool> {
        let key = (self.partition.as_str(), self.sort.as_str());
        match self.receipts.put_with(key, &Receipt::Prevented, receipt_options()).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let receipt = self.receipts.entry(key).await?.map(|entry| entry.value);
                receipt.map(|receipt| receipt == Receipt::Applied).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}

fn receipt_options() -> PutOptions {
    PutOptions::from(PutMode::Create).with_ttl(RECEIPT_TTL)
}

/// The record of writes that are made.
pub(crate) fn done() -> Result<Record> {
    Ok(Record::Value(Stored::Json(encode(&())?)))
}
