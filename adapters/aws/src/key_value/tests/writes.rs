//! Writes with failed conditions and lost responses.

use super::*;

/// The first response is lost; then the condition fails on `stored`.
async fn after_a_lost_response(stored: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Fixture {
    let count = Mutex::new(0);
    Fixture::new(move |_, input| {
        *count.lock() += 1;
        if *count.lock() == 1 { lost() } else { unmet(stored(input)) }
    })
    .await
}

#[tokio::test]
async fn put_that_finds_its_version_is_a_success() {
    for mode in [PutMode::Create, update()] {
        let fixture = after_a_lost_response(|input| Some(input["Item"].clone())).await;
        let version = fixture.table.put(put(mode)).await.unwrap();
        assert_eq!(fixture.count(), 2);
        assert_eq!(fixture.requests()[0], fixture.requests()[1], "all attempts write one version");
        assert_eq!(fixture.input(0)["Item"]["version"]["S"], version.as_str());
    }
}

#[tokio::test]
async fn put_that_finds_another_version_after_a_lost_response_is_outcome_unknown() {
    for (mode, kind) in [(PutMode::Create, ErrorKind::AlreadyExists), (update(), ErrorKind::Conflict)] {
        for item in [Some(json!({"version": {"S": "v-2"}})), Some(json!({"value": {"S": "x"}})), None] {
            let fixture = after_a_lost_response(move |_| item.clone()).await;
            assert_eq!(kind_of(fixture.table.put(put(mode.clone())).await), (kind, true));
        }
    }
}

#[tokio::test]
async fn update_that_finds_its_expired_condition_version_changed_nothing() {
    let fixture = after_a_lost_response(|_| Some(stored("a", "!", "x"))).await;
    assert_eq!(kind_of(fixture.table.put(put(update())).await), (ErrorKind::Conflict, false));
    let fixture = after_a_lost_response(|_| Some(stored("a", "!", "x"))).await;
    let deleted = fixture.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn failed_condition_at_the_first_attempt_is_not_repeated() {
    let other = || unmet(Some(json!({"version": {"S": "v-2"}})));
    for (mode, kind) in [(PutMode::Create, ErrorKind::AlreadyExists), (update(), ErrorKind::Conflict)] {
        let fixture = Fixture::script([other()]).await;
        let error = fixture.table.put(put(mode)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false));
        assert!(error.message().contains("`a`"), "{error}");
        assert_eq!(fixture.count(), 1);
    }
    let fixture = Fixture::script([other()]).await;
    let deleted = fixture.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn delete_that_finds_nothing_after_a_lost_response_is_outcome_unknown() {
    let fixture = after_a_lost_response(|_| None).await;
    let deleted = fixture.table.delete(&Key::from("a"), Some(&Version::new("v-1"))).await;
    assert_eq!(kind_of(deleted), (ErrorKind::Conflict, true));
}

#[tokio::test]
async fn write_with_lost_response_is_repeated() {
    let fixture = Fixture::script([lost(), lost(), success(json!({}))]).await;
    fixture.table.put(put(PutMode::Overwrite)).await.unwrap();
    let fixture = Fixture::script([lost(), success(json!({}))]).await;
    fixture.table.delete(&Key::from("a"), None).await.unwrap();
}

#[tokio::test]
async fn condition_has_the_time_of_the_clock() {
    let fixture = Fixture::script([success(json!({}))]).await;
    fixture.clock.advance(Duration::from_millis(800));
    fixture.table.put(put(PutMode::Create)).await.unwrap();
    let values = json!({":now": {"N": (NOW + 800).to_string()}, ":second": {"N": "1767225601"}});
    assert_eq!(fixture.input(0)["ExpressionAttributeValues"], values);
}
