//! Lost responses, violated conditions, and expired items.

use super::*;

/// A service that applies a write, loses the response, and responds to the repetition with `repeated`.
async fn losing(repeated: Answer, read: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Scene {
    let mark = Mutex::new(Value::Null);
    Scene::new(move |request| {
        let is_query = request.headers().contains_key("x-ms-documentdb-isquery");
        if request.method() == "GET" || is_query {
            return answer(200, read(&mark.lock()));
        }
        let mut mark = mark.lock();
        if *mark == Scene::mark_of(request) {
            return repeated.clone();
        }
        *mark = Scene::mark_of(request);
        error_answer(500, 0, "lost")
    })
    .await
}

#[tokio::test]
async fn a_write_whose_response_was_lost_is_recognized_by_its_mark() {
    for (mode, repeated) in
        [(PutMode::Create, error_answer(409, 0, "taken")), (update(), error_answer(412, 0, "stale"))]
    {
        let scene = losing(repeated.clone(), |mark| stored(json!("text"), mark, None)).await;
        assert_eq!(scene.table.put(put(mode.clone())).await.unwrap().as_str(), "\"e-1\"");
        let scene = losing(repeated, |_| stored(json!("text"), &json!("another"), None)).await;
        let kind = if mode == PutMode::Create { ErrorKind::AlreadyExists } else { ErrorKind::Conflict };
        assert_eq!(kind_of(scene.table.put(put(mode)).await), (kind, true));
    }
}

#[tokio::test]
async fn a_transaction_whose_response_was_lost_is_recognized_by_its_mark() {
    let failed = || answer(207, json!([{"statusCode": 409}]));
    let scene = losing(failed(), |mark| stored(json!("text"), mark, None)).await;
    let versions = scene.table.transact(vec![Write::Put(put(PutMode::Create))]).await.unwrap();
    assert_eq!(versions, [Some(Version::new("\"e-1\""))]);
    let scene = losing(failed(), |_| stored(json!("text"), &json!("another"), None)).await;
    let outcome = kind_of(scene.table.transact(vec![Write::Put(put(PutMode::Create))]).await);
    assert_eq!(outcome, (ErrorKind::AlreadyExists, true));
    let stale = || answer(207, json!([{"statusCode": 412}]));
    let scene = losing(stale(), |_| stored(json!("text"), &json!("another"), None)).await;
    let outcome = kind_of(scene.table.transact(vec![Write::Put(put(update()))]).await);
    assert_eq!((outcome, scene.count()), ((ErrorKind::Conflict, true), 3), "two batches and a read");
}

#[tokio::test]
async fn an_addition_in_a_transaction_is_repeated_only_with_a_condition() {
    let add = || Write::Add { key: Key::new("a", "b"), delta: 1 };
    let batches = |scene: &Scene| scene.double.requests().iter().filter(|request| request.starts_with("POST")).count();
    let done = || answer(200, json!([{"statusCode": 201, "eTag": "e"}, {"statusCode": 201, "eTag": "f"}]));
    let scene = Scene::script([absent(), error_answer(500, 0, "lost"), done()]).await;
    let outcome = kind_of(scene.table.transact(vec![Write::Put(put(PutMode::Overwrite)), add()]).await);
    assert_eq!((outcome, batches(&scene)), ((ErrorKind::Unavailable, true), 1));
    // Another client has counted since: the mark of the other item shows that the transaction was applied.
    let failed = answer(207, json!([{"statusCode": 409}, {"statusCode": 424}]));
    let scene = losing(failed, |mark| match mark {
        Value::Null => {
            let mut counter = stored(json!(7), &json!("another"), None);
            counter["s"] = json!("b");
            counter
        }
        mark => json!({"Documents": [stored(json!("text"), mark, None)]}),
    })
    .await;
    let versions = scene.table.transact(vec![Write::Put(put(PutMode::Create)), add()]).await.unwrap();
    assert_eq!(versions[0], Some(Version::new("\"e-1\"")));
    assert!(versions[1].as_ref().is_some_and(|version| version.as_str().starts_with("superseded")));
}

#[tokio::test]
async fn an_addition_that_conflicts_with_other_writes_is_read_and_sent_again() {
    let done = answer(200, json!([{"statusCode": 201, "eTag": "e"}]));
    let conflict = || error_answer(449, 0, "conflicting request");
    // The client itself tries three times.
    let scene = Scene::script([absent(), conflict(), conflict(), conflict(), absent(), done]).await;
    let add = Write::Add { key: Key::new("a", "b"), delta: 1 };
    assert_eq!(scene.table.transact(vec![add]).await.unwrap().len(), 1);
    assert_eq!(scene.count(), 6);
}

#[tokio::test]
async fn an_addition_is_not_repeated_and_its_mark_shows_that_it_was_applied() {
    let scene = losing(written(200), |mark| stored(json!(7), mark, None)).await;
    assert_eq!(scene.table.add(&Key::from("a"), 1).await.unwrap(), 7);
    assert_eq!(scene.double.requests().iter().filter(|request| request.starts_with("PATCH")).count(), 1);
    let scene = losing(written(200), |_| stored(json!(7), &json!("another"), None)).await;
    assert_eq!(kind_of(scene.table.add(&Key::from("a"), 1).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.double.requests().iter().filter(|request| request.starts_with("PATCH")).count(), 1);
}

#[tokio::test]
async fn an_addition_to_a_counter_that_is_stored_as_text_is_written_back() {
    let large = answer(200, stored(json!("9007199254740993"), &json!("w"), None));
    let scene = Scene::script([error_answer(412, 0, "condition"), large, written(200)]).await;
    assert_eq!(scene.table.add(&Key::from("a"), -10).await.unwrap(), 9_007_199_254_740_983);
    assert_eq!(scene.header(2, "if-match").as_deref(), Some("\"e-1\""));
}

#[tokio::test]
async fn a_create_replaces_an_expired_item_and_nothing_else() {
    let expired = answer(200, stored(json!("old"), &json!("w"), Some(NOW)));
    let scene = Scene::script([error_answer(409, 0, "taken"), expired, written(200)]).await;
    scene.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(scene.header(2, "if-match").as_deref(), Some("\"e-1\""));
    let alive = answer(200, stored(json!("old"), &json!("w"), Some(NOW + 1)));
    let scene = Scene::script([error_answer(409, 0, "taken"), alive]).await;
    assert_eq!(kind_of(scene.table.put(put(PutMode::Create)).await), (ErrorKind::AlreadyExists, false));
}

#[tokio::test]
async fn a_delete_of_an_absent_item_does_not_fail_a_transaction() {
    let failed = answer(207, json!([{"statusCode": 404}, {"statusCode": 424}]));
    let done = answer(200, json!([{"statusCode": 201, "eTag": "t"}, {"statusCode": 201, "eTag": "e"}]));
    let scene = Scene::script([failed, answer(200, json!({"Documents": []})), done]).await;
    let other = Put::new(("a", "b"), "text").with_mode(PutMode::Create);
    let writes = vec![Write::Delete { key: Key::from("a"), version: None }, Write::Put(other)];
    assert_eq!(scene.table.transact(writes).await.unwrap(), [None, Some(Version::new("e"))]);
    let body = scene.body(2);
    assert_eq!((&body[0]["operationType"], &body[0]["resourceBody"]["x"]), (&json!("Upsert"), &json!(0)));
    assert_eq!(body[0]["resourceBody"]["ttl"], json!(1));
}

#[tokio::test]
async fn a_create_in_a_transaction_replaces_an_expired_item() {
    let failed = answer(207, json!([{"statusCode": 409}]));
    let expired = answer(200, stored(json!("old"), &json!("w"), Some(NOW)));
    let scene = Scene::script([failed, expired, answer(200, json!([{"statusCode": 200, "eTag": "e"}]))]).await;
    scene.table.transact(vec![Write::Put(put(PutMode::Create))]).await.unwrap();
    let body = scene.body(2);
    assert_eq!((&body[0]["operationType"], &body[0]["ifMatch"]), (&json!("Replace"), &json!("\"e-1\"")));
}

#[tokio::test]
async fn the_error_of_a_transaction_is_that_of_the_failed_write() {
    let failed = answer(207, json!([{"statusCode": 424}, {"statusCode": 412}]));
    let scene = Scene::script([failed]).await;
    let other = Put::new(("a", "b"), "text").with_mode(update());
    let error = scene.table.transact(vec![Write::Put(put(PutMode::Overwrite)), Write::Put(other)]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown(), scene.count()), (ErrorKind::Conflict, false, 1));
    assert!(error.message().contains("a / b"), "{error}");
    let busy = answer(207, json!([{"statusCode": 429}]));
    let scene = Scene::script([busy, answer(200, json!([{"statusCode": 200, "eTag": "e"}]))]).await;
    scene.table.transact(vec![Write::Put(put(PutMode::Overwrite))]).await.unwrap();
    assert_eq!(scene.count(), 2, "throttled inside, nothing was applied");
}
