//! Workflows in memory: steps, sleeps, events, retries, and what a person sees of them.

use std::collections::BTreeSet;
use std::time::Duration;

use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_flow::{Flow, RunState, Started, Workflows};

use crate::support::{Shop, State, id};

/// An effect: it returns its number.
fn add(state: &State) -> u32 {
    state.note("effect".to_owned(), ());
    u32::try_from(state.count("effect")).unwrap()
}

/// Five steps in a row.
async fn five(effects: State, flow: Flow, first: u32) -> Result<u32> {
    let mut sum = first;
    for _ in 0..5 {
        sum += flow.step("add", async |_| Ok::<_, Error>(add(&effects))).await?;
    }
    Ok(sum)
}

async fn sleeper(effects: State, flow: Flow, _: ()) -> Result<u32> {
    flow.step("before", async |_| Ok::<_, Error>(add(&effects))).await?;
    flow.sleep("a-day", Duration::from_secs(86_400)).await;
    flow.step("after", async |_| Ok::<_, Error>(add(&effects))).await
}

async fn approval(_: State, flow: Flow, _: ()) -> Result<String> {
    let approver: String = flow.wait_for("approval").with_timeout(Duration::from_secs(3_600)).await?;
    Ok(format!("approved by {approver}"))
}

async fn stubborn(effects: State, flow: Flow, failures: u32) -> Result<u32> {
    let body = async |_| match add(&effects) {
        count if count <= failures => Err(Error::unavailable("not yet")),
        count => Ok(count),
    };
    flow.step("try", body).await
}

/// Its steps have names that are the same in each replay only if the flow makes them.
async fn unique(state: State, flow: Flow, _: ()) -> Result<usize> {
    let mut names = BTreeSet::new();
    for _ in 0..3 {
        for name in [flow.unique_id(), flow.random().to_string()] {
            flow.step(&name, async |_| Ok::<_, Error>(add(&state))).await?;
            names.insert(name);
        }
    }
    Ok(names.len())
}

fn shop() -> Shop {
    Shop::new(|workflows: Workflows<State>| {
        workflows
            .workflow("five", 1, five)
            .workflow("sleeper", 1, sleeper)
            .workflow("approval", 1, approval)
            .workflow("stubborn", 1, stubborn)
            .workflow("unique", 1, unique)
    })
}

#[tokio::test]
async fn five_steps_end_in_one_turn_with_each_effect_once() {
    let shop = shop();
    assert_eq!(shop.runs.start("five", "1", &10_u32).await.unwrap(), Started::Accepted);
    shop.deliver().await;
    assert_eq!(shop.runs.output::<u32>(&id("five/1")).await.unwrap(), Some(10 + 1 + 2 + 3 + 4 + 5));
    assert_eq!((shop.state.count("effect"), shop.state_of("five/1").await), (5, RunState::Done));
    assert_eq!(shop.runs.start("five", "1", &10_u32).await.unwrap(), Started::Existing);
    assert_eq!(shop.runs.start("five", "1", &11_u32).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_sleep_of_a_day_ends_after_a_day() {
    let shop = shop();
    shop.runs.start("sleeper", "1", &()).await.unwrap();
    shop.advance(Duration::ZERO).await;
    let status = shop.runs.get(&id("sleeper/1")).await.unwrap().unwrap();
    assert_eq!((status.state, shop.state.count("effect")), (RunState::Waiting, 1));
    assert_eq!(status.wakes_at.unwrap().duration_since(status.created_at).unwrap(), Duration::from_secs(86_400));
    shop.advance(Duration::from_secs(86_399)).await;
    assert_eq!(shop.state.count("effect"), 1);
    shop.advance(Duration::from_secs(1)).await;
    assert_eq!((shop.state.count("effect"), shop.state_of("sleeper/1").await), (2, RunState::Done));
}

#[tokio::test]
async fn an_event_ends_a_wait_and_a_timeout_is_an_error() {
    let shop = shop();
    for run in ["early", "late", "never"] {
        shop.runs.start("approval", run, &()).await.unwrap();
    }
    shop.runs.signal(&id("approval/early"), "approval", "1", "ada").await.unwrap();
    shop.advance(Duration::ZERO).await;
    assert_eq!(shop.runs.get(&id("approval/late")).await.unwrap().unwrap().waits_for, ["approval"]);
    shop.runs.signal(&id("approval/late"), "approval", "1", "grace").await.unwrap();
    shop.advance(Duration::from_secs(60)).await;
    shop.advance(Duration::from_secs(3_600)).await;
    let output = async |run| shop.runs.output::<String>(&id(run)).await;
    assert_eq!(output("approval/early").await.unwrap().unwrap(), "approved by ada");
    assert_eq!(output("approval/late").await.unwrap().unwrap(), "approved by grace");
    assert_eq!(output("approval/never").await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(shop.state_of("approval/never").await, RunState::Failed);
}

#[tokio::test]
async fn a_step_is_attempted_again_with_a_backoff() {
    let shop = shop();
    shop.runs.start("stubborn", "1", &3_u32).await.unwrap();
    shop.advance(Duration::ZERO).await;
    assert_eq!(shop.state.count("effect"), 1);
    for _ in 0..3 {
        shop.advance(Duration::from_secs(10)).await;
    }
    assert_eq!(shop.runs.output::<u32>(&id("stubborn/1")).await.unwrap(), Some(4));
    shop.runs.start("stubborn", "2", &100_u32).await.unwrap();
    for _ in 0..6 {
        shop.advance(Duration::from_secs(20)).await;
    }
    let failed = shop.runs.output::<u32>(&id("stubborn/2")).await.unwrap_err();
    assert_eq!((failed.kind(), failed.message(), shop.state.count("effect")), (ErrorKind::Unavailable, "not yet", 9));
}

#[tokio::test]
async fn random_numbers_and_ids_are_the_same_in_each_replay() {
    let shop = shop();
    for run in ["unique/1", "unique/2"] {
        shop.runs.start("unique", &run[7..], &()).await.unwrap();
        shop.deliver().await;
        assert_eq!(shop.runs.output::<usize>(&id(run)).await.unwrap(), Some(6));
    }
    let paths =
        async |run| shop.runs.history(&id(run)).await.unwrap().into_iter().map(|call| call.path).collect::<Vec<_>>();
    assert_ne!(paths("unique/1").await, paths("unique/2").await);
}
