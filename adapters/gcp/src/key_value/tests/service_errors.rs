//! What a service error becomes, and how often it is asked again.

use super::*;

fn slow() -> Answer {
    let mut service_error = service_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.");
    let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"});
    service_error["error"]["details"] = json!([info]);
    answer(429, service_error)
}

#[tokio::test]
async fn the_service_says_how_long_to_wait() {
    let scene = Scene::script([slow(), found(text("x", &json!("w")))]).await;
    assert_eq!(scene.table.get(&key()).await.unwrap().unwrap().value, "x");
    assert_eq!(scene.count(), 2);
    let scene = Scene::script([slow()]).await;
    let throttled = scene.table.put(put(PutMode::Create)).await.unwrap_err();
    assert_eq!((throttled.kind(), throttled.outcome_unknown()), (ErrorKind::Throttled, false), "it was not applied");
    assert_eq!(throttled.retry_after(), Some(Duration::from_millis(1_500)));
    assert_eq!(scene.count(), 3);
    assert_eq!(kind_of(scene.table.add(&key(), 1).await), (ErrorKind::Throttled, false));
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let lost = || refused(409, "ABORTED", "Transaction lock timeout.");
    for service_error in [failed(), refused(500, "INTERNAL", "x"), refused(504, "DEADLINE_EXCEEDED", "x"), lost()] {
        let scene = Scene::script([service_error.clone(), found(text("x", &json!("w")))]).await;
        assert!(scene.table.get(&key()).await.unwrap().is_some());
        let scene = Scene::script([service_error, written(1)]).await;
        scene.table.put(put(PutMode::Overwrite)).await.unwrap();
        assert_eq!(scene.count(), 2);
    }
}

#[tokio::test]
async fn a_document_that_others_hold_every_time_is_throttled() {
    let scene = Scene::script([refused(409, "ABORTED", "Transaction lock timeout.")]).await;
    let throttled = ErrorKind::Throttled;
    for mode in [PutMode::Overwrite, PutMode::Create, update()] {
        let before = scene.count();
        assert_eq!(kind_of(scene.table.put(put(mode)).await), (throttled, false));
        assert_eq!(scene.count() - before, TRIES as usize);
    }
    assert_eq!(kind_of(scene.table.get(&key()).await), (throttled, false));
}

#[tokio::test]
async fn a_missing_database_is_told_with_how_to_create_it() {
    for (status, told) in [
        ("NOT_FOUND", "The database (default) does not exist for project p-1 Please visit https://x to add one."),
        ("NOT_FOUND", "The project p-1 does not exist or it does not contain an active Cloud Firestore database."),
    ] {
        let scene = Scene::script([refused(404, status, told)]).await;
        let errors = [
            scene.table.get(&key()).await.unwrap_err(),
            scene.table.put(put(PutMode::Create)).await.unwrap_err(),
            scene.table.put(put(update())).await.unwrap_err(),
            scene.table.delete(&key(), Some(&version(OLD))).await.unwrap_err(),
            scene.table.add(&key(), 1).await.unwrap_err(),
            scene.table.transact(vec![Write::Delete { key: key(), version: None }]).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false), "{error}");
            for part in
                ["gcloud firestore databases create", "--database='(default)'", "--project=p-1", "does not exist"]
            {
                assert!(error.message().contains(part), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn keys_do_not_make_a_missing_document_a_missing_database() {
    for told in [
        format!("No document to update: {ALL}/links/ca97a/links/sthe database does not exist"),
        "no entity to update: app: \"dev~p\" path < Element { name: \"sthe database does not exist\" } >".to_owned(),
        format!("Document {ALL}/links/ca97a/links/s does not exist"),
    ] {
        let scene = Scene::script([refused(404, "NOT_FOUND", &told)]).await;
        assert_eq!(kind_of(scene.table.put(put(update())).await), (ErrorKind::Conflict, false), "{told}");
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn a_404_of_something_between_is_no_condition() {
    let html = Response::builder().status(404).body("<html>no such place</html>".to_owned()).unwrap();
    let scene = Scene::script([html]).await;
    for mode in [update(), PutMode::Create] {
        assert_eq!(kind_of(scene.table.put(put(mode)).await), (ErrorKind::NotFound, false));
    }
    assert_eq!(kind_of(scene.table.get(&key()).await), (ErrorKind::NotFound, false));
}

#[tokio::test]
async fn a_database_in_datastores_mode_is_a_fault_of_configuration() {
    let told = "The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/p-1/databases/(default).";
    let scene = Scene::script([refused(400, "FAILED_PRECONDITION", told)]).await;
    let errors = [
        scene.table.get(&key()).await.unwrap_err(),
        scene.table.put(put(update())).await.unwrap_err(),
        scene.table.put(put(PutMode::Create)).await.unwrap_err(),
        scene.table.add(&key(), 1).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Config, false));
        assert!(error.message().contains("native mode"), "{error}");
    }
}

#[tokio::test]
async fn an_index_that_is_left_out_is_a_fault_of_configuration() {
    let scene = Scene::script([refused(400, "FAILED_PRECONDITION", "The query requires an index. Create it: x")]).await;
    let range = QueryRange::new("a", 1).with_bounds(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let error = scene.table.query(&range).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`links`") && error.message().contains("requires an index"), "{error}");
}

#[tokio::test]
async fn each_service_error_has_its_kind() {
    for (status, name, told, kind) in [
        (400, "INVALID_ARGUMENT", "x", ErrorKind::InvalidInput),
        (401, "UNAUTHENTICATED", "hush", ErrorKind::Unauthenticated),
        (403, "PERMISSION_DENIED", "x", ErrorKind::PermissionDenied),
        (400, "INVALID_ARGUMENT", "maximum entity size is 1048576 bytes", ErrorKind::TooLarge),
        (400, "INVALID_ARGUMENT", "Transaction too big.", ErrorKind::TooLarge),
        (501, "UNIMPLEMENTED", "x", ErrorKind::Unsupported),
    ] {
        let scene = Scene::script([refused(status, name, told)]).await;
        let error = scene.table.put(put(PutMode::Overwrite)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown(), scene.count()), (kind, false, 1), "{error}");
        assert!(!error.message().contains("hush"), "{error}");
    }
}
