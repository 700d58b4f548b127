//! What `object_store` tries again is paid for as all retries are, and waits as it is told.

use super::*;
use crate::double::Script;

/// What a full budget grants: 500 tokens, of which a retry takes 5.
const RETRIES: usize = 100;

/// A bucket without a token in its budget, and the double that took them.
async fn spent(scripts: Vec<Script>) -> (Double, Bucket) {
    let refusing = Double::start(vec![always(answer(503, "", "no"))]).await;
    let bucket = Bucket::at(&refusing.url("/"), |_| ());
    for _ in 0..RETRIES / 2 {
        bucket.put(PutMode::Overwrite).await.unwrap_err();
    }
    assert_eq!(refusing.heard().len(), RETRIES / 2 * 3);
    let double = Double::start(scripts).await;
    let bucket = bucket.moved(&double.url("/"));
    (double, bucket)
}

#[tokio::test]
async fn repeated_attempts_of_a_store_are_paid_for() {
    let (double, bucket) = spent(vec![always(answer(503, "", "no"))]).await;
    for mode in [PutMode::Overwrite, PutMode::Create] {
        let error = bucket.put(mode).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Throttled { retry_after: None }, "told: no"));
        assert!(!error.outcome_unknown());
    }
    assert_eq!(bucket.get().await.unwrap_err().message(), "told: no");
    assert_eq!(double.heard().len(), 3, "nothing was tried again");
}

#[tokio::test]
async fn other_calls_of_the_client_find_the_budget_that_a_store_has_spent() {
    let (double, bucket) = spent(vec![always(answer(503, "", "no"))]).await;
    assert!(!bucket.caller.client.pause(1).await);
    bucket.caller.call(isobar_rest::Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_stays_so_where_it_cannot_be_repeated() {
    let (double, bucket) = spent(vec![vec![Act::Hear, Act::Close]]).await;
    let error = bucket.put(PutMode::Overwrite).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true));
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_failure_that_nobody_explains_is_paid_for_all_the_same() {
    let (double, bucket) = spent(vec![always(answer(429, "", "no"))]).await;
    assert_eq!(bucket.get().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_timeout_costs_twice_as_much() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    let bucket = Bucket::at(&double.url("/"), |config| config.attempt_timeout = Duration::from_millis(20));
    for _ in 0..RETRIES / 4 {
        bucket.delete().await.unwrap_err();
    }
    let before = double.heard().len();
    assert_eq!(before, RETRIES / 4 * 3);
    bucket.delete().await.unwrap_err();
    assert_eq!(double.heard().len(), before + 1);
}

#[tokio::test]
async fn successes_of_a_store_give_back() {
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
    let read = async { Ok(bucket.s3.get(&Path::from("a")).await?.into_stream()) };
    let stream = bucket.connector.read(bucket.connector.run(read).await.unwrap());
    let pieces: Vec<_> = futures_util::StreamExt::collect(stream).await;
    assert!(pieces.last().unwrap().is_err());
    assert_eq!(double.heard().len(), 2);
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
async fn requests_of_one_call_for_other_ranges_are_no_retries() {
    let part = |range: &str, content: &str| {
        let headers = format!("HTTP/1.1 206 Partial\r\n{OBJECT}content-range: bytes {range}/8000000\r\n");
        vec![Act::Hear, say(format!("{headers}content-length: {}\r\n\r\n{content}", content.len())), Act::Close]
    };
    let (double, bucket) = spent(vec![part("0-1", "ab"), part("7000000-7000001", "yz")]).await;
    let path = Path::from("a");
    let ranges = async { bucket.s3.get_ranges(&path, std::slice::from_ref(&(0..2))).await };
    assert_eq!(bucket.connector.run(ranges).await.unwrap(), ["ab"]);
    let both = async {
        bucket.s3.get_range(&path, 7_000_000..7_000_002).await?;
        bucket.s3.get_range(&path, 0..2).await
    };
    // The second range gets the answer of the first: an error, and not one of the budget.
    bucket.connector.run(both).await.unwrap_err();
    assert_eq!(double.heard().len(), 3);
}

#[tokio::test]
async fn a_store_waits_as_long_as_the_service_asks() {
    let told = vec![Act::Hear, answer(503, "retry-after: 2\r\n", "no"), Act::Hear, answer(200, OBJECT, "content")];
    let double = Double::start(vec![told]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    assert_eq!(bucket.get().await.unwrap(), "content");
    let pauses = bucket.caller.clock.pauses();
    assert_eq!(pauses.len(), 1, "{pauses:?}");
    assert!((Duration::from_secs(2)..=Duration::from_millis(2_100)).contains(&pauses[0]), "{pauses:?}");
}

#[tokio::test]
async fn a_store_does_not_wait_beyond_the_deadline_or_for_ever() {
    let double = Double::start(vec![always(answer(503, "retry-after: 3\r\n", "no"))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    let caller = bucket.caller.clone();
    let call = |_| async move { bucket.put(PutMode::Overwrite).await };
    let error = caller.within(Duration::from_secs(2), call).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert_eq!(double.heard().len(), 1);
    let double = Double::start(vec![always(answer(503, "retry-after: 86400\r\n", "no"))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    bucket.get().await.unwrap_err();
    assert_eq!(bucket.caller.clock.pauses(), [Duration::from_secs(5); 2], "the longest backoff");
}
