//! Faults on purpose: what a cloud does now and then, on a laptop that hardly ever does it.
//!
//! A decision is a function of the seed, the kind of fault, the name of the queue or resource, the attempt, and a number
//! that counts from the start of the process. Time has no part in it: the same calls in the same order have the same
//! faults. Nothing is lost: a message is late, is delivered more than once, or overtakes another one.

mod blob;
mod calls;
mod key_value;
mod pub_sub;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isobar_abstraction::EventQueue;
use isobar_abstraction::driver::Settlement;
use parking_lot::Mutex;

pub(crate) use blob::FaultyBlob;
pub(crate) use calls::{Calls, calm};
pub(crate) use key_value::FaultyKeyValue;
pub(crate) use pub_sub::FaultyPubSub;

/// How many of a thousand have a fault, and how late a delivery is at most.
#[derive(Debug, Clone, Copy)]
struct Rates {
    late: u64,
    latest_ms: u64,
    twice: u64,
    again: u64,
    calls: u64,
    ticks: u64,
}

/// Loose delivery, as a cloud has it without any failure. A cloud with little load reorders less, but a prototype has few
/// messages.
const LOOSE: Rates = Rates { late: 1_000, latest_ms: 250, twice: 50, again: 0, calls: 0, ticks: 0 };

const CHAOS: Rates = Rates { late: 250, latest_ms: 3_000, twice: 125, again: 125, calls: 40, ticks: 125 };

/// The kinds of faults.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Late,
    Twice,
    Again,
    Call,
    Tick,
}

/// The word for each kind in the totals.
const TOTALS: [&str; 5] =
    ["late", "delivered twice", "delivered again after their handler", "calls failed", "ticks changed"];

/// The faults of one process.
pub(crate) struct Chaos {
    seed: u64,
    rates: Rates,
    /// The last number of each name.
    numbers: Mutex<HashMap<String, u64>>,
    /// The numbers of the messages that wait, by their places in the queue.
    messages: Mutex<HashMap<u64, u64>>,
    totals: [AtomicU64; TOTALS.len()],
}

/// What happens to a message from the beginning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long it waits.
    pub(crate) late_ms: u64,
    /// How much later a copy of it is due.
    pub(crate) copy_ms: Option<u64>,
}

/// What happens to a tick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TickPlan {
    pub(crate) late: Duration,
    pub(crate) times: u32,
}

impl Chaos {
    /// All faults, reproducible by the seed. Each is logged.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Self::with_rates(seed, CHAOS)
    }

    /// Loose delivery only.
    pub(crate) fn loose(seed: u64) -> Arc<Self> {
        Self::with_rates(seed, LOOSE)
    }

    fn with_rates(seed: u64, rates: Rates) -> Arc<Self> {
        Arc::new(Self {
            seed,
            rates,
            numbers: Mutex::default(),
            messages: Mutex::default(),
            totals: Default::default(),
        })
    }

    /// Decides about a message that is enqueued at this place. One with an ordering key has no copy, which could be delivered
    /// after the next of its key.
    pub(crate) fn message(&self, queue: &EventQueue, has_key: bool, place: u64) -> Plan {
        let (name, mut plan) = (queue.to_string(), Plan::default());
        let number = self.next(&name);
        self.messages.lock().insert(place, number);
        if let Some(draw) = self.draw(Kind::Late, &name, number, 0, self.rates.late) {
            plan.late_ms = 1 + draw % self.rates.latest_ms;
            self.report(Kind::Late, format_args!("message {number} of {name} is {} ms late", plan.late_ms));
        }
        if !has_key && let Some(draw) = self.draw(Kind::Twice, &name, number, 0, self.rates.twice) {
            plan.copy_ms = Some(draw % self.rates.latest_ms);
            self.report(Kind::Twice, format_args!("message {number} of {name} is delivered twice"));
        }
        plan
    }

    /// Decides about a message whose handler has ended: it may be delivered again, as its next attempt, as if the process had
    /// ended after the handler. That never uses the last attempt up.
    pub(crate) fn settle(
        &self,
        queue: &EventQueue,
        place: u64,
        (attempt, max_attempts): (u32, u32),
        settlement: Settlement,
    ) -> Settlement {
        if matches!(settlement, Settlement::Retry(_)) {
            return settlement;
        }
        let (number, name) = (self.messages.lock().remove(&place), queue.to_string());
        let Some(number) = number.filter(|_| settlement == Settlement::Done && attempt < max_attempts) else {
            return settlement;
        };
        let Some(draw) = self.draw(Kind::Again, &name, number, attempt, self.rates.again) else { return settlement };
        self.messages.lock().insert(place, number);
        let text = "was handled, and is delivered again as after a crash";
        self.report(Kind::Again, format_args!("message {number} of {name} {text}"));
        Settlement::Retry(Duration::from_millis(draw % self.rates.latest_ms))
    }

    /// Decides about a tick of a schedule.
    pub(crate) fn tick(&self, schedule: &str) -> TickPlan {
        let name = format!("schedule `{schedule}`");
        let number = self.next(&name);
        let Some(draw) = self.draw(Kind::Tick, &name, number, 0, self.rates.ticks) else {
            return TickPlan { late: Duration::ZERO, times: 1 };
        };
        let (late_ms, times) = (draw / 2 % self.rates.latest_ms, 1 + u32::from(draw % 2 == 0));
        let twice = if times == 2 { " and runs twice" } else { "" };
        self.report(Kind::Tick, format_args!("tick {number} of {name} is {late_ms} ms late{twice}"));
        TickPlan { late: Duration::from_millis(late_ms), times }
    }

    /// The totals in one line; `None` where each fault is only logged for debugging.
    pub(crate) fn totals(&self) -> Option<String> {
        let counts =
            TOTALS.iter().zip(&self.totals).map(|(word, total)| format!("{} {word}", total.load(Ordering::Relaxed)));
        self.is_loud().then(|| format!("chaos: seed {}: {}", self.seed, counts.collect::<Vec<_>>().join(", ")))
    }

    fn is_loud(&self) -> bool {
        self.rates.calls > 0
    }

    fn next(&self, name: &str) -> u64 {
        let mut numbers = self.numbers.lock();
        let number = numbers.entry(name.to_owned()).or_default();
        *number += 1;
        *number
    }

    /// A random number for what has the fault, `None` for all others.
    fn draw(&self, kind: Kind, name: &str, number: u64, attempt: u32, rate: u64) -> Option<u64> {
        let name = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        let parts = [kind as u64, name, number, u64::from(attempt)];
        let drawn = parts.into_iter().fold(mix(self.seed), |state, part| mix(state ^ part));
        (drawn % 1_000 < rate).then_some(drawn / 1_000)
    }

    fn report(&self, kind: Kind, fault: fmt::Arguments<'_>) {
        self.totals[kind as usize].fetch_add(1, Ordering::Relaxed);
        if self.is_loud() {
            tracing::info!("chaos: {fault}");
        } else {
            tracing::debug!("{fault}");
        }
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos").field("seed", &self.seed).field("rates", &self.rates).finish_non_exhaustive()
    }
}

/// One step of splitmix64: <https://prng.di.unimi.it/splitmix64.c>.
fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
