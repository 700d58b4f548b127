//! Programs that differ from the journal of their run, and programs that depend on more than their calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use isobar_abstraction::{Cloud, Error, ErrorKind, Result};
use isobar_flow::{Difference, Flow, History, RunState, Runs, Workflows};

use crate::support::{Shop, State, id};

/// A call of a generated program.
#[derive(Debug, Clone, PartialEq)]
enum Op {
    Step(&'static str),
    Wait(&'static str),
    Call(&'static str),
    Map(&'static str),
}

const KINDS: [fn(&'static str) -> Op; 4] = [Op::Step, Op::Wait, Op::Call, Op::Map];

impl Op {
    fn kind(&self) -> usize {
        match self {
            Self::Step(_) => 0,
            Self::Wait(_) => 1,
            Self::Call(_) => 2,
            Self::Map(_) => 3,
        }
    }

    async fn run(&self, flow: &Flow) -> Result<()> {
        let step = async |flow: Flow, number: u32| flow.step("part", async |_| Ok::<_, Error>(number)).await;
        match self {
            Self::Step(name) => flow.step(name, async |_| Ok::<_, Error>(1)).await.map(drop),
            Self::Wait(name) => flow.wait_for::<u32>(name).await.map(drop),
            Self::Call(name) => flow.call::<u32>(name, &1).await.map(drop),
            Self::Map(name) => flow.map(name, [1, 2], 2, step).await.map(drop),
        }
    }
}

/// Two calls of each kind.
fn program() -> Vec<Op> {
    KINDS.iter().flat_map(|kind| [kind("first"), kind("second")]).collect()
}

fn register(workflows: Workflows<State>, program: Vec<Op>) -> Workflows<State> {
    let program = Arc::new(program);
    let run = move |_: State, flow: Flow, _: ()| {
        let program = Arc::clone(&program);
        async move {
            for op in program.iter() {
                op.run(&flow).await?;
            }
            Ok::<_, Error>(())
        }
    };
    workflows.workflow("program", 1, run).workflow("first", 1, child).workflow("second", 1, child)
}

async fn child(_: State, _: Flow, number: u32) -> Result<u32> {
    Ok(number)
}

/// Each of five changes, of a call of each kind.
fn mutations() -> Vec<(String, Vec<Op>)> {
    let mut mutations = Vec::new();
    for kind in 0..4 {
        let at = kind * 2;
        let mut add = |name: &str, change: &dyn Fn(&mut Vec<Op>)| {
            let mut mutated = program();
            change(&mut mutated);
            mutations.push((format!("{name} {:?}", program()[at]), mutated));
        };
        add("rename", &|program| program[at] = KINDS[kind]("other"));
        add("reorder", &|program| program.swap(at, at + 1));
        add("insert", &|program| program.insert(at, KINDS[kind]("third")));
        add("drop", &|program| {
            program.remove(at);
        });
        add("change of kind of", &|program| program[at] = KINDS[(kind + 1) % 4]("first"));
    }
    mutations
}

async fn recorded() -> History {
    let shop = Shop::new(|workflows| register(workflows, program()));
    shop.runs.start("program", "1", &()).await.unwrap();
    for event in ["first", "second"] {
        shop.runs.signal(&id("program/1"), event, "1", &1).await.unwrap();
    }
    shop.deliver().await;
    assert_eq!(shop.state_of("program/1").await, RunState::Done);
    let history = shop.runs.export(&id("program/1")).await.unwrap().unwrap();
    serde_json::from_str(&serde_json::to_string(&history).unwrap()).unwrap()
}

fn check(history: &History, program: Vec<Op>) -> Result<()> {
    let cloud = Cloud::memory();
    let state = State::of(&cloud);
    register(Workflows::new(&Runs::new(&cloud), state), program).replay_check(history)
}

#[tokio::test]
async fn each_change_of_a_program_is_found_where_it_is() {
    let history = recorded().await;
    check(&history, program()).unwrap();
    let mutations = mutations();
    assert_eq!(mutations.len(), 20);
    for (name, mutated) in mutations {
        let error = check(&history, mutated.clone()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let difference = source.downcast_ref::<Difference>().unwrap_or_else(|| panic!("{name}: {error}"));
        let at = program().iter().zip(&mutated).position(|(old, new)| old != new).unwrap_or(mutated.len());
        // Each map before it has two calls, and none of its own.
        let index = program()[..at].iter().map(|op| if op.kind() == 3 { 2 } else { 1 }).sum::<u32>();
        assert!(difference.index <= index + 1 && difference.index >= index, "{name}: {difference}");
        assert!(difference.expected != difference.found, "{name}: {difference}");
    }
}

#[tokio::test]
async fn a_run_stalls_under_another_program_and_goes_on_under_its_own() {
    let shop = Shop::new(|workflows| register(workflows, program()));
    shop.runs.start("program", "1", &()).await.unwrap();
    shop.deliver().await;
    let other = shop.redeployed(|workflows| register(workflows, vec![Op::Step("renamed"), Op::Step("second")]));
    other.runs.signal(&id("program/1"), "first", "1", &1).await.unwrap();
    other.deliver().await;
    let reason = other.runs.get(&id("program/1")).await.unwrap().unwrap().reason.unwrap();
    let expected = "differs from the journal at call 0: expected step `first#1`, found step `renamed#1`";
    assert!(reason.contains(expected), "{reason}");
    let entries = other.runs.history(&id("program/1")).await.unwrap().len();
    for number in 0..100 {
        other.runs.signal(&id("program/1"), "second", &number.to_string(), &1).await.unwrap();
    }
    other.deliver().await;
    assert_eq!(other.runs.history(&id("program/1")).await.unwrap().len(), entries);
    let repaired = other.redeployed(|workflows| register(workflows, program()));
    repaired.runs.resume(&id("program/1")).await.unwrap();
    repaired.deliver().await;
    assert_eq!(repaired.state_of("program/1").await, RunState::Done);
}

/// Workflows that depend on more than their calls. A strict replay finds them.
fn bad(workflows: Workflows<State>) -> Workflows<State> {
    async fn step(flow: &Flow, name: &str) -> Result<()> {
        flow.step(name, async |_| Ok::<_, Error>(())).await
    }
    async fn counter(_: State, flow: Flow, _: ()) -> Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..3 {
            step(&flow, &format!("step-{}", COUNT.fetch_add(1, Ordering::SeqCst))).await?;
        }
        Ok(())
    }
    async fn random(_: State, flow: Flow, _: ()) -> Result<()> {
        for _ in 0..30 {
            step(&flow, if fastrand::bool() { "heads" } else { "tails" }).await?;
        }
        Ok(())
    }
    async fn hashes(_: State, flow: Flow, _: ()) -> Result<()> {
        let names: HashMap<String, ()> = (0..20).map(|number| (format!("step-{number}"), ())).collect();
        for name in names.keys() {
            step(&flow, name).await?;
        }
        Ok(())
    }
    async fn spawned(_: State, flow: Flow, _: ()) -> Result<()> {
        tokio::spawn(async move { step(&flow, "one").await }).await.unwrap()
    }
    async fn nested(_: State, flow: Flow, _: ()) -> Result<()> {
        flow.step("outer", async |_| step(&flow, "inner").await).await
    }
    async fn waits(_: State, flow: Flow, _: ()) -> Result<()> {
        step(&flow, "one").await?;
        std::future::pending::<()>().await;
        Ok(())
    }
    async fn panics(_: State, flow: Flow, _: ()) -> Result<()> {
        step(&flow, "one").await?;
        panic!("a fault of the program");
    }
    workflows
        .workflow("counter", 1, counter)
        .workflow("random", 1, random)
        .workflow("hashes", 1, hashes)
        .workflow("spawned", 1, spawned)
        .workflow("nested", 1, nested)
        .workflow("waits", 1, waits)
        .workflow("panics", 1, panics)
}

#[tokio::test]
async fn a_program_that_depends_on_more_than_its_calls_stalls() {
    let shop = Shop::new(bad);
    for (workflow, reason) in [
        ("counter", "differs from the journal"),
        ("random", "differs from the journal"),
        ("hashes", "differs from the journal"),
        ("spawned", "made by another task"),
        ("nested", "made inside of a step"),
        ("waits", "waits for something outside of a step"),
        ("panics", "panicked outside of a step"),
    ] {
        shop.runs.start(workflow, "1", &()).await.unwrap();
        shop.deliver().await;
        let status = shop.runs.get(&id(&format!("{workflow}/1"))).await.unwrap().unwrap();
        assert_eq!(status.state, RunState::Stalled, "{workflow}");
        assert!(status.reason.as_ref().unwrap().contains(reason), "{status:?}");
    }
}

#[tokio::test]
async fn a_run_of_a_version_that_a_build_lacks_waits_and_stalls_after_an_hour() {
    async fn old(_: State, flow: Flow, _: ()) -> Result<u32> {
        flow.sleep("minute", Duration::from_secs(60)).await;
        Ok(1)
    }
    async fn new(_: State, _: Flow, _: ()) -> Result<u32> {
        Ok(2)
    }
    let shop = Shop::new(|workflows| workflows.workflow("job", 1, old));
    shop.runs.start("job", "1", &()).await.unwrap();
    shop.deliver().await;
    let next = shop.redeployed(|workflows| workflows.workflow("job", 2, new));
    next.runs.start("job", "2", &()).await.unwrap();
    next.advance(Duration::from_secs(120)).await;
    assert_eq!((next.state_of("job/1").await, next.state_of("job/2").await), (RunState::Waiting, RunState::Done));
    let both = next.redeployed(|workflows| workflows.workflow("job", 1, old).workflow("job", 2, new));
    both.runs.start("job", "3", &()).await.unwrap();
    both.advance(Duration::from_secs(60)).await;
    assert_eq!(both.runs.output::<u32>(&id("job/1")).await.unwrap(), Some(1));
    assert_eq!(both.runs.output::<u32>(&id("job/3")).await.unwrap(), Some(2));

    shop.runs.start("job", "4", &()).await.unwrap();
    shop.deliver().await;
    let next = shop.redeployed(|workflows| workflows.workflow("job", 2, new));
    next.advance(Duration::from_secs(7_200)).await;
    let status = next.runs.get(&id("job/4")).await.unwrap().unwrap();
    assert_eq!(status.state, RunState::Stalled);
    assert!(status.reason.unwrap().contains("no version 1 of `job`; it has version 2"));
    assert_eq!(next.runs.resume(&id("job/9")).await.unwrap_err().kind(), ErrorKind::NotFound);
}
