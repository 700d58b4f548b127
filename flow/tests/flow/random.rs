//! Random programs with random faults, compared with what the same program does without a journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use isobar_abstraction::key_value::Table;
use isobar_abstraction::{App, Cloud, Error, Result};
use isobar_flow::{Flow, RunId, RunState, Runs, Workflows};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::world::{Plan, World};

/// A part of a program. Its name is unique in the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Op {
    /// A step whose first attempts fail.
    Step {
        name: String,
        failures: u32,
    },
    /// A step that fails for good.
    Broken {
        name: String,
    },
    Sleep {
        seconds: u64,
    },
    /// An event, or a limit of time if it is not sent.
    Wait {
        name: String,
        is_sent: bool,
    },
    Apply {
        name: String,
    },
    /// A child with a program of its own.
    Child(Vec<Op>),
    Parallel(Vec<Vec<Op>>),
    /// A compensation.
    Undo {
        name: String,
    },
    /// The program ends with an error.
    Fail,
}

struct Generator {
    random: fastrand::Rng,
    names: u32,
    /// The children around the next part. Events are sent to the run itself only.
    children: u32,
}

impl Generator {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    fn ops(&mut self, depth: u32) -> Vec<Op> {
        (0..self.random.u32(1..5)).map(|_| self.op(depth)).collect()
    }

    fn op(&mut self, depth: u32) -> Op {
        match self.random.u32(0..if depth < 2 { 12 } else { 9 }) {
            0..3 => Op::Step { name: self.name(), failures: self.random.u32(0..2) },
            3 => Op::Broken { name: self.name() },
            4 => Op::Sleep { seconds: self.random.u64(0..2_000) },
            5 => Op::Wait { name: self.name(), is_sent: self.children == 0 && self.random.bool() },
            6 => Op::Apply { name: self.name() },
            7 => Op::Undo { name: self.name() },
            8 => Op::Step { name: self.name(), failures: 0 },
            9 => {
                self.children += 1;
                let ops = self.ops(depth + 1);
                self.children -= 1;
                Op::Child(ops)
            }
            10 => Op::Parallel((0..self.random.u32(1..4)).map(|_| self.ops(depth + 1)).collect()),
            _ if depth == 0 => Op::Fail,
            _ => Op::Sleep { seconds: 5 },
        }
    }
}

/// What a program does: its output, its effects, and those of its compensations.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    output: Vec<String>,
    effects: BTreeSet<String>,
    applied: BTreeSet<String>,
    undo: BTreeSet<String>,
    /// The events to send, with the path of children that a run has.
    events: BTreeSet<String>,
    has_failed: bool,
}

impl Outcome {
    /// What the program does, without a journal. A child that fails is an error of its parent's call, and no more.
    fn of(ops: &[Op]) -> Self {
        let mut outcome = Self::default();
        outcome.add(ops);
        outcome
    }

    fn add(&mut self, ops: &[Op]) {
        for op in ops {
            if self.has_failed {
                return;
            }
            match op {
                Op::Step { name, .. } => {
                    self.effects.insert(name.clone());
                    self.output.push(name.clone());
                }
                Op::Broken { name } => {
                    self.effects.insert(name.clone());
                    self.output.push(format!("{name} failed"));
                }
                Op::Sleep { .. } => {}
                Op::Wait { name, is_sent: true } => {
                    self.events.insert(name.clone());
                    self.output.push(format!("event {name}"));
                }
                Op::Wait { name, is_sent: false } => self.output.push(format!("no {name}")),
                Op::Apply { name } => {
                    self.applied.insert(name.clone());
                }
                Op::Child(ops) => {
                    let child = Self::of(ops);
                    self.effects.extend(child.effects);
                    self.applied.extend(child.applied);
                    self.output.push(child.output.join(" "));
                }
                Op::Parallel(branches) => branches.iter().for_each(|branch| self.add(branch)),
                Op::Undo { name } => {
                    self.undo.insert(name.clone());
                }
                Op::Fail => self.has_failed = true,
            }
        }
    }
}

#[derive(Clone)]
struct State {
    /// The names of effects with their idempotency keys.
    effects: Arc<Mutex<BTreeSet<(String, String)>>>,
    table: Table<i64>,
}

fn run_ops<'a>(state: &'a State, flow: &'a Flow, ops: &'a [Op]) -> BoxFuture<'a, Result<Vec<String>>> {
    async move {
        let mut output = Vec::new();
        for op in ops {
            let effect = |name: &str, key: String| state.effects.lock().insert((name.to_owned(), key));
            match op {
                Op::Step { name, failures } => {
                    let step = flow.step(name, async |it| {
                        effect(name, it.key());
                        if it.attempt() > *failures { Ok(name.clone()) } else { Err(Error::unavailable("again")) }
                    });
                    output.push(step.await?);
                }
                Op::Broken { name } => {
                    let step = flow.step(name, async |it| {
                        effect(name, it.key());
                        Err::<(), _>(Error::invalid_input("broken"))
                    });
                    assert!(step.await.is_err());
                    output.push(format!("{name} failed"));
                }
                Op::Sleep { seconds } => flow.sleep("pause", Duration::from_secs(*seconds)).await,
                Op::Wait { name, .. } => {
                    let event = flow.wait_for::<String>(name).with_timeout(Duration::from_secs(100_000)).await;
                    output.push(event.map_or_else(|_| format!("no {name}"), |event| format!("event {event}")));
                }
                Op::Apply { name } => {
                    let sort = name.clone();
                    flow.apply(name, &state.table, "all", move |it| it.add(sort.clone(), 1)).await?;
                }
                Op::Child(ops) => output.push(flow.call::<Vec<String>>("program", ops).await?.join(" ")),
                Op::Parallel(branches) => {
                    let branches = join_all(branches.iter().map(|branch| run_ops(state, flow, branch))).await;
                    for branch in branches {
                        output.extend(branch?);
                    }
                }
                Op::Undo { name } => {
                    let (state, undone) = (state.clone(), name.clone());
                    flow.undo(name, move |it| {
                        state.effects.lock().insert((undone.clone(), it.key()));
                        async { Ok::<_, Error>(()) }
                    });
                }
                Op::Fail => return Err(Error::conflict("the program fails")),
            }
        }
        Ok(output)
    }
    .boxed()
}

async fn program(state: State, flow: Flow, ops: Vec<Op>) -> Result<Vec<String>> {
    run_ops(&state, &flow, &ops).await
}

/// Runs a program with the faults of its seed, and compares it with its outcome without a journal.
async fn check(seed: u64) {
    let ops = Generator { random: fastrand::Rng::with_seed(seed), names: 0, children: 0 }.ops(0);
    let expected = Outcome::of(&ops);
    let effects = Arc::default();
    let app = |cloud: &Cloud| {
        let state = State { effects: Arc::clone(&effects), table: cloud.table("applied") };
        App::new("shop").mount("", Workflows::new(&Runs::new(cloud), state).workflow("program", 1, program).build())
    };
    let plan =
        Plan { seed, random: [0, 5, 10][seed as usize % 3], is_shuffled: seed.is_multiple_of(2), ..Plan::default() };
    let world = World::new(plan, app);
    let (cloud, id) = (world.cloud(), "program/1".parse::<RunId>().unwrap());
    let runs = Runs::new(&cloud);
    world
        .quietly(async {
            runs.start("program", "1", &ops).await.unwrap();
            for event in &expected.events {
                runs.signal(&id, event, "1", event).await.unwrap();
            }
        })
        .await;
    let is_done = async |_| runs.get(&id).await.unwrap().is_some_and(|run| run.state.is_final());
    let has_ended = world.run(is_done).await;
    world
        .quietly(async {
            let status = runs.get(&id).await.unwrap().unwrap();
            assert!(has_ended, "{seed}: {status:#?} {ops:#?} {:?}", world.dead());
            assert_eq!(world.lost(), Vec::<String>::new(), "{seed}");
            let state = if expected.has_failed { RunState::Failed } else { RunState::Done };
            assert_eq!(status.state, state, "{seed}: {status:#?} {ops:#?}");
            if state == RunState::Done {
                let output = runs.output::<Vec<String>>(&id).await.unwrap().unwrap();
                assert_eq!(output, expected.output, "{seed}: {ops:#?}");
            }
            let effects: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::clone(&effects);
            let keys: Vec<String> = effects.lock().iter().map(|(name, _)| name.clone()).collect();
            let names: BTreeSet<String> = keys.iter().cloned().collect();
            assert_eq!(names.len(), keys.len(), "{seed}: an effect has several keys");
            let undone = if expected.has_failed { expected.undo.clone() } else { BTreeSet::new() };
            assert_eq!(names, expected.effects.union(&undone).cloned().collect(), "{seed}: {ops:#?}");
            let applied = cloud.table::<i64>("applied").query("all").all().await.unwrap();
            let applied: BTreeSet<(String, i64)> = applied.into_iter().map(|it| (it.key.sort, it.value)).collect();
            assert_eq!(applied, expected.applied.iter().map(|name| (name.clone(), 1)).collect(), "{seed}: {ops:#?}");
        })
        .await;
}

#[tokio::test]
async fn random_programs_do_what_they_do_without_a_journal() {
    for seed in 0..600 {
        check(seed).await;
    }
}
