//! Children, branches, compensations, exact writes, generations and cancellation.

use std::time::Duration;

use isobar_abstraction::key_value::PutMode;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_flow::{Flow, RunState, Workflows};
use serde_json::{Value, json};

use crate::support::{Shop, State, id};

async fn double(state: State, flow: Flow, number: u32) -> Result<u32> {
    match number {
        13 => Err(Error::invalid_input("13 is not doubled")),
        _ => flow.step("double", async |_| Ok::<_, Error>(state.note(format!("double {number}"), number * 2))).await,
    }
}

async fn parent(_: State, flow: Flow, numbers: Vec<u32>) -> Result<u32> {
    let doubled =
        flow.map("numbers", numbers, 3, async |flow, number| flow.call::<u32>("double", &number).await).await?;
    Ok(doubled.into_iter().sum())
}

/// Steps of 10 seconds, which are more than a turn has time for.
async fn slow(state: State, flow: Flow, count: u32) -> Result<Vec<u32>> {
    let mut attempts = Vec::new();
    for _ in 0..count {
        let step = flow.step("ten-seconds", async |it| {
            tokio::task::yield_now().await;
            state.clock.advance(Duration::from_secs(10));
            Ok::<_, Error>(it.attempt())
        });
        attempts.push(step.await?);
    }
    Ok(attempts)
}

/// Results that together are larger than a transaction.
async fn large(_: State, flow: Flow, count: usize) -> Result<usize> {
    let step = async |flow: Flow, _| flow.step("text", async |_| Ok::<_, Error>("\"".repeat(15_000))).await;
    let texts = flow.map("texts", 0..count, count, step).await?;
    let object = flow.step("object", async |_| Ok::<_, Error>("x".repeat(1_000_000))).await?;
    Ok(texts.iter().map(String::len).sum::<usize>() + object.len())
}

async fn branches(state: State, flow: Flow, count: u32) -> Result<Vec<u32>> {
    let step = async |flow: Flow, number: u32| {
        flow.step("square", async |_| Ok::<_, Error>(state.note(format!("square {number}"), number * number))).await
    };
    flow.map("squares", 0..count, 10, step).await
}

async fn fastest(_: State, flow: Flow, _: ()) -> Result<String> {
    let short = Box::pin(async {
        flow.sleep("short", Duration::from_secs(60)).await;
        "short".to_owned()
    });
    let event = Box::pin(async { flow.wait_for::<String>("news").await.unwrap_or_default() });
    let branches: [std::pin::Pin<Box<dyn Future<Output = String> + Send>>; 2] = [short, event];
    let (number, first) = flow.race(branches).await;
    let later = flow.wait_for::<String>("news").with_timeout(Duration::from_secs(600)).await;
    Ok(format!("{number} {first} {}", later.unwrap_or_else(|error| error.kind().name().to_owned())))
}

/// Books three places, with a compensation for each; then fails, or waits.
async fn trip(state: State, flow: Flow, fails: bool) -> Result<()> {
    for place in ["hotel", "flight", "car"] {
        flow.step("book", async |_| Ok::<_, Error>(state.note(format!("book {place}"), 1))).await?;
        let state = state.clone();
        flow.undo("cancel", move |_| {
            state.note(format!("cancel {place}"), ());
            async { Ok::<_, Error>(()) }
        });
    }
    if fails {
        return Err(Error::conflict("no money"));
    }
    flow.wait_for::<()>("departure").await
}

async fn stuck(state: State, flow: Flow, _: ()) -> Result<()> {
    flow.undo("impossible", move |_| {
        let count = state.count("undo");
        state.note("undo".to_owned(), ());
        async move { if count == 0 { Err(Error::invalid_input("cannot be undone")) } else { Ok(()) } }
    });
    Err(Error::conflict("no"))
}

async fn booking(state: State, flow: Flow, orders: u32) -> Result<Option<u32>> {
    for number in 0..orders {
        flow.apply("book", &state.table, "day", move |it| it.put(format!("order-{number}"), &1).add("count", 1))
            .await?;
    }
    let second = flow
        .apply("again", &state.table, "day", |it| it.put_with("order-0", &2, PutMode::Create))
        .await
        .map_err(|error| error.kind());
    assert_eq!(second, Err(ErrorKind::AlreadyExists));
    flow.step("read", async |_| state.table.get(("day", "count")).await).await
}

/// Handles an event, and then the next one, in a generation of its own.
async fn counter(state: State, flow: Flow, count: u32) -> Result<u32> {
    let text: String = flow.wait_for("word").await?;
    flow.step("note", async |_| Ok::<_, Error>(state.note(format!("word {text}"), 1))).await?;
    if text == "end" { Ok(count) } else { flow.continue_with(&(count + 1)) }
}

fn shop() -> Shop {
    Shop::new(|workflows: Workflows<State>| {
        workflows
            .workflow("double", 1, double)
            .workflow("parent", 1, parent)
            .workflow("slow", 1, slow)
            .workflow("large", 1, large)
            .workflow("branches", 1, branches)
            .workflow("fastest", 1, fastest)
            .workflow("trip", 1, trip)
            .workflow("stuck", 1, stuck)
            .workflow("booking", 1, booking)
            .workflow("counter", 1, counter)
    })
}

#[tokio::test]
async fn children_run_in_parallel_and_each_runs_once() {
    let shop = shop();
    shop.runs.start("parent", "1", &[1, 2, 3, 4, 5]).await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.runs.output::<u32>(&id("parent/1")).await.unwrap(), Some(30));
    assert_eq!(shop.state.notes().len(), 5, "{:?}", shop.state.notes());
    shop.runs.start("parent", "2", &[1, 13]).await.unwrap();
    shop.deliver().await;
    let error = shop.runs.output::<u32>(&id("parent/2")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, "13 is not doubled"));
}

#[tokio::test]
async fn a_map_has_its_results_in_the_order_of_its_items() {
    let shop = shop();
    shop.runs.start("branches", "1", &100).await.unwrap();
    shop.deliver().await;
    let squares = shop.runs.output::<Vec<u32>>(&id("branches/1")).await.unwrap().unwrap();
    assert_eq!(squares, (0..100).map(|number| number * number).collect::<Vec<_>>());
    assert_eq!(shop.state.notes().len(), 100);
}

#[tokio::test]
async fn a_turn_ends_before_a_step_has_no_time() {
    let shop = shop();
    shop.runs.start("slow", "1", &100).await.unwrap();
    for _ in 0..10 {
        shop.deliver().await;
    }
    assert_eq!(shop.runs.output::<Vec<u32>>(&id("slow/1")).await.unwrap(), Some(vec![1; 100]));
}

#[tokio::test]
async fn results_may_be_larger_than_a_transaction_and_than_an_item() {
    let shop = shop();
    shop.runs.start("large", "1", &150).await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.runs.output::<usize>(&id("large/1")).await.unwrap(), Some(150 * 15_000 + 1_000_000));
    let history = shop.runs.export(&id("large/1")).await.unwrap().unwrap();
    assert!(serde_json::to_string(&history).unwrap().len() > 3_000_000);
}

#[tokio::test]
async fn the_loser_of_a_race_receives_no_event() {
    let shop = shop();
    shop.runs.start("fastest", "time", &()).await.unwrap();
    shop.runs.start("fastest", "event", &()).await.unwrap();
    shop.deliver().await;
    shop.runs.signal(&id("fastest/event"), "news", "1", "early").await.unwrap();
    shop.deliver().await;
    shop.advance(Duration::from_secs(61)).await;
    shop.runs.signal(&id("fastest/time"), "news", "1", "late").await.unwrap();
    shop.deliver().await;
    shop.advance(Duration::from_secs(700)).await;
    let output = async |run| shop.runs.output::<String>(&id(run)).await.unwrap().unwrap();
    assert_eq!(output("fastest/time").await, "0 short late");
    assert_eq!(output("fastest/event").await, "1 early timeout");
}

#[tokio::test]
async fn compensations_run_in_the_reverse_order_after_an_error_and_a_cancellation() {
    let shop = shop();
    let notes = ["book hotel", "book flight", "book car", "cancel car", "cancel flight", "cancel hotel"];
    shop.runs.start("trip", "1", &true).await.unwrap();
    shop.deliver().await;
    assert_eq!(
        (shop.state_of("trip/1").await, shop.state.notes()),
        (RunState::Failed, notes.map(str::to_owned).to_vec())
    );
    assert_eq!(shop.runs.output::<()>(&id("trip/1")).await.unwrap_err().message(), "no money");
    shop.runs.start("trip", "2", &false).await.unwrap();
    shop.deliver().await;
    shop.runs.cancel(&id("trip/2"), "rain").await.unwrap();
    shop.runs.cancel(&id("trip/2"), "rain").await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.state_of("trip/2").await, RunState::Cancelled);
    assert_eq!(shop.state.notes()[6..], notes);
    let status = shop.runs.get(&id("trip/2")).await.unwrap().unwrap();
    assert_eq!(status.reason.unwrap(), "the run was cancelled: rain");
    shop.runs.signal(&id("trip/2"), "departure", "1", &()).await.unwrap();
    shop.deliver().await;
    assert_eq!((shop.state_of("trip/2").await, shop.state.notes().len()), (RunState::Cancelled, 12));
}

#[tokio::test]
async fn a_compensation_that_fails_stalls_the_run_until_it_is_resumed() {
    let shop = shop();
    shop.runs.start("stuck", "1", &()).await.unwrap();
    shop.deliver().await;
    let status = shop.runs.get(&id("stuck/1")).await.unwrap().unwrap();
    assert_eq!(status.state, RunState::Stalled);
    assert!(status.reason.unwrap().contains("the compensation `undo/impossible#1` failed: cannot be undone"));
    let calls = shop.runs.history(&id("stuck/1")).await.unwrap();
    let outcomes: Vec<_> =
        calls.iter().map(|call| (call.path.as_str(), call.outcome, call.message.as_deref())).collect();
    assert_eq!(outcomes, [("", "error", Some("no"))]);
    shop.runs.resume(&id("stuck/1")).await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.state_of("stuck/1").await, RunState::Failed);
    assert_eq!(shop.runs.resume(&id("stuck/1")).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn writes_are_applied_exactly_once() {
    let shop = shop();
    shop.runs.start("booking", "1", &3).await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.runs.output::<Option<u32>>(&id("booking/1")).await.unwrap(), Some(Some(3)));
    // The receipts are not items of the app.
    let items = shop.state.table.query("day").all().await.unwrap();
    assert_eq!(
        items.iter().map(|it| it.key.sort.as_str()).collect::<Vec<_>>(),
        ["count", "order-0", "order-1", "order-2"]
    );
}

#[tokio::test]
async fn a_workflow_without_an_end_keeps_its_partition_small() {
    let shop = shop();
    shop.runs.start("counter", "1", &0).await.unwrap();
    for number in 0..300 {
        shop.runs.signal(&id("counter/1"), "word", &number.to_string(), &number.to_string()).await.unwrap();
        if number % 7 == 0 {
            shop.advance(Duration::from_secs(24 * 3_600)).await;
        }
    }
    shop.runs.signal(&id("counter/1"), "word", "end", "end").await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.runs.output::<u32>(&id("counter/1")).await.unwrap(), Some(300));
    let notes = shop.state.notes();
    assert_eq!((notes.len(), notes[42].as_str()), (301, "word 42"));
    let rows = shop.client.cloud().table::<serde_json::Value>("runs").query("counter/1").all().await.unwrap();
    assert!(rows.len() < 150, "{} rows", rows.len());
}

#[tokio::test]
async fn the_list_of_runs_has_the_latest_first() {
    let shop = shop();
    for number in 0..5 {
        shop.runs.start("trip", &format!("a/{number}"), &false).await.unwrap();
        shop.advance(Duration::from_secs(1)).await;
    }
    let first = shop.runs.list("trip", 3, None).await.unwrap();
    let rest = shop.runs.list("trip", 3, first.last()).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|run| run.id.to_string()).collect();
    assert_eq!(ids, ["trip/a/4", "trip/a/3", "trip/a/2", "trip/a/1", "trip/a/0"]);
    assert_eq!(first[0].waits_for, ["departure"]);
}

#[tokio::test]
async fn a_tool_sees_and_changes_runs_by_a_function() {
    let shop = shop();
    let call = async |request: Value| shop.client.invoke::<Value>("runs-admin", &request).await;
    let start = json!({"start": {"run": "trip/1", "input": false}});
    assert_eq!(call(start.clone()).await.unwrap(), "accepted");
    shop.deliver().await;
    assert_eq!(call(start).await.unwrap(), "existing");
    assert_eq!(call(json!({"workflows": {}})).await.unwrap()["trip"], json!([1]));
    let listed = call(json!({"list": {"workflow": "trip"}})).await.unwrap();
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&json!("trip/1"), &json!("waiting")));
    assert_eq!(listed[0]["created_at"], "2026-01-01T00:00:00.000Z");
    let calls = call(json!({"history": {"run": "trip/1"}})).await.unwrap();
    assert_eq!((&calls[0]["path"], &calls[0]["outcome"]), (&json!("book#1"), &json!("value")));
    assert_eq!(calls.as_array().unwrap().len(), 3);
    assert_eq!(call(json!({"cancel": {"run": "trip/1", "reason": "rain"}})).await.unwrap(), Value::Null);
    shop.deliver().await;
    let status = call(json!({"get": {"run": "trip/1"}})).await.unwrap();
    assert_eq!((&status["state"], &status["reason"]), (&json!("cancelled"), &json!("the run was cancelled: rain")));
    let missing = call(json!({"get": {"run": "trip/2"}})).await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.message()),
        (ErrorKind::NotFound, "there is no run trip/2; it may not have begun")
    );
    assert_eq!(call(json!({"burn": {}})).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_run_that_has_ended_is_deleted_after_its_retention() {
    let shop = shop();
    shop.runs.start("parent", "1", &[1, 2, 3]).await.unwrap();
    shop.deliver().await;
    assert_eq!(shop.state_of("parent/1").await, RunState::Done);
    for _ in 0..32 {
        shop.advance(Duration::from_secs(24 * 3_600)).await;
    }
    let rows = shop.client.cloud().table::<serde_json::Value>("runs").scan().all().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.key.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
}
