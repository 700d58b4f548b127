//! The invocation that a call is part of, and its end.

use std::time::{Duration, Instant};

use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::{Clock, current_deadline, in_current_invocation};
use isobar_rest::Safety;

use crate::caller::{Caller, Signed};
use crate::double::{Act, ClosedPort, Double, always, answer};

const SOON: Duration = Duration::from_millis(200);
/// Far below the timeouts of a client with long ones.
const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_invocation_of_these_tests_has_the_deadline_that_they_think() {
    let caller = Caller::new(|_| ());
    let (deadline, left) = caller.within(SOON, |_| async { (current_deadline(), SOON) }).await;
    assert_eq!(deadline.unwrap().duration_since(caller.clock.now()).unwrap(), left);
    assert_eq!(current_deadline(), None);
}

#[tokio::test]
async fn the_deadline_ends_an_attempt_and_there_is_no_other() {
    for (safety, unknown) in [(Safety::Read, false), (Safety::Idempotent, true), (Safety::Once, true)] {
        let (double, caller) = (Double::start(vec![vec![Act::Hear]]).await, Caller::with_attempts(3));
        let (url, started) = (double.url("/"), Instant::now());
        let ask = |caller: Caller| async move { caller.call(safety, &url).await };
        let error = caller.within(SOON, ask).await.unwrap_err();
        assert!((SOON..LONG).contains(&started.elapsed()));
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, unknown), "{safety:?}");
        assert!(error.message().contains("deadline"), "{error:?}");
        assert_eq!((double.heard().len(), caller.waits()), (1, 0));
    }
}

#[tokio::test]
async fn the_deadline_ends_the_call_of_a_task_that_belongs_to_the_invocation() {
    for belongs in [true, false] {
        let (double, caller) = (Double::start(vec![vec![Act::Hear]]).await, Caller::with_attempts(1));
        let url = double.url("/");
        let ask = |caller: Caller| async move {
            let call = async move { caller.call(Safety::Read, &url).await };
            let task = if belongs { tokio::spawn(in_current_invocation(call)) } else { tokio::spawn(call) };
            tokio::time::timeout(SOON * 3, task).await.ok()
        };
        let ended = caller.within(SOON, ask).await.map(|task| task.unwrap().unwrap_err().kind());
        assert_eq!(ended, belongs.then_some(ErrorKind::Timeout));
    }
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let (double, caller) = (Double::start(vec![always(answer(200, "", ""))]).await, Caller::new(|_| ()));
    let url = double.url("/");
    let late = |caller: Caller| async move {
        caller.clock.manual.advance(SOON);
        caller.call(Safety::Once, &url).await
    };
    let error = caller.within(SOON, late).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert_eq!((double.connections(), caller.waits()), (0, 0));
}

#[tokio::test]
async fn the_deadline_while_connecting_leaves_no_doubt_of_the_outcome() {
    let (double, caller) = (Double::start(vec![Vec::new()]).await, Caller::new(|_| ()));
    let (url, started) = (double.url("/").replace("http:", "https:"), Instant::now());
    let error = caller.within(SOON, |caller| async move { caller.call(Safety::Once, &url).await }).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn the_deadline_ends_the_wait_for_credentials_and_nothing_is_sent() {
    let (double, caller) = (Double::start(vec![always(answer(200, "", ""))]).await, Caller::new(|_| ()));
    let url = double.url("/");
    let ask = |caller: Caller| async move { caller.call_of(&Signed::silent(), Safety::Once, &url).await };
    let error = caller.within(SOON, ask).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert_eq!((double.connections(), caller.waits()), (0, 0));
}

#[tokio::test]
async fn a_wait_that_the_deadline_does_not_leave_time_for_does_not_start() {
    let double = Double::start(vec![always(answer(503, "retry-after: 2\r\n", ""))]).await;
    for (left, attempts) in [(Duration::from_secs(1), 1), (Duration::from_secs(2), 1), (Duration::from_secs(3), 2)] {
        let (caller, before, url) = (Caller::with_attempts(5), double.heard().len(), double.url("/"));
        let answer = caller.within(left, |caller| async move { caller.call(Safety::Once, &url).await }).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.uncertain), (503, false));
        assert_eq!(double.heard().len() - before, attempts, "{left:?} left");
        assert_eq!(caller.waits(), attempts - 1);
    }
}

#[tokio::test]
async fn a_failure_that_the_deadline_leaves_no_time_to_repeat_is_a_timeout_with_its_cause() {
    let closing = Double::start(vec![vec![Act::Hear, Act::Close]]).await;
    let closed = ClosedPort::new();
    for (url, safety, unknown) in [
        (closed.url(), Safety::Idempotent, false),
        (closing.url("/"), Safety::Idempotent, true),
        (closing.url("/"), Safety::Read, false),
    ] {
        let caller = Caller::new(|config| {
            // Drawn from so wide a range, no wait fits into what is left.
            (config.min_backoff, config.max_backoff) = (Duration::from_secs(1 << 30), Duration::from_secs(1 << 30));
        });
        let ask = |caller: Caller| async move { caller.call(safety, &url).await };
        let error = caller.within(LONG, ask).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, unknown), "{error:?}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("unavailable"), "{error:?}");
        assert_eq!(caller.waits(), 0);
    }
}

#[tokio::test]
async fn a_deadline_that_is_far_changes_nothing() {
    let double = Double::start(vec![vec![Act::Hear, Act::Close], always(answer(200, "", "second"))]).await;
    let (caller, url) = (Caller::new(|_| ()), double.url("/"));
    let text = caller.within(Duration::from_secs(900), |caller| async move { caller.read(&url).await }).await;
    assert_eq!((text.as_str(), caller.waits()), ("second", 1));
}
