//! Messages with an ordering key.

use super::*;

fn messages(all: &[(&str, &str)]) -> Vec<RawMessage> {
    all.iter().map(|(key, body)| keyed(key, body)).collect()
}

#[tokio::test]
async fn a_key_has_one_message_under_way_and_keys_share_requests() {
    let scene = Scene::script(vec![]).await;
    let sent = messages(&[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("c", "c1"), ("b", "b2")]);
    assert!(scene.publish(sent).await.iter().all(Result::is_ok));
    assert_eq!(scene.bodies(), [vec!["a1", "b1", "c1"], vec!["a2", "b2"], vec!["a3"]]);
}

#[tokio::test]
async fn results_are_in_the_order_of_messages_with_and_without_a_key() {
    let fault = |body: &str, _| ["2", "3"].contains(&body).then_some(("InvalidParameter", true));
    let scene = Scene::faulty(fault).await;
    let results = scene.publish(vec![keyed("k", "0"), plain("1"), keyed("l", "2"), plain("3"), keyed("k", "4")]).await;
    let failed = Some((ErrorKind::InvalidInput, false));
    assert_eq!(told(&results), [None, None, failed, failed, None]);
    let meta = |body: &str| {
        let all = scene.batches().into_iter().flat_map(|batch| batch.messages);
        all.filter(|given| given.body == body).map(|given| given.attributes["isobar.meta"].clone()).next().unwrap()
    };
    for (place, body) in [(0, "0"), (1, "1"), (4, "4")] {
        assert!(meta(body).contains(results[place].as_ref().unwrap().as_str()), "{body}");
    }
}

#[tokio::test]
async fn a_later_message_of_a_key_never_overtakes_one_that_failed() {
    let fault = |body: &str, _| (body == "a1").then_some(("InvalidParameter", true));
    let scene = Scene::faulty(fault).await;
    let results = scene.publish(messages(&[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")])).await;
    let failed = Some((ErrorKind::InvalidInput, false));
    assert_eq!(told(&results), [failed, failed, None, failed, None]);
    assert_eq!(scene.bodies(), [vec!["a1", "b1"], vec!["b2"]]);
    let message = results[1].as_ref().unwrap_err().message();
    assert_eq!(message, "not sent, since an earlier message of its ordering key failed");
}

#[tokio::test]
async fn what_was_never_sent_is_not_unknown_although_the_one_before_it_is() {
    let fault = |body: &str, _| (body == "a1").then_some(("InternalError", false));
    let scene = Scene::faulty(fault).await;
    let results = scene.publish(messages(&[("a", "a1"), ("a", "a2")])).await;
    assert_eq!(told(&results), [Some((ErrorKind::Unavailable, true)), Some((ErrorKind::Unavailable, false))]);
    assert_eq!(scene.bodies(), vec![vec!["a1"]; ATTEMPTS as usize]);
}

#[tokio::test]
async fn the_next_of_a_key_waits_until_a_throttled_one_is_stored() {
    let fault = |body: &str, before| (body == "a1" && before < 2).then_some(("Throttled", false));
    let scene = Scene::faulty(fault).await;
    assert!(scene.publish(messages(&[("a", "a1"), ("b", "b1"), ("a", "a2")])).await.iter().all(Result::is_ok));
    assert_eq!(scene.bodies(), [vec!["a1", "b1"], vec!["a1"], vec!["a1"], vec!["a2"]]);
    let batches = scene.batches();
    let known = |place: usize| batches[place].messages[0].deduplication.clone().unwrap();
    assert_eq!(known(0), known(2), "a repeat of what was stored after all does nothing");
}

#[tokio::test]
async fn a_request_that_fails_as_a_whole_holds_all_its_keys() {
    let scene = Scene::new(|batch| match batch.bodies().contains(&"a1") {
        true => refused(403, "AuthorizationError"),
        false => answer(&vec![None; batch.messages.len()]),
    })
    .await;
    let results = scene.publish(messages(&[("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")])).await;
    assert_eq!(told(&results), [Some((ErrorKind::PermissionDenied, false)); 4]);
    assert_eq!(scene.count(), 1);
}
