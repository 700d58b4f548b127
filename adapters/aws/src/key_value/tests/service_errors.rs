//! What a service error becomes, and how often it is asked again.

use super::*;

/// All that can be asked of a table.
const OPERATIONS: [&str; 8] = ["get", "get_many", "put", "delete", "query", "scan", "transact", "add"];

async fn run(table: &dyn KeyValue, operation: &str) -> Result<()> {
    let key = Key::from("a");
    let range = QueryRange::new("a", 10);
    let segment = ScanSegment::new(0, 1, 10);
    match operation {
        "get" => table.get(&key).await.map(drop),
        "get_many" => table.get_many(&[key]).await.map(drop),
        "put" => table.put(put(PutMode::Create)).await.map(drop),
        "delete" => table.delete(&key, None).await,
        "query" => table.query(&range).await.map(drop),
        "scan" => table.scan(&segment).await.map(drop),
        "transact" => table.transact(vec![Write::Put(put(PutMode::Create))]).await.map(drop),
        _ => table.add(&key, 1).await.map(drop),
    }
}

#[tokio::test]
async fn what_is_throttled_is_asked_again_and_then_throttled() {
    let codes = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflictException",
    ];
    for code in codes {
        for operation in OPERATIONS {
            let scene = Scene::script([refused(code, "slow down")]).await;
            let (kind, unknown) = kind_of(run(&*scene.table, operation).await);
            assert_eq!((kind, unknown), (THROTTLED, false), "{code} {operation}");
            // A transaction with the same counter is not waited for by the client alone.
            let rounds = if (code, operation) == ("TransactionConflictException", "add") { TRIES as usize } else { 1 };
            assert_eq!(scene.count(), ATTEMPTS * rounds, "{code} {operation}");
        }
    }
}

#[tokio::test]
async fn only_a_write_without_an_answer_may_have_been_applied() {
    for operation in OPERATIONS {
        let scene = Scene::script([lost()]).await;
        let (kind, unknown) = kind_of(run(&*scene.table, operation).await);
        assert_eq!(kind, ErrorKind::Unavailable, "{operation}");
        assert_eq!(unknown, ["put", "delete", "transact", "add"].contains(&operation), "{operation}");
        assert_eq!(
            scene.count(),
            if operation == "add" { 1 } else { ATTEMPTS },
            "{operation}: an addition is done once"
        );
    }
}

#[tokio::test]
async fn a_service_error_after_a_lost_answer_leaves_the_outcome_unknown() {
    for (code, kind) in [
        ("ThrottlingException", THROTTLED),
        ("TransactionInProgressException", THROTTLED),
        ("ResourceNotFoundException", ErrorKind::NotFound),
        ("AccessDeniedException", ErrorKind::PermissionDenied),
    ] {
        for operation in ["put", "delete", "transact"] {
            let scene = Scene::script([lost(), refused(code, "no")]).await;
            assert_eq!(kind_of(run(&*scene.table, operation).await), (kind, true), "{code} {operation}");
        }
        let scene = Scene::script([lost(), refused(code, "no")]).await;
        assert_eq!(kind_of(run(&*scene.table, "get").await), (kind, false), "{code}: a read changes nothing");
    }
}

#[tokio::test]
async fn a_missing_table_says_what_to_create_and_where() {
    for operation in OPERATIONS {
        let scene = Scene::script([refused("ResourceNotFoundException", "Requested resource not found")]).await;
        let error = run(&*scene.table, operation).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false), "{operation}");
        for part in ["`links`", "eu-west-1", "create it", "`pk` and `sk`"] {
            assert!(error.message().contains(part), "{operation}: {error}");
        }
        assert_eq!(scene.count(), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_table_with_other_keys_is_a_fault_of_configuration() {
    for message in [
        "The provided key element does not match the schema",
        "One or more parameter values were invalid: Missing the key id in the item",
        "One or more parameter values were invalid: Type mismatch for key sk expected: N actual: S",
        "Query condition missed key schema element: id",
        "Query key condition not supported",
    ] {
        for operation in OPERATIONS {
            let scene = Scene::script([refused("ValidationException", message)]).await;
            let error = run(&*scene.table, operation).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Config, false), "{operation} {message}");
            assert!(error.message().contains("`links` needs the keys `pk` and `sk`, of type S"), "{error}");
        }
    }
    let scene = Scene::script([done(json!({"Items": [{"id": {"S": "1"}, "value": {"S": "x"}}]}))]).await;
    assert_eq!(kind_of(run(&*scene.table, "scan").await).0, ErrorKind::Config);
}

#[tokio::test]
async fn an_item_that_is_too_large_says_how_large_it_may_be() {
    for message in
        ["Item size has exceeded the maximum allowed size", "Item size to update has exceeded the maximum allowed size"]
    {
        let scene = Scene::script([refused("ValidationException", message)]).await;
        let error = run(&*scene.table, "put").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::TooLarge, false));
        assert!(error.message().contains(&ITEM_BYTES.to_string()), "{error}");
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_internal() {
    for operation in ["get", "get_many", "query", "scan", "add"] {
        let scene = Scene::script([done(json!(["hush"]))]).await;
        let error = run(&*scene.table, operation).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{operation}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        assert_eq!(
            error.outcome_unknown(),
            operation == "add",
            "{operation}: it was added to, by how much nobody knows"
        );
    }
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_secret_or_a_value() {
    let answers = [
        lost(),
        refused("AccessDeniedException", "no"),
        refused("ValidationException", "bad"),
        unmet(Some(stored("a", "!", "hush-value"))),
    ];
    for answer in answers {
        for operation in OPERATIONS {
            let scene = Scene::script([answer.clone()]).await;
            let Err(error) = run(&*scene.table, operation).await else { continue };
            let shown = format!("{error} {error:?} {:?}", scene.table);
            assert!(!shown.contains("hush") && !shown.contains("text"), "{operation}: {shown}");
        }
    }
}
