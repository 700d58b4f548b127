//! A host of the app whose calls fail, end it, or read what is out of date.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use isobar_abstraction::clock::{Clock, ManualClock};
use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::driver::pub_sub::{PubSub, RawMessage};
use isobar_abstraction::driver::{Hosted, Location, Profile, Provider};
use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::pub_sub::MessageId;
use isobar_abstraction::{Error, Result};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::world::{FAULTS, Fault, Queued, RUNS, Shared};

#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) memory: MemoryProvider,
    pub(crate) shared: Arc<Mutex<Shared>>,
    /// The place in the log that the host has seen, by partition.
    pub(crate) seen: Arc<Mutex<HashMap<String, usize>>>,
    pub(crate) crash: Arc<Notify>,
    pub(crate) clock: HostClock,
}

/// The clock of a host: while the host does nothing, no time of it ends.
#[derive(Debug, Clone)]
pub(crate) struct HostClock {
    clock: ManualClock,
    frozen_until: Arc<Mutex<Option<SystemTime>>>,
}

impl HostClock {
    pub(crate) fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), frozen_until: Arc::default() }
    }

    fn freeze(&self, time: Duration) {
        *self.frozen_until.lock() = Some(self.clock.now() + time);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen_until.lock().is_some_and(|until| until > self.clock.now())
    }

    async fn thaw(&self) {
        while self.is_frozen() {
            self.clock.sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Clock for HostClock {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (clock, sleep) = (self.clone(), self.clock.sleep(duration));
        Box::pin(async move {
            sleep.await;
            clock.thaw().await;
        })
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.pause(duration)
    }
}

impl Host {
    /// Counts a call, and applies the plan to it.
    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (fault, yields) = {
            let mut shared = self.shared.lock();
            let number = shared.calls;
            shared.calls += 1;
            let planned = shared.plan.at.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
            let random = shared.plan.random;
            let fault = planned.or_else(|| {
                let hits = random > 0 && shared.random.u64(..1_000) < random;
                hits.then(|| shared.random.choice(FAULTS).unwrap())
            });
            let yields = if shared.plan.is_shuffled { shared.random.u32(0..4) } else { 0 };
            (fault, yields)
        };
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        match fault {
            None => work.await,
            Some(Fault::Stall) => {
                self.stall().await;
                work.await
            }
            Some(Fault::FailBefore) => Err(Error::unavailable("planned")),
            Some(Fault::FailAfter) => {
                work.await?;
                Err(Error::unavailable("planned").with_outcome_unknown())
            }
            Some(Fault::CrashBefore) => self.end().await,
            Some(Fault::CrashAfter) => {
                let _ = work.await;
                self.end().await
            }
        }
    }

    async fn stall(&self) {
        let _stalled = Stalled::new(&self.shared);
        self.clock.freeze(Duration::from_secs(600));
        self.clock.thaw().await;
    }

    async fn end<T>(&self) -> T {
        self.crash.notify_waiters();
        std::future::pending().await
    }
}

/// Counts a delivery that does nothing now, until it goes on or its host ends.
struct Stalled<'a>(&'a Mutex<Shared>);

impl<'a> Stalled<'a> {
    fn new(shared: &'a Mutex<Shared>) -> Self {
        shared.lock().stalled += 1;
        Self(shared)
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.lock().stalled -= 1;
    }
}

/// A table of one host. Reads of the table of runs can be old.
#[derive(Debug)]
struct Watched {
    host: Host,
    inner: Arc<dyn KeyValue>,
    is_runs: bool,
}

impl Watched {
    async fn write<T>(&self, keys: Vec<Key>, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.host
            .call(async {
                let written = work.await;
                if written.is_ok() && self.is_runs {
                    for key in keys {
                        let item = self.inner.get(&key).await?;
                        let mut shared = self.host.shared.lock();
                        let partition = key.partition.clone();
                        shared.log.push((key, item));
                        self.host.seen.lock().insert(partition, shared.log.len());
                    }
                    self.check().await;
                }
                written
            })
            .await
    }

    /// Each run that must go on without an event has a timer of its turn or a later one.
    async fn check(&self) {
        let items = self.inner.scan(&ScanSegment::new(0, 1, usize::MAX)).await.unwrap().items;
        let rows: Vec<(Key, Value)> =
            items.into_iter().map(|item| (item.key, serde_json::from_slice(&item.value).unwrap())).collect();
        for (key, row) in &rows {
            let head = &row["head"];
            let state = head["state"].as_str().unwrap_or("none");
            let waits = state == "waiting" && head["wake"].is_null();
            if waits || !["running", "waiting", "undoing"].contains(&state) {
                continue;
            }
            let holds = |(timer, row): &(Key, Value)| {
                let timer_turn = row["timer"]["turn"].as_u64();
                timer.partition == ".due"
                    && timer.sort.ends_with(&key.partition)
                    && timer_turn >= head["turn"].as_u64()
                    && row["timer"]["kind"] != "purge"
            };
            if !rows.iter().any(holds) {
                self.host.shared.lock().lost.push(format!("{key}: {head}"));
            }
        }
    }

    /// The place of the log that a read of this partition sees.
    fn place(&self, partition: &str) -> usize {
        let mut shared = self.host.shared.lock();
        let newest = shared.log.len();
        let mut seen = self.host.seen.lock();
        let oldest = seen.get(partition).copied().unwrap_or(0);
        let place = match shared.plan.is_shuffled && partition != ".due" && shared.random.u32(..4) == 0 {
            true => shared.random.usize(oldest..=newest),
            false => newest,
        };
        seen.insert(partition.to_owned(), place);
        place
    }

    /// A partition as of a place of the log.
    fn partition(&self, partition: &str, place: usize) -> BTreeMap<String, Item> {
        let shared = self.host.shared.lock();
        let mut items = BTreeMap::new();
        for (key, item) in shared.log[..place].iter().filter(|(key, _)| key.partition == partition) {
            match item {
                Some(item) => items.insert(key.sort.clone(), item.clone()),
                None => items.remove(&key.sort),
            };
        }
        items
    }
}

#[async_trait]
impl KeyValue for Watched {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        if !self.is_runs {
            return self.host.call(self.inner.get(key)).await;
        }
        let place = self.place(&key.partition);
        self.host.call(async { Ok(self.partition(&key.partition, place).remove(&key.sort)) }).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.host.call(self.inner.get_many(keys)).await
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.write(vec![put.key.clone()], self.inner.put(put)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.write(vec![key.clone()], self.inner.delete(key, version)).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        if !self.is_runs {
            return self.host.call(self.inner.query(range)).await;
        }
        let place = self.place(&range.partition);
        self.host
            .call(async {
                let items = self.partition(&range.partition, place);
                let bounds = (as_ref(&range.lower), as_ref(&range.upper));
                let items: Vec<Item> = items.range::<str, _>(bounds).map(|(_, item)| item.clone()).collect();
                Ok(Items::new(items, None))
            })
            .await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.inner.scan(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        let keys = writes.iter().map(|write| write.key().clone()).collect();
        self.write(keys, self.inner.transact(writes)).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.write(vec![key.clone()], self.inner.add(key, delta)).await
    }
}

fn as_ref(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}

/// The topic of runs of one host.
#[derive(Debug)]
struct Queue(Host);

#[async_trait]
impl PubSub for Queue {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let mut published = Vec::new();
        for raw in messages {
            let push = async {
                let mut shared = self.0.shared.lock();
                let now = self.0.memory.manual_clock().now();
                shared.next += 1;
                let (id, due) = (shared.next, raw.due.unwrap_or(now));
                let copies = if shared.plan.is_shuffled { shared.random.u32(1..3) } else { 1 };
                for copy in 0..copies {
                    let id = id * 10 + u64::from(copy);
                    let raw = raw.clone();
                    shared.queue.push(Queued { id, raw, published_at: now, due, attempt: 0, leased_until: None });
                }
                Ok(MessageId::new(id.to_string()))
            };
            published.push(self.0.call(push).await);
        }
        published
    }
}

#[async_trait]
impl Provider for Host {
    fn profile(&self) -> &'static Profile {
        self.memory.profile()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        let inner = self.memory.key_value(at)?;
        Ok(Arc::new(Watched { host: self.clone(), inner, is_runs: at.name() == RUNS }))
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        self.memory.blob(at)
    }

    fn pub_sub(&self, _: &Location) -> Result<Arc<dyn PubSub>> {
        Ok(Arc::new(Queue(self.clone())))
    }

    async fn host(&self, _: Hosted) -> Result<()> {
        Err(Error::internal("the trial delivers the events"))
    }
}
