//! Workflows on the laptop: steps a second next to bare transactions, long journals, and many sleepers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use isobar::driver::pub_sub::{DEFAULT_SUBSCRIPTION, Message, MessageId};
use isobar::driver::{Clock, host};
use isobar::flow::{Flow, Runs, Workflows};
use isobar::key_value::{PutMode, Table};
use isobar::local::{LocalConfig, LocalProvider, SystemClock};
use isobar::{App, Cloud, Context, Error, Event, Outcome, Result, Tick};
use isobar_benches::{median, medians, row};
use serde_json::json;

const WRITERS: usize = 64;
const STEPS: usize = 50;
const SLEEPERS: usize = 10_000;

async fn steps(_: (), flow: Flow, count: usize) -> Result<usize> {
    for number in 0..count {
        flow.step("step", async |_| Ok::<_, Error>(number)).await?;
    }
    Ok(count)
}

async fn sleeper(_: (), flow: Flow, days: u64) -> Result<()> {
    flow.sleep("days", Duration::from_secs(86_400 * days)).await;
    Ok(())
}

struct Bench {
    cloud: Cloud,
    app: App,
    next: std::cell::Cell<usize>,
}

impl Bench {
    fn new(folder: &tempfile::TempDir) -> Self {
        let cloud = Cloud::new(Arc::new(LocalProvider::new(LocalConfig::new(folder.path().join("isobar")))));
        let workflows =
            Workflows::new(&Runs::new(&cloud), ()).workflow("steps", 1, steps).workflow("sleeper", 1, sleeper);
        let mut app = App::new("bench").mount("", workflows.build());
        app.start(&cloud).unwrap();
        Self { cloud, app, next: std::cell::Cell::default() }
    }

    fn context(&self) -> Context {
        Context::new("local", self.cloud.clock()).with_timeout(Duration::from_secs(300))
    }

    /// Delivers the message of a start, as the host does, and waits for the end of the turn.
    async fn run(&self, workflow: &str, input: usize) {
        self.next.set(self.next.get() + 1);
        let id = self.next.get().to_string();
        let start = json!({"start": {
            "run": {"workflow": workflow, "id": id}, "input": {"json": input}, "digest": "bench",
        }});
        let message = Message::new(MessageId::new(id), start.to_string(), SystemClock.now());
        let event = Event::Message { topic: "runs".to_owned(), subscription: DEFAULT_SUBSCRIPTION.to_owned(), message };
        assert_eq!(host::deliver(&self.app, event, self.context()).await, Outcome::Ack);
    }

    /// Steps a second of runs at the same time, each of `STEPS`.
    async fn many_runs(&self) -> f64 {
        let began = Instant::now();
        join_all((0..WRITERS).map(|_| self.run("steps", STEPS))).await;
        (WRITERS * STEPS) as f64 / began.elapsed().as_secs_f64()
    }

    /// Transactions a second of as many writers: what a step must write at least.
    async fn transactions(&self) -> f64 {
        let table = self.cloud.table::<u64>("bare");
        self.next.set(self.next.get() + 1);
        let round = self.next.get();
        let writer = async |writer: usize| {
            let partition = format!("{round}-{writer}");
            let mut version = table.put(&partition, &0).await.unwrap();
            for number in 0..STEPS {
                version = transact(&table, &partition, number, version).await;
            }
        };
        let began = Instant::now();
        join_all((0..WRITERS).map(writer)).await;
        (WRITERS * STEPS) as f64 / began.elapsed().as_secs_f64()
    }

    /// The time of a step in a run of `count`.
    async fn time_per_step(&self, count: usize) -> Duration {
        let began = Instant::now();
        self.run("steps", count).await;
        began.elapsed() / u32::try_from(count).unwrap()
    }

    async fn tick(&self) -> Duration {
        let began = Instant::now();
        let tick = Event::Schedule(Tick::new("runs", SystemClock.now()));
        host::handle(&self.app, tick, self.context()).await.unwrap();
        began.elapsed()
    }
}

async fn transact(
    table: &Table<u64>,
    partition: &str,
    number: usize,
    version: isobar::key_value::Version,
) -> isobar::key_value::Version {
    let sort = format!("{number:08}");
    let transaction = table.transact(partition).put_with("", &1, PutMode::Update(version));
    let versions = transaction.put_with(sort, &1, PutMode::Create).commit().await.unwrap();
    versions.into_iter().next().flatten().unwrap()
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = Bench::new(&folder);
    let rates =
        medians(7, &mut [&mut || runtime.block_on(bench.many_runs()), &mut || runtime.block_on(bench.transactions())]);
    row(
        "steps of 64 runs at the same time (`flow`)",
        &format!("{:.0}/s", rates[0]),
        &format!("{:.0}/s, bare transactions of two items by 64 writers", rates[1]),
        &format!("{:.2}", rates[0] / rates[1]),
        "≥ 0.30",
    );
    let times =
        |count| median((0..5).map(|_| runtime.block_on(bench.time_per_step(count)).as_secs_f64() * 1e6).collect());
    let (short, long) = (times(10), times(1_000));
    row(
        "time per step in a run of 1,000 (`flow`)",
        &format!("{long:.0} µs"),
        &format!("{short:.0} µs, in a run of 10"),
        &format!("{:.2}", long / short),
        "≤ 2",
    );
    runtime.block_on(async {
        for _ in 0..SLEEPERS / 100 {
            join_all((0..100).map(|_| bench.run("sleeper", 1))).await;
        }
    });
    let tick = median((0..21).map(|_| runtime.block_on(bench.tick()).as_secs_f64() * 1e3).collect());
    row("a tick with 10,000 sleepers, none due (`flow`)", &format!("{tick:.2} ms"), "", "", "≤ 5 ms");
}
