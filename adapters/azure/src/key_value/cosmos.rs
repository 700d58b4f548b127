//! Containers of Cosmos DB, by the REST API for NoSQL.
//!
//! A container has the partition key `/p` (version 2) and the default time to live -1, with which only items with
//! a `ttl` are deleted; [`stored`] describes the items. Queries use only `/p`, `/s` and `/id` of the index:
//! excluding `/v/?`, `/b/?` and `/w/?` makes writes cheaper. The account's consistency must be session, the default, or
//! stronger.

mod batch;
mod counter;
mod key;
mod range;
mod read;
mod request;
mod scan;
mod service_error;
mod session;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::Result;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_rest::{PutBatch, put_in_batches, put_together};

use crate::State;
use crate::config::CosmosAccount;
use request::Container;

pub(crate) use session::Sessions;
pub(crate) use stored::written_key;

/// Attempts of an operation that other writes, or moved partitions, prevent.
const TRIES: u32 = 10;

/// The puts of one transactional batch: those of a [transaction](crate::profile::PROFILE).
const PUTS: PutBatch = PutBatch { puts: 100, bytes: 2_000_000, one_partition: true, requests: 16 };

/// A container of Cosmos DB.
#[derive(Debug)]
pub(crate) struct CosmosKeyValue {
    container: Container,
    clock: Arc<dyn Clock>,
}

impl CosmosKeyValue {
    /// Connects to nothing. Errors: `Config`.
    pub(crate) fn new(
        state: &Arc<State>,
        sessions: &Sessions,
        account: &CosmosAccount,
        container: String,
    ) -> Result<Self> {
        let clock = Arc::clone(&state.clock);
        let session = sessions.of(account, &container);
        Ok(Self { container: Container::new(state, account, container, session)?, clock })
    }
}

#[async_trait]
impl KeyValue for CosmosKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        match self.read(key).await? {
            Some(found) => found.into_item(key.clone(), self.clock.now()),
            None => Ok(None),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let distinct: Vec<_> = keys.iter().collect::<HashSet<_>>().into_iter().collect();
        let (now, mut items) = (self.clock.now(), HashMap::new());
        for found in self.find(&distinct).await? {
            let key = found.key()?;
            items.extend(found.into_item(key.clone(), now)?.map(|item| (key, item)));
        }
        Ok(keys.iter().map(|key| items.get(key).cloned()).collect())
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.put_item(&put).await
    }

    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        put_in_batches(self, puts, PUTS, |puts| put_together(self, puts)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.delete_item(key, version).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        self.query_items(range).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.scan_items(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.transact_items(&writes).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.add_item(key, delta).await
    }
}
