//! Responses that are malformed, incomplete or too large.

use super::*;

fn whole() -> QueryRange {
    QueryRange::new("a", 100)
}

fn segment(after: Option<&str>) -> ScanSegment {
    ScanSegment::new(0, 2, 100).with_after(after.map(str::to_owned))
}

fn raw(body: &str) -> Answer {
    Response::new(body.to_owned())
}

#[tokio::test]
async fn a_malformed_response_to_a_read_is_an_internal_error() {
    for body in
        ["", "{", "{}", "null", "[", "[1]", "[{\"found\":{\"fields\":{\"v\":7}}}]", "[{\"found\":[]}]", "<html>"]
    {
        let fixture = Fixture::script([raw(body)]).await;
        assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::Internal, false), "{body}");
        assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Internal, false), "{body}");
    }
    for body in ["{", "[1]", "[{\"document\":[]}]", "[{\"document\":{\"name\":7}}]"] {
        let fixture = Fixture::script([raw(body)]).await;
        assert_eq!(kind_of(fixture.table.query(&whole()).await), (ErrorKind::Internal, false), "{body}");
        assert_eq!(kind_of(fixture.table.scan(&segment(None)).await), (ErrorKind::Internal, false), "{body}");
    }
}

#[tokio::test]
async fn a_malformed_response_to_a_write_has_an_unknown_outcome() {
    for body in [
        "",
        "{",
        "{}",
        "[]",
        "{\"writeResults\":[]}",
        "{\"writeResults\":[{}]}",
        "{\"writeResults\":[{\"updateTime\":\"x\"},{}]}",
        "{\"writeResults\":[{\"updateTime\":7}]}",
    ] {
        let fixture = Fixture::script([raw(body)]).await;
        assert_eq!(kind_of(fixture.table.put(put(PutMode::Create)).await), (ErrorKind::Internal, true), "{body}");
        assert_eq!(fixture.count(), 1, "{body}");
    }
    let fixture = Fixture::script([written(1)]).await;
    let writes = vec![Write::Put(put(PutMode::Create)), Write::Delete { key: Key::new("a", "b"), version: None }];
    assert_eq!(kind_of(fixture.table.transact(writes).await), (ErrorKind::Internal, true), "one result is missing");
}

#[tokio::test]
async fn a_document_without_a_required_field_is_an_error() {
    let document = |document: Value| answer(200, json!([{"found": document, "document": document}]));
    let name = format!("{ALL}/{PATH}");
    let keys = json!({"p": {"stringValue": "a"}, "s": {"stringValue": ""}});
    let untimed = document(json!({"name": name, "fields": {"v": {"stringValue": "x"}}}));
    let fixture = Fixture::script([untimed]).await;
    assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::Internal, false));
    for value in [
        json!({}),
        json!({"v": {"bytesValue": "!"}}),
        json!({"v": {"doubleValue": 7.5}}),
        json!({"n": {"mapValue": {}}}),
        json!({"v": {"nullValue": null}, "n": {"integerValue": "7"}}),
    ] {
        let fixture = Fixture::script([document(json!({"name": name, "fields": value, "updateTime": OLD}))]).await;
        assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::Internal, false), "{value}");
    }
    for (name, fields) in [
        (&name, json!({"v": {"stringValue": "x"}})),
        (&name, json!({"p": {"integerValue": "7"}, "s": {"stringValue": ""}})),
        (&format!("{ALL}/{PATH}b"), keys.clone()),
        (&format!("{ALL}/users/ca97a/links/s"), keys.clone()),
        (&String::new(), keys),
    ] {
        let foreign = document(json!({"name": name, "fields": fields, "updateTime": OLD}));
        let fixture = Fixture::script([foreign]).await;
        for error in
            [fixture.table.query(&whole()).await.unwrap_err(), fixture.table.scan(&segment(None)).await.unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(error.message().contains("for isobar only"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_document_without_a_result_is_requested_again_and_not_missing() {
    let fixture =
        Fixture::script([raw("[]"), answer(200, json!([{"readTime": NEW}])), found(text("x", &json!("w")))]).await;
    assert!(fixture.table.get(&key()).await.unwrap().is_some());
    assert_eq!(fixture.count(), 3);
    let other = Key::new("a", "b");
    let rest = answer(200, json!([{"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let fixture = Fixture::script([found(text("x", &json!("w"))), rest]).await;
    let items = fixture.table.get_many(&[other.clone(), key(), other]).await.unwrap();
    assert_eq!(items.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(fixture.body(1), json!({"documents": vec![format!("{ALL}/links/ca97a/links/sb"); 2]}));
    let fixture = Fixture::script([raw("[]")]).await;
    assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::Unavailable, false));
    assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Unavailable, false));
    assert_eq!(fixture.commits(), 0);
}

#[tokio::test]
async fn an_error_inside_a_response_is_not_its_end() {
    let part: Value = serde_json::from_str(found(text("x", &json!("w"))).body()).unwrap();
    let part = json!({"found": part[0]["found"], "document": part[0]["found"]});
    let broken = |service_error: Value| answer(200, json!([part, service_error]));
    let temporary = || broken(service_error(503, "UNAVAILABLE", "x"));
    let fixture = Fixture::script([temporary(), answer(200, json!([part]))]).await;
    assert_eq!(fixture.table.query(&whole()).await.unwrap().items.len(), 1);
    assert_eq!(fixture.count(), 2);
    let fixture = Fixture::script([temporary()]).await;
    assert_eq!(kind_of(fixture.table.query(&whole()).await), (ErrorKind::Unavailable, false));
    assert_eq!(kind_of(fixture.table.scan(&segment(None)).await), (ErrorKind::Unavailable, false));
    assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::Unavailable, false));
    assert_eq!(fixture.count(), 15, "five attempts of each");
    for (service_error, kind) in [
        (service_error(403, "PERMISSION_DENIED", "x"), ErrorKind::PermissionDenied),
        (json!({"error": {"code": 0}}), ErrorKind::Unavailable),
        (json!({"error": {"code": 200, "status": "INVALID_ARGUMENT"}}), ErrorKind::InvalidInput),
        (json!({"error": {}}), ErrorKind::Unavailable),
    ] {
        let fixture = Fixture::script([broken(service_error.clone())]).await;
        assert_eq!(kind_of(fixture.table.query(&whole()).await), (kind, false), "{service_error}");
    }
}

#[tokio::test]
async fn responses_that_are_too_large_are_requested_in_halves() {
    let fixture = Fixture::with(&[("GOOGLE_CLOUD_PROJECT", "p-1")], 2_000, |request| {
        let body = body_of(request);
        let document = |sort: usize| {
            let fields = json!({
                "p": {"stringValue": "a"}, "s": {"stringValue": sort.to_string()}, "v": {"stringValue": "x".repeat(500)},
            });
            json!({"name": format!("{ALL}/{PATH}{sort}"), "fields": fields, "updateTime": OLD})
        };
        if let Some(names) = body["documents"].as_array() {
            let sort = |name: &Value| name.as_str().unwrap().rsplit('s').next().unwrap().parse().unwrap();
            return answer(200, names.iter().map(|name| json!({"found": document(sort(name))})).collect());
        }
        let limit = usize::try_from(body["structuredQuery"]["limit"].as_u64().unwrap()).unwrap();
        answer(200, (0..limit).map(|sort| json!({"document": document(sort)})).collect())
    })
    .await;
    let keys: Vec<Key> = (0..8).map(|sort| Key::new("a", sort.to_string())).collect();
    let items = fixture.table.get_many(&keys).await.unwrap();
    assert!(items.into_iter().zip(&keys).all(|(item, key)| item.unwrap().key == *key));
    assert_eq!(fixture.count(), 7, "eight, two times four, four times two");
    let page = fixture.table.query(&whole()).await.unwrap();
    assert_eq!((page.items.len(), page.resume.as_deref()), (2, Some("1")), "of 100, 50, 25, 13, 7, 4, 2");
}

#[tokio::test]
async fn a_single_document_that_is_too_large_is_an_error() {
    let fixture = Fixture::with(&[("GOOGLE_CLOUD_PROJECT", "p-1")], 100, |_| found(text("x", &json!("w")))).await;
    assert_eq!(kind_of(fixture.table.get(&key()).await), (ErrorKind::TooLarge, false));
    assert_eq!(fixture.count(), 1);
    assert_eq!(kind_of(fixture.table.query(&whole()).await), (ErrorKind::TooLarge, false));
    assert_eq!(fixture.count(), 9, "of 100, 50, 25, 13, 7, 4, 2 and 1");
}

#[tokio::test]
async fn a_page_of_expired_items_is_not_the_end() {
    let fields = |sort: &str| {
        json!({"p": {"stringValue": "a"}, "s": {"stringValue": sort}, "v": {"stringValue": "x"},
            "expireAt": {"timestampValue": "1969-12-31T00:00:00Z"}})
    };
    let part = |sort: &str| json!({"document": {"name": format!("{ALL}/{PATH}{sort}"), "fields": fields(sort), "updateTime": OLD}});
    let fixture = Fixture::script([answer(200, json!([part("a"), {"readTime": NEW}, part("b")]))]).await;
    let page = fixture.table.query(&QueryRange::new("a", 2)).await.unwrap();
    assert_eq!(page, Items::new(vec![], Some("b".to_owned())));
    assert_eq!(fixture.table.query(&whole()).await.unwrap(), Items::default(), "fewer than requested: the end");
    let segment = ScanSegment::new(0, 1, 2);
    let page = fixture.table.scan(&segment).await.unwrap();
    assert_eq!(page, Items::new(vec![], Some("ca97a/links/sb".to_owned())));
    let scanned = segment.with_after(page.resume);
    fixture.table.scan(&scanned).await.unwrap();
    let start = fixture.body(3)["structuredQuery"]["startAt"].clone();
    let name = json!({"referenceValue": format!("{ALL}/{PATH}b")});
    assert_eq!(start, json!({"values": [name], "before": false}));
}

#[tokio::test]
async fn cursors_of_other_scans_are_rejected() {
    let fixture = Fixture::script([raw("[]")]).await;
    for wrong in [
        "",
        "a",
        "0",
        "ca97a/links/s",
        "8000a/links/s",
        "+001a/links/s",
        "00A1a/links/s",
        "\u{e9}\u{e9}a/links/s",
        "0001a",
        "0001a/other/s",
        "0001a/links/x",
        "0001a/links/s/y",
        "0001a/links",
    ] {
        assert_eq!(
            kind_of(fixture.table.scan(&segment(Some(wrong))).await),
            (ErrorKind::InvalidInput, false),
            "{wrong}"
        );
    }
    assert_eq!(fixture.count(), 0);
    fixture.table.scan(&segment(Some("7fffa/links/s"))).await.unwrap();
    let none = ScanSegment::new(2, 2, 100);
    assert_eq!(kind_of(fixture.table.scan(&none).await), (ErrorKind::InvalidInput, false));
}
