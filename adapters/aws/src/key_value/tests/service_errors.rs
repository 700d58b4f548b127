//! The kinds of service errors and the number of repeats.

use super::*;

/// All operations on a table.
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
async fn throttled_operation_is_repeated_and_then_throttled() {
    let codes = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflictException",
    ];
    for code in codes {
        for operation in OPERATIONS {
            let fixture = Fixture::script([failure(code, "slow down")]).await;
            let (kind, unknown) = kind_of(run(&*fixture.table, operation).await);
            assert_eq!((kind, unknown), (THROTTLED, false), "{code} {operation}");
            // The driver repeats an addition that a transaction blocks, in addition to the client.
            let rounds = if (code, operation) == ("TransactionConflictException", "add") { TRIES as usize } else { 1 };
            assert_eq!(fixture.count(), ATTEMPTS * rounds, "{code} {operation}");
        }
    }
}

#[tokio::test]
async fn only_a_write_with_lost_response_is_outcome_unknown() {
    for operation in OPERATIONS {
        let fixture = Fixture::script([lost()]).await;
        let (kind, unknown) = kind_of(run(&*fixture.table, operation).await);
        assert_eq!(kind, ErrorKind::Unavailable, "{operation}");
        assert_eq!(unknown, ["put", "delete", "transact", "add"].contains(&operation), "{operation}");
        assert_eq!(
            fixture.count(),
            if operation == "add" { 1 } else { ATTEMPTS },
            "{operation}: an addition is not repeated"
        );
    }
}

#[tokio::test]
async fn service_error_after_a_lost_response_is_outcome_unknown() {
    for (code, kind) in [
        ("ThrottlingException", THROTTLED),
        ("TransactionInProgressException", THROTTLED),
        ("ResourceNotFoundException", ErrorKind::NotFound),
        ("AccessDeniedException", ErrorKind::PermissionDenied),
    ] {
        for operation in ["put", "delete", "transact"] {
            let fixture = Fixture::script([lost(), failure(code, "no")]).await;
            assert_eq!(kind_of(run(&*fixture.table, operation).await), (kind, true), "{code} {operation}");
        }
        let fixture = Fixture::script([lost(), failure(code, "no")]).await;
        assert_eq!(kind_of(run(&*fixture.table, "get").await), (kind, false), "{code}: a read changes nothing");
    }
}

#[tokio::test]
async fn missing_table_is_not_found_with_its_keys_and_region() {
    for operation in OPERATIONS {
        let fixture = Fixture::script([failure("ResourceNotFoundException", "Requested resource not found")]).await;
        let error = run(&*fixture.table, operation).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false), "{operation}");
        for part in ["`links`", "eu-west-1", "create it", "`pk` and `sk`"] {
            assert!(error.message().contains(part), "{operation}: {error}");
        }
        assert_eq!(fixture.count(), 1, "{operation}");
    }
}

#[tokio::test]
async fn table_with_other_keys_is_a_config_error() {
    for message in [
        "The provided key element does not match the schema",
        "One or more parameter values were invalid: Missing the key id in the item",
        "One or more parameter values were invalid: Type mismatch for key sk expected: N actual: S",
        "Query condition missed key schema element: id",
        "Query key condition not supported",
    ] {
        for operation in OPERATIONS {
            let fixture = Fixture::script([failure("ValidationException", message)]).await;
            let error = run(&*fixture.table, operation).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Config, false), "{operation} {message}");
            assert!(
                error.message().contains("`links` has other keys: create one with the keys `pk` and `sk` of type S"),
                "{error}"
            );
        }
    }
    let fixture = Fixture::script([success(json!({"Items": [{"id": {"S": "1"}, "value": {"S": "x"}}]}))]).await;
    assert_eq!(kind_of(run(&*fixture.table, "scan").await).0, ErrorKind::Config);
}

#[tokio::test]
async fn item_over_the_limit_is_too_large_with_the_limit() {
    for message in
        ["Item size has exceeded the maximum allowed size", "Item size to update has exceeded the maximum allowed size"]
    {
        let fixture = Fixture::script([failure("ValidationException", message)]).await;
        let error = run(&*fixture.table, "put").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::TooLarge, false));
        assert!(error.message().contains(&ITEM_BYTES.to_string()), "{error}");
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn malformed_response_is_internal() {
    for operation in ["get", "get_many", "query", "scan", "add"] {
        let fixture = Fixture::script([success(json!(["hush"]))]).await;
        let error = run(&*fixture.table, operation).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{operation}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        assert_eq!(error.outcome_unknown(), operation == "add", "{operation}: the sum is unknown");
    }
}

#[tokio::test]
async fn errors_and_debug_contain_no_secret_and_no_value() {
    let answers = [
        lost(),
        failure("AccessDeniedException", "no"),
        failure("ValidationException", "bad"),
        unmet(Some(stored("a", "!", "hush-value"))),
    ];
    for answer in answers {
        for operation in OPERATIONS {
            let fixture = Fixture::script([answer.clone()]).await;
            let Err(error) = run(&*fixture.table, operation).await else { continue };
            let message = format!("{error} {error:?} {:?}", fixture.table);
            assert!(!message.contains("hush") && !message.contains("text"), "{operation}: {message}");
        }
    }
}
