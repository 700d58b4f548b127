//! Faults on purpose, on a host that runs.

use std::collections::{BTreeMap, BTreeSet};

use isobar_abstraction::driver::{EventQueue, Limits, Profile};
use isobar_abstraction::once::OnceResult;
use isobar_abstraction::pub_sub::{Outgoing, Topic};
use isobar_abstraction::{Error, Result};
use tokio::task::JoinHandle;

use super::super::Entrance;
use super::*;
use crate::pub_sub::Row;

const LOOSE: u32 = 40;
const KEYED: u32 = 10;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// What the app did: the bodies in the order of their deliveries, those that were handled, and the runs of the work.
#[derive(Default)]
struct Seen {
    delivered: Vec<String>,
    handled: BTreeSet<String>,
    fresh: BTreeMap<String, u32>,
}

fn app(cloud: &Cloud, seen: &Arc<Mutex<Seen>>) -> App {
    let (mails, handled, seen) = (cloud.once("mails"), cloud.table::<u32>("handled"), Arc::clone(seen));
    let handle = move |message: Message<String>, cx: Context| {
        let (mails, handled, seen) = (mails.clone(), handled.clone(), Arc::clone(&seen));
        async move {
            seen.lock().delivered.push(message.body.clone());
            let work = async |attempt: isobar_abstraction::once::Attempt| {
                if !attempt.is_interrupted() {
                    *seen.lock().fresh.entry(message.body.clone()).or_default() += 1;
                }
                Ok::<_, Error>(())
            };
            match mails.run(&cx, &message.body, work).await? {
                OnceResult::Fresh(()) | OnceResult::Replayed(()) => {}
                _ => return Err(Error::unavailable("another delivery works").with_retry_after(Duration::from_secs(60))),
            }
            handled.put(message.body.as_str(), &1).await?;
            seen.lock().handled.insert(message.body);
            Ok(())
        }
    };
    let jobs = cloud.topic::<String>("jobs");
    let retried = jobs.subscription("all").with_max_attempts(40);
    App::new("mailer").on_message(retried.with_backoff(Duration::from_secs(1), Duration::from_secs(60)), handle)
}

struct Process {
    provider: LocalProvider,
    serving: JoinHandle<Result<()>>,
}

/// Starts the app; a process that was killed releases the folder a moment later.
async fn start(config: &LocalConfig, clock: &ManualClock, seen: &Arc<Mutex<Seen>>) -> Process {
    let provider = LocalProvider::with_clock(config.clone(), Arc::new(clock.clone()));
    while provider.0.store.open().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let app = hosted(&provider, |cloud| app(cloud, seen));
    let serving = tokio::spawn(provider.bind().await.unwrap().run(app, std::future::pending()));
    Process { provider, serving }
}

/// Moves the clock until this is true: little while a handler runs, which has a deadline.
async fn until(clock: &ManualClock, process: &Process, is_true: impl Fn(Row) -> bool) {
    let queue = EventQueue::topic("jobs").named("all");
    for _ in 0..30_000 {
        let row = process.provider.0.queue.counts(&queue).unwrap();
        if is_true(row) {
            return;
        }
        clock.advance(Duration::from_millis(if row.leased > 0 { 20 } else { 1_000 }));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it did not happen");
}

/// Publishes as an app does that expects failures.
async fn publish(topic: &Topic<String>, message: Outgoing<String>) {
    loop {
        match topic.publish(message.clone()).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

fn is_sorted_by_key(delivered: &[String], key: &str) -> bool {
    delivered.iter().filter(|body| body.starts_with(key)).is_sorted()
}

async fn handles_everything(config: LocalConfig, kill: bool) -> (Seen, Option<String>) {
    let (clock, seen) = (ManualClock::default(), Arc::new(Mutex::new(Seen::default())));
    let mut process = start(&config, &clock, &seen).await;
    // Without a subscription a message is dropped.
    until(&clock, &process, |_| process.provider.0.queue.states().is_ok_and(|states| !states.is_empty())).await;
    let topic = Cloud::new(Arc::new(process.provider.clone())).topic::<String>("jobs");
    for number in 0..LOOSE {
        publish(&topic, Outgoing::new(format!("loose {number:03}"))).await;
    }
    for (number, key) in (0..KEYED).flat_map(|number| KEYS.map(|key| (number, key))) {
        publish(&topic, Outgoing::new(format!("{key} {number:03}")).with_ordering_key(key)).await;
    }
    drop(topic);
    if kill {
        until(&clock, &process, |_| seen.lock().handled.len() > 20).await;
        process.serving.abort();
        let _ = process.serving.await;
        drop(process.provider);
        process = start(&config, &clock, &seen).await;
    }
    until(&clock, &process, |row| {
        assert_eq!(row.dead, 0);
        row.waiting + row.leased == 0
    })
    .await;
    process.serving.abort();
    let totals = process.provider.0.chaos.as_ref().and_then(|chaos| chaos.totals());
    (std::mem::take(&mut *seen.lock()), totals)
}

#[tokio::test]
async fn chaos_loses_nothing_keeps_the_order_of_keys_and_work_that_runs_once_does() {
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalConfig::new(folder.path());
        (config.port, config.announce, config.chaos) = (0, false, Some(seed));
        let is_killed = seed == 3;
        let (seen, totals) = handles_everything(config, is_killed).await;
        let totals = totals.unwrap();
        let messages = usize::try_from(LOOSE + KEYED * 3).unwrap();
        assert_eq!(seen.handled.len(), messages, "{totals}");
        assert!(seen.delivered.len() > messages, "{totals}");
        assert!(KEYS.iter().all(|key| is_sorted_by_key(&seen.delivered, key)), "{:?}", seen.delivered);
        assert!(!is_sorted_by_key(&seen.delivered, "loose"), "{:?}", seen.delivered);
        assert!(seen.fresh.values().all(|runs| *runs == 1), "{:?}", seen.fresh);
        for fault in [" late", " delivered twice", " delivered again", " calls failed"] {
            // Those of the first process are not counted.
            assert!(is_killed || !totals.contains(&format!(" 0{fault}")), "{totals}");
        }
    }
}

/// A target that differs from this provider in everything that it imitates.
const TARGET: &str = r#"{"provider": "other", "colour": "red", "ttl_lag_ms": 3600000, "conditional_multipart": false, "limits":
    {"http_timeout_ms": 7000, "request_bytes": 5000, "transaction_writes": 3, "item_bytes": 1000}}"#;

fn imitating() -> Profile {
    serde_json::from_str(TARGET).unwrap()
}

#[tokio::test]
async fn a_target_delivers_in_no_order_without_a_key_and_its_limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.imitates) = (0, false, Some(imitating()));
    let (seen, totals) = handles_everything(config.clone(), false).await;
    assert_eq!((seen.handled.len(), totals), (usize::try_from(LOOSE + KEYED * 3).unwrap(), None));
    assert!(!is_sorted_by_key(&seen.delivered, "loose"), "{:?}", seen.delivered);
    assert!(KEYS.iter().all(|key| is_sorted_by_key(&seen.delivered, key)), "{:?}", seen.delivered);

    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    config.data = folder.path().to_owned();
    let provider = LocalProvider::with_clock(config, Arc::new(clock.clone()));
    let profile = Provider::profile(&provider);
    assert_eq!((profile.provider, profile.limits.event_timeout), ("local", Limits::PORTABLE.event_timeout));
    let cloud = Cloud::new(Arc::new(provider.clone())).allow_provider_limits();
    let mut transaction = cloud.table::<u32>("numbers").transact("all");
    for sort in ["a", "b", "c", "d"] {
        transaction = transaction.put(sort, &1);
    }
    let error = transaction.commit().await.unwrap_err();
    assert!(error.kind() == ErrorKind::TooLarge && error.message().contains('3'), "{error}");

    let read = axum::Router::new()
        .route("/", axum::routing::post(async |body: String| body))
        .route("/slow", axum::routing::get(async || std::future::pending::<()>().await));
    let mut app = App::new("app").http(read);
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let entrance = Arc::new(Entrance::new(&provider.0, Arc::new(provider.clone()), Hosted::new(app, manifest)));
    for (bytes, status) in [(5_000, StatusCode::OK), (5_001, StatusCode::PAYLOAD_TOO_LARGE)] {
        let request = Request::post("/").body(Body::from("x".repeat(bytes))).unwrap();
        assert_eq!(entrance.clone().answer(request).await.status(), status, "{bytes}");
    }
    let mut slow = Box::pin(entrance.answer(Request::get("/slow").body(Body::empty()).unwrap()));
    assert!(futures_util::FutureExt::now_or_never(&mut slow).is_none());
    clock.advance(imitating().limits.http_timeout);
    assert_eq!(slow.await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[test]
fn without_the_variables_nothing_differs() {
    let provider = LocalProvider::new(LocalConfig::new("unused"));
    assert!(provider.0.chaos.is_none() && provider.1.is_none());
    assert!(std::ptr::eq(provider.0.profile, &crate::profile::PROFILE));
}
