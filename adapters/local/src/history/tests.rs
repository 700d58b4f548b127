//! What the history records and forgets, without a host.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Function;
use isobar_abstraction::driver::host;
use isobar_abstraction::driver::pub_sub::{Message, MessageId};
use isobar_abstraction::{App, Body, Cloud, Context, Event, Invocation, Tick};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

use super::*;

fn context() -> Context {
    Context::new("local", Arc::new(ManualClock::default()))
}

fn tick() -> Event {
    Event::Schedule(Tick::new("sweep", std::time::UNIX_EPOCH))
}

/// The only record.
fn only(history: &History) -> Value {
    let mut records = history.changes(None, 10).records;
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

fn details(history: &History) -> Value {
    history.details(only(history)["id"].as_u64().unwrap()).unwrap()
}

#[test]
fn a_reader_gets_what_changed_since_its_last_number() {
    let history = History::new();
    let first = history.begin(&tick(), &context(), false);
    let Changes { cursor, records } = history.changes(None, 10);
    assert_eq!((records.len(), &records[0]["status"], &records[0]["took"]), (1, &json!("running"), &Value::Null));
    assert_eq!(history.changes(Some(cursor), 10).records.len(), 0);
    let second = history.begin(&tick(), &context(), false);
    first.end(Ending::Failed("no paper".to_owned()));
    let Changes { cursor, records } = history.changes(Some(cursor), 10);
    assert_eq!(records.iter().map(|record| &record["status"]).collect::<Vec<_>>(), ["failed", "running"]);
    assert_eq!(records[0]["reason"], "no paper");
    drop(second);
    assert_eq!(history.changes(Some(cursor), 10).records[0]["status"], "gone");
    // A reader that is behind gets the rest later.
    let Changes { cursor: next, records: part } = history.changes(Some(1), 1);
    assert_eq!((part.len(), history.changes(Some(next), 10).records.len()), (1, 1));
    // A number of another process, whose clock was ahead.
    assert_eq!(history.changes(Some(u64::MAX), 10).records.len(), 2);
    let (newest, more) = history.before(None, 1);
    assert!(more && newest[0]["id"].as_u64() > records[0]["id"].as_u64());
    assert_eq!(history.before(newest[0]["id"].as_u64(), 10), (records[..1].to_vec(), false));
}

#[test]
fn a_clock_far_ahead_harms_nothing() {
    let (history, clock) = (History::new(), ManualClock::default());
    clock.advance(Duration::from_secs(1 << 55));
    let cx = Context::new("local", Arc::new(clock));
    (0..3).for_each(|_| history.begin(&tick(), &cx, false).end(Ending::Done(None)));
    assert!(history.changes(None, 9).cursor < LAST);
    assert_eq!(history.changes(None, 9).records.len(), 3);
}

#[test]
fn old_records_are_forgotten_by_number_and_by_size() {
    let history = History::new();
    let reader = history.reader();
    for _ in 0..=RECORDS {
        history.begin(&tick(), &context(), false).end(Ending::Done(None));
    }
    let (records, more) = history.before(None, RECORDS + 10);
    assert_eq!((records.len(), more), (RECORDS, false));
    let call = Event::Invoke(Invocation::new("import", vec![b' '; BYTES / 4]));
    (0..5).for_each(|_| history.begin(&call, &context(), false).end(Ending::Done(None)));
    let kinds: Vec<_> = history.before(None, 10).0.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["invoke"; 3]);
    assert!(history.0.as_ref().unwrap().ring.lock().bytes < BYTES);
    assert_eq!(history.unrecorded(), 0);
    drop(reader);
    (0..RECORDS).for_each(|_| drop(history.begin(&tick(), &context(), false)));
    let recorded = history.before(None, RECORDS).0.iter().filter(|record| record["status"] == "gone").count();
    assert!(recorded >= 100 && history.unrecorded() + recorded as u64 == RECORDS as u64, "{recorded}");
}

#[tokio::test]
async fn bodies_count_also_where_they_end_after_the_response() {
    let (history, size) = (History::new(), 200_000);
    let routes = axum::Router::new()
        .route("/read", axum::routing::get(move || async move { vec![b'x'; size] }))
        .route("/refuse", axum::routing::post(async || StatusCode::NOT_FOUND));
    let app = App::new("app").http(routes);
    let _reader = history.reader();
    for _ in 0..400 {
        let response = send(&history, &app, Request::get("/read").body(Body::empty()).unwrap()).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), size);
        send(&history, &app, Request::post("/refuse").body(Body::from(vec![b'y'; size])).unwrap()).await;
        tokio::task::yield_now().await;
    }
    let bytes: usize = history.0.as_ref().unwrap().ring.lock().records.iter().map(Record::bytes).sum();
    assert!(bytes > BYTES / 2 && bytes <= BYTES, "{bytes}");
    let folder = tempfile::tempdir().unwrap();
    history.save(folder.path(), true);
    let stored = std::fs::metadata(folder.path().join("history.jsonl")).unwrap().len();
    assert!(stored > 1_000_000 && stored <= 4 * 1024 * 1024, "{stored}");
}

/// Sends a request to an app through the history.
async fn send(history: &History, app: &dyn Function, request: Request<Body>) -> Response<Body> {
    let cx = context();
    let (request, running) = history.begin_request(request, &cx, false);
    running.respond(host::answer(app, request, cx).await)
}

fn app(answer: &'static str) -> App {
    let route = axum::routing::post(move |body: axum::body::Bytes| async move {
        (StatusCode::from_u16(u16::try_from(body.len()).unwrap()).unwrap(), answer)
    });
    App::new("app").http(axum::Router::new().route("/{*path}", route))
}

#[tokio::test]
async fn a_request_is_recorded_with_its_bodies_and_can_run_again() {
    let (history, app) = (History::new(), app("no such page"));
    let request =
        Request::post("/a%20b?c=1").header("authorization", "Bearer hunter2").header("x-Api-Token", "hunter2");
    let response = send(&history, &app, request.body(Body::from(vec![b'x'; 404])).unwrap()).await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no such page");
    let details = details(&history);
    assert_eq!((&details["record"]["title"], &details["record"]["tone"]), (&json!("POST /a%20b?c=1"), &json!("warn")));
    assert_eq!(details["response"]["body"], json!({"size": 12, "text": "no such page"}));
    assert_eq!(details["request"]["body"]["size"], 404);
    assert!(details["request"]["headers"].as_array().unwrap().contains(&json!(["x-api-token", "(hidden)"])));
    assert!(!details.to_string().contains("hunter2"), "{details}");
    let content = history.content(details["record"]["id"].as_u64().unwrap()).unwrap();
    let Event::Http(again) = content.into_event() else { panic!("it is no request") };
    assert_eq!(
        (again.uri().to_string(), &again.headers()["authorization"]),
        ("/a%20b?c=1".into(), &"Bearer hunter2".parse().unwrap())
    );
    assert_eq!(again.into_body().collect().await.unwrap().to_bytes().len(), 404);
}

#[tokio::test]
async fn the_body_of_a_success_is_recorded_while_a_client_reads_and_a_body_that_the_app_does_not_read_too() {
    let history = History::new();
    let refuse = axum::routing::post(async || StatusCode::OK);
    let app = App::new("app").http(axum::Router::new().route("/", refuse));
    let body = || Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("abc"), Ok("de")]));
    let sized = Request::post("/").body(Body::from("abc")).unwrap();
    send(&history, &app, sized).await;
    tokio::task::yield_now().await;
    assert_eq!(details(&history)["request"]["body"], json!({"size": 3, "text": "abc"}));
    assert_eq!(details(&history)["response"]["body"], Value::Null);
    // Nothing is known of the size of this one: it may have no end.
    let _reader = history.reader();
    send(&history, &app, Request::post("/").body(body()).unwrap()).await;
    tokio::task::yield_now().await;
    let last = history.before(None, 1).0.remove(0);
    assert_eq!(last["can_run_again"], false);
    let last = history.details(last["id"].as_u64().unwrap()).unwrap();
    assert_eq!((&last["request"]["body"]["cut"], &last["response"]["body"]["size"]), (&json!(true), &json!(0)));
}

#[test]
fn a_body_is_shown_as_text_or_in_hexadecimal_and_is_cut_where_it_is_long() {
    let recorded_body = |body: &[u8]| {
        let history = History::new();
        let message = Message::new(MessageId::new("7"), body.to_vec(), std::time::UNIX_EPOCH);
        let event = Event::Message { topic: "jobs".into(), subscription: "default".into(), message };
        history.begin(&event, &context(), false).end(Ending::Done(None));
        details(&history)["request"]["body"].clone()
    };
    assert_eq!(recorded_body("<b>é".as_bytes()), json!({"size": 5, "text": "<b>é"}));
    assert_eq!(recorded_body(&[0xff, 0]), json!({"size": 2, "hex": "ff00"}));
    let long = recorded_body("é".repeat(100_000).as_bytes());
    assert_eq!((&long["size"], &long["cut"]), (&json!(200_000), &json!(true)));
    assert_eq!(long["text"].as_str().unwrap().len(), 64 * 1024);
}

#[tokio::test]
async fn lines_and_operations_are_those_of_the_event_also_in_its_tasks() {
    let layer = HistoryLayer::new();
    let subscriber = tracing_subscriber::registry().with(layer.clone().filtered());
    let _guard = tracing::subscriber::set_default(subscriber);
    let history = History::of_subscriber();
    let cloud = Cloud::memory();
    let links = cloud.table::<u32>("links");
    let count = move |(): (), _: Context| {
        let links = links.clone();
        async move {
            links.put("a", &1).await?;
            tracing::warn!(left = 3, "the paper is short");
            tracing::debug!("not recorded");
            tracing::error!(error = "no ink: \u{1b}[31m", "it cannot print");
            Ok::<_, isobar_abstraction::Error>(())
        }
    };
    let mut app = App::new("app").on_invoke("count", count);
    app.start(&cloud).unwrap();
    tracing::error!("of no event");
    let (cx, call) = (context(), Invocation::new("count", "null"));
    let running = history.begin(&Event::Invoke(call.clone()), &cx, false);
    running.run(std::pin::pin!(host::invoke(&app, call, cx))).await.unwrap();
    running.end(Ending::Failed("it cannot print".to_owned()));
    let details = details(&layer.history());
    let lines: Vec<_> = details["lines"].as_array().unwrap().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(lines, ["the paper is short", "it cannot print"]);
    assert_eq!(details["lines"][0]["fields"], json!({"left": "3"}));
    let operations = details["operations"].as_array().unwrap();
    assert_eq!((operations.len(), &operations[0]["operation"]), (1, &json!("put")));
    assert_eq!(operations[0]["resource"], "table `links`");
    assert!(operations[0]["took_ms"].as_f64().unwrap() <= Duration::from_secs(5).as_millis() as f64);
}

#[tokio::test]
async fn a_history_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::new();
    send(
        &history,
        &app("no \u{1b}"),
        Request::post("/a?b")
            .header("x-a", "1")
            .header("x-hub-signature-256", "hunter2")
            .body(Body::from("x".repeat(500)))
            .unwrap(),
    )
    .await;
    let message = Message::new(MessageId::new("7"), vec![0xff, 0], std::time::UNIX_EPOCH);
    let message = Event::Message { topic: "jobs".into(), subscription: "mail".into(), message };
    history.begin(&message, &context(), true).end(Ending::Retry("late".into(), Duration::from_millis(1_500)));
    let call = Event::Invoke(Invocation::new("count", "7"));
    history.begin(&call, &context(), false).end(Ending::Done(Some("8".into())));
    let cut = history.begin(&tick(), &context(), false);
    history.save(folder.path(), false);
    assert!(!std::fs::read_to_string(folder.path().join("history.jsonl")).unwrap().contains("hunter2"));
    let unloaded = History::new();
    unloaded.load(folder.path());
    assert_eq!(unloaded.before(None, 9).0[3]["can_run_again"], false);
    history.save(folder.path(), true);
    drop(cut);
    let later = History::new();
    later.load(folder.path());
    let ids: Vec<_> = later.before(None, 9).0.iter().map(|record| record["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    for id in ids {
        let (mut before, after) = (history.details(id).unwrap(), later.details(id).unwrap());
        if before["record"]["kind"] == "schedule" {
            // It was running: its end is that of the process.
            (before["record"]["took"], before["trace"][0]["record"]["took"]) = (json!(0.0), json!(0.0));
        }
        assert_eq!(before, after);
        assert!(later.content(id).is_some());
    }
    // It is read once, and its numbers are not used again.
    assert!(!folder.path().join("history.jsonl").exists());
    let last = later.changes(None, 9).cursor;
    assert!(later.begin(&tick(), &context(), false).id().unwrap() > last);
    let file = folder.path().join("history.jsonl");
    later.save(folder.path(), true);
    let line = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    let number = serde_json::from_str::<Value>(&line).unwrap()["changed"].to_string();
    let beyond = line.replace(&format!("\"changed\":{number}"), &format!("\"changed\":{}", u64::MAX));
    assert_ne!(beyond, line);
    for wrong in ["{\"id\": 1}\n".to_owned(), beyond, format!("{line}\n").repeat(20_000)] {
        std::fs::write(&file, wrong).unwrap();
        later.load(folder.path());
        assert_eq!(later.before(None, 9).0.len(), 5);
    }
}
