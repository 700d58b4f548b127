//! What a read tries again is paid for as all retries are, and waits as it is told.

use super::*;
use crate::double::Script;

/// What a full budget grants: 500 tokens, of which a retry takes 5.
const RETRIES: usize = 100;

/// A bucket without a token in its budget, and the double that it asks from now on.
async fn spent(scripts: Vec<Script>) -> (Double, Bucket) {
    let refusing = Double::start(vec![always(answer(503, "", "no"))]).await;
    let bucket = Bucket::at(&refusing.url("/"), |_| ());
    for _ in 0..RETRIES / 2 {
        bucket.get().await.unwrap_err();
    }
    assert_eq!(refusing.heard().len(), RETRIES / 2 * 3);
    let double = Double::start(scripts).await;
    let bucket = bucket.moved(&double.url("/"));
    (double, bucket)
}

#[tokio::test]
async fn repeated_attempts_of_a_read_are_paid_for() {
    for status in [503, 429, 500] {
        let (double, bucket) = spent(vec![always(answer(status, "", "no"))]).await;
        assert_eq!(bucket.get().await.unwrap_err().message(), "told: no");
        assert_eq!(double.heard().len(), 1, "nothing was tried again");
    }
}

#[tokio::test]
async fn other_calls_of_the_client_find_the_budget_that_reads_have_spent() {
    let (double, bucket) = spent(vec![always(answer(503, "", "no"))]).await;
    assert!(!bucket.caller.client.pause(1).await);
    bucket.caller.call(Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_timeout_costs_twice_as_much() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    let bucket = Bucket::at(&double.url("/"), |config| config.attempt_timeout = Duration::from_millis(20));
    for _ in 0..RETRIES / 4 {
        bucket.get().await.unwrap_err();
    }
    let before = double.heard().len();
    assert_eq!(before, RETRIES / 4 * 3);
    bucket.get().await.unwrap_err();
    assert_eq!(double.heard().len(), before + 1);
}

#[tokio::test]
async fn successes_of_reads_give_back() {
    let good = || vec![Act::Hear, answer(200, OBJECT, "content"), Act::Close];
    let bad = || vec![Act::Hear, answer(503, "", "no"), Act::Close];
    let scripts = [vec![good(); 4], vec![bad(), good(), bad(), good(), bad()], vec![good()]].concat();
    let (double, bucket) = spent(scripts).await;
    for _ in 0..4 {
        bucket.get().await.unwrap();
    }
    bucket.get().await.unwrap_err();
    bucket.get().await.unwrap();
    // The fifth success makes room for one retry, and what it costs comes back with its own success.
    bucket.get().await.unwrap();
    bucket.get().await.unwrap();
    assert_eq!(double.heard().len(), 10);
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_only_where_that_is_paid_for() {
    let (double, bucket) = spent(vec![vec![Act::Hear, object(8, "half"), Act::Close]]).await;
    let error = bucket.get().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("broke off"), "{error:?}");
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_download_that_gets_on_by_single_bytes_uses_the_budget_up() {
    let head = |at: usize| format!("{OBJECT}content-range: bytes {at}-999/1000\r\ncontent-length: {}\r\n", 1_000 - at);
    let first = vec![Act::Hear, object(1_000, "a"), Act::Close];
    let piece = |at| vec![Act::Hear, say(format!("HTTP/1.1 206 Partial\r\n{}\r\na", head(at))), Act::Close];
    let double = Double::start([vec![first], (1..500).map(piece).collect()].concat()).await;
    let error = Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Each takes 5 tokens to go on, and gives 1 back.
    assert!((100..130).contains(&double.heard().len()), "{}", double.heard().len());
}

#[tokio::test]
async fn a_dead_pooled_connection_is_excused_once() {
    let good = answer(200, OBJECT, "content");
    let first = vec![Act::Hear, good.clone(), Act::Hear, Act::Close];
    let (double, bucket) = spent(vec![first, always(good)]).await;
    for _ in 0..2 {
        assert_eq!(bucket.get().await.unwrap(), "content");
    }
    assert_eq!(double.came_on(), [0, 0, 1]);
}

#[tokio::test]
async fn a_read_waits_as_long_as_the_service_asks() {
    let told = vec![Act::Hear, answer(503, "retry-after: 2\r\n", "no"), Act::Hear, answer(200, OBJECT, "content")];
    let double = Double::start(vec![told]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    assert_eq!(bucket.get().await.unwrap(), "content");
    let pauses = bucket.caller.clock.pauses();
    assert_eq!(pauses.len(), 1, "{pauses:?}");
    assert!((Duration::from_secs(2)..=Duration::from_millis(2_100)).contains(&pauses[0]), "{pauses:?}");
}

#[tokio::test]
async fn a_read_does_not_wait_beyond_the_deadline_or_for_ever() {
    let double = Double::start(vec![always(answer(503, "retry-after: 3\r\n", "no"))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    let caller = bucket.caller.clone();
    let call = |_| async move { bucket.get().await };
    caller.within(Duration::from_secs(2), call).await.unwrap_err();
    assert_eq!((double.heard().len(), caller.waits()), (1, 0));
    let double = Double::start(vec![always(answer(503, "retry-after: 86400\r\n", "no"))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    bucket.get().await.unwrap_err();
    assert_eq!(bucket.caller.clock.pauses(), [Duration::from_secs(5); 2], "the longest backoff");
}
