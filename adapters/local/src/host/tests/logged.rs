//! What the host logs of schedules and of signed URLs.

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use isobar_abstraction::Error;
use isobar_testkit::Log;
use tokio::sync::watch;

use super::super::{Entrance, Stop, schedule, signed};
use super::*;

/// The warnings and errors of one tick of the schedule `hourly`, which this app runs.
async fn failures_of_a_tick(app: App) -> Vec<String> {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let provider = provider(&folder, &clock);
    // It may warn of the folder.
    provider.0.store.open().unwrap();
    let log = Log::start();
    let declared = |_: &Cloud| App::new("declared").on_schedule("hourly", "0 * * * *", |_: Tick, _| async {});
    let trigger = hosted(&provider, declared).manifest.schedules().next().unwrap().clone();
    let function = hosted(&provider, |_| app).function;
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(schedule::run(trigger, Arc::clone(&provider.0), function, Stop(stopped)));
    for _ in 0..500 {
        if !log.failures().is_empty() {
            break;
        }
        clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.abort();
    log.failures()
}

#[tokio::test]
async fn a_tick_that_fails_is_logged_once_with_its_ids() {
    let fails = |panics: bool| {
        App::new("printer").on_schedule("hourly", "0 * * * *", move |_: Tick, _| async move {
            assert!(!panics, "out of paper");
            Err::<(), _>(Error::internal("out of paper"))
        })
    };
    for (app, reason) in [
        (fails(false), "out of paper"),
        (fails(true), "out of paper"),
        (App::new("nothing"), "no handler for schedule `hourly`"),
    ] {
        let lines = failures_of_a_tick(app).await;
        assert_eq!(lines.len(), 1, "{reason}: {lines:#?}");
        for part in [reason, "hourly", "invocation=", "trace="] {
            assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
        }
    }
}

#[tokio::test]
async fn signed_urls_have_the_ids_the_time_limit_and_the_log_of_the_app() {
    let (folder, clock, log) = (tempfile::tempdir().unwrap(), ManualClock::default(), Log::start());
    let provider = provider(&folder, &clock);
    let app = hosted(&provider, |_| App::new("nothing"));
    let entrance = Arc::new(Entrance::new(&provider.0, Arc::new(provider.clone()), app));
    let (pages, minute) = (Cloud::new(Arc::new(provider.clone())).bucket("pages"), Duration::from_secs(60));
    pages.put("page", vec![7; 1_000_000]).await.unwrap();
    let get = pages.signed_get("page", minute).await.unwrap().url;
    let put = pages.signed_put("page", minute).await.unwrap().url;

    let broken = entrance.clone().answer(Request::get(get.as_str()).body(Body::empty()).unwrap()).await;
    assert_eq!((broken.status(), broken.headers().contains_key("x-request-id")), (StatusCode::OK, true));
    for content in std::fs::read_dir(folder.path().join("objects")).unwrap() {
        let content = std::fs::File::options().write(true).open(content.unwrap().path()).unwrap();
        content.set_len(0).unwrap();
    }
    assert!(broken.into_body().collect().await.is_err());

    let drips = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let mut late = Box::pin(entrance.clone().answer(Request::put(put.as_str()).body(drips).unwrap()));
    assert!(late.as_mut().now_or_never().is_none());
    clock.advance(signed::LONGEST);
    assert_eq!(late.await.status(), StatusCode::GATEWAY_TIMEOUT);

    let none = entrance.answer(Request::get("/.isobar/mine").body(Body::empty()).unwrap()).await;
    assert_eq!((none.status(), none.headers().contains_key("x-request-id")), (StatusCode::NOT_FOUND, true));

    let lines = log.lines();
    for parts in [
        ["ERROR", "the response was cut", "/.isobar/objects/pages/page", "invocation="],
        ["INFO", "GET /.isobar/objects/pages/page 200 in", "trace=", "invocation="],
        ["INFO", "PUT /.isobar/objects/pages/page 504 in", "trace=", "invocation="],
        ["INFO", "GET /.isobar/mine 404 in", "trace=", "invocation="],
    ] {
        assert!(lines.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?}: {lines:#?}");
    }
    assert!(!lines.concat().contains("signature="), "{lines:#?}");
}
