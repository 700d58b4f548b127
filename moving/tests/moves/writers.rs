//! The app writes to the source while it is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{Key, KeyValue, Put, Write, parse_counter};
use isobar_moving::{Journal, Options, Stop, Watch, is_stopped, migrate, verify};

use crate::support::{Fault, Faults, Place, Random, is_equal, written};

/// What the target has by itself, which no run may change.
const OWN: &str = "own";

/// The app: it writes, and knows what its counters must be.
struct App {
    place: Place,
    table: Arc<dyn KeyValue>,
    random: Random,
    counted: [i64; COUNTERS as usize],
    keys: u64,
}

const COUNTERS: u64 = 7;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=150;

impl App {
    fn new(place: &Place, seed: u64, keys: u64) -> Self {
        Self { place: place.clone(), table: place.table(), random: Random::new(seed), counted: [0; 7], keys }
    }

    fn key(&mut self) -> Key {
        let n = self.random.below(self.keys);
        Key::from((format!("p{}", n % 17), format!("{n:05}")))
    }

    fn put(&mut self) -> Put {
        let key = self.key();
        let put = Put::new(key, format!("written {}", self.random.below(1 << 40)));
        match self.random.below(4) {
            0 => put.with_expires_at(self.place.clock.now() + Duration::from_millis(1 + self.random.below(40_000))),
            _ => put,
        }
    }

    /// One random operation.
    async fn step(&mut self) {
        match self.random.below(100) {
            0..35 => {
                let put = self.put();
                self.table.put(put).await.unwrap();
            }
            35..60 => {
                let key = self.key();
                self.table.delete(&key, None).await.unwrap();
            }
            60..75 => {
                let (counter, delta) = (self.random.below(COUNTERS), 1 + self.random.below(5) as i64);
                self.counted[counter as usize] += delta;
                self.table.add(&("counters", format!("{counter}").as_str()).into(), delta).await.unwrap();
            }
            75..85 => {
                let mut put = self.put();
                put.key.partition = "counters".to_owned();
                let gone = Key::from(("counters", self.key().sort.as_str()));
                let counter = self.random.below(COUNTERS);
                self.counted[counter as usize] += 1;
                let mut writes = vec![
                    Write::Put(put.clone()),
                    Write::Add { key: ("counters", format!("{counter}").as_str()).into(), delta: 1 },
                ];
                if gone != put.key {
                    writes.push(Write::Delete { key: gone, version: None });
                }
                self.table.transact(writes).await.unwrap();
            }
            85..93 => {
                let n = self.random.below(self.keys / 10 + 1);
                let content = format!("content {}", self.random.below(1 << 40));
                self.place.files().put(format!("o/{n:05}"), content).await.unwrap();
            }
            93..99 => {
                let n = self.random.below(self.keys / 10 + 1);
                let _ = self.place.files().delete(format!("o/{n:05}")).await;
            }
            _ => self.place.clock.advance(Duration::from_millis(self.random.below(20_000))),
        }
    }

    /// Writes until it is stopped, at least so often.
    async fn run(&mut self, least: u32, is_stopped: &AtomicBool) -> u32 {
        let mut steps = 0;
        while steps < least || !is_stopped.load(Ordering::Relaxed) {
            self.step().await;
            steps += 1;
            tokio::task::yield_now().await;
        }
        steps
    }

    async fn check_counters(&self, target: &Place) {
        for (counter, expected) in self.counted.iter().enumerate() {
            let item = target.table().get(&("counters", format!("{counter}").as_str()).into()).await.unwrap();
            assert_eq!(item.and_then(|item| parse_counter(&item.value)).unwrap_or_default(), *expected);
        }
    }
}

/// Gives the target the time of the source.
fn same_time(source: &Place, target: &Place) {
    let advance = |clock: &ManualClock, by: Duration| clock.advance(by);
    if let Ok(by) = source.clock.now().duration_since(target.clock.now()) {
        advance(&target.clock, by);
    }
}

/// After a complete run: the target has exactly what the source has, and what it had by itself.
async fn check(source: &Place, target: &Place, seed: u64) {
    let (own, moved) = target.content().await.split(OWN);
    let expected = source.content().await;
    assert!(moved == expected, "seed {seed}: source and target differ: {:#?}", expected.differences(&moved));
    assert_eq!((own.items.len(), own.objects.len()), (5, 2), "seed {seed}");
}

async fn give_own(target: &Place) {
    for n in 0..5 {
        target.table().put(Put::new((OWN, format!("{n}").as_str()), "was there")).await.unwrap();
    }
    for n in 0..2 {
        target.files().put(format!("{OWN}{n}"), "was there").await.unwrap();
    }
}

async fn moves_while_the_app_writes(source: Place, target: Place, seed: u64, least: u32) {
    source.fill(0..2_000, 0..100).await;
    give_own(&target).await;
    let mut app = App::new(&source, seed, 3_000);
    let (from, to, journal) = (source.side("from"), target.side("to"), Journal::in_memory().unwrap());
    let ended = Arc::new(AtomicBool::new(false));
    let writing = {
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let steps = app.run(least, &ended).await;
            (app, steps)
        })
    };
    let first = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    ended.store(true, Ordering::Relaxed);
    let (app, steps) = writing.await.unwrap();
    same_time(&source, &target);
    let second = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    println!("seed {seed}: {steps} steps, written {} and {}", written(&first), written(&second));
    check(&source, &target, seed).await;
    app.check_counters(&target).await;
    let third = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert_eq!(written(&third), 0, "seed {seed}");
    let found = verify(&from, &to, false, &Options::default(), &()).await.unwrap();
    assert_eq!(found.iter().map(|it| it.compared.missing + it.compared.different).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_app_writes_in_memory() {
    for seed in 1..=12 {
        moves_while_the_app_writes(Place::memory(), Place::memory(), seed, 4_000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_app_writes_on_the_disk() {
    for seed in 1..=3 {
        moves_while_the_app_writes(Place::local(), Place::local(), seed, 1_000).await;
    }
}

/// Stops a run after some progress.
struct StopAfter(AtomicI64, Stop);

impl Watch for StopAfter {
    fn done(&self, _count: u64, _bytes: u64) {
        if self.0.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.1.set();
        }
    }
}

/// How a run ends early.
enum End {
    /// By the wish of the user.
    Stopped,
    /// After a write of the target that was applied and not answered.
    Dropped,
    No,
}

/// Random operations between runs and during them, and runs that end early.
async fn follows_a_random_app(source: Place, target: Place, seed: u64, can_drop: bool) {
    let mut random = Random::new(seed ^ 0xF00D);
    let items = random.below(2) * random.below(300);
    source.fill(0..items as u32, 0..random.below(30) as u32).await;
    give_own(&target).await;
    let journal = Journal::in_memory().unwrap();
    let mut app = App::new(&source, seed, 300);
    for _ in 0..2 + random.below(6) {
        for _ in 0..random.below(80) {
            app.step().await;
        }
        same_time(&source, &target);
        let writes = random.below(2) == 0;
        let end = match random.below(if can_drop { 3 } else { 2 }) {
            0 => End::Stopped,
            2 => End::Dropped,
            _ => End::No,
        };
        let (stop, last) = (Stop::default(), random.below(40));
        let seen = AtomicI64::new(0);
        let is_dropped = matches!(end, End::Dropped);
        let faults = Faults::new(Duration::ZERO, move |call| {
            let is_last = call.is_write() && seen.fetch_add(1, Ordering::Relaxed) == last as i64;
            (is_last && is_dropped).then_some(Fault::Silent)
        });
        let watch = match end {
            End::Stopped => StopAfter(AtomicI64::new(random.below(12) as i64), stop.clone()),
            _ => StopAfter(AtomicI64::new(i64::MAX), stop.clone()),
        };
        let options = Options::default().with_stop(stop);
        let (from, to) = (source.side("from"), target.faulty("to", &faults));
        let ended = AtomicBool::new(false);
        let run = async {
            let moved = tokio::select! {
                moved = migrate(&from, &to, &journal, &options, &watch) => Some(moved),
                () = faults.silent.notified() => None,
            };
            ended.store(true, Ordering::Relaxed);
            moved
        };
        let (moved, _) = tokio::join!(run, async {
            match writes {
                true => app.run(0, &ended).await,
                false => 0,
            }
        });
        if let Some(Err(error)) = moved {
            assert!(matches!(end, End::Stopped) && is_stopped(&error), "seed {seed}: {error:?}");
        }
    }
    same_time(&source, &target);
    let last = migrate(&source.side("from"), &target.side("to"), &journal, &Options::default(), &()).await.unwrap();
    check(&source, &target, seed).await;
    app.check_counters(&target).await;
    let extra: u64 = last.iter().map(|report| report.compared.extra).sum();
    assert_eq!(extra, 7, "seed {seed}: {last:?}");
    let all = Options::default().with_delete_extra(true);
    assert!(is_equal(&verify(&source.side("from"), &target.side("to"), true, &all, &()).await.unwrap()));
}

#[tokio::test]
async fn runs_that_end_early_follow_a_random_app_in_memory() {
    for seed in SEEDS {
        follows_a_random_app(Place::memory(), Place::memory(), seed, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_end_early_follow_a_random_app_on_the_disk() {
    for seed in 1..=4 {
        follows_a_random_app(Place::local(), Place::local(), seed, false).await;
    }
}
