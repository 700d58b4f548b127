//! Sides that fail. The time of these tests is tokio's, and passes without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isobar_abstraction::{Error, ErrorKind};
use isobar_moving::{Journal, Options, migrate, verify};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::{Call, Fault, Faults, Place, Random, is_equal, written};

const LATENCY: Duration = Duration::from_millis(20);

fn quiet(latency: Duration) -> Arc<Faults> {
    Faults::new(latency, |_| None)
}

/// Does the run write each item and object once, but those whose requests were repeated?
fn check_applied(target: &Faults, repeated: &BTreeMap<String, u32>, most: u32) {
    for (key, count) in &*target.applied.lock() {
        let may = 1 + repeated.get(key).copied().unwrap_or_default();
        assert!(*count <= may * most, "{key} was written {count} times, and may be {may} times");
    }
}

/// The target throttles for a second; then it serves all. How fast it goes on is tested with the pace itself, whose time is exact.
#[tokio::test(start_paused = true)]
async fn what_was_throttled_is_repeated() {
    for retry_after in [None, Some(Duration::from_secs(5))] {
        let (source, target) = (Place::memory(), Place::memory());
        source.fill(0..0, 0..1_000).await;
        let began = Instant::now();
        let repeated = Arc::new(Mutex::new(0));
        let count = Arc::clone(&repeated);
        let faults = Faults::new(LATENCY, move |call| {
            let at = began.elapsed().as_millis();
            let is_throttled = call.operation == "put" && (100..1_100).contains(&at);
            is_throttled.then(|| {
                *count.lock() += 1;
                let error = Error::throttled("slow down");
                Fault::Before(retry_after.map_or(error.clone(), |after| error.with_retry_after(after)))
            })
        });
        let (from, to) = (source.side("from"), target.faulty("to", &faults));
        let moved = migrate(&from, &to, &Journal::in_memory().unwrap(), &Options::default(), &()).await.unwrap();
        assert!(is_equal(&moved) && written(&moved) == 1_000, "{moved:?}");
        check_applied(&faults, &BTreeMap::new(), 1);
        let repeated = *repeated.lock();
        assert!((1..100).contains(&repeated), "{repeated} requests were throttled");
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }
}

/// Some calls on both sides fail, before and after they are applied, and contents break off.
async fn fails_sometimes(seed: u64) {
    let (source, target) = (Place::memory(), Place::memory());
    source.fill(0..3_000, 0..60).await;
    let large: Vec<u8> = (0..(17 << 20)).map(|at: u32| (at % 251) as u8).collect();
    source.files().put("large", large).await.unwrap();
    let repeated: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let script = |seed: u64, repeated: Arc<Mutex<BTreeMap<String, u32>>>| {
        let random = Mutex::new(Random::new(seed));
        move |call: &Call<'_>| {
            let number = random.lock().below(100);
            let error = match number % 3 {
                0 => Error::throttled("slow down"),
                1 => Error::unavailable("the service cannot serve now"),
                _ => Error::timeout("no response arrived"),
            };
            match number {
                0..6 => Some(Fault::Before(error)),
                6..10 => {
                    *repeated.lock().entry(call.key.to_owned()).or_default() += 1;
                    Some(Fault::After(error.with_outcome_unknown()))
                }
                10..15 if call.operation == "read" => Some(Fault::Cut),
                _ => None,
            }
        }
    };
    let (bad_source, bad_target) = (
        Faults::new(LATENCY, script(seed, Arc::default())),
        Faults::new(LATENCY, script(seed + 1, Arc::clone(&repeated))),
    );
    let (from, to) = (source.faulty("from", &bad_source), target.faulty("to", &bad_target));
    let (began, journal) = (Instant::now(), Journal::in_memory().unwrap());
    let moved = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert!(is_equal(&moved) && written(&moved) == 3_061, "seed {seed}: {moved:?}");
    assert!(source.content().await == target.content().await, "seed {seed}");
    // An upload in parts has several requests, and a repeated one repeats them all.
    let parts = bad_target.applied.lock().remove("large");
    assert!((4..60).contains(&parts.unwrap_or_default()), "{parts:?}");
    check_applied(&bad_target, &repeated.lock(), 1);
    println!("seed {seed}: {:?}, {} and {} calls", began.elapsed(), bad_source.calls(), bad_target.calls());
    assert!(began.elapsed() < Duration::from_secs(600), "seed {seed}: {:?}", began.elapsed());

    // Deletes and changes too.
    let (table, files) = (source.table(), source.files());
    for n in 0..200 {
        table.delete(&(format!("p{}", n % 17), format!("{n:05}")).into(), None).await.unwrap();
    }
    files.delete("o/00003").await.unwrap();
    files.put("o/00004", "another").await.unwrap();
    bad_target.applied.lock().clear();
    let moved = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert!(is_equal(&moved) && written(&moved) == 1, "seed {seed}: {moved:?}");
    assert!(source.content().await == target.content().await, "seed {seed}");
    assert!(bad_target.applied.lock().len() <= 202, "what did not change was written");
}

#[tokio::test(start_paused = true)]
async fn requests_that_fail_sometimes_are_repeated() {
    for seed in [1, 2, 3] {
        fails_sometimes(10 * seed).await;
    }
}

/// The target accepts nothing any more after some writes: the run ends with the reason, and goes on when there is space.
#[tokio::test(start_paused = true)]
async fn a_full_target_ends_the_run_with_its_reason() {
    let (source, target) = (Place::memory(), Place::memory());
    source.fill(0..2_000, 0..50).await;
    let is_full = Arc::new(AtomicBool::new(true));
    let full = Arc::clone(&is_full);
    let faults = Faults::new(LATENCY, move |call| {
        let is_rejected = call.operation == "put" && call.number > 700 && full.load(Ordering::Relaxed);
        is_rejected.then(|| Fault::Before(Error::unavailable("there is no space left")))
    });
    let (from, to) = (source.side("from"), target.faulty("to", &faults));
    let (began, journal) = (Instant::now(), Journal::in_memory().unwrap());
    let error = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("table `items`") && error.to_string().contains("no space left"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(180), "{:?}", began.elapsed());
    is_full.store(false, Ordering::Relaxed);
    let moved = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert!(is_equal(&moved), "{moved:?}");
    check_applied(&faults, &BTreeMap::new(), 1);
    assert!(source.content().await == target.content().await);
}

/// A credential expires on one side: the run ends without repetitions, and the same call goes on with a new credential.
async fn stops_without_credential(is_source: bool) {
    let (source, target) = (Place::memory(), Place::memory());
    source.fill(0..2_000, 0..200).await;
    let expired = Arc::new(AtomicBool::new(true));
    let is_expired = Arc::clone(&expired);
    let faults = Faults::new(LATENCY, move |call| {
        let is_rejected = call.number > if is_source { 9 } else { 1_500 } && is_expired.load(Ordering::Relaxed);
        is_rejected.then(|| Fault::Before(Error::unauthenticated("the credential has expired")))
    });
    let (from, to, writes) = match is_source {
        true => {
            let writes = quiet(LATENCY);
            (source.faulty("from", &faults), target.faulty("to", &writes), writes)
        }
        false => (source.side("from"), target.faulty("to", &faults), Arc::clone(&faults)),
    };
    let (began, journal) = (Instant::now(), Journal::in_memory().unwrap());
    let error = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    expired.store(false, Ordering::Relaxed);
    let moved = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert!(is_equal(&moved), "{moved:?}");
    check_applied(&writes, &BTreeMap::new(), 1);
    assert!(source.content().await == target.content().await);
}

#[tokio::test(start_paused = true)]
async fn an_expired_credential_ends_the_run_immediately() {
    stops_without_credential(true).await;
    stops_without_credential(false).await;
}

/// A comparison repeats its requests too, and ends with the error of a side that is away.
#[tokio::test(start_paused = true)]
async fn a_comparison_ends_when_a_side_is_away() {
    let (source, target) = (Place::memory(), Place::memory());
    source.fill(0..100, 0..10).await;
    let away = Faults::new(LATENCY, |_| Some(Fault::Before(Error::unavailable("the service cannot be reached"))));
    let (from, to) = (source.side("from"), target.faulty("to", &away));
    let began = Instant::now();
    let error = verify(&from, &to, false, &Options::default(), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(180), "{:?}", began.elapsed());
}
