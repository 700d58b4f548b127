use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use isobar_abstraction::{ErrorKind, ManualClock};

use super::*;
use crate::credentials::Credential;

/// Gives credentials for an hour, named by the number of the call.
#[derive(Debug)]
struct Double {
    clock: ManualClock,
    lifetime: Option<Duration>,
    calls: AtomicU32,
    fails: Mutex<bool>,
}

#[async_trait]
impl Source for Double {
    async fn find(&self) -> Result<Found> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if *self.fails.lock() {
            return Err(Error::new(ErrorKind::Unavailable, format!("call {call} failed")));
        }
        let credential = Credential { key_id: call.to_string(), secret_key: "s".to_owned(), token: None };
        let expires = self.lifetime.map(|lifetime| self.clock.now() + lifetime);
        Ok(Found { credential: Arc::new(credential), expires, account: Some("123456789012".to_owned()) })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn cache(lifetime: Option<Duration>) -> (ManualClock, Cache<Double>) {
    let clock = ManualClock::default();
    let source = Double { clock: clock.clone(), lifetime, calls: AtomicU32::new(0), fails: Mutex::new(false) };
    (clock.clone(), Cache::new(source, Arc::new(clock)))
}

impl Cache<Double> {
    async fn key_id(&self) -> Result<String> {
        self.get().await.map(|credential| credential.key_id.clone())
    }

    fn calls(&self) -> u32 {
        self.source.calls.load(Ordering::SeqCst)
    }

    fn fail(&self, fails: bool) {
        *self.source.fails.lock() = fails;
    }
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_make_one_fetch() {
    let (_, cache) = cache(Some(HOUR));
    let all = join_all((0..100).map(|_| cache.key_id())).await;
    assert!(all.into_iter().all(|key_id| key_id.unwrap() == "1"));
    assert_eq!(cache.calls(), 1);
    assert_eq!(cache.account().as_deref(), Some("123456789012"));
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_share_one_failure() {
    let (clock, cache) = cache(Some(HOUR));
    cache.fail(true);
    let all = join_all((0..100).map(|_| cache.key_id())).await;
    assert!(all.into_iter().all(|key_id| key_id.unwrap_err().message() == "call 1 failed"));
    assert_eq!(cache.calls(), 1);

    cache.fail(false);
    clock.advance(ERROR_PAUSE);
    assert_eq!(cache.key_id().await.unwrap(), "2");
}

#[tokio::test]
async fn credentials_are_renewed_before_they_expire_by_one_while_others_go_on() {
    let (clock, cache) = cache(Some(HOUR));
    cache.key_id().await.unwrap();
    clock.advance(HOUR - MARGIN - JITTER - Duration::from_secs(1));
    assert_eq!(cache.key_id().await.unwrap(), "1", "renewed too early");
    clock.advance(JITTER + Duration::from_secs(1));
    let all: Vec<_> = join_all((0..100).map(|_| cache.key_id())).await.into_iter().map(Result::unwrap).collect();
    assert_eq!((all.iter().filter(|it| *it == "2").count(), all.iter().filter(|it| *it == "1").count()), (1, 99));
    assert_eq!(cache.calls(), 2);
}

#[tokio::test]
async fn a_failed_renewal_keeps_what_is_good_and_waits_before_the_next() {
    let (clock, cache) = cache(Some(HOUR));
    cache.key_id().await.unwrap();
    cache.fail(true);
    clock.advance(HOUR - MARGIN);
    assert_eq!(cache.key_id().await.unwrap(), "1");
    assert_eq!(cache.key_id().await.unwrap(), "1");
    assert_eq!(cache.calls(), 2, "it was asked again at once");
    clock.advance(PAUSE + JITTER);
    assert_eq!(cache.key_id().await.unwrap(), "1");
    assert_eq!(cache.calls(), 3);
    clock.advance(MARGIN);
    assert_eq!(cache.key_id().await.unwrap_err().kind(), ErrorKind::Unavailable, "they have expired");
}

#[tokio::test]
async fn credentials_of_a_short_life_are_not_fetched_at_each_call() {
    let (clock, cache) = cache(Some(2 * MINUTE));
    cache.key_id().await.unwrap();
    clock.advance(PAUSE - Duration::from_secs(1));
    assert_eq!(cache.key_id().await.unwrap(), "1");
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.key_id().await.unwrap(), "2");
}

#[tokio::test]
async fn credentials_that_come_expired_are_used_for_a_while() {
    let (clock, cache) = cache(Some(Duration::ZERO));
    assert_eq!(cache.key_id().await.unwrap(), "1");
    clock.advance(MARGIN - Duration::from_secs(1));
    assert_eq!(cache.key_id().await.unwrap(), "1");
    clock.advance(MARGIN + Duration::from_secs(1));
    assert_eq!(cache.key_id().await.unwrap(), "2");
}

#[tokio::test]
async fn credentials_without_an_end_are_kept() {
    let (clock, cache) = cache(None);
    cache.key_id().await.unwrap();
    clock.advance(10_000 * HOUR);
    assert_eq!(cache.key_id().await.unwrap(), "1");
}

#[tokio::test]
async fn rejected_credentials_are_forgotten_once() {
    let (_, cache) = cache(Some(HOUR));
    let first = cache.get().await.unwrap();
    assert!(cache.reject(&first));
    let second = cache.get().await.unwrap();
    assert_eq!(second.key_id, "2");
    assert!(cache.reject(&first), "another caller who used the first one tries again");
    assert_eq!(cache.key_id().await.unwrap(), "2", "but the second one stays");
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_stop_the_next() {
    let (_, cache) = cache(Some(HOUR));
    let mut first = Box::pin(cache.get());
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert_eq!(cache.key_id().await.unwrap(), "2");
}
