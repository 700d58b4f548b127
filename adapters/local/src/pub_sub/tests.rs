//! The promises of the queue, each on a folder of its own and a clock that is moved by hand.

mod dead_letters;
mod delivery;
mod model;
mod waking;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::pub_sub::RawMessage;
use isobar_abstraction::{ErrorKind, EventQueue, TraceParent};
use tempfile::TempDir;

use super::lane::Row;
use super::{Leased, Queue, number_in};
use crate::store::Store;

/// A queue with the topic `jobs` subscribed.
struct Bench {
    folder: TempDir,
    clock: ManualClock,
    jobs: EventQueue,
    store: Store,
    queue: Queue,
}

impl Bench {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
        let (jobs, store) = (EventQueue::topic("jobs"), open(folder.path()));
        let queue = Queue::new(store.clone(), Arc::new(clock.clone()), None);
        queue.subscribe(vec![jobs.clone()]).await.unwrap();
        Self { folder, clock, jobs, store, queue }
    }

    /// The process dies and starts again.
    async fn crash(self) -> Self {
        let Self { folder, clock, jobs, store, queue } = self;
        drop((store, queue));
        let store = open(folder.path());
        let queue = Queue::new(store.clone(), Arc::new(clock.clone()), None);
        queue.subscribe(vec![jobs.clone()]).await.unwrap();
        Self { folder, clock, jobs, store, queue }
    }

    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<String> {
        let ids = self.queue.publish("jobs", messages).await.unwrap();
        ids.iter().map(ToString::to_string).collect()
    }

    async fn lease(&self, limit: usize) -> Vec<Leased> {
        self.queue.lease(&self.jobs, limit).await.unwrap()
    }

    async fn settle(&self, leased: Vec<Leased>, settlement: Settlement) {
        let settled = leased.into_iter().map(|leased| (leased, settlement.clone())).collect();
        self.queue.settle(&self.jobs, settled).await.unwrap();
    }

    fn counts(&self) -> (u64, u64, u64) {
        let Row { waiting, leased, dead, .. } = self.queue.counts(&self.jobs).unwrap();
        (waiting, leased, dead)
    }
}

/// Waits for the thread of a store that was dropped to close the file.
fn open(folder: &Path) -> Store {
    loop {
        let store = Store::new(folder, 8 << 20);
        match store.open() {
            Ok(()) => return store,
            Err(error) if error.kind() == ErrorKind::Config => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn raw(body: &str) -> RawMessage {
    RawMessage::new(body.to_owned(), TraceParent::random())
}

fn keyed(key: &str, body: &str) -> RawMessage {
    raw(body).with_ordering_key(key)
}

fn bodies(leased: &[Leased]) -> Vec<&str> {
    leased.iter().map(|leased| std::str::from_utf8(&leased.message.body).unwrap()).collect()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
