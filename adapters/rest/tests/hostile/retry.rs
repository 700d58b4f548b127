//! What is tried again, after how long, and how often.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::Clock;
use isobar_rest::Safety;

use crate::caller::{Caller, PAYLOAD, Signed};
use crate::double::{Act, ClosedPort, Double, always, answer};

/// The pauses after an answer with these headers, in a client whose backoff begins with 100 ms and
/// ends with 5 s.
async fn pauses_after(status: u16, headers: &str) -> Vec<Duration> {
    let double = Double::start(vec![always(answer(status, headers, ""))]).await;
    let caller = Caller::with_attempts(3);
    let answer = caller.call(Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!(answer.response.status(), status);
    caller.clock.pauses()
}

fn is_within(pause: Duration, from: u64, to: u64) -> bool {
    (Duration::from_millis(from)..=Duration::from_millis(to)).contains(&pause)
}

#[tokio::test]
async fn the_waits_grow_exponentially_up_to_a_limit_with_full_jitter() {
    let double = Double::start(vec![always(answer(503, "", ""))]).await;
    let (mut longest, mut distinct) = ([Duration::ZERO; 5], HashSet::new());
    for _ in 0..60 {
        let caller = Caller::new(|config| {
            (config.max_attempts, config.max_backoff) = (6, Duration::from_millis(500));
        });
        caller.call(Safety::Read, &double.url("/")).await.unwrap();
        let pauses = caller.clock.pauses();
        assert_eq!(pauses.len(), 5);
        longest.iter_mut().zip(&pauses).for_each(|(longest, pause)| *longest = (*longest).max(*pause));
        distinct.extend(pauses);
    }
    for (longest, limit) in longest.into_iter().zip([100, 200, 400, 500, 500]) {
        assert!(is_within(longest, limit * 7 / 10, limit), "{longest:?} of {limit} ms");
    }
    assert!(distinct.len() > 250, "jitter: {}", distinct.len());
    assert!(distinct.iter().any(|pause| *pause < Duration::from_millis(10)), "full jitter");
}

#[tokio::test]
async fn retry_after_is_waited_for_in_seconds_and_to_a_date() {
    // The clock starts at 2026-01-01T00:00:00Z and advances with each pause.
    for status in [429, 503] {
        let pauses = pauses_after(status, "retry-after: 2\r\n").await;
        assert!(pauses.iter().all(|pause| is_within(*pause, 2000, 2100)), "{pauses:?}");
        let pauses = pauses_after(status, "retry-after: Thu, 01 Jan 2026 00:00:03 GMT\r\n").await;
        assert!(is_within(pauses[0], 3000, 3100) && is_within(pauses[1], 0, 100), "{pauses:?}");
    }
}

#[tokio::test]
async fn retry_after_is_not_waited_for_beyond_the_longest_backoff() {
    assert_eq!(pauses_after(503, "retry-after: 86400\r\n").await, [Duration::from_secs(5); 2]);
    assert_eq!(pauses_after(503, "retry-after: 18446744073709551615\r\n").await, [Duration::from_secs(5); 2]);
}

#[tokio::test]
async fn a_retry_after_without_sense_is_passed_over() {
    for wrong in ["soon", "-1", "1.5", "", "Thu, 32 Jan 2026 00:00:03 GMT"] {
        let pauses = pauses_after(503, &format!("retry-after: {wrong}\r\n")).await;
        assert!(is_within(pauses[0], 0, 100) && is_within(pauses[1], 0, 200), "{wrong}: {pauses:?}");
    }
}

#[tokio::test]
async fn a_wait_of_the_service_has_precedence_over_retry_after() {
    let pauses = pauses_after(429, "x-wait-ms: 1500\r\nretry-after: 4\r\n").await;
    assert!(pauses.iter().all(|pause| is_within(*pause, 1500, 1600)), "{pauses:?}");
}

#[tokio::test]
async fn no_more_than_max_attempts_are_made_and_the_last_answer_is_returned() {
    for attempts in [0, 1, 2, 7] {
        let double = Double::start(vec![always(answer(503, "", "closed"))]).await;
        let caller = Caller::with_attempts(attempts);
        let answer = caller.call(Safety::Once, &double.url("/")).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), &answer.response.body()[..]), (503, &b"closed"[..]));
        assert_eq!(double.heard().len(), attempts.max(1) as usize);
        assert_eq!(caller.waits(), attempts.max(1) as usize - 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_final_is_not_asked_for_again() {
    for status in [200, 204, 304, 400, 401, 403, 404, 409, 412] {
        let double = Double::start(vec![always(answer(status, "retry-after: 1\r\n", ""))]).await;
        let caller = Caller::with_attempts(3);
        let answer = caller.call(Safety::Idempotent, &double.url("/")).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.uncertain), (status, false));
        assert_eq!((double.heard().len(), caller.waits()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn each_attempt_is_signed_again_and_is_the_whole_request() {
    let failing = vec![Act::Hear, answer(503, "", ""), Act::Hear, answer(500, "", ""), Act::Hear, answer(200, "", "")];
    let double = Double::start(vec![failing]).await;
    Caller::with_attempts(3).call(Safety::Idempotent, &double.url("/path?query=1")).await.unwrap();
    let heard = double.heard();
    assert_eq!(heard.len(), 3);
    for (number, heard) in heard.iter().enumerate() {
        assert!(heard.head.starts_with("POST /path?query=1 HTTP/1.1\r\n"), "{}", heard.head);
        assert_eq!(heard.header("authorization"), Some(format!("hush-token-{}", number + 1).as_str()));
        assert_eq!(heard.body, PAYLOAD.as_bytes());
    }
}

#[tokio::test]
async fn the_budget_ends_a_storm_of_retries_for_all_clones() {
    let double = Double::start(vec![always(answer(503, "", ""))]).await;
    let caller = Caller::with_attempts(5);
    for _ in 0..60 {
        let answer = caller.clone().call(Safety::Read, &double.url("/")).await.unwrap();
        assert_eq!(answer.response.status(), 503);
    }
    assert_eq!((double.heard().len(), caller.waits()), (60 + 100, 100), "500 tokens, 5 for each retry");
}

#[tokio::test]
async fn timeouts_use_the_budget_up_twice_as_fast() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    let caller = Caller::new(|config| {
        (config.max_attempts, config.attempt_timeout) = (60, Duration::from_millis(4));
    });
    let error = caller.call(Safety::Read, &double.url("/")).await.unwrap_err();
    assert_eq!((error.kind(), caller.waits()), (ErrorKind::Timeout, 50));
}

#[tokio::test]
async fn failed_connections_use_the_budget_up_too() {
    let (closed, caller) = (ClosedPort::new(), Caller::with_attempts(1000));
    let error = caller.call(Safety::Once, &closed.url()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown(), caller.waits()), (ErrorKind::Unavailable, false, 100));
}

#[tokio::test]
async fn successes_fill_the_budget_again() {
    let double = Double::start(vec![always(answer(503, "", ""))]).await;
    let good = Double::start(vec![always(answer(200, "", ""))]).await;
    let caller = Caller::with_attempts(1000);
    caller.call(Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!(caller.waits(), 100);
    for _ in 0..10 {
        caller.read(&good.url("/")).await;
    }
    caller.call(Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!(caller.waits(), 102, "10 successes are worth 2 retries");
}

#[tokio::test]
async fn a_url_that_cannot_be_asked_is_a_config_error_that_is_not_repeated() {
    for url in ["/path", "ftp://service.test/", "http://user:hush@service.test/"] {
        let caller = Caller::with_attempts(3);
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let error = caller.send(&Signed::default(), Safety::Read, request).await.unwrap_err();
        assert_eq!((error.kind(), caller.waits()), (ErrorKind::Config, 0), "{url}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

#[test]
fn the_clock_of_these_tests_starts_at_the_expected_time() {
    let since = Caller::new(|_| ()).clock.now().duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(since.unwrap(), Duration::from_secs(1_767_225_600));
}
