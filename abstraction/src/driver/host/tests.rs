//! Responses, outcomes and log lines of calls that succeed, fail and pass their deadline.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::{Request, Response};
use axum::Router;
use axum::routing::get;
use http_body_util::BodyExt;
use isobar_testkit::Log;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::event_queue::EventQueue;
use crate::pub_sub::{DEFAULT_SUBSCRIPTION, Message, MessageId};
use crate::{App, Body, BoxError, Cloud, ObjectChange, ObjectEvent, Tick};

async fn late() -> &'static str {
    std::future::pending().await
}

async fn broken() -> Body {
    let parts = [Ok(Bytes::from_static(b"half")), Err(BoxError::from("the disk is gone"))];
    Body::from_stream(futures_util::stream::iter(parts))
}

async fn endless() -> Body {
    Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, BoxError>(Bytes::from_static(b"more"))))
}

async fn silent() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Bytes, BoxError>>())
}

fn app() -> App {
    let routes = Router::new()
        .route("/fine", get("fine"))
        .route("/error", get(async || Err::<(), _>(Error::internal("out of paper"))))
        .route("/refused", get(async || Err::<(), _>(Error::not_found("no paper").with_source(std::fmt::Error))))
        .route("/panic", get(async || -> () { panic!("out of paper") }))
        .route("/late", get(late))
        .route("/broken", get(broken))
        .route("/endless", get(endless))
        .route("/silent", get(silent));
    let mut app = App::new("printer").http(routes);
    app.start(&Cloud::memory()).unwrap();
    app
}

/// The status, whether the body was complete, and the lines of the log.
async fn logged(path: &str) -> (u16, bool, Vec<String>) {
    let (log, clock) = (Log::start(), Arc::new(ManualClock::default()));
    let cx = Context::with_id("memory", clock.clone(), "inv-7").with_deadline(clock.now() + Duration::from_secs(29));
    let cx = cx.with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    let app = app();
    let mut answered = std::pin::pin!(answer(&app, Request::get(path).body(Body::empty()).unwrap(), cx));
    if let Some(response) = futures_util::FutureExt::now_or_never(answered.as_mut()) {
        return read(response, &clock, log).await;
    }
    clock.advance(Duration::from_secs(29));
    read(answered.await, &clock, log).await
}

async fn read(response: Response<Body>, clock: &ManualClock, log: Log) -> (u16, bool, Vec<String>) {
    assert_eq!(response.headers()[REQUEST_ID], "inv-7");
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        whole &= frame.is_ok();
        clock.advance(Duration::from_secs(10));
    }
    (status, whole, log.lines())
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_request() {
    for (path, status, whole, text) in [
        ("/error", 500, true, "out of paper"),
        ("/panic", 500, true, "out of paper"),
        ("/late", 504, true, "before its deadline"),
        ("/broken", 200, false, "the disk is gone"),
        ("/endless", 200, false, "before its deadline"),
    ] {
        let (found, ended, lines) = logged(path).await;
        assert_eq!((found, ended), (status, whole), "{path}");
        let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("ERROR")).collect();
        assert_eq!(errors.len(), 1, "{path}: {lines:#?}");
        for part in [text, path, "inv-7", "4bf92f3577b34da6a3ce929d0e0e4736", "GET"] {
            assert!(errors[0].contains(part), "{path}: {part} is not in {}", errors[0]);
        }
    }
}

#[tokio::test]
async fn the_source_of_a_4xx_is_logged_for_debugging() {
    let (status, _, lines) = logged("/refused").await;
    assert_eq!(status, 404);
    let text = format!("no paper (not-found): {}", std::fmt::Error);
    assert!(lines.iter().any(|line| line.starts_with("DEBUG") && line.contains(&text)), "{lines:#?}");
}

#[tokio::test]
async fn a_body_that_never_begins_is_cut_at_the_deadline() {
    let clock = ManualClock::default();
    let cx = Context::new("memory", Arc::new(clock.clone())).with_deadline(clock.now() + Duration::from_secs(29));
    let mut body = answer(&app(), Request::get("/silent").body(Body::empty()).unwrap(), cx).await.into_body();
    let reading = tokio::spawn(async move { (body.frame().await, body.frame().await) });
    // The body is polled once, and then only where something wakes its task.
    tokio::task::yield_now().await;
    assert!(!reading.is_finished(), "cut before the deadline");
    clock.advance(Duration::from_secs(29));
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    let (first, then) = read.expect("nothing woke the body at its deadline").unwrap();
    assert!(first.is_some_and(|frame| frame.is_err()), "the client sees no error");
    assert!(then.is_none(), "a body that was cut has ended");
}

#[tokio::test]
async fn every_answer_is_a_line_with_method_path_status_and_ids() {
    for (path, status) in [("/fine", 200), ("/none", 404), ("/late", 504)] {
        let (_, _, lines) = logged(path).await;
        let line = lines.iter().find(|line| line.starts_with("INFO")).unwrap();
        for part in [&format!("GET {path} {status} in "), "inv-7", "4bf92f3577b34da6a3ce929d0e0e4736"] {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_where_it_must_be_whole() {
    let cx = Context::new("memory", Arc::new(ManualClock::default()));
    let response = answer_whole(&app(), Request::get("/broken").body(Body::empty()).unwrap(), cx).await;
    assert_eq!(response.status(), 500);
    assert!(!String::from_utf8_lossy(response.body()).contains("disk"), "{response:?}");
}

/// An app whose handlers of events do not end.
fn hanging(cloud: &Cloud) -> App {
    App::new("hanging")
        .on_message(&cloud.topic::<u32>("jobs"), |_, _cx| std::future::pending::<()>())
        .on_object(cloud.bucket("pages").events("thumbs"), |_, _cx| std::future::pending::<()>())
        .on_schedule("sweep", "0 3 * * *", |_, _cx| std::future::pending::<()>())
        .on_invoke("stats", |(), _cx| std::future::pending::<Result<()>>())
}

#[tokio::test]
async fn an_event_that_is_late_is_logged_once_in_its_span() {
    const LATE: &str = "the handler did not end before its deadline; give it less to do";
    let object = ObjectEvent::new("pages", "a", ObjectChange::Deleted, SystemTime::UNIX_EPOCH);
    for (event, resource) in [
        (message("m-1"), "jobs"),
        (Event::Object { trigger: "thumbs".to_owned(), event: object }, "resource=\"pages\" trigger=\"thumbs\""),
        (Event::Schedule(Tick::new("sweep", SystemTime::UNIX_EPOCH)), "sweep"),
        (Event::Invoke(Invocation::new("stats", "null")), "stats"),
    ] {
        let (log, clock, cloud) = (Log::start(), Arc::new(ManualClock::default()), Cloud::memory());
        let cx =
            Context::with_id("memory", clock.clone(), "inv-7").with_deadline(clock.now() + Duration::from_secs(60));
        let cx = cx.with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        let mut app = hanging(&cloud);
        app.start(&cloud).unwrap();
        let mut called = std::pin::pin!(async {
            match event {
                Event::Invoke(call) => invoke(&app, call, cx).await.unwrap_err(),
                event => handle(&app, event, cx).await.unwrap().into_result().unwrap_err(),
            }
        });
        assert!(called.as_mut().now_or_never().is_none(), "{resource}");
        clock.advance(Duration::from_secs(60));
        assert_eq!(called.now_or_never().unwrap().message(), LATE, "{resource}");
        let failures = log.failures();
        let [line] = failures.as_slice() else { panic!("{resource}: {failures:#?}") };
        for part in [LATE, resource, "inv-7", "4bf92f3577b34da6a3ce929d0e0e4736"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

/// A function that returns this for each event.
struct Answers(fn() -> Result<Reply>);

#[async_trait::async_trait]
impl Function for Answers {
    async fn call(&self, _: Event, cx: Context) -> Result<Reply> {
        // A call without a deadline runs to its end, however late it is.
        cx.sleep(Duration::from_secs(3_600)).await;
        self.0()
    }
}

fn message(id: &str) -> Event {
    let message = Message::new(MessageId::new(id), "7", SystemTime::UNIX_EPOCH);
    Event::Message { topic: "jobs".to_owned(), subscription: DEFAULT_SUBSCRIPTION.to_owned(), message }
}

#[tokio::test]
async fn every_reply_is_an_outcome_and_a_call_without_a_deadline_runs_to_its_end() {
    for (answer, outcome) in [
        (Answers(|| Ok(Reply::Handled(Outcome::Ack))), Outcome::Ack),
        (Answers(|| Ok(Reply::Invoke(Bytes::new()))), Outcome::retry(wrong_reply().to_string())),
        (Answers(|| Err(Error::not_found("no handler"))), Outcome::retry("no handler (not-found)")),
    ] {
        let (log, clock) = (Log::start(), ManualClock::default());
        let mut delivered =
            std::pin::pin!(deliver(&answer, message("m-1"), Context::new("memory", Arc::new(clock.clone()))));
        assert!(delivered.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(delivered.await, outcome);
        let is_logged = log.failures().iter().any(|line| line.starts_with("ERROR") && line.contains("id=\"m-1\""));
        assert_eq!(is_logged, outcome != Outcome::Ack, "{}", log.text());
    }
}

#[tokio::test]
async fn a_direct_call_has_an_answer_or_an_error() {
    let call = async |answer: fn() -> Result<Reply>| {
        let clock = ManualClock::default();
        let cx = Context::new("memory", Arc::new(clock.clone()));
        let function = Answers(answer);
        let mut called = std::pin::pin!(invoke(&function, Invocation::new("stats", ""), cx));
        assert!(called.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(3_600));
        called.await
    };
    assert_eq!(call(|| Ok(Reply::Invoke(Bytes::new()))).await.unwrap(), "null");
    assert_eq!(call(|| Ok(Reply::Handled(Outcome::Ack))).await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn the_outcomes_of_changes_of_one_notification_become_one() {
    let cloud = Cloud::memory();
    let mut app = App::new("index").on_object(&cloud.bucket("pages"), |event: ObjectEvent, _cx| async move {
        match event.key.as_str() {
            "retry" => Outcome::retry_after(Duration::from_secs(7), "not yet"),
            "a//b." => Outcome::Ack,
            key => Outcome::reject(key),
        }
    });
    app.start(&cloud).unwrap();
    let cx = Context::new("memory", Arc::new(ManualClock::default()));
    let changed = async |changes: &[(&str, &str)]| {
        let change = |(bucket, stored): &(&str, &str)| StoredChange {
            bucket: (*bucket).to_owned(),
            stored: (*stored).to_owned(),
            change: ObjectChange::Deleted,
            time: SystemTime::UNIX_EPOCH,
        };
        deliver_changes(&app, &EventQueue::bucket("pages"), "web-prod", changes.iter().map(change).collect(), &cx).await
    };
    let (good, retry, foreign) = (("web-prod", "a/%/b%2E"), ("web-prod", "retry"), ("others", "a"));
    assert_eq!(changed(&[]).await, Outcome::Ack);
    assert_eq!(changed(&[good, good]).await, Outcome::Ack);
    assert!(matches!(changed(&[good, foreign]).await, Outcome::Reject { reason } if reason.contains("`others`")));
    assert!(matches!(changed(&[foreign, retry, good]).await, Outcome::Retry { after: Some(_), .. }));
}
