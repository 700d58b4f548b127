//! How long an attempt may take, and how much it may bring.

use std::time::{Duration, Instant};

use isobar_abstraction::ErrorKind;
use isobar_rest::Safety;

use crate::caller::Caller;
use crate::double::{Act, Double, always, answer, say};

const SOON: Duration = Duration::from_millis(200);
/// Far below the timeouts of a client with long ones, far above what a machine under load needs.
const LONG: Duration = Duration::from_secs(10);

fn hurried(attempts: u32) -> Caller {
    Caller::new(|config| (config.max_attempts, config.attempt_timeout) = (attempts, SOON))
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let (double, started) = (Double::start(vec![vec![Act::Hear]]).await, Instant::now());
    let error = hurried(2).call(Safety::Read, &double.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("did not respond within 200ms"), "{error:?}");
    assert!((2 * SOON..LONG).contains(&started.elapsed()));
    assert_eq!(double.used_connections(), [0, 1]);
}

#[tokio::test]
async fn slow_bytes_do_not_lengthen_an_attempt() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n".to_vec();
    let slow_head = vec![Act::Hear, Act::Drip(head.clone(), Duration::from_millis(10))];
    let slow_body = vec![Act::Hear, Act::Say(head), Act::Drip(vec![b'a'; 500], Duration::from_millis(10))];
    for script in [slow_head, slow_body] {
        let (double, started) = (Double::start(vec![script]).await, Instant::now());
        let error = hurried(1).call(Safety::Once, &double.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, true));
        assert!(started.elapsed() < LONG / 4, "the whole answer takes 5 s");
    }
}

#[tokio::test]
async fn a_timeout_of_one_attempt_does_not_end_the_next() {
    let double = Double::start(vec![vec![Act::Hear], always(answer(200, "", "second"))]).await;
    assert_eq!(hurried(2).read(&double.url("/")).await, "second");
}

/// TLS is part of connecting, and the double says nothing.
#[tokio::test]
async fn a_connection_that_takes_too_long_is_given_up_and_nothing_was_sent() {
    for safety in [Safety::Read, Safety::Once] {
        let double = Double::start(vec![Vec::new()]).await;
        let caller = Caller::new(|config| (config.max_attempts, config.connect_timeout) = (2, SOON));
        let started = Instant::now();
        let error = caller.call(safety, &double.url("/").replace("http:", "https:")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
        assert!(format!("{error:?}").contains("no connection within 200ms"), "{error:?}");
        assert!((2 * SOON..LONG).contains(&started.elapsed()));
        assert_eq!((double.connections(), caller.waits()), (2, 1));
    }
}

#[tokio::test]
async fn an_attempt_that_ends_before_it_is_connected_has_sent_nothing() {
    let double = Double::start(vec![Vec::new()]).await;
    let caller = hurried(2);
    let error = caller.call(Safety::Once, &double.url("/").replace("http:", "https:")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert_eq!(caller.waits(), 1);
}

#[tokio::test]
async fn an_answer_of_the_largest_size_is_read_and_no_larger_one() {
    let chunked = |size: usize| {
        let body = "a".repeat(size);
        say(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"))
    };
    let caller = Caller::new(|config| config.max_response_bytes = 1000);
    for (size, is_read) in [(1000, true), (1001, false), (100_000, false)] {
        for expected in [answer(200, "", &"a".repeat(size)), chunked(size)] {
            let double = Double::start(vec![always(expected)]).await;
            match caller.call(Safety::Read, &double.url("/")).await {
                Ok(answer) => assert!(is_read && answer.response.body().len() == size, "{size}"),
                Err(error) => assert!(!is_read && error.kind() == ErrorKind::TooLarge, "{error:?}"),
            }
            assert_eq!((double.heard().len(), caller.waits()), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_content_length_beyond_the_limit_is_refused_before_the_body_comes() {
    for length in ["1001", "18446744073709551613"] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let double = Double::start(vec![vec![Act::Hear, say(head)]]).await;
        let (caller, started) = (Caller::new(|config| config.max_response_bytes = 1000), Instant::now());
        let error = caller.call(Safety::Read, &double.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(1000)));
        assert!(started.elapsed() < LONG);
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_limit() {
    let head = say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut script = vec![Act::Hear, head];
    script.extend((0..400).map(|_| say(format!("fff\r\n{}\r\n", "a".repeat(0xfff)))));
    let double = Double::start(vec![script]).await;
    let caller = Caller::new(|config| config.max_response_bytes = 64 * 1024);
    let error = caller.call(Safety::Read, &double.url("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(64 * 1024)));
}
