//! Writes whose condition does not hold, and those whose answer was lost.

use super::*;

/// Fails once after it has written, or not; then the condition meets what is stored.
async fn after_a_lost_answer(stored: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Scene {
    let count = Mutex::new(0);
    Scene::new(move |_, input| {
        *count.lock() += 1;
        if *count.lock() == 1 { lost() } else { unmet(stored(input)) }
    })
    .await
}

#[tokio::test]
async fn a_put_that_meets_its_own_version_was_done() {
    for mode in [PutMode::Create, update()] {
        let scene = after_a_lost_answer(|input| Some(input["Item"].clone())).await;
        let version = scene.table.put(put(mode)).await.unwrap();
        assert_eq!(scene.count(), 2);
        assert_eq!(scene.requests()[0], scene.requests()[1], "all attempts write one version");
        assert_eq!(scene.input(0)["Item"]["version"]["S"], version.as_str());
    }
}

#[tokio::test]
async fn a_put_that_meets_another_version_after_a_lost_answer_may_have_been_written_over() {
    for (mode, kind) in [(PutMode::Create, ErrorKind::AlreadyExists), (update(), ErrorKind::Conflict)] {
        for item in [Some(json!({"version": {"S": "v-2"}})), Some(json!({"value": {"S": "x"}})), None] {
            let scene = after_a_lost_answer(move |_| item.clone()).await;
            assert_eq!(kind_of(scene.table.put(put(mode.clone())).await), (kind, true));
        }
    }
}

#[tokio::test]
async fn an_update_that_meets_the_version_it_asked_for_has_changed_nothing_for_that_has_expired() {
    let scene = after_a_lost_answer(|_| Some(stored("a", "!", "x"))).await;
    assert_eq!(kind_of(scene.table.put(put(update())).await), (ErrorKind::Conflict, false));
    let scene = after_a_lost_answer(|_| Some(stored("a", "!", "x"))).await;
    let deleted = scene.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn a_condition_that_does_not_hold_at_once_is_an_answer_and_is_asked_once() {
    let other = || unmet(Some(json!({"version": {"S": "v-2"}})));
    for (mode, kind) in [(PutMode::Create, ErrorKind::AlreadyExists), (update(), ErrorKind::Conflict)] {
        let scene = Scene::script([other()]).await;
        let error = scene.table.put(put(mode)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false));
        assert!(error.message().contains("`a`"), "{error}");
        assert_eq!(scene.count(), 1);
    }
    let scene = Scene::script([other()]).await;
    let deleted = scene.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_and_that_finds_nothing_may_have_been_done() {
    let scene = after_a_lost_answer(|_| None).await;
    let deleted = scene.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, true));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_by_its_repeat() {
    let scene = Scene::script([lost(), lost(), done(json!({}))]).await;
    scene.table.put(put(PutMode::Overwrite)).await.unwrap();
    let scene = Scene::script([lost(), done(json!({}))]).await;
    scene.table.delete(&Key::from("a"), None).await.unwrap();
}

#[tokio::test]
async fn the_condition_is_of_the_time_of_the_clock() {
    let scene = Scene::script([done(json!({}))]).await;
    scene.clock.advance(Duration::from_millis(800));
    scene.table.put(put(PutMode::Create)).await.unwrap();
    let values = json!({":now": {"N": (NOW + 800).to_string()}, ":second": {"N": "1767225601"}});
    assert_eq!(scene.input(0)["ExpressionAttributeValues"], values);
}
