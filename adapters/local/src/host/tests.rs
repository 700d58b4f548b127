//! The host without a suite around it: who may look, what is missed, and how it ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{Request, StatusCode};
use isobar_abstraction::{App, Clock, Cloud, ErrorKind, Hosted, ManualClock, Tick};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tower_service::Service;

use super::inspect::Inspector;
use crate::clock::SetClock;
use crate::{LocalConfig, LocalProvider};

fn provider(folder: &TempDir, clock: &(impl Clock + Clone)) -> LocalProvider {
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.grace) = (0, false, Duration::from_secs(10));
    LocalProvider::with_clock(config, Arc::new(clock.clone()))
}

fn hosted(provider: &LocalProvider, app: impl FnOnce(&Cloud) -> App) -> Hosted {
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = app(&cloud);
    let manifest = Arc::new(app.start(&cloud).unwrap());
    Hosted { function: Arc::new(app), manifest }
}

async fn ask(token: Option<&str>, headers: &[(&str, &str)]) -> StatusCode {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let app = hosted(&provider, |_| App::new("nothing"));
    let mut router = Inspector::new(provider, app, token.map(str::to_owned)).router();
    let with = |request: http::request::Builder, (name, value): &(&str, &str)| request.header(*name, *value);
    let request = headers.iter().fold(Request::get("/.isobar/"), with).body(Body::empty()).unwrap();
    router.call(request).await.unwrap().status()
}

#[tokio::test]
async fn only_pages_and_tools_of_this_machine_may_look() {
    for headers in [
        &[("host", "localhost:3000")][..],
        &[("host", "127.0.0.1:3000")],
        &[("host", "[::1]:3000")],
        &[("host", "localhost"), ("origin", "http://localhost:5173")],
    ] {
        assert_eq!(ask(None, headers).await, StatusCode::OK, "{headers:?}");
    }
    for headers in [
        &[][..],
        &[("host", "evil.example")],
        &[("host", "localhost.evil.example:3000")],
        &[("host", "127.0.0.1.evil.example")],
        &[("host", "localhost:3000"), ("origin", "https://evil.example")],
        &[("host", "localhost:3000"), ("origin", "null")],
        &[("host", "localhost:3000"), ("host", "evil.example")],
    ] {
        assert_eq!(ask(None, headers).await, StatusCode::FORBIDDEN, "{headers:?}");
    }
}

#[tokio::test]
async fn bound_elsewhere_it_asks_for_the_token() {
    let host = ("host", "laptop.example:3000");
    assert_eq!(ask(Some("s3cret"), &[host, ("authorization", "Bearer s3cret")]).await, StatusCode::OK);
    for wrong in ["Bearer s3creT", "Bearer s3cre", "Bearer s3cret2", "s3cret", ""] {
        assert_eq!(ask(Some("s3cret"), &[host, ("authorization", wrong)]).await, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    assert_eq!(ask(Some("s3cret"), &[("host", "localhost")]).await, StatusCode::UNAUTHORIZED);
}

/// Runs an app with a schedule until it has been called, or for a moment in which it is not.
async fn ticks(folder: &TempDir, clock: &ManualClock, advance: Duration) -> Vec<SystemTime> {
    ticks_on(folder, clock, || clock.advance(advance)).await
}

async fn ticks_on(folder: &TempDir, clock: &(impl Clock + Clone), change: impl FnOnce()) -> Vec<SystemTime> {
    let provider = provider(folder, clock);
    let (seen, called) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (sink, bell) = (Arc::clone(&seen), Arc::clone(&called));
    let app = hosted(&provider, move |_| {
        App::new("clockwork").on_schedule("hourly", "0 * * * *", move |tick: Tick, _| {
            sink.lock().push(tick.due);
            bell.notify_one();
            async {}
        })
    });
    let server = provider.bind().await.unwrap();
    let running = tokio::spawn(server.run(app, std::future::pending()));
    let quiet = Duration::from_millis(300);
    let _ = tokio::time::timeout(quiet, called.notified()).await;
    change();
    let _ = tokio::time::timeout(quiet, called.notified()).await;
    // A second call that must not come has its moment too.
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.abort();
    let _ = running.await;
    std::mem::take(&mut *seen.lock())
}

#[tokio::test]
async fn a_tick_that_was_missed_runs_once_at_start_and_a_new_schedule_has_missed_none() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let hour = Duration::from_secs(3600);
    let midnight = clock.now();
    assert_eq!(ticks(&folder, &clock, Duration::ZERO).await, [], "a new schedule has missed nothing");
    assert_eq!(ticks(&folder, &clock, hour).await, [midnight + hour], "it runs when it is due");
    clock.advance(hour * 5);
    let seen = ticks(&folder, &clock, Duration::ZERO).await;
    assert_eq!(seen, [midnight + hour * 2], "what was missed comes once, as of the first that was missed");
    assert_eq!(ticks(&folder, &clock, Duration::ZERO).await, [], "and not again");
}

/// The clock is a day ahead while the schedule runs, then it is set back by two days.
#[tokio::test]
async fn a_clock_that_is_set_back_silences_no_schedule() {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    for restart in [false, true] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), SetClock::default());
        ticks_on(&folder, &clock, || {}).await;
        let ahead = ticks_on(&folder, &clock, || clock.advance(day)).await;
        assert_eq!(ahead.len(), 1);
        if restart {
            clock.set_back(day * 2);
        }
        let seen = ticks_on(&folder, &clock, || {
            if !restart {
                clock.set_back(day * 2);
            }
            // What sleeps wakes and looks at the clock, as it does every half minute.
            clock.advance(Duration::from_secs(30));
        });
        assert_eq!(seen.await, []);
        let now = clock.now();
        let seen = ticks_on(&folder, &clock, || clock.advance(hour)).await;
        assert!(matches!(seen[..], [due] if due <= now + hour && due > now), "{seen:?}");
    }
}

#[tokio::test]
async fn stopping_lets_what_runs_end() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, gate) = (Arc::clone(&entered), Arc::clone(&release));
    let app = hosted(&provider, move |_| {
        let handler = move || {
            let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
            async move {
                told.notify_one();
                gate.notified().await;
                "done"
            }
        };
        App::new("slow").http(axum::Router::new().route("/", axum::routing::get(handler)))
    });
    let server = provider.bind().await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(app, async { drop(stopped.await) }));
    let asked = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    entered.notified().await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "it ended before the request");
    release.notify_one();
    assert!(asked.await.unwrap().ends_with("done"));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_whose_folder_or_store_is_gone_ends_with_the_reason() {
    for panics in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalConfig::new(folder.path().join("data"));
        (config.port, config.announce) = (0, false);
        let clock = ManualClock::default();
        let provider = LocalProvider::with_clock(config, Arc::new(clock.clone()));
        let app = hosted(&provider, |_| App::new("nothing"));
        let server = provider.bind().await.unwrap();
        let running = tokio::spawn(server.run(app, std::future::pending()));
        let visits = Cloud::new(Arc::new(provider.clone())).table::<u32>("visits");
        visits.put("a", &1).await.unwrap();
        match panics {
            true => drop(provider.store().write::<()>(|_| panic!("on a damaged page")).await),
            false => {
                std::fs::remove_dir_all(folder.path().join("data")).unwrap();
                // Nothing is written: the host looks by itself.
                clock.advance(Duration::from_secs(5));
            }
        }
        let ended = tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap_err();
        let why = if panics { "--check" } else { "removed or replaced" };
        assert!(ended.message().contains(why), "{ended}");
        assert!(visits.put("b", &2).await.is_err(), "nothing is acknowledged after it");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let first = provider(&folder, &ManualClock::default()).bind().await.unwrap();
    let mut config = LocalConfig::new(folder.path());
    config.port = first.address().port();
    let error = LocalProvider::new(config).bind().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("--port"), "{error}");
}
