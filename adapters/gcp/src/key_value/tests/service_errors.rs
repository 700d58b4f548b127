//! The errors for service errors, and the number of retries.

use super::*;

fn slow() -> Answer {
    let mut service_error = service_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.");
    let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"});
    service_error["error"]["details"] = json!([info]);
    answer(429, service_error)
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_the_service_requests() {
    let fixture = Fixture::script([slow(), found(text("x", &json!("w")))]).await;
    assert_eq!(fixture.table.get(&key()).await.unwrap().unwrap().value, "x");
    assert_eq!(fixture.count(), 2);
    let fixture = Fixture::script([slow()]).await;
    let throttled = fixture.table.put(put(PutMode::Create)).await.unwrap_err();
    assert_eq!((throttled.kind(), throttled.outcome_unknown()), (ErrorKind::Throttled, false), "it was not applied");
    assert_eq!(throttled.retry_after(), Some(Duration::from_millis(1_500)));
    assert_eq!(fixture.count(), 3);
    assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Throttled, false));
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    let lost = || rejected(409, "ABORTED", "Transaction lock timeout.");
    for service_error in [failed(), rejected(500, "INTERNAL", "x"), rejected(504, "DEADLINE_EXCEEDED", "x"), lost()] {
        let fixture = Fixture::script([service_error.clone(), found(text("x", &json!("w")))]).await;
        assert!(fixture.table.get(&key()).await.unwrap().is_some());
        let fixture = Fixture::script([service_error, written(1)]).await;
        fixture.table.put(put(PutMode::Overwrite)).await.unwrap();
        assert_eq!(fixture.count(), 2);
    }
}

#[tokio::test]
async fn a_document_that_is_locked_every_time_is_throttled() {
    let fixture = Fixture::script([rejected(409, "ABORTED", "Transaction lock timeout.")]).await;
    let throttled = ErrorKind::Throttled;
    for mode in [PutMode::Overwrite, PutMode::Create, update()] {
        let before = fixture.count();
        assert_eq!(kind_of(fixture.table.put(put(mode)).await), (throttled, false));
        assert_eq!(fixture.count() - before, MAX_ATTEMPTS as usize);
    }
    assert_eq!(kind_of(fixture.table.get(&key()).await), (throttled, false));
}

#[tokio::test]
async fn the_error_of_a_missing_database_says_how_to_create_it() {
    for (status, message) in [
        ("NOT_FOUND", "The database (default) does not exist for project p-1 Please visit https://x to add one."),
        ("NOT_FOUND", "The project p-1 does not exist or it does not contain an active Cloud Firestore database."),
    ] {
        let fixture = Fixture::script([rejected(404, status, message)]).await;
        let errors = [
            fixture.table.get(&key()).await.unwrap_err(),
            fixture.table.put(put(PutMode::Create)).await.unwrap_err(),
            fixture.table.put(put(update())).await.unwrap_err(),
            fixture.table.delete(&key(), Some(&version(OLD))).await.unwrap_err(),
            fixture.table.add(&key(), 1).await.unwrap_err(),
            fixture.table.transact(vec![Write::Delete { key: key(), version: None }]).await.unwrap_err(),
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
async fn a_key_in_a_message_does_not_imply_a_missing_database() {
    for message in [
        format!("No document to update: {ALL}/links/ca97a/links/sthe database does not exist"),
        "no entity to update: app: \"dev~p\" path < Element { name: \"sthe database does not exist\" } >".to_owned(),
        format!("Document {ALL}/links/ca97a/links/s does not exist"),
    ] {
        let fixture = Fixture::script([rejected(404, "NOT_FOUND", &message)]).await;
        assert_eq!(kind_of(fixture.table.put(put(update())).await), (ErrorKind::Conflict, false), "{message}");
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn a_404_of_a_proxy_is_not_a_failed_condition() {
    let html = Response::builder().status(404).body("<html>not found</html>".to_owned()).unwrap();
    let fixture = Fixture::script([html]).await;
    for mode in [update(), PutMode::Create] {
        assert_eq!(kind_of(fixture.table.put(put(mode)).await), (ErrorKind::NotFound, false));
    }
    assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::NotFound, false));
}

#[tokio::test]
async fn a_database_in_datastore_mode_is_a_configuration_error() {
    let message = "The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/p-1/databases/(default).";
    let fixture = Fixture::script([rejected(400, "FAILED_PRECONDITION", message)]).await;
    let errors = [
        fixture.table.get(&key()).await.unwrap_err(),
        fixture.table.put(put(update())).await.unwrap_err(),
        fixture.table.put(put(PutMode::Create)).await.unwrap_err(),
        fixture.table.add(&key(), 1).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Config, false));
        assert!(error.message().contains("native mode"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_index_is_a_configuration_error() {
    let fixture =
        Fixture::script([rejected(400, "FAILED_PRECONDITION", "The query requires an index. Create it: x")]).await;
    let range = QueryRange::new("a", 1).with_bounds(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let error = fixture.table.query(&range).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`links`") && error.message().contains("requires an index"), "{error}");
}

#[tokio::test]
async fn each_service_error_has_its_kind() {
    for (status, name, message, kind) in [
        (400, "INVALID_ARGUMENT", "x", ErrorKind::InvalidInput),
        (401, "UNAUTHENTICATED", "hush", ErrorKind::Unauthenticated),
        (403, "PERMISSION_DENIED", "x", ErrorKind::PermissionDenied),
        (400, "INVALID_ARGUMENT", "maximum entity size is 1048576 bytes", ErrorKind::TooLarge),
        (400, "INVALID_ARGUMENT", "Transaction too big.", ErrorKind::TooLarge),
        (501, "UNIMPLEMENTED", "x", ErrorKind::Unsupported),
    ] {
        let fixture = Fixture::script([rejected(status, name, message)]).await;
        let error = fixture.table.put(put(PutMode::Overwrite)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown(), fixture.count()), (kind, false, 1), "{error}");
        assert!(!error.message().contains("hush"), "{error}");
    }
}
