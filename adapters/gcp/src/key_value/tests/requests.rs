//! What exactly is asked.

use std::ops::Bound;

use super::*;

fn written_with(mut body: Value) -> Value {
    let mark = body["writes"][0]["update"]["fields"]["w"]["stringValue"].take();
    assert_eq!(mark.as_str().unwrap().len(), 22, "128 bits");
    body["writes"][0]["update"]["fields"].as_object_mut().unwrap().remove("w");
    body
}

#[tokio::test]
async fn each_mode_of_a_put_is_a_precondition_of_its_own() {
    let scene = Scene::script([written(1)]).await;
    for mode in [PutMode::Overwrite, PutMode::Create, update()] {
        assert_eq!(scene.table.put(put(mode)).await.unwrap(), version(NEW));
    }
    assert_eq!(scene.double.asked()[0], format!("POST /v1/{ALL}:commit"));
    let fields = json!({"p": {"stringValue": "a"}, "s": {"stringValue": ""}, "v": {"stringValue": "text"}});
    let update = json!({"name": format!("{ALL}/{PLACE}"), "fields": fields});
    let bodies = [0, 1, 2].map(|place| written_with(scene.body(place)));
    let expected = [
        json!({"writes": [{"update": update}]}),
        json!({"writes": [{"update": update, "currentDocument": {"exists": false}}]}),
        json!({"writes": [{"update": update, "currentDocument": {"updateTime": OLD}}]}),
    ];
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn a_value_is_a_number_text_or_bytes_and_may_expire() {
    let scene = Scene::script([written(1)]).await;
    let values: [&'static [u8]; 4] = [b"-42", b"-0", b"\xff\0", b"9223372036854775807"];
    for value in values {
        let value = Bytes::from_static(value);
        let put = Put { value, expires_at: Some(at(NOW + 1)), ..put(PutMode::Overwrite) };
        let version = scene.table.put(put).await.unwrap();
        assert_eq!(version, stored::version(NEW, PLACE, Some(NOW + 1)));
    }
    let fields = |place| scene.body(place)["writes"][0]["update"]["fields"].clone();
    assert_eq!((&fields(0)["n"], fields(0).get("v")), (&json!({"integerValue": "-42"}), None));
    assert_eq!((&fields(1)["v"], fields(1).get("n")), (&json!({"stringValue": "-0"}), None));
    assert_eq!(fields(2)["v"], json!({"bytesValue": "/wA="}));
    assert_eq!(fields(3)["n"], json!({"integerValue": "9223372036854775807"}));
    assert_eq!(fields(0)["expireAt"], json!({"timestampValue": "2026-01-01T00:00:00.251Z"}));
}

#[tokio::test]
async fn a_time_behind_the_last_is_the_last_in_the_item_and_in_its_version() {
    let scene = Scene::script([written(1)]).await;
    let never = Put { expires_at: Some(at(1 << 60)), ..put(PutMode::Overwrite) };
    let version = scene.table.put(never).await.unwrap();
    let expires = json!({"timestampValue": "9999-12-31T23:59:59.999Z"});
    assert_eq!(scene.body(0)["writes"][0]["update"]["fields"]["expireAt"], expires);
    assert_eq!(version, stored::version(NEW, PLACE, Some(253_402_300_799_999)));
}

#[tokio::test]
async fn a_delete_names_its_document_and_its_version() {
    let scene = Scene::script([answer(200, json!({"writeResults": [{}], "commitTime": NEW}))]).await;
    scene.table.delete(&key(), None).await.unwrap();
    scene.table.delete(&key(), Some(&version(OLD))).await.unwrap();
    let name = format!("{ALL}/{PLACE}");
    assert_eq!(scene.body(0), json!({"writes": [{"delete": name}]}));
    assert_eq!(scene.body(1), json!({"writes": [{"delete": name, "currentDocument": {"updateTime": OLD}}]}));
}

#[tokio::test]
async fn a_transaction_is_one_commit_in_the_order_of_its_writes() {
    let results = json!({"writeResults": [{}, {"updateTime": NEW}]});
    let scene = Scene::script([answer(200, results)]).await;
    let other = Put { key: Key::new("a", "./b"), ..put(PutMode::Create) };
    let writes = vec![Write::Delete { key: key(), version: Some(version(OLD)) }, Write::Put(other)];
    let versions = scene.table.transact(writes).await.unwrap();
    assert_eq!(versions, [None, Some(stored::version(NEW, "links/ca97a/links/s.0.1b", None))]);
    let body = scene.body(0);
    assert_eq!(body["writes"][0]["delete"], json!(format!("{ALL}/{PLACE}")));
    assert_eq!(body["writes"][0]["currentDocument"], json!({"updateTime": OLD}));
    assert_eq!(body["writes"][1]["update"]["name"], json!(format!("{ALL}/links/ca97a/links/s.0.1b")));
    assert_eq!(body["writes"][1]["currentDocument"], json!({"exists": false}));
}

#[tokio::test]
async fn an_addition_is_firestores_own_and_marks_the_document() {
    let scene = Scene::script([found(number(5, &json!("w"))), summed(3)]).await;
    assert_eq!(scene.table.add(&key(), -2).await.unwrap(), 3);
    let update = json!({"name": format!("{ALL}/{PLACE}"), "fields": {}});
    let write = json!({
        "update": update,
        "updateMask": {"fieldPaths": ["w"]},
        "updateTransforms": [{"fieldPath": "n", "increment": {"integerValue": "-2"}}],
        "currentDocument": {"exists": true},
    });
    assert_eq!(written_with(scene.body(1)), json!({"writes": [write]}));
    assert_eq!(scene.count(), 2, "nobody came in between, so nothing is looked at again");
}

#[tokio::test]
async fn many_gets_are_batches_of_a_hundred_answered_in_the_order_asked() {
    let scene = Scene::new(|request| {
        let names = body_of(request)["documents"].as_array().unwrap().clone();
        let answers: Vec<_> = names.iter().rev().map(|name| json!({"missing": name})).collect();
        answer(200, json!(answers))
    })
    .await;
    let keys: Vec<Key> = (0..201).map(|number| Key::new("a", number.to_string())).collect();
    assert_eq!(scene.table.get_many(&keys).await.unwrap(), vec![None; 201]);
    assert_eq!(scene.double.asked(), vec![format!("POST /v1/{ALL}:batchGet"); 3]);
    let sizes: Vec<_> = (0..3).map(|place| scene.body(place)["documents"].as_array().unwrap().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 201);
    assert_eq!(sizes.iter().max(), Some(&100));
    assert_eq!(scene.table.get_many(&[]).await.unwrap(), []);
    assert_eq!(scene.count(), 3, "nothing is asked for no keys");
}

#[tokio::test]
async fn a_query_goes_by_the_sort_key_below_its_partition() {
    let scene = Scene::script([answer(200, json!([{"readTime": NEW}]))]).await;
    let range = |descending| QueryRange {
        partition: "' / \u{e9}".to_owned(),
        lower: Bound::Excluded("\u{e9}".to_owned()),
        upper: Bound::Included("\" --".to_owned()),
        descending,
        limit: 7_000,
    };
    for descending in [false, true] {
        assert_eq!(scene.table.query(&range(descending)).await.unwrap(), Items::default());
    }
    let id = scene.double.asked()[0].split('/').next_back().unwrap().to_owned();
    assert_eq!(scene.double.asked()[0], format!("POST /v1/{ALL}/links/{id}"));
    assert!(id.ends_with(".27.20.2f.20.c3.a9:runQuery"), "{id}");
    let cursor = |text: &str, before: bool| json!({"values": [{"stringValue": text}], "before": before});
    let query = |direction: &str, start: Value, end: Value| {
        json!({"structuredQuery": {
            "from": [{"collectionId": "links", "allDescendants": false}],
            "orderBy": [{"field": {"fieldPath": "s"}, "direction": direction}],
            "startAt": start, "endAt": end, "limit": 300,
        }})
    };
    assert_eq!(scene.body(0), query("ASCENDING", cursor("\u{e9}", false), cursor("\" --", false)));
    assert_eq!(scene.body(1), query("DESCENDING", cursor("\" --", true), cursor("\u{e9}", true)));
}

#[tokio::test]
async fn a_scan_goes_by_the_name_through_its_part_of_all_hashes() {
    let scene = Scene::script([answer(200, json!([{"readTime": NEW}]))]).await;
    for (segment, segments) in [(0, 1), (1, 4)] {
        let segment = ScanSegment { segment, segments, limit: 10, after: None };
        assert_eq!(scene.table.scan(&segment).await.unwrap(), Items::default());
    }
    assert_eq!(scene.double.asked()[0], format!("POST /v1/{ALL}:runQuery"));
    let query = json!({
        "from": [{"collectionId": "links", "allDescendants": true}],
        "orderBy": [{"field": {"fieldPath": "__name__"}, "direction": "ASCENDING"}],
        "limit": 10,
    });
    assert_eq!(scene.body(0), json!({"structuredQuery": query}));
    let cursor =
        |hash: &str| json!({"values": [{"referenceValue": format!("{ALL}/links/{hash}/links/s")}], "before": true});
    let query = scene.body(1)["structuredQuery"].clone();
    assert_eq!((&query["startAt"], &query["endAt"]), (&cursor("4000"), &cursor("8000")));
    let segment = ScanSegment { segment: 1, segments: 1_000_000, limit: 10, after: None };
    assert_eq!(scene.table.scan(&segment).await.unwrap(), Items::default());
    assert_eq!(scene.count(), 2, "no hash is in it");
}

#[tokio::test]
async fn the_project_is_asked_of_the_machine_once() {
    let metadata =
        Double::new(|_| Response::builder().header("metadata-flavor", "Google").body("machine-1".to_owned()).unwrap())
            .await;
    let host = metadata.url.strip_prefix("http://").unwrap();
    let scene = Scene::with(&[("GCE_METADATA_HOST", host)], 1 << 20, |_| written(1)).await;
    assert_eq!(metadata.asked().len(), 0, "not at opening");
    scene.table.put(put(PutMode::Overwrite)).await.unwrap();
    scene.table.delete(&key(), None).await.unwrap();
    assert_eq!(metadata.asked(), ["GET /computeMetadata/v1/project/project-id"]);
    assert_eq!(scene.double.asked()[1], "POST /v1/projects/machine-1/databases/(default)/documents:commit");
}
