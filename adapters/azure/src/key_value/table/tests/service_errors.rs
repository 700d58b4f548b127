//! The errors of service errors, and the number of attempts.

use super::*;

/// All operations of a table.
const OPERATIONS: [&str; 9] = ["get", "get_many", "put", "delete", "query", "query down", "scan", "transact", "add"];
const WRITES: [&str; 4] = ["put", "delete", "transact", "add"];

async fn run(table: &TableKeyValue, operation: &str) -> Result<()> {
    let key = Key::from("a");
    let mut range = QueryRange::new("a", 10);
    range.descending = operation == "query down";
    let segment = ScanSegment::new(0, 1, 10);
    match operation {
        "get" => table.get(&key).await.map(drop),
        "get_many" => table.get_many(&[key]).await.map(drop),
        "put" => table.put(put(PutMode::Create)).await.map(drop),
        "delete" => table.delete(&key, None).await,
        "query" | "query down" => table.query(&range).await.map(drop),
        "scan" => table.scan(&segment).await.map(drop),
        "transact" => table.transact(vec![Write::Put(put(PutMode::Create))]).await.map(drop),
        _ => table.add(&key, 1).await.map(drop),
    }
}

#[tokio::test]
async fn a_busy_server_is_retried_and_has_applied_nothing() {
    for operation in OPERATIONS {
        let scene = Scene::script([error_answer(503, "ServerBusy")]).await;
        assert_eq!(kind_of(run(&scene.table, operation).await), (THROTTLED, false), "{operation}");
        assert_eq!(scene.count(), ATTEMPTS, "{operation}");
    }
}

#[tokio::test]
async fn a_server_that_failed_may_have_written() {
    for (status, code) in [(500, "OperationTimedOut"), (503, "OperationTimedOut"), (500, "InternalError"), (502, "")] {
        for operation in OPERATIONS.into_iter().filter(|operation| *operation != "add") {
            let scene = Scene::script([error_answer(status, code)]).await;
            let (kind, unknown) = kind_of(run(&scene.table, operation).await);
            assert_eq!((kind, unknown), (ErrorKind::Unavailable, WRITES.contains(&operation)), "{code} {operation}");
            assert_eq!(scene.count(), ATTEMPTS, "{code} {operation}");
        }
    }
}

#[tokio::test]
async fn the_error_of_a_missing_table_contains_the_command_that_creates_it() {
    for operation in OPERATIONS {
        let scene = Scene::script([error_answer(404, "TableNotFound")]).await;
        let error = run(&scene.table, operation).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false), "{operation}");
        assert!(error.message().contains("az storage table create --name links --account-name acc"), "{error}");
        assert_eq!(scene.count(), 1, "{operation}");
    }
}

#[tokio::test]
async fn another_server_s_404_is_not_an_absent_item() {
    let scene = Scene::script([Answer(404, None, "<html>".to_owned())]).await;
    assert_eq!(kind_of(run(&scene.table, "get").await), (ErrorKind::NotFound, false));
    assert_eq!(kind_of(run(&scene.table, "delete").await), (ErrorKind::NotFound, false));
}

#[tokio::test]
async fn rejected_credentials_and_missing_permissions_are_distinguished_and_echo_nothing() {
    let xml = |code: &str| {
        format!(
            "<?xml version=\"1.0\"?><m:error xmlns:m=\"x\"><m:code>{code}</m:code><m:message xml:lang=\"en\">the \
                 MAC signature hush is wrong</m:message></m:error>"
        )
    };
    for (status, code, kind, words) in [
        (403, "AuthenticationFailed", ErrorKind::Unauthenticated, "clock"),
        (401, "InvalidAuthenticationInfo", ErrorKind::Unauthenticated, "clock"),
        (403, "AuthorizationPermissionMismatch", ErrorKind::PermissionDenied, "Storage Table Data Contributor"),
        (403, "AuthorizationFailure", ErrorKind::PermissionDenied, "firewall"),
    ] {
        for operation in OPERATIONS {
            let scene = Scene::script([Answer(status, None, xml(code))]).await;
            let error = run(&scene.table, operation).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (kind, false), "{code} {operation}");
            assert!(error.message().contains(words) && error.message().contains(code), "{error}");
            let output = format!("{error} {error:?} {:?}", scene.table);
            assert!(!output.contains("hush") && !output.contains("text"), "{output}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_has_its_own_kind() {
    for (status, code) in [(400, "EntityTooLarge"), (413, "RequestBodyTooLarge"), (400, "PropertyValueTooLarge")] {
        let scene = Scene::script([error_answer(status, code)]).await;
        assert_eq!(kind_of(run(&scene.table, "put").await), (ErrorKind::TooLarge, false));
    }
}

#[tokio::test]
async fn a_malformed_response_is_internal_and_not_shown() {
    for operation in ["get", "get_many", "query", "query down", "scan", "add"] {
        let scene = Scene::script([Answer(200, None, "[\"hush\"]".to_owned())]).await;
        let error = run(&scene.table, operation).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{operation}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
