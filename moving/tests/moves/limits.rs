//! The limits of the user: rates, the wish to stop, and the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::key_value::Put;
use isobar_moving::{Journal, Options, Rates, Stop, is_stopped, migrate};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Faults, Place, Random, is_equal, written};

const LATENCY: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn requests_have_the_rate_of_the_user() {
    for rate in [20.0, 200.0] {
        let (source, target) = (Place::memory(), Place::memory());
        source.fill(0..0, 0..1_000).await;
        let opened = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&opened);
        // The content of an object arrives with its request.
        let read = Faults::new(LATENCY, move |call| {
            count.fetch_add(u64::from(call.operation != "read"), Ordering::Relaxed);
            None
        });
        let write = Faults::new(LATENCY, |_| None);
        let (from, to) = (source.faulty("from", &read), target.faulty("to", &write));
        let options = Options::default().with_rates(Rates { requests: Some(rate), megabytes: None });
        let began = Instant::now();
        let moved = migrate(&from, &to, &Journal::in_memory().unwrap(), &options, &()).await.unwrap();
        assert!(is_equal(&moved), "{moved:?}");
        let seconds = began.elapsed().as_secs_f64();
        let writes = write.calls() as f64 / seconds;
        let reads = opened.load(Ordering::Relaxed) as f64 / seconds;
        println!("{rate} requests per second: {reads:.1} and {writes:.1} in {seconds:.1} s");
        assert!(writes < 1.1 * rate && reads < 1.1 * rate && writes > 0.7 * rate, "{reads:.1} {writes:.1}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_have_the_rate_of_the_user() {
    let (source, target) = (Place::memory(), Place::memory());
    for n in 0..40 {
        source.files().put(format!("{n}"), vec![b'x'; 1_000_000]).await.unwrap();
    }
    for n in 0..100 {
        source.table().put(Put::new(("p", format!("{n}").as_str()), vec![b'x'; 100_000])).await.unwrap();
    }
    let options = Options::default().with_rates(Rates { requests: None, megabytes: Some(2.0) });
    let (from, to) = (source.side("from"), target.side("to"));
    let began = Instant::now();
    let moved = migrate(&from, &to, &Journal::in_memory().unwrap(), &options, &()).await.unwrap();
    assert!(is_equal(&moved), "{moved:?}");
    // Items are read once more for the comparison; what the journal has of objects is not.
    let rate = 60e6 / began.elapsed().as_secs_f64() / 1e6;
    println!("{rate:.2} MB/s");
    assert!((1.8..2.2).contains(&rate), "{rate}");
}

/// A wish to stop ends a run when the page in flight is written, also one that waits for its rates, and the same call goes on.
#[tokio::test]
async fn a_wish_to_stop_ends_a_run_soon() {
    let slow = |requests, megabytes| Rates { requests, megabytes };
    for rates in [slow(None, None), slow(Some(0.5), None), slow(None, Some(0.001))] {
        let (source, target) = (Place::memory(), Place::memory());
        source.fill(0..3_000, 0..300).await;
        source.files().put("large", vec![b'x'; 1 << 20]).await.unwrap();
        let (faults, journal) = (Faults::new(LATENCY, |_| None), Journal::in_memory().unwrap());
        let (from, to) = (source.side("from"), target.faulty("to", &faults));
        let mut stops = 0;
        for after in [1, 100, 400] {
            let stop = Stop::default();
            let options = Options::default().with_stop(stop.clone()).with_rates(rates);
            let began = Instant::now();
            let after = Duration::from_millis(after);
            let (moved, ()) = tokio::join!(migrate(&from, &to, &journal, &options, &()), async {
                tokio::time::sleep(after).await;
                stop.set();
            });
            if let Err(error) = moved {
                assert!(is_stopped(&error), "{error:?}");
                stops += 1;
            }
            assert!(began.elapsed() < after + Duration::from_secs(3), "{rates:?}: {:?}", began.elapsed());
        }
        assert!(stops > 1, "the runs ended before the wish to stop");
        let moved = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
        assert!(is_equal(&moved), "{moved:?}");
        // What was in flight was not written twice.
        assert!(faults.applied.lock().values().all(|count| *count == 1));
    }
}

#[tokio::test]
async fn a_journal_is_of_one_process_and_one_pair() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, "local", "aws:prod").unwrap();
    let second = Journal::open(&path, "local", "aws:prod").unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    assert!(second.message().contains("another process"), "{second}");
    drop(journal);
    let other = Journal::open(&path, "local", "gcp").unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Config);
    assert!(other.message().contains("`aws:prod`, not `gcp`"), "{other}");
    drop(Journal::open(&path, "local", "aws:prod").unwrap());
}

/// Some bytes of a journal are damaged: each run ends without a panic, and where it succeeds both sides are equal.
#[tokio::test]
async fn a_damaged_journal_is_reported() {
    let (source, folder) = (Place::memory(), TempDir::new().unwrap());
    source.fill(0..500, 0..40).await;
    let target = Place::memory();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, "from", "to").unwrap();
    migrate(&source.side("from"), &target.side("to"), &journal, &Options::default(), &()).await.unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let mut random = Random::new(3);
    let mut rejected = 0;
    let files = (0..120).map(|n| {
        let mut bytes = whole.clone();
        match n {
            0 => bytes.clear(),
            1 => bytes.fill(0),
            2 => bytes = b"no journal".to_vec(),
            3..20 => bytes.truncate(random.below(whole.len() as u64) as usize),
            _ => {
                for _ in 0..1 + random.below(200) {
                    let at = random.below(whole.len() as u64) as usize;
                    bytes[at] = random.below(256) as u8;
                }
            }
        }
        bytes
    });
    for (n, bytes) in files.enumerate() {
        std::fs::write(&path, bytes).unwrap();
        let (from, to, path) = (source.side("from"), target.side("to"), path.clone());
        let run = tokio::spawn(async move {
            let journal = Journal::open(&path, "from", "to")?;
            migrate(&from, &to, &journal, &Options::default(), &()).await
        });
        match run.await.unwrap_or_else(|panic| panic!("journal {n}: {panic}")) {
            Ok(moved) => assert!(is_equal(&moved), "journal {n}: {moved:?}"),
            Err(error) => {
                rejected += 1;
                assert!(error.message().contains("journal"), "journal {n}: {error:?}");
            }
        }
    }
    println!("{rejected} of 120 damaged journals were rejected");
}

/// Another person deletes what was moved: the next run repairs it.
#[tokio::test]
async fn a_target_that_was_emptied_becomes_equal_again() {
    let (source, target, journal) = (Place::local(), Place::memory(), Journal::in_memory().unwrap());
    source.fill(0..500, 0..40).await;
    let (from, to) = (source.side("from"), target.side("to"));
    migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    for (partition, sort) in target.content().await.items.into_keys() {
        target.table().delete(&(partition, sort).into(), None).await.unwrap();
    }
    for n in 0..40 {
        target.files().delete(format!("o/{n:05}")).await.unwrap();
    }
    let again = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert!(is_equal(&again), "{again:?}");
    assert!(source.content().await == target.content().await);
    let third = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
    assert_eq!((written(&third), third.iter().map(|it| it.compared.repaired).sum::<u64>()), (0, 0));
}
