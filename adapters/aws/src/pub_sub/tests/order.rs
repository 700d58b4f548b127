//! Messages with an ordering key.

use super::*;

fn messages(all: &[(&str, &str)]) -> Vec<RawMessage> {
    all.iter().map(|(key, body)| keyed(key, body)).collect()
}

#[tokio::test]
async fn publish_sends_one_message_of_a_key_at_a_time_and_keys_share_requests() {
    let fixture = Fixture::script(vec![]).await;
    let sent = messages(&[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("c", "c1"), ("b", "b2")]);
    assert!(fixture.publish(sent).await.iter().all(Result::is_ok));
    assert_eq!(fixture.bodies(), [vec!["a1", "b1", "c1"], vec!["a2", "b2"], vec!["a3"]]);
}

#[tokio::test]
async fn results_are_in_the_order_of_messages_with_and_without_a_key() {
    let fault = |body: &str, _| ["2", "3"].contains(&body).then_some(("InvalidParameter", true));
    let fixture = Fixture::faulty(fault).await;
    let results =
        fixture.publish(vec![keyed("k", "0"), plain("1"), keyed("l", "2"), plain("3"), keyed("k", "4")]).await;
    let failed = Some((ErrorKind::InvalidInput, false));
    assert_eq!(failures(&results), [None, None, failed, failed, None]);
    let meta = |body: &str| {
        let all = fixture.batches().into_iter().flat_map(|batch| batch.messages);
        all.filter(|message| message.body == body)
            .map(|message| message.attributes["isobar.meta"].clone())
            .next()
            .unwrap()
    };
    for (index, body) in [(0, "0"), (1, "1"), (4, "4")] {
        assert!(meta(body).contains(results[index].as_ref().unwrap().as_str()), "{body}");
    }
}

#[tokio::test]
async fn later_message_of_a_key_is_not_sent_after_a_failed_one() {
    let fault = |body: &str, _| (body == "a1").then_some(("InvalidParameter", true));
    let fixture = Fixture::faulty(fault).await;
    let results = fixture.publish(messages(&[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")])).await;
    let failed = Some((ErrorKind::InvalidInput, false));
    assert_eq!(failures(&results), [failed, failed, None, failed, None]);
    assert_eq!(fixture.bodies(), [vec!["a1", "b1"], vec!["b2"]]);
    let message = results[1].as_ref().unwrap_err().message();
    assert_eq!(message, "not sent, since an earlier message of its ordering key failed");
}

#[tokio::test]
async fn message_never_sent_is_not_outcome_unknown() {
    let fault = |body: &str, _| (body == "a1").then_some(("InternalError", false));
    let fixture = Fixture::faulty(fault).await;
    let results = fixture.publish(messages(&[("a", "a1"), ("a", "a2")])).await;
    assert_eq!(failures(&results), [Some((ErrorKind::Unavailable, true)), Some((ErrorKind::Unavailable, false))]);
    assert_eq!(fixture.bodies(), vec![vec!["a1"]; ATTEMPTS as usize]);
}

#[tokio::test]
async fn next_message_of_a_key_waits_until_a_throttled_one_is_stored() {
    let fault = |body: &str, before| (body == "a1" && before < 2).then_some(("Throttled", false));
    let fixture = Fixture::faulty(fault).await;
    assert!(fixture.publish(messages(&[("a", "a1"), ("b", "b1"), ("a", "a2")])).await.iter().all(Result::is_ok));
    assert_eq!(fixture.bodies(), [vec!["a1", "b1"], vec!["a1"], vec!["a1"], vec!["a2"]]);
    let batches = fixture.batches();
    let deduplication_id = |index: usize| batches[index].messages[0].deduplication.clone().unwrap();
    assert_eq!(deduplication_id(0), deduplication_id(2), "a repeat of a stored message has no effect");
}

#[tokio::test]
async fn failed_request_blocks_all_its_keys() {
    let fixture = Fixture::new(|batch| match batch.bodies().contains(&"a1") {
        true => error_response(403, "AuthorizationError"),
        false => answer(&vec![None; batch.messages.len()]),
    })
    .await;
    let results = fixture.publish(messages(&[("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")])).await;
    assert_eq!(failures(&results), [Some((ErrorKind::PermissionDenied, false)); 4]);
    assert_eq!(fixture.count(), 1);
}
