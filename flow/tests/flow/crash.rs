//! Runs end in the same state although any call of a service fails, or ends its host, at any point.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join;
use isobar_abstraction::key_value::Table;
use isobar_abstraction::{App, Cloud, Error, Result};
use isobar_flow::{Flow, RunId, RunState, Runs, Workflows};
use parking_lot::Mutex;
use serde_json::Value;

use crate::world::{FAULTS, Fault, Plan, World, journal};

/// The effects of the steps: their names and idempotency keys.
type Effects = Arc<Mutex<Vec<(&'static str, String)>>>;

#[derive(Clone)]
struct State {
    effects: Effects,
    stock: Table<i64>,
}

impl State {
    fn effect(&self, name: &'static str, key: String) {
        self.effects.lock().push((name, key));
    }
}

/// A workflow with every kind of call.
async fn order(state: State, flow: Flow, amount: u32) -> Result<String> {
    let paid = flow
        .step("charge", async |it| {
            state.effect("charge", it.key());
            if it.attempt() == 1 { Err(Error::unavailable("try again")) } else { Ok(amount) }
        })
        .with_backoff(Duration::from_secs(30), Duration::from_secs(30))
        .await?;
    let refund = state.clone();
    flow.undo("refund", move |it| {
        refund.effect("refund", it.key());
        async { Ok::<_, Error>(()) }
    });
    flow.sleep("cool-off", Duration::from_secs(3_600)).await;
    let pack = flow.map("pack", [1, 2], 2, async |flow, _| {
        flow.step("part", async |it| {
            state.effect("part", it.key());
            Ok::<_, Error>(1)
        })
        .await
    });
    let label = async {
        flow.sleep("short", Duration::from_secs(60)).await;
        flow.call::<u32>("label", &paid).await
    };
    let (parts, label) = join(pack, label).await;
    flow.apply("sell", &state.stock, "tea", |it| it.add("sold", 1)).await?;
    let approver: String = flow.wait_for("approval").await?;
    let late = flow.wait_for::<String>("reminder").with_timeout(Duration::from_secs(600)).await;
    let end = flow
        .step("send", async |it| {
            state.effect("send", it.key());
            Ok::<_, Error>(format!("sent by {approver}"))
        })
        .await?;
    if approver == "eve" {
        return Err(Error::conflict("not by eve"));
    }
    Ok(format!("{} {} {end} {}", parts?.len(), label?, late.is_err()))
}

async fn label(state: State, flow: Flow, paid: u32) -> Result<u32> {
    flow.step("label", async |it| {
        state.effect("label", it.key());
        Ok::<_, Error>(paid + 1)
    })
    .await
}

struct Ended {
    output: String,
    state: RunState,
    sold: Option<i64>,
    journal: Vec<Value>,
    effects: Vec<(&'static str, String)>,
    calls: u64,
}

const RUN: &str = "order/7";

/// Runs the workflow once, with these faults: `by` approves it, or a client cancels it in place of that.
async fn run(plan: &Plan, by: &str) -> Ended {
    let effects = Effects::default();
    let app = |cloud: &Cloud| {
        let state = State { effects: Arc::clone(&effects), stock: cloud.table("stock") };
        let workflows =
            Workflows::new(&Runs::new(cloud), state).workflow("order", 1, order).workflow("label", 1, label);
        App::new("shop").mount("", workflows.build())
    };
    let world = World::new(plan.clone(), app);
    let (cloud, id) = (world.cloud(), RUN.parse::<RunId>().unwrap());
    let runs = Runs::new(&cloud);
    world
        .quietly(async {
            runs.start("order", "7", &5_u32).await.unwrap();
            runs.signal(&id, "approval", "1", by).await.unwrap();
        })
        .await;
    let is_done = async |round| {
        let is_time = if plan.is_shuffled { round == plan.seed as usize % 23 } else { world.is_stalled() };
        if by == "none" && is_time {
            runs.cancel(&id, "changed my mind").await.unwrap();
        }
        runs.get(&id).await.unwrap().is_some_and(|run| run.state.is_final())
    };
    let has_ended = world.run(is_done).await;
    let status = world.quietly(runs.get(&id)).await.unwrap();
    assert!(has_ended, "{plan:?}: {status:#?}, dead letters {:?}", world.dead());
    assert_eq!(world.lost(), Vec::<String>::new(), "{plan:?}: a run had no timer");
    let calls = world.calls();
    let (output, journal, sold) = world
        .quietly(async {
            let output = runs.output::<String>(&id).await;
            let sold = cloud.table::<i64>("stock").get(("tea", "sold")).await.unwrap();
            (output, journal(&cloud, RUN).await, sold)
        })
        .await;
    let output = output.map_or_else(|error| error.message().to_owned(), Option::unwrap_or_default);
    let effects = effects.lock().clone();
    Ended { output, state: status.unwrap().state, sold, journal, effects, calls }
}

/// What must be the same in each run: the calls and their results, without times.
fn results(journal: &[Value]) -> Vec<String> {
    let result = |entry: &Value| format!("{} {} {}", entry["kind"], entry["path"], entry["record"]);
    let mut results: Vec<_> = journal.iter().filter(|entry| entry["kind"] != "sleep").map(result).collect();
    results.sort_unstable();
    results
}

/// The idempotency keys of the steps with this name.
fn keys(ended: &Ended, name: &str) -> usize {
    let keys = ended.effects.iter().filter(|(it, _)| *it == name).map(|(_, key)| key);
    keys.collect::<std::collections::BTreeSet<_>>().len()
}

fn check(plan: &Plan, ended: &Ended, reference: &Ended) {
    let outcome = |ended: &Ended| (ended.output.clone(), ended.state, ended.sold);
    assert_eq!(outcome(ended), outcome(reference), "{plan:?}");
    assert_eq!(results(&ended.journal), results(&reference.journal), "{plan:?}");
    for name in ["charge", "part", "label", "send", "refund"] {
        assert_eq!(keys(ended, name), keys(reference, name), "{plan:?}: {name}");
    }
}

/// The workflow that is approved, the one that fails, and what they end as.
async fn references() -> [(&'static str, Ended); 2] {
    let good = run(&Plan::default(), "ada").await;
    assert_eq!((good.output.as_str(), good.state, good.sold), ("2 6 sent by ada true", RunState::Done, Some(1)));
    assert_eq!(good.effects.len(), 6, "{:?}", good.effects);
    let failed = run(&Plan::default(), "eve").await;
    assert_eq!((failed.output.as_str(), failed.state, failed.sold), ("not by eve", RunState::Failed, Some(1)));
    assert_eq!((keys(&failed, "refund"), failed.effects.len()), (1, 7), "{:?}", failed.effects);
    [("ada", good), ("eve", failed)]
}

#[tokio::test]
async fn a_run_ends_the_same_after_a_fault_at_any_call() {
    for (by, reference) in references().await {
        for call in 0..reference.calls {
            for fault in FAULTS {
                let plan = Plan { at: vec![(call, fault)], ..Plan::default() };
                check(&plan, &run(&plan, by).await, &reference);
            }
        }
    }
}

#[tokio::test]
async fn a_run_ends_the_same_after_two_faults() {
    let [(by, reference), _] = references().await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let mut fault = || (random.u64(..reference.calls + 20), random.choice(FAULTS).unwrap());
        let plan = Plan { at: vec![fault(), fault()], ..Plan::default() };
        check(&plan, &run(&plan, by).await, &reference);
    }
}

#[tokio::test]
async fn a_run_ends_the_same_with_two_hosts_old_reads_and_copies_of_messages() {
    for (by, reference) in references().await {
        for seed in 0..300 {
            let plan = Plan { seed, random: [0, 5, 20][seed as usize % 3], is_shuffled: true, ..Plan::default() };
            check(&plan, &run(&plan, by).await, &reference);
        }
    }
}

/// What holds at whatever point a cancellation arrives: what is charged or sold is recorded, and what is recorded is undone.
fn check_cancelled(plan: &Plan, ended: &Ended) {
    let records = results(&ended.journal).join("\n");
    let has = |path: &str| records.contains(&format!("\"{path}\" {{\"value\""));
    assert_eq!(ended.sold.is_some(), has("sell#1"), "{plan:?}: {records}");
    let is_undone = ended.state == RunState::Cancelled && has("charge#1");
    assert_eq!(keys(ended, "refund"), usize::from(is_undone), "{plan:?}: {records}");
}

#[tokio::test]
async fn a_run_that_is_cancelled_undoes_what_it_did() {
    let mut cancelled = 0;
    for seed in 0..300 {
        let plan = Plan { seed, random: [0, 5, 20][seed as usize % 3], is_shuffled: true, ..Plan::default() };
        let ended = run(&plan, "none").await;
        check_cancelled(&plan, &ended);
        cancelled += u32::from(ended.state == RunState::Cancelled);
    }
    assert!(cancelled > 100, "{cancelled}");
}

/// A worker that did nothing for ten minutes, while its run was cancelled, goes on at any of its calls.
#[tokio::test]
async fn a_worker_that_is_late_changes_nothing() {
    let [(by, reference), _] = references().await;
    let mut sold = [0, 0];
    for call in 0..reference.calls {
        let plan = Plan { at: vec![(call, Fault::Stall)], ..Plan::default() };
        check(&plan, &run(&plan, by).await, &reference);
        let ended = run(&plan, "none").await;
        check_cancelled(&plan, &ended);
        sold[usize::from(ended.sold.is_some())] += 1;
    }
    assert!(sold.iter().all(|count| *count > 0), "{sold:?}");
}

/// Five steps, and a sleep before the last of them if `sleeps`.
async fn five(_: (), flow: Flow, sleeps: bool) -> Result<u32> {
    let mut sum = 0;
    for number in 0..5 {
        if sleeps && number == 4 {
            flow.sleep("hour", Duration::from_secs(3_600)).await;
        }
        sum += flow.step("add", async |_| Ok::<_, Error>(number)).await?;
    }
    Ok(sum)
}

#[tokio::test]
async fn a_run_of_five_steps_writes_18_items_and_25_with_a_sleep() {
    for (sleeps, writes) in [(false, 18), (true, 25)] {
        let app = |cloud: &Cloud| {
            App::new("shop").mount("", Workflows::new(&Runs::new(cloud), ()).workflow("five", 1, five).build())
        };
        let world = World::new(Plan::default(), app);
        let (cloud, id) = (world.cloud(), "five/1".parse::<RunId>().unwrap());
        let runs = Runs::new(&cloud);
        runs.start("five", "1", &sleeps).await.unwrap();
        let is_done = async |_| runs.get(&id).await.unwrap().is_some_and(|run| run.state.is_final());
        assert!(world.run(is_done).await);
        assert_eq!(world.writes(), writes);
    }
}

/// Rings when an event arrives, although it also waits for a day.
async fn alarm(state: State, flow: Flow, _: ()) -> Result<()> {
    let ring = async {
        flow.wait_for::<()>("fire").await?;
        flow.step("ring", async |it| {
            state.effect("ring", it.key());
            Ok::<_, Error>(())
        })
        .await
    };
    join(flow.sleep("day", Duration::from_secs(86_400)), ring).await.1
}

#[tokio::test]
async fn an_event_is_handled_soon_although_a_service_fails() {
    let mut calls = 1;
    let mut call = 0;
    while call < calls {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::CrashBefore, Fault::CrashAfter] {
            let effects = Effects::default();
            let app = |cloud: &Cloud| {
                let state = State { effects: Arc::clone(&effects), stock: cloud.table("stock") };
                App::new("house")
                    .mount("", Workflows::new(&Runs::new(cloud), state).workflow("alarm", 1, alarm).build())
            };
            let plan = Plan { at: vec![(call, fault)], ..Plan::default() };
            let world = World::new(plan.clone(), app);
            let (cloud, id) = (world.cloud(), "alarm/1".parse::<RunId>().unwrap());
            let runs = Runs::new(&cloud);
            world.quietly(runs.start("alarm", "1", &())).await.unwrap();
            let rounds = AtomicUsize::new(0);
            let has_rung = async |round| {
                if round == 10 {
                    runs.signal(&id, "fire", "1", &()).await.unwrap();
                }
                rounds.store(round, Ordering::Relaxed);
                !effects.lock().is_empty()
            };
            assert!(world.run(has_rung).await, "{plan:?}");
            // Rounds of 15 seconds: a lease, a tick, and the wait of an event for its run.
            assert!(rounds.load(Ordering::Relaxed) < 25, "{plan:?}: {rounds:?}");
            calls = calls.max(world.calls());
        }
        call += 1;
    }
    assert!(calls > 20, "{calls}");
}

/// Receives six words, each in a generation of its own.
async fn words(_: (), flow: Flow, count: u32) -> Result<u32> {
    flow.wait_for::<u32>("word").await?;
    if count == 5 { Ok(count) } else { flow.continue_with(&(count + 1)) }
}

#[tokio::test]
async fn an_event_during_a_change_of_generation_is_received() {
    for seed in 0..200 {
        let app = |cloud: &Cloud| {
            App::new("shop").mount("", Workflows::new(&Runs::new(cloud), ()).workflow("words", 1, words).build())
        };
        let plan = Plan { seed, random: [0, 5][seed as usize % 2], is_shuffled: true, ..Plan::default() };
        let world = World::new(plan, app);
        let (cloud, id) = (world.cloud(), "words/1".parse::<RunId>().unwrap());
        let runs = Runs::new(&cloud);
        world
            .quietly(async {
                runs.start("words", "1", &0).await.unwrap();
                for number in 0..6 {
                    runs.signal(&id, "word", &number.to_string(), &number).await.unwrap();
                }
            })
            .await;
        let is_done = async |_| runs.get(&id).await.unwrap().is_some_and(|run| run.state.is_final());
        assert!(world.run(is_done).await, "{seed}");
        let output = world.quietly(runs.output::<u32>(&id)).await;
        assert_eq!(output.unwrap(), Some(5), "{seed}");
        assert_eq!(world.lost(), Vec::<String>::new(), "{seed}");
    }
}
