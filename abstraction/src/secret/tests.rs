use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::join;
use isobar_testkit::Log;
use serde::Deserialize;

use super::cache::LIFETIME;
use super::config::parse;
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::memory::MemoryProvider;
use crate::{App, Cloud, ErrorKind, TestClient};

/// A cache of numbers, and the number of reads.
struct Numbers {
    clock: ManualClock,
    cache: Cache<u32>,
    reads: AtomicUsize,
}

impl Numbers {
    fn new() -> Self {
        Self { clock: ManualClock::default(), cache: Cache::default(), reads: AtomicUsize::new(0) }
    }

    async fn get(&self, read: Result<Option<u32>>) -> Result<Option<u32>> {
        let read = async {
            self.reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            read
        };
        self.cache.get(&self.clock, read).await
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_value_is_read_again_after_five_minutes() {
    let numbers = Numbers::new();
    assert_eq!(numbers.get(Ok(Some(1))).await.unwrap(), Some(1));
    numbers.clock.advance(LIFETIME - Duration::from_millis(1));
    assert_eq!(numbers.get(Ok(Some(2))).await.unwrap(), Some(1));
    numbers.clock.advance(Duration::from_millis(1));
    assert_eq!(numbers.get(Ok(Some(2))).await.unwrap(), Some(2));
    assert_eq!(numbers.reads(), 2);
}

#[tokio::test]
async fn the_old_value_is_used_while_the_store_is_down_and_no_longer() {
    let (numbers, log) = (Numbers::new(), Log::start());
    numbers.get(Ok(Some(1))).await.unwrap();
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Throttled] {
        numbers.clock.advance(LIFETIME);
        assert_eq!(numbers.get(Err(Error::new(kind, "down"))).await.unwrap(), Some(1), "{kind:?}");
    }
    let is_warning = |line: &&String| line.contains("its old version is used");
    assert_eq!(log.lines().iter().filter(is_warning).count(), 1, "one warning, not one for each read");
    let before = numbers.reads();
    assert_eq!(numbers.get(Ok(Some(2))).await.unwrap(), Some(1));
    assert_eq!(numbers.reads(), before, "a store that is down is not asked by each call");
    numbers.clock.advance(Duration::from_secs(30));
    assert_eq!(numbers.get(Ok(Some(2))).await.unwrap(), Some(2));
    numbers.clock.advance(LIFETIME);
    let refused = numbers.get(Err(Error::permission_denied("no longer"))).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    numbers.clock.advance(LIFETIME);
    assert_eq!(numbers.get(Ok(None)).await.unwrap(), None);
}

#[tokio::test]
async fn concurrent_callers_share_one_read_and_its_error() {
    let numbers = Numbers::new();
    let down = || numbers.get(Err(Error::unavailable("down")));
    let (one, other) = join(down(), down()).await;
    assert!(one.is_err() && other.is_err());
    assert_eq!(numbers.reads(), 1);
    numbers.clock.advance(LIFETIME);
    let (one, other) = join(numbers.get(Ok(Some(1))), numbers.get(Ok(Some(2)))).await;
    assert_eq!((one.unwrap(), other.unwrap(), numbers.reads()), (Some(1), Some(1), 2));
    // A caller with an old value does not wait for the read.
    numbers.clock.advance(LIFETIME);
    let (one, other) = join(numbers.get(Ok(Some(3))), numbers.get(Ok(Some(4)))).await;
    assert_eq!((one.unwrap(), other.unwrap(), numbers.reads()), (Some(3), Some(1), 3));
}

#[tokio::test]
async fn a_store_that_hangs_is_a_timeout_and_a_dropped_read_blocks_no_caller() {
    let numbers = Numbers::new();
    let after = |seconds| {
        let mut hang = Box::pin(numbers.cache.get(&numbers.clock, pending()));
        assert!(hang.as_mut().now_or_never().is_none());
        numbers.clock.advance(Duration::from_secs(seconds));
        hang.now_or_never()
    };
    assert!(after(9).is_none());
    assert_eq!(after(10).unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    numbers.clock.advance(Duration::from_secs(1));
    assert!(numbers.cache.get(&numbers.clock, pending()).now_or_never().is_none());
    assert_eq!(numbers.get(Ok(Some(1))).await.unwrap(), Some(1));
    numbers.clock.advance(LIFETIME);
    assert_eq!(after(5).unwrap().unwrap(), Some(1));
}

#[tokio::test]
async fn a_clock_that_was_set_back_reads_again() {
    let numbers = Numbers::new();
    numbers.get(Ok(Some(1))).await.unwrap();
    let earlier = ManualClock::new(SystemTime::UNIX_EPOCH);
    assert_eq!(numbers.cache.get(&earlier, async { Ok(Some(2)) }).await.unwrap(), Some(2));
    assert!(earlier.now() < numbers.clock.now());
}

#[tokio::test]
async fn no_value_is_in_the_log_or_in_debug_of_its_place() {
    let (log, provider) = (Log::start(), MemoryProvider::default());
    provider.set_secret("token", "hunter2");
    let cloud = Cloud::new(Arc::new(provider));
    cloud.secret("token").get().await.unwrap();
    cloud.config::<u8>("token").get().await.unwrap_err();
    let place = Source::of_variable("ISOBAR_SECRET_TOKEN".to_owned(), "hunter2");
    assert_eq!(place.read().await.unwrap().unwrap(), "hunter2");
    let text = format!("{:?} {place:?}", log.lines());
    assert!(text.contains("ISOBAR_SECRET_TOKEN") && !text.contains("hunter2"), "{text}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    names: HashMap<String, u8>,
    mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Slow,
}

#[test]
fn json_that_does_not_fit_is_named_by_its_field_without_its_value() {
    let wrong = [
        (
            r#"{"mode": "hunter2"}"#,
            "the field `mode` of X does not fit: expected `fast` or `slow`, at line 1 column 18",
        ),
        (
            r#"{"mode": "fast", "names": {"a": "hunter2, expected x"}}"#,
            "the field `names.a` of X does not fit: expected u8, at",
        ),
        (r#"{"names": {}}"#, "the value of X does not fit: missing field `mode`, at line 1 column 13"),
        (r#"{"mode": "slow", "nmaes": {}}"#, "does not fit: expected `names` or `mode`, at line 1"),
        (r#"{"mode": "slow"} hunter2"#, "the value of X is not JSON, at line 1 column 18"),
        ("hunter2", "the value of X is not JSON, at line 1 column 1"),
        (r#""hunter2""#, "the value of X does not fit: expected struct Settings, at line 1 column 9"),
    ];
    for (text, expected) in wrong {
        let error = parse::<Settings>(text, "X").unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let settings = parse::<Settings>(r#"{"mode": "slow", "names": {"a": 1}}"#, "X").unwrap();
    assert!(matches!(settings.mode, Mode::Slow) && settings.names["a"] == 1);
    assert!(matches!(parse::<Settings>(r#"{"mode": "fast"}"#, "X").unwrap().mode, Mode::Fast));
}

#[test]
fn one_line_break_at_the_end_is_removed_and_an_empty_value_is_an_error() {
    for (text, value) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
        assert_eq!(checked(text, "X", 9).unwrap(), value, "{text:?}");
    }
    for empty in ["", "\n", "  "] {
        assert_eq!(checked(empty, "X", 9).unwrap_err().kind(), ErrorKind::Config, "{empty:?}");
    }
    assert_eq!(checked(&"x".repeat(10), "X", 9).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_known_value_that_does_not_fit_stops_the_start_even_if_it_is_optional() {
    let provider = MemoryProvider::default();
    provider.set_config("settings", "{}");
    provider.set_secret("token", " ");
    let error = TestClient::on(provider, |cloud: &Cloud| {
        drop((cloud.config::<Settings>("settings").optional(), cloud.secret("token")));
        App::new("caller")
    });
    let error = error.unwrap_err();
    for expected in ["the value of the key `settings` does not fit", "the value of the key `token` is empty"] {
        assert!(error.message().contains(expected), "{error}");
    }
}
