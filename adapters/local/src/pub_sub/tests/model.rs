//! Ten thousand messages with random settlements, crashes and redrives, against a model of what
//! `memory` does with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use isobar_abstraction::driver::{Clock, Settlement};

use super::*;

#[derive(Debug, Default)]
struct Model {
    sequence: u64,
    // By place in the queue.
    alive: BTreeMap<u64, Entry>,
    dead: BTreeMap<u64, Option<String>>,
}

#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    key: Option<String>,
    due: SystemTime,
    attempt: u32,
    leased: bool,
}

impl Model {
    fn push(&mut self, id: Option<u64>, key: Option<String>, due: SystemTime) {
        self.sequence += 1;
        let id = id.unwrap_or(self.sequence);
        self.alive.insert(self.sequence, Entry { id, key, due, attempt: 1, leased: false });
    }

    fn lease(&mut self, now: SystemTime, limit: usize) -> Vec<(u64, u32)> {
        let mut keys = BTreeSet::new();
        let mut due: Vec<_> = self
            .alive
            .iter_mut()
            .filter(|(_, entry)| entry.key.as_ref().is_none_or(|key| keys.insert(key.clone())))
            .filter(|(_, entry)| !entry.leased && entry.due <= now)
            .collect();
        due.sort_by_key(|(sequence, entry)| (entry.due, **sequence));
        let lease = |entry: &mut Entry| {
            entry.leased = true;
            (entry.id, entry.attempt)
        };
        due.into_iter().take(limit).map(|(_, entry)| lease(entry)).collect()
    }

    fn settle(&mut self, sequence: u64, settlement: &Settlement, now: SystemTime) {
        let entry = self.alive.get_mut(&sequence).unwrap();
        match settlement {
            Settlement::Retry(after) => {
                (entry.due, entry.attempt, entry.leased) = (now + *after, entry.attempt + 1, false);
                return;
            }
            Settlement::DeadLetter(_) => drop(self.dead.insert(entry.id, entry.key.clone())),
            Settlement::Done => {}
        }
        self.alive.remove(&sequence);
    }

    fn crash(&mut self) {
        for entry in self.alive.values_mut().filter(|entry| entry.leased) {
            (entry.leased, entry.attempt) = (false, entry.attempt + 1);
        }
    }

    fn redrive(&mut self, now: SystemTime) -> usize {
        let dead = std::mem::take(&mut self.dead);
        let count = dead.len();
        for (id, key) in dead {
            self.push(Some(id), key, now);
        }
        count
    }

    fn counts(&self) -> (u64, u64, u64) {
        let leased = self.alive.values().filter(|entry| entry.leased).count();
        ((self.alive.len() - leased) as u64, leased as u64, self.dead.len() as u64)
    }
}

/// The linear congruential generator of Knuth's MMIX.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn settlement(&mut self) -> Settlement {
        match self.below(10) {
            0 => Settlement::DeadLetter("dice".into()),
            1..=2 => Settlement::Retry(seconds(self.below(30))),
            _ => Settlement::Done,
        }
    }

    fn key(&mut self) -> Option<String> {
        let key = self.below(120);
        (key < 60).then(|| format!("key-{key}"))
    }
}

struct Game {
    bench: Bench,
    model: Model,
    dice: Dice,
    leased: Vec<Leased>,
}

impl Game {
    async fn publish(&mut self) -> usize {
        let keys: Vec<_> = (0..=self.dice.below(200)).map(|_| self.dice.key()).collect();
        let message = |key: &Option<String>| key.iter().fold(raw("x"), RawMessage::with_ordering_key);
        self.bench.publish(keys.iter().map(message).collect()).await;
        let (count, now) = (keys.len(), self.bench.clock.now());
        keys.into_iter().for_each(|key| self.model.push(None, key, now));
        count
    }

    async fn lease(&mut self, limit: usize) {
        let leased = self.bench.lease(limit).await;
        let deliveries =
            leased.iter().map(|leased| (number_in(leased.message.id.as_str()).unwrap(), leased.message.attempt));
        let expected = self.model.lease(self.bench.clock.now(), limit);
        assert_eq!(deliveries.collect::<Vec<_>>(), expected);
        self.leased.extend(leased);
    }

    async fn settle(&mut self) {
        let now = self.bench.clock.now();
        let some = self.leased.split_off(self.dice.below(self.leased.len() as u64 + 1) as usize);
        let settled: Vec<_> = some.into_iter().map(|leased| (leased, self.dice.settlement())).collect();
        for (leased, settlement) in &settled {
            self.model.settle(leased.sequence, settlement, now);
        }
        self.bench.queue.settle(&self.bench.jobs, settled).await.unwrap();
    }

    async fn crash(mut self) -> Self {
        self.leased.clear();
        self.model.crash();
        Self { bench: self.bench.crash().await, ..self }
    }

    async fn redrive(&mut self) {
        let expected = self.model.redrive(self.bench.clock.now());
        assert_eq!(self.bench.queue.redrive(&self.bench.jobs, None).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn ten_thousand_messages_fare_as_the_model_says() {
    let (bench, model) = (Bench::new().await, Model::default());
    let mut game = Game { bench, model, dice: Dice(7), leased: Vec::new() };
    let mut published = 0;
    while published < 10_000 || game.bench.counts() != (0, 0, 0) {
        match game.dice.below(40) {
            0 => game = game.crash().await,
            1 => game.redrive().await,
            2..=12 if published < 10_000 => published += game.publish().await,
            2..=24 => {
                let limit = game.dice.below(200) as usize;
                game.lease(limit).await;
            }
            25..=36 => game.settle().await,
            _ => game.bench.clock.advance(seconds(game.dice.below(20))),
        }
        assert_eq!(game.bench.counts(), game.model.counts());
    }
    assert!(game.model.alive.is_empty() && game.bench.queue.peek(&game.bench.jobs, 9).unwrap().is_empty());
}
