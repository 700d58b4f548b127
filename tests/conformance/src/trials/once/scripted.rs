//! A provider whose tables fail as a trial says, and return to the executor around each call: so a caller can be dropped
//! between any two of its steps, on every backend.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::driver::blob::Blob;
use isobar::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar::driver::pub_sub::PubSub;
use isobar::driver::{Clock, Hosted, Location, Profile, Provider};
use isobar::{Cloud, Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::World;

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It is not applied.
    Down,
    /// It is applied, and its response is lost.
    Lost,
    /// Its request is lost: it is not applied, and the caller does not know that.
    Vanished,
}

/// The cloud of a world, with the faults of its next writes. After them, writes succeed.
pub(super) fn scripted(world: &dyn World, faults: &[Fault]) -> Cloud {
    let faults = Arc::new(Mutex::new(faults.iter().copied().collect()));
    Cloud::new(Arc::new(Scripted { inner: Arc::clone(world.cloud().provider()), faults }))
}

type Faults = Arc<Mutex<VecDeque<Fault>>>;

#[derive(Debug)]
struct Scripted {
    inner: Arc<dyn Provider>,
    faults: Faults,
}

#[async_trait]
impl Provider for Scripted {
    fn profile(&self) -> &'static Profile {
        self.inner.profile()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock()
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        Ok(Arc::new(ScriptedTable { inner: self.inner.key_value(at)?, faults: Arc::clone(&self.faults) }))
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        self.inner.blob(at)
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        self.inner.pub_sub(at)
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        self.inner.host(app).await
    }
}

#[derive(Debug)]
struct ScriptedTable {
    inner: Arc<dyn KeyValue>,
    faults: Faults,
}

impl ScriptedTable {
    async fn write<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::task::yield_now().await;
        let fault = self.faults.lock().pop_front().unwrap_or(Fault::None);
        let unavailable = || Error::new(ErrorKind::Unavailable, "the service is down");
        let result = match fault {
            Fault::None => write.await,
            Fault::Down => Err(unavailable()),
            Fault::Lost => write.await.and_then(|_| Err(unavailable().with_outcome_unknown())),
            Fault::Vanished => Err(unavailable().with_outcome_unknown()),
        };
        tokio::task::yield_now().await;
        result
    }
}

#[async_trait]
impl KeyValue for ScriptedTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        tokio::task::yield_now().await;
        let item = self.inner.get(key).await;
        tokio::task::yield_now().await;
        item
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.inner.get_many(keys).await
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.write(self.inner.put(put)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.write(self.inner.delete(key, version)).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        self.inner.query(range).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.inner.scan(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.inner.transact(writes).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.inner.add(key, delta).await
    }
}
