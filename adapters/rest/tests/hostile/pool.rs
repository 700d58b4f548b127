//! Connections that are used again, and those that better are not.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::ErrorKind;
use isobar_rest::Safety;
use tokio::sync::Barrier;

use crate::caller::Caller;
use crate::double::{Act, Double, Script, always, answer};

/// Serves one request, hears the next, and ends without a word.
fn dies_with_the_second(end: Act) -> Script {
    vec![Act::Hear, answer(200, "", "first"), Act::Hear, end]
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let double = Double::start(vec![always(answer(200, "", ""))]).await;
    let caller = Caller::new(|_| ());
    for _ in 0..5 {
        caller.clone().read(&double.url("/")).await;
    }
    assert_eq!(double.used_connections(), [0; 5]);
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let double = Double::start(vec![always(answer(200, "", ""))]).await;
    let caller = Caller::new(|config| config.idle_timeout = Duration::from_secs(45));
    for idle in [44, 46, 0] {
        caller.read(&double.url("/")).await;
        caller.clock.manual.advance(Duration::from_secs(idle));
    }
    caller.read(&double.url("/")).await;
    assert_eq!(double.used_connections(), [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_dead_pooled_connection_costs_neither_a_wait_nor_an_attempt() {
    for end in [Act::Close, Act::Reset] {
        for safety in [Safety::Read, Safety::Idempotent] {
            let script = dies_with_the_second(end.clone());
            let double = Double::start(vec![script, always(answer(200, "", "second"))]).await;
            let caller = Caller::with_attempts(1);
            assert_eq!(caller.read(&double.url("/")).await, "first");
            let answer = caller.call(safety, &double.url("/")).await.unwrap();
            assert_eq!(answer.response.body(), "second");
            assert_eq!((double.used_connections(), caller.waits()), (vec![0, 0, 1], 0));
        }
    }
}

#[tokio::test]
async fn a_write_that_a_dead_pooled_connection_may_have_taken_is_not_repeated() {
    let double = Double::start(vec![dies_with_the_second(Act::Close), always(answer(200, "", ""))]).await;
    let caller = Caller::new(|_| ());
    caller.read(&double.url("/")).await;
    let error = caller.call(Safety::Once, &double.url("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true));
    assert_eq!((double.used_connections(), caller.waits()), (vec![0, 0], 0));
}

#[tokio::test]
async fn a_connection_that_fails_after_a_dead_one_is_retried_with_a_wait() {
    let scripts = vec![dies_with_the_second(Act::Close), vec![Act::Hear, Act::Close], always(answer(200, "", "third"))];
    let double = Double::start(scripts).await;
    let caller = Caller::with_attempts(2);
    caller.read(&double.url("/")).await;
    assert_eq!(caller.read(&double.url("/")).await, "third");
    assert_eq!((double.used_connections(), caller.waits()), (vec![0, 0, 1, 2], 1));
}

#[tokio::test]
async fn where_one_pooled_connection_is_dead_the_others_are_given_up() {
    let both = Arc::new(Barrier::new(2));
    let old = vec![Act::Hear, Act::Meet(both), answer(200, "", ""), Act::Hear, Act::Close];
    let double = Double::start(vec![old.clone(), old, always(answer(200, "", "new"))]).await;
    let caller = Caller::with_attempts(1);
    let url = double.url("/");
    futures_util::join!(caller.read(&url), caller.read(&url));
    assert_eq!(caller.read(&url).await, "new");
    assert_eq!(caller.read(&url).await, "new");
    let used_connections = double.used_connections();
    assert_eq!((used_connections.len(), &used_connections[3..]), (5, &[2, 2][..]), "{used_connections:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_not_used_for_a_write() {
    let double =
        Double::start(vec![vec![Act::Hear, answer(200, "", ""), Act::Close], always(answer(200, "", ""))]).await;
    let caller = Caller::with_attempts(1);
    caller.read(&double.url("/")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = caller.call(Safety::Once, &double.url("/")).await.unwrap();
    assert_eq!((answer.uncertain, double.used_connections()), (false, vec![0, 1]));
}

#[tokio::test]
async fn a_client_connects_to_nothing_before_its_first_call() {
    let double = Double::start(vec![always(answer(200, "", ""))]).await;
    let caller = Caller::new(|config| config.ca_bundle = Some("/nowhere/ca.pem".into()));
    assert_eq!(double.connections(), 0);
    caller.read(&double.url("/")).await;
}
