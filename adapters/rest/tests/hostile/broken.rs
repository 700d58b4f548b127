//! Servers that interrupt a response, send a wrong length, or do not speak HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use isobar_abstraction::ErrorKind;
use isobar_rest::Safety;

use crate::caller::{Caller, Signed};
use crate::double::{Act, Double, Script, always, answer, say};

/// Faults without a complete response, and a part of their error's message.
fn faults() -> Vec<(&'static str, Script, &'static str)> {
    use Act::{Close, Hear, Reset};
    let half_head = "HTTP/1.1 200 OK\r\ncontent-le";
    let half_body = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let half_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf";
    let no_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhalf\r\nhalf\r\n";
    let no_length = "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n";
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(200_000));
    vec![
        ("closed after the request", vec![Hear, Close], "closed the connection before it sent a response"),
        ("reset after the request", vec![Hear, Reset], "closed the connection before it sent a response"),
        ("half a head", vec![Hear, say(half_head), Close], "closed the connection before it sent a response"),
        (
            "half a head and a reset",
            vec![Hear, say(half_head), Reset],
            "closed the connection before it sent a response",
        ),
        ("a content-length too long", vec![Hear, say(half_body), Close], "was interrupted"),
        ("half a body and a reset", vec![Hear, say(half_body), Reset], "was interrupted"),
        ("no last chunk", vec![Hear, say(chunk), Close], "was interrupted"),
        ("half a chunk", vec![Hear, say(half_chunk), Close], "was interrupted"),
        ("a chunk without a size", vec![Hear, say(no_chunk), Close], "was interrupted"),
        ("a content-length that is no number", vec![Hear, say(no_length)], "is not valid HTTP"),
        ("two content-lengths", vec![Hear, say(two_lengths)], "is not valid HTTP"),
        ("another protocol", vec![Hear, say("SSH-2.0-OpenSSH_9.6\r\n")], "is not valid HTTP"),
        ("bytes", vec![Hear, say([0xff; 64])], "is not valid HTTP"),
        ("a head without end", vec![Hear, say(endless)], "is not valid HTTP"),
    ]
}

#[tokio::test]
async fn a_fault_is_an_unavailable_service_and_is_named() {
    for (fault, script, expected) in faults() {
        let (double, caller) = (Double::start(vec![script]).await, Caller::with_attempts(2));
        let error = caller.call(Safety::Read, &double.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault}: {error:?}");
        assert!(error.message().contains(expected), "{fault}: {error:?}");
        assert!(error.message().contains(&format!("`127.0.0.1:{}`", double.port())), "{fault}: {error:?}");
        assert_eq!((double.used_connections(), caller.waits()), (vec![0, 1], 1), "{fault}");
    }
}

#[tokio::test]
async fn after_a_fault_the_next_attempt_is_on_a_new_connection_and_succeeds() {
    for (fault, script, _) in faults() {
        let double = Double::start(vec![script, always(answer(200, "", "whole"))]).await;
        let caller = Caller::with_attempts(3);
        let answer = caller.call(Safety::Idempotent, &double.url("/")).await.unwrap();
        assert_eq!(answer.response.body(), "whole", "{fault}");
        assert_eq!((double.used_connections(), caller.waits()), (vec![0, 1], 1), "{fault}");
    }
}

#[tokio::test]
async fn bytes_after_a_response_are_never_the_next_response() {
    let smuggled =
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    for _ in 0..20 {
        let double = Double::start(vec![vec![Act::Hear, say(smuggled)], always(answer(200, "", "second"))]).await;
        let caller = Caller::new(|_| ());
        assert_eq!(caller.read(&double.url("/")).await, "first");
        assert_eq!(caller.read(&double.url("/")).await, "second");
        assert_eq!(double.used_connections().last(), Some(&1));
    }
}

#[tokio::test]
async fn a_content_length_too_short_cuts_the_answer_and_ends_the_connection() {
    let short = say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwhole");
    let double = Double::start(vec![vec![Act::Hear, short], always(answer(200, "", "next"))]).await;
    let caller = Caller::new(|_| ());
    assert_eq!(caller.read(&double.url("/")).await, "whol");
    assert_eq!(caller.read(&double.url("/")).await, "next");
    assert_eq!(double.connections(), 2);
}

#[tokio::test]
async fn a_call_that_may_be_repeated_survives_a_reset_before_the_request() {
    for safety in [Safety::Read, Safety::Idempotent] {
        let double = Double::start(vec![vec![Act::Reset], always(answer(200, "", ""))]).await;
        let answer = Caller::with_attempts(2).call(safety, &double.url("/")).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), double.used_connections()), (200, vec![1]), "{safety:?}");
    }
}

/// Whether the client has begun to send before the reset is a race: both results are correct.
#[tokio::test]
async fn a_reset_before_the_request_never_makes_a_write_twice() {
    for _ in 0..20 {
        let double = Double::start(vec![vec![Act::Reset], always(answer(200, "", ""))]).await;
        let caller = Caller::new(|_| ());
        match caller.call(Safety::Once, &double.url("/")).await {
            Ok(answer) => assert!(!answer.uncertain && double.used_connections() == [1]),
            Err(error) => assert!(error.outcome_unknown() && double.heard().is_empty(), "{error:?}"),
        }
        assert_eq!(caller.waits(), 0);
    }
}

#[tokio::test]
async fn a_reset_while_the_request_is_sent_leaves_the_outcome_of_a_write_unknown() {
    for (safety, attempts) in [(Safety::Idempotent, 2), (Safety::Once, 1)] {
        let double = Double::start(vec![vec![Act::HearHead, Act::Reset]]).await;
        let body = Bytes::from(vec![7; 8 * 1024 * 1024]);
        let request = Request::post(double.url("/")).body(body).unwrap();
        let error = Caller::with_attempts(2).send(&Signed::default(), safety, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.outcome_unknown(), "{safety:?}");
        assert_eq!(double.heard().len(), attempts, "{safety:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_received_slowly_but_in_time_are_a_response() {
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow".to_vec();
    let double = Double::start(vec![vec![Act::Hear, Act::Drip(text, Duration::from_millis(1))]]).await;
    assert_eq!(Caller::with_attempts(1).read(&double.url("/")).await, "slow");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Double::start(vec![always(answer(200, "", ""))]).await;
    let location = format!("location: {}\r\n", other.url("/"));
    let double = Double::start(vec![always(answer(307, &location, ""))]).await;
    let answer = Caller::new(|_| ()).call(Safety::Read, &double.url("/")).await.unwrap();
    assert_eq!((answer.response.status().as_u16(), other.connections()), (307, 0));
}
