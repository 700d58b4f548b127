//! Two hosts of one app on a cloud in memory whose calls fail, end their host, or read what is out of date, by a plan.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use isobar_abstraction::clock::{Clock, ManualClock};
use isobar_abstraction::driver::host;
use isobar_abstraction::driver::key_value::{Item, Key};
use isobar_abstraction::driver::pub_sub::{DEFAULT_SUBSCRIPTION, RawMessage};
use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::pub_sub::MessageId;
use isobar_abstraction::{App, Cloud, Context, Event, Outcome, Tick};
use parking_lot::Mutex;
use serde_json::Value;

use crate::host::{Host, HostClock};

/// What happens at a call of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The host ends before or after the call has an effect.
    CrashBefore,
    CrashAfter,
    /// The call is an error, before or after it has an effect.
    FailBefore,
    FailAfter,
    /// The host does nothing for ten minutes before the call, and then goes on.
    Stall,
}

pub(crate) const FAULTS: [Fault; 5] =
    [Fault::CrashBefore, Fault::CrashAfter, Fault::FailBefore, Fault::FailAfter, Fault::Stall];

/// The faults of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// By the number of the call.
    pub(crate) at: Vec<(u64, Fault)>,
    /// Of 1,000 calls, for a seed.
    pub(crate) random: u64,
    pub(crate) seed: u64,
    /// Are reads of a host sometimes older than the writes of the other, and do the hosts work at the same time?
    pub(crate) is_shuffled: bool,
}

#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) id: u64,
    pub(crate) raw: RawMessage,
    pub(crate) published_at: SystemTime,
    pub(crate) due: SystemTime,
    pub(crate) attempt: u32,
    pub(crate) leased_until: Option<SystemTime>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// The deliveries that run, and those of them that do nothing now.
    pub(crate) running: usize,
    pub(crate) stalled: usize,
    pub(crate) plan: Plan,
    pub(crate) calls: u64,
    pub(crate) random: fastrand::Rng,
    pub(crate) queue: Vec<Queued>,
    pub(crate) next: u64,
    pub(crate) dead: Vec<String>,
    /// All writes, in their order: a read of a host is as of a place in it.
    pub(crate) log: Vec<(Key, Option<Item>)>,
    /// The runs that had no timer at some time.
    pub(crate) lost: Vec<String>,
}

pub(crate) struct World {
    memory: MemoryProvider,
    shared: Arc<Mutex<Shared>>,
    hosts: Vec<(Host, App)>,
}

pub(crate) const RUNS: &str = "runs";

impl World {
    pub(crate) fn new(plan: Plan, app: impl Fn(&Cloud) -> App) -> Arc<Self> {
        let memory = MemoryProvider::default();
        let random = fastrand::Rng::with_seed(plan.seed);
        let shared = Shared {
            running: 0,
            stalled: 0,
            plan,
            calls: 0,
            random,
            queue: Vec::new(),
            next: 0,
            dead: Vec::new(),
            log: Vec::new(),
            lost: Vec::new(),
        };
        let shared = Arc::new(Mutex::new(shared));
        let host = |_| {
            let host = Host {
                memory: memory.clone(),
                shared: Arc::clone(&shared),
                seen: Arc::default(),
                crash: Arc::default(),
                clock: HostClock::new(memory.manual_clock()),
            };
            let cloud = Cloud::new(Arc::new(host.clone()));
            let mut app = app(&cloud);
            app.start(&cloud).unwrap();
            (host, app)
        };
        let hosts = (0..2).map(host).collect();
        Arc::new(Self { memory, shared, hosts })
    }

    /// The cloud of a client of the app. Its calls count too.
    pub(crate) fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(Host {
            memory: self.memory.clone(),
            shared: Arc::clone(&self.shared),
            seen: Arc::default(),
            crash: Arc::default(),
            clock: HostClock::new(self.clock()),
        }))
    }

    /// Runs `work` without faults.
    pub(crate) async fn quietly<T>(&self, work: impl Future<Output = T>) -> T {
        let (plan, calls) = {
            let mut shared = self.shared.lock();
            (std::mem::take(&mut shared.plan), shared.calls)
        };
        let done = work.await;
        let mut shared = self.shared.lock();
        (shared.plan, shared.calls) = (plan, calls);
        done
    }

    pub(crate) fn calls(&self) -> u64 {
        self.shared.lock().calls
    }

    /// The items that were written or deleted in the table of runs.
    pub(crate) fn writes(&self) -> usize {
        self.shared.lock().log.len()
    }

    /// Does a host do nothing now?
    pub(crate) fn is_stalled(&self) -> bool {
        self.shared.lock().stalled > 0
    }

    pub(crate) fn lost(&self) -> Vec<String> {
        self.shared.lock().lost.clone()
    }

    pub(crate) fn dead(&self) -> Vec<String> {
        self.shared.lock().dead.clone()
    }

    fn clock(&self) -> &ManualClock {
        self.memory.manual_clock()
    }

    /// Delivers, ticks and moves the clock until the queue is empty and `is_done`. `false` if that does not happen.
    pub(crate) async fn run(self: &Arc<Self>, is_done: impl AsyncFn(usize) -> bool) -> bool {
        for round in 0..400 {
            while self.deliver().await {}
            // A host that is late may still change something.
            if self.quietly(is_done(round)).await && !self.is_stalled() {
                return true;
            }
            self.clock().advance(Duration::from_secs(if round < 50 || self.is_stalled() { 15 } else { 3_600 }));
            if round % 4 == 3 {
                self.tick(round).await;
            }
        }
        false
    }

    async fn tick(self: &Arc<Self>, round: usize) {
        self.shared.lock().running += 1;
        let world = Arc::clone(self);
        tokio::spawn(async move {
            let (host, app) = &world.hosts[usize::from(world.hosts[0].0.clock.is_frozen() || round % 8 > 3)];
            let tick = Event::Schedule(Tick::new(RUNS, world.clock().now()));
            let ticked = host::handle(app, tick, world.context());
            let _ = select(pin!(ticked), pin!(host.crash.notified())).await;
            world.shared.lock().running -= 1;
        });
        self.settle().await;
    }

    fn context(&self) -> Context {
        Context::new("memory", Arc::new(self.clock().clone())).with_timeout(Duration::from_secs(3_000))
    }

    /// Delivers the messages that are due, one to each host at the same time. `false` if there is none.
    async fn deliver(self: &Arc<Self>) -> bool {
        self.settle().await;
        let now = self.clock().now();
        let leased: Vec<_> = {
            let mut shared = self.shared.lock();
            let is_due = |queued: &Queued| queued.due <= now && queued.leased_until.is_none_or(|until| until <= now);
            let mut due: Vec<_> = (0..shared.queue.len()).filter(|&at| is_due(&shared.queue[at])).collect();
            if shared.plan.is_shuffled {
                shared.random.shuffle(&mut due);
                due.truncate(2);
            }
            due.truncate(2);
            for &at in &due {
                let queued = &mut shared.queue[at];
                queued.attempt += 1;
                queued.leased_until = Some(now + Duration::from_secs(90));
            }
            due.iter().map(|&at| shared.queue[at].id).collect()
        };
        for (number, &id) in leased.iter().enumerate() {
            // A host that does nothing receives nothing.
            let to = if self.hosts[0].0.clock.is_frozen() { 1 } else { number };
            self.shared.lock().running += 1;
            let world = Arc::clone(self);
            tokio::spawn(async move {
                world.deliver_to(to, id).await;
                world.shared.lock().running -= 1;
            });
            if !self.shared.lock().plan.is_shuffled {
                self.settle().await;
            }
        }
        self.settle().await;
        !leased.is_empty()
    }

    /// Waits until each delivery has ended, or does nothing for some time.
    async fn settle(&self) {
        loop {
            {
                let shared = self.shared.lock();
                if shared.running <= shared.stalled {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn deliver_to(&self, to: usize, id: u64) {
        let (host, app) = &self.hosts[to];
        let (event, attempt) = {
            let shared = self.shared.lock();
            let queued = shared.queue.iter().find(|queued| queued.id == id).unwrap();
            let mut message = queued.raw.clone().into_message(MessageId::new(id.to_string()), queued.published_at);
            message.attempt = queued.attempt;
            let (topic, subscription) = (RUNS.to_owned(), DEFAULT_SUBSCRIPTION.to_owned());
            (Event::Message { topic, subscription, message }, queued.attempt)
        };
        let delivered = host::deliver(app, event, self.context());
        let outcome = match select(pin!(delivered), pin!(host.crash.notified())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        let mut shared = self.shared.lock();
        // A delivery that took too long was given to another host.
        let is_current = |queued: &Queued| queued.id == id && queued.attempt == attempt;
        let Some(at) = shared.queue.iter().position(is_current) else { return };
        let is_hint = shared.queue[at].raw.body.starts_with(b"{\"hint\"");
        let again = match outcome {
            Some(Outcome::Ack) => None,
            Some(Outcome::Retry { after, .. }) if attempt < 50 => Some(after.unwrap_or(Duration::from_secs(1))),
            Some(Outcome::Retry { reason, .. } | Outcome::Reject { reason }) => {
                shared.dead.push(reason);
                None
            }
            Some(other) => panic!("{other:?}"),
            // The host has ended. A service would deliver a hint again; the runs do not depend on that.
            None => (!is_hint).then_some(Duration::from_secs(30)),
        };
        match again {
            None => drop(shared.queue.remove(at)),
            Some(after) => {
                let queued = &mut shared.queue[at];
                (queued.leased_until, queued.due) = (None, self.clock().now() + after);
            }
        }
    }
}

/// The journal of a run, as JSON, in its order.
pub(crate) async fn journal(cloud: &Cloud, run: &str) -> Vec<Value> {
    let rows = cloud.table::<Value>(RUNS).query(run).prefix("j/").all().await.unwrap();
    rows.into_iter().map(|row| row.value["entry"].clone()).collect()
}
