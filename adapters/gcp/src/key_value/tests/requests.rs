//! The exact requests.

use super::*;

#[tokio::test]
async fn an_expiry_after_the_latest_time_is_the_latest_time() {
    let fixture = Fixture::script([written(1)]).await;
    let never = put(PutMode::Overwrite).with_expires_at(at(1 << 60));
    let version = fixture.table.put(never).await.unwrap();
    let expires = json!({"timestampValue": "9999-12-31T23:59:59.999Z"});
    assert_eq!(fixture.body(0)["writes"][0]["update"]["fields"]["expireAt"], expires);
    assert_eq!(version, stored::version(NEW, PATH, Some(253_402_300_799_999)));
}

#[tokio::test]
async fn get_many_sends_batches_of_a_hundred_and_keeps_the_order() {
    let fixture = Fixture::new(|request| {
        let names = body_of(request)["documents"].as_array().unwrap().clone();
        let answers: Vec<_> = names.iter().rev().map(|name| json!({"missing": name})).collect();
        answer(200, json!(answers))
    })
    .await;
    let keys: Vec<Key> = (0..201).map(|number| Key::new("a", number.to_string())).collect();
    assert_eq!(fixture.table.get_many(&keys).await.unwrap(), vec![None; 201]);
    assert_eq!(fixture.double.requests(), vec![format!("POST /v1/{ALL}:batchGet"); 3]);
    let sizes: Vec<_> = (0..3).map(|index| fixture.body(index)["documents"].as_array().unwrap().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 201);
    assert_eq!(sizes.iter().max(), Some(&100));
    assert_eq!(fixture.table.get_many(&[]).await.unwrap(), []);
    assert_eq!(fixture.count(), 3, "no keys, no request");
}

#[tokio::test]
async fn a_scan_reads_its_range_of_hashes_in_the_order_of_names() {
    let fixture = Fixture::script([answer(200, json!([{"readTime": NEW}]))]).await;
    for (segment, segments) in [(0, 1), (1, 4)] {
        let segment = ScanSegment::new(segment, segments, 10);
        assert_eq!(fixture.table.scan(&segment).await.unwrap(), Items::default());
    }
    assert_eq!(fixture.double.requests()[0], format!("POST /v1/{ALL}:runQuery"));
    let query = json!({
        "from": [{"collectionId": "links", "allDescendants": true}],
        "orderBy": [{"field": {"fieldPath": "__name__"}, "direction": "ASCENDING"}],
        "limit": 10,
    });
    assert_eq!(fixture.body(0), json!({"structuredQuery": query}));
    let cursor =
        |hash: &str| json!({"values": [{"referenceValue": format!("{ALL}/links/{hash}/links/s")}], "before": true});
    let query = fixture.body(1)["structuredQuery"].clone();
    assert_eq!((&query["startAt"], &query["endAt"]), (&cursor("4000"), &cursor("8000")));
    let segment = ScanSegment::new(1, 1_000_000, 10);
    assert_eq!(fixture.table.scan(&segment).await.unwrap(), Items::default());
    assert_eq!(fixture.count(), 2, "the segment contains no hash");
}

#[tokio::test]
async fn the_project_is_requested_from_the_metadata_server_once() {
    let metadata =
        Double::new(|_| Response::builder().header("metadata-flavor", "Google").body("machine-1".to_owned()).unwrap())
            .await;
    let host = metadata.url.strip_prefix("http://").unwrap();
    let fixture = Fixture::with(&[("GCE_METADATA_HOST", host)], 1 << 20, |_| written(1)).await;
    assert_eq!(metadata.requests().len(), 0, "not when the table is opened");
    fixture.table.put(put(PutMode::Overwrite)).await.unwrap();
    fixture.table.delete(&key(), None).await.unwrap();
    assert_eq!(metadata.requests(), ["GET /computeMetadata/v1/project/project-id"]);
    assert_eq!(fixture.double.requests()[1], "POST /v1/projects/machine-1/databases/(default)/documents:commit");
}
