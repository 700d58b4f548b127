use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use isobar_abstraction::clock::ManualClock;

use super::*;

/// Gives tokens of a lifetime, named by the number of the call.
#[derive(Debug)]
struct Double {
    clock: ManualClock,
    lifetime: Duration,
    calls: AtomicU32,
    fails: Mutex<bool>,
    hangs: Mutex<bool>,
}

#[async_trait]
impl CredentialSource for Double {
    type Value = str;

    async fn find(&self) -> Result<TemporaryCredential<str>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if *self.hangs.lock() {
            std::future::pending::<()>().await;
        }
        if *self.fails.lock() {
            return Err(Error::new(ErrorKind::Unavailable, format!("call {call} failed")));
        }
        Ok(TemporaryCredential { value: call.to_string().into(), expires: Some(self.clock.now() + self.lifetime) })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

fn cache(lifetime: Duration) -> (ManualClock, CredentialCache<Double>) {
    let clock = ManualClock::default();
    let (calls, fails, hangs) = Default::default();
    let source = Double { clock: clock.clone(), lifetime, calls, fails, hangs };
    (clock.clone(), CredentialCache::new(source, Arc::new(clock)))
}

impl CredentialCache<Double> {
    async fn token(&self) -> Result<String> {
        self.get().await.map(|token| token.to_string())
    }

    fn calls(&self) -> u32 {
        self.source.calls.load(Ordering::SeqCst)
    }

    fn fail(&self, fails: bool) {
        *self.source.fails.lock() = fails;
    }
}

#[tokio::test]
async fn a_hundred_concurrent_callers_make_one_fetch() {
    let (_, cache) = cache(HOUR);
    let all = join_all((0..100).map(|_| cache.token())).await;
    assert!(all.into_iter().all(|token| token.unwrap() == "1"));
    assert_eq!(cache.calls(), 1);
}

#[tokio::test]
async fn a_hundred_concurrent_callers_share_one_failure() {
    let (clock, cache) = cache(HOUR);
    cache.fail(true);
    let all = join_all((0..100).map(|_| cache.token())).await;
    assert!(all.into_iter().all(|token| token.unwrap_err().message() == "call 1 failed"));
    assert_eq!(cache.calls(), 1);

    cache.fail(false);
    clock.advance(ERROR_PAUSE);
    assert_eq!(cache.token().await.unwrap(), "2");
}

#[tokio::test]
async fn one_caller_renews_a_token_before_it_expires_and_others_use_it() {
    let (clock, cache) = cache(HOUR);
    cache.token().await.unwrap();
    clock.advance(HOUR - MARGIN - JITTER - SECOND);
    assert_eq!(cache.token().await.unwrap(), "1", "renewed too early");
    clock.advance(JITTER + SECOND);
    let all: Vec<_> = join_all((0..100).map(|_| cache.token())).await.into_iter().map(Result::unwrap).collect();
    assert_eq!((all.iter().filter(|it| *it == "2").count(), all.iter().filter(|it| *it == "1").count()), (1, 99));
    assert_eq!(cache.calls(), 2);
}

#[tokio::test]
async fn a_failed_renewal_keeps_a_valid_token_and_waits_before_the_next() {
    let (clock, cache) = cache(HOUR);
    cache.token().await.unwrap();
    cache.fail(true);
    clock.advance(HOUR - MARGIN);
    assert_eq!(cache.token().await.unwrap(), "1");
    assert_eq!(cache.token().await.unwrap(), "1");
    assert_eq!(cache.calls(), 2, "the source was called again immediately");
    clock.advance(PAUSE + JITTER);
    assert_eq!(cache.token().await.unwrap(), "1");
    assert_eq!(cache.calls(), 3);
    clock.advance(MARGIN);
    assert_eq!(cache.token().await.unwrap_err().kind(), ErrorKind::Unavailable, "it has expired");
}

#[tokio::test]
async fn a_source_that_hangs_delays_no_caller_with_a_valid_token() {
    let (clock, cache) = cache(HOUR);
    cache.token().await.unwrap();
    clock.advance(HOUR - MARGIN);
    *cache.source.hangs.lock() = true;
    let mut renewal = Box::pin(cache.token());
    assert!(futures_util::poll!(&mut renewal).is_pending());
    assert_eq!(cache.token().await.unwrap(), "1", "another caller than the one that renews");
    clock.advance(RENEWAL_TIMEOUT);
    assert_eq!(renewal.await.unwrap(), "1");
    assert_eq!(cache.calls(), 2);
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_neither_a_rejected_token_nor_an_error() {
    let (_, cache) = cache(HOUR);
    let first = cache.get().await.unwrap();
    let ahead = cache.clock.now() + HOUR * 24;
    if let Cached::Value { fetched, .. } = &mut *cache.cached.lock() {
        *fetched = ahead;
    }
    cache.reject(&first);
    assert_eq!(cache.token().await.unwrap(), "2");
    *cache.cached.lock() = Cached::Error { error: Error::internal("one day ahead"), fetched: ahead };
    assert_eq!(cache.token().await.unwrap(), "3");
}

#[tokio::test]
async fn a_cancelled_renewal_is_not_repeated_by_every_caller() {
    let (clock, cache) = cache(HOUR);
    cache.token().await.unwrap();
    clock.advance(HOUR - MARGIN);
    let mut renewal = Box::pin(cache.get());
    assert!(futures_util::poll!(&mut renewal).is_pending());
    drop(renewal);
    for _ in 0..100 {
        assert_eq!(cache.token().await.unwrap(), "1");
    }
    assert_eq!(cache.calls(), 2);
    clock.advance(PAUSE + JITTER);
    assert_eq!(cache.token().await.unwrap(), "3");
}

#[tokio::test]
async fn a_token_of_a_short_life_is_not_fetched_at_each_call() {
    let (clock, cache) = cache(SECOND * 120);
    cache.token().await.unwrap();
    clock.advance(PAUSE - SECOND);
    assert_eq!(cache.token().await.unwrap(), "1");
    clock.advance(SECOND);
    assert_eq!(cache.token().await.unwrap(), "2");
}

#[tokio::test]
async fn a_token_that_is_expired_when_fetched_is_used_for_a_while() {
    let (clock, cache) = cache(Duration::ZERO);
    assert_eq!(cache.token().await.unwrap(), "1");
    clock.advance(MARGIN - SECOND);
    assert_eq!(cache.token().await.unwrap(), "1");
    clock.advance(MARGIN + SECOND);
    assert_eq!(cache.token().await.unwrap(), "2");
}

#[tokio::test]
async fn a_rejected_token_is_forgotten_once() {
    let (clock, cache) = cache(HOUR);
    let first = cache.get().await.unwrap();
    clock.advance(PAUSE);
    cache.reject(&first);
    assert_eq!(cache.token().await.unwrap(), "2");
    clock.advance(PAUSE);
    cache.reject(&first);
    assert_eq!(cache.token().await.unwrap(), "2", "the second one stays");
}

#[tokio::test]
async fn a_service_that_rejects_all_tokens_does_not_have_them_fetched_at_each_call() {
    let (clock, cache) = cache(HOUR);
    for _ in 0..100 {
        let token = cache.get().await.unwrap();
        cache.reject(&token);
        clock.advance(SECOND);
    }
    assert!(cache.calls() <= 5, "{}", cache.calls());
}

#[tokio::test]
async fn a_cancelled_caller_does_not_stop_the_next() {
    let (_, cache) = cache(HOUR);
    let mut first = Box::pin(cache.get());
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert_eq!(cache.token().await.unwrap(), "2");
}

#[tokio::test]
async fn debug_shows_no_token() {
    let (_, cache) = cache(HOUR);
    let credential = TemporaryCredential { value: "hush".into(), expires: Some(cache.clock.now() + HOUR) };
    assert!(!format!("{credential:?}").contains("hush"));
    *cache.cached.lock() = new_entry(credential, cache.clock.now());
    assert!(!format!("{cache:?}").contains("hush"));
}

#[tokio::test]
async fn a_token_that_never_expires_is_fetched_once() {
    #[derive(Debug)]
    struct Forever;
    #[async_trait]
    impl CredentialSource for Forever {
        type Value = str;

        async fn find(&self) -> Result<TemporaryCredential<str>> {
            Ok(TemporaryCredential { value: "1".into(), expires: None })
        }
    }
    let clock = ManualClock::default();
    let cache = CredentialCache::new(Forever, Arc::new(clock.clone()));
    assert!(cache.current().is_none());
    let first = cache.get().await.unwrap();
    clock.advance(HOUR * 24 * 365);
    assert!(Arc::ptr_eq(&first, &cache.get().await.unwrap()) && Arc::ptr_eq(&first, &cache.current().unwrap()));
}
