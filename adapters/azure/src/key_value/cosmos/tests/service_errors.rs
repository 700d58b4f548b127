//! The errors of service errors, and the number of attempts.

use super::*;

#[tokio::test]
async fn a_write_that_was_not_applied_is_retried_and_its_outcome_is_known() {
    for (status, substatus) in [(429, 3200), (449, 0), (410, 1008), (404, 1002)] {
        let scene = Scene::script([error_answer(status, substatus, "later"), written(204)]).await;
        scene.table.delete(&Key::from("a"), None).await.unwrap();
        assert_eq!(scene.count(), 2, "{status}");
        let scene = Scene::script([error_answer(status, substatus, "later")]).await;
        let error = scene.table.add(&Key::from("a"), 1).await.unwrap_err();
        assert_eq!(
            (scene.count(), error.outcome_unknown(), error.is_retryable()),
            (3, false, true),
            "{status}: {error}"
        );
    }
}

#[tokio::test]
async fn retry_after_is_the_service_s() {
    let mut busy = error_answer(429, 3200, "Request rate is large.");
    busy.headers_mut().insert("x-ms-retry-after-ms", "1250.5".parse().unwrap());
    let scene = Scene::script([busy]).await;
    let error = scene.table.get(&Key::from("a")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1_251)));
}

#[tokio::test]
async fn the_status_of_a_write_in_a_batch_is_classified_like_a_response() {
    let writes =
        || vec![Write::Put(put(PutMode::Create)), Write::Put(Put::new(("a", "b"), "text").with_mode(update()))];
    let inside = |outcome: Value| [answer(207, json!([{"statusCode": 424}, outcome]))];
    for (status, kind, unknown) in [
        (429, ErrorKind::Throttled, false),
        (449, ErrorKind::Throttled, false),
        (410, ErrorKind::Unavailable, false),
        (500, ErrorKind::Unavailable, true),
        (413, ErrorKind::TooLarge, false),
    ] {
        let scene = Scene::script(inside(json!({"statusCode": status, "retryAfterMilliseconds": 7.2}))).await;
        assert_eq!(kind_of(scene.table.transact(writes()).await), (kind, unknown), "{status}");
        assert_eq!(scene.count(), if status == 413 { 1 } else { 3 }, "{status}");
    }
    let scene = Scene::script([answer(207, json!([{"statusCode": 424}, {"statusCode": 424}]))]).await;
    assert_eq!(kind_of(scene.table.transact(writes()).await), (ErrorKind::Internal, true), "no failed write");
}

#[tokio::test]
async fn a_write_that_may_have_been_applied_has_an_unknown_outcome() {
    for status in [500, 503, 408] {
        let scene = Scene::script([error_answer(status, 0, "failed")]).await;
        assert_eq!(kind_of(scene.table.put(put(PutMode::Overwrite)).await), (ErrorKind::Unavailable, true), "{status}");
        assert_eq!(scene.count(), 3);
        assert_eq!(kind_of(scene.table.get(&Key::from("a")).await), (ErrorKind::Unavailable, false), "{status}");
    }
}

#[tokio::test]
async fn the_error_of_a_missing_container_contains_the_command_that_creates_it() {
    for missing in [
        error_answer(404, 1003, "Owner resource does not exist"),
        error_answer(404, 0, "Container 'links' does not exist"),
    ] {
        let scene = Scene::script([missing]).await;
        let key = Key::from("a");
        let errors = [
            scene.table.get(&key).await.unwrap_err(),
            scene.table.put(put(PutMode::Create)).await.unwrap_err(),
            scene.table.put(put(update())).await.unwrap_err(),
            scene.table.delete(&key, None).await.unwrap_err(),
            scene.table.add(&key, 1).await.unwrap_err(),
            scene.table.transact(vec![Write::Delete { key: key.clone(), version: None }]).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false));
            for part in [
                "az cosmosdb sql container create",
                "--name links",
                "--database-name iso",
                "--partition-key-path /p",
                "--ttl -1",
            ] {
                assert!(error.message().contains(part), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn each_service_error_has_its_kind() {
    for (status, substatus, kind) in [
        (400, 0, ErrorKind::InvalidInput),
        (400, 1001, ErrorKind::Config),
        (401, 0, ErrorKind::Unauthenticated),
        (403, 0, ErrorKind::PermissionDenied),
        (403, 3, ErrorKind::Unavailable),
        (403, 1008, ErrorKind::Unavailable),
        (403, 1014, ErrorKind::TooLarge),
        (413, 0, ErrorKind::TooLarge),
    ] {
        let scene = Scene::script([error_answer(status, substatus, "hush")]).await;
        let error = scene.table.put(put(PutMode::Overwrite)).await.unwrap_err();
        assert_eq!((error.kind(), scene.count(), error.outcome_unknown()), (kind, 1, false), "{error}");
        assert!(status != 401 || !error.message().contains("hush"), "{error}");
        assert!(!format!("{error:?}").contains(KEY));
    }
}

#[tokio::test]
async fn a_partition_key_range_that_is_gone_is_replaced_by_its_parts() {
    let count = Mutex::new(0);
    let scene = Scene::new(move |request| {
        let mut count = count.lock();
        *count += 1;
        if request.uri().path().ends_with("pkranges") {
            let split = json!([
                {"id": "1", "minInclusive": "", "maxExclusive": "1F"}, {"id": "2", "minInclusive": "1F", "maxExclusive": "FF"},
            ]);
            let whole = json!([{"id": "0", "minInclusive": "", "maxExclusive": "FF"}]);
            return answer(200, json!({"PartitionKeyRanges": if *count == 1 { whole } else { split }}));
        }
        match request.headers()["x-ms-documentdb-partitionkeyrangeid"].to_str().unwrap() {
            "0" => error_answer(410, 1002, "gone"),
            "1" => answer(200, json!({"Documents": []})),
            _ => answer(200, json!({"Documents": [stored(json!("x"), &json!("w"), None)]})),
        }
    })
    .await;
    let segment = ScanSegment::new(0, 1, 10);
    let page = scene.table.scan(&segment).await.unwrap();
    assert_eq!((page.items.len(), page.resume), (1, None));
    assert_eq!(scene.count(), 5, "ranges, gone, ranges, the empty range, the other range");
    assert_eq!(scene.header(4, "x-ms-start-epk"), None, "a whole range");
}
