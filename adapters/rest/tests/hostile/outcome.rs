//! The outcome of a call: unknown where a write may have been applied, and only there.

use std::time::Duration;

use isobar_abstraction::{ErrorKind, Result};
use isobar_rest::Safety;

use crate::caller::{Answer, Caller, Signed};
use crate::double::{Act, ClosedPort, Double, Script, answer, say};

/// The number of received requests, and whether the outcome is unknown.
type Seen = (usize, bool);

/// What is seen of two attempts that end alike: of a read, an idempotent write, and one to make once.
struct Case {
    name: &'static str,
    script: Script,
    seen: [Seen; 3],
}

const APPLIED_PERHAPS: [Seen; 3] = [(2, false), (2, true), (1, true)];
const NOT_APPLIED: [Seen; 3] = [(2, false); 3];
const APPLIED_ONCE_PERHAPS: [Seen; 3] = [(1, false), (1, true), (1, true)];
const ANSWERED: [Seen; 3] = [(1, false); 3];

fn cases() -> Vec<Case> {
    use Act::{Close, Hear, Reset};
    let case = |name, script, seen| Case { name, script, seen };
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    vec![
        case("closed after the request", vec![Hear, Close], APPLIED_PERHAPS),
        case("reset after the request", vec![Hear, Reset], APPLIED_PERHAPS),
        case("garbage", vec![Hear, say("no HTTP\r\n\r\n")], APPLIED_PERHAPS),
        case("half a head", vec![Hear, say("HTTP/1.1 200"), Close], APPLIED_PERHAPS),
        case("half a body", vec![Hear, say(half), Close], APPLIED_PERHAPS),
        case("no answer in time", vec![Hear], APPLIED_PERHAPS),
        case("half a body in time", vec![Hear, say(half)], APPLIED_PERHAPS),
        case("a failure", vec![Hear, answer(500, "", "")], APPLIED_PERHAPS),
        case("a failure of what is behind", vec![Hear, answer(502, "", "")], APPLIED_PERHAPS),
        case("throttled", vec![Hear, answer(429, "", "")], NOT_APPLIED),
        case("refused", vec![Hear, answer(503, "", "")], NOT_APPLIED),
        case("too large", vec![Hear, answer(200, "", &"a".repeat(100))], APPLIED_ONCE_PERHAPS),
        case("a success", vec![Hear, answer(200, "", "")], ANSWERED),
        case("a mistake", vec![Hear, answer(400, "", "")], ANSWERED),
    ]
}

fn unknown(result: &Result<Answer>) -> bool {
    match result {
        Ok(answer) => answer.uncertain,
        Err(error) => error.outcome_unknown(),
    }
}

#[tokio::test]
async fn the_outcome_is_unknown_where_a_write_may_have_been_applied_and_nowhere_else() {
    for case in cases() {
        for (safety, seen) in [Safety::Read, Safety::Idempotent, Safety::Once].into_iter().zip(case.seen) {
            // One request for each connection, so that none is met again.
            let is_silent = case.name.ends_with("in time");
            let end = if is_silent { Vec::new() } else { vec![Act::Close] };
            let script = [case.script.clone(), end].concat();
            let double = Double::start(vec![script]).await;
            let caller = Caller::new(|config| {
                (config.max_attempts, config.max_response_bytes) = (2, 64);
                if is_silent {
                    config.attempt_timeout = Duration::from_millis(200);
                }
            });
            let result = caller.call(safety, &double.url("/")).await;
            assert_eq!((double.heard().len(), unknown(&result)), seen, "{}, {safety:?}: {result:?}", case.name);
            assert_eq!(caller.waits(), seen.0 - 1, "{}, {safety:?}", case.name);
        }
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_applied_and_all_may_be_repeated() {
    for safety in [Safety::Read, Safety::Idempotent, Safety::Once] {
        let (caller, closed) = (Caller::with_attempts(3), ClosedPort::new());
        let error = caller.call(safety, &closed.url()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false), "{safety:?}");
        assert!(error.message().contains("cannot connect to `127.0.0.1:"), "{error:?}");
        assert_eq!(caller.waits(), 2, "{safety:?}");
    }
}

#[tokio::test]
async fn an_attempt_that_was_refused_does_not_excuse_one_before_that_was_not() {
    let scripts = vec![vec![Act::Hear, Act::Close], vec![Act::Hear, answer(503, "", ""), Act::Again]];
    for (safety, uncertain) in [(Safety::Idempotent, true), (Safety::Read, false)] {
        let double = Double::start(scripts.clone()).await;
        let answer = Caller::with_attempts(3).call(safety, &double.url("/")).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.uncertain), (503, uncertain));
        assert_eq!(double.heard().len(), 3);
    }
}

#[tokio::test]
async fn refused_credentials_are_renewed_once_and_do_not_hide_a_doubtful_attempt() {
    for (service, requests) in [(Signed::with_others(), 3), (Signed::default(), 2)] {
        let scripts = vec![vec![Act::Hear, Act::Close], vec![Act::Hear, answer(401, "", ""), Act::Again]];
        let double = Double::start(scripts).await;
        let caller = Caller::with_attempts(3);
        let answer = caller.call_of(&service, Safety::Idempotent, &double.url("/")).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.uncertain), (401, true));
        assert_eq!((double.heard().len(), service.renewals()), (requests, 1));
    }
}

#[tokio::test]
async fn credentials_that_expire_between_attempts_do_not_hide_a_doubtful_one() {
    for (safety, unknown) in [(Safety::Idempotent, true), (Safety::Read, false)] {
        let double = Double::start(vec![vec![Act::Hear, Act::Close]]).await;
        let service = Signed::expiring_at(2);
        let caller = Caller::with_attempts(3);
        let error = caller.call_of(&service, safety, &double.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unauthenticated, unknown));
        assert_eq!(double.heard().len(), 1);
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_nothing_repeated() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    let service = Signed::expiring_at(1);
    let caller = Caller::with_attempts(3);
    let error = caller.call_of(&service, Safety::Once, &double.url("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unauthenticated, false));
    assert_eq!((double.connections(), caller.waits()), (0, 0));
}
