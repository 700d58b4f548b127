//! The exact requests: URLs, signatures, entities.

use super::*;

#[tokio::test]
async fn every_request_contains_the_token_of_the_identity() {
    let identity = crate::key_value::identity("h.p-_.s").await;
    let access = [("IDENTITY_ENDPOINT", identity.url.as_str()), ("IDENTITY_HEADER", "hush")];
    let scene = Scene::with_access(&access, |request| match request.method().as_str() {
        "GET" => error_answer(404, "ResourceNotFound"),
        _ => written(),
    })
    .await;
    scene.table.get(&Key::from("a")).await.unwrap();
    scene.table.put(put(PutMode::Create)).await.unwrap();
    scene.table.delete(&Key::from("a"), None).await.unwrap();
    let error_answer = scene.table.transact(vec![Write::Put(put(PutMode::Create))]).await;
    assert_eq!(kind_of(error_answer), (ErrorKind::Internal, true), "the double does not support batches");
    assert_eq!(scene.methods(), ["GET", "POST", "DELETE", "POST"]);
    for place in 0..4 {
        scene.double.request(place, |request| assert_eq!(request.headers()["authorization"], "Bearer h.p-_.s"));
    }
    let requests = identity.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].ends_with("resource=https%3A%2F%2Fstorage.azure.com"), "{requests:?}");
}

#[tokio::test]
async fn a_shared_access_signature_is_part_of_the_url_only() {
    let sas = "?sv=2021-12-02&sig=hush%2Fsig";
    let scene =
        Scene::with_access(&[("AZURE_STORAGE_SAS_TOKEN", sas)], |_| error_answer(403, "AuthenticationFailed")).await;
    let error = scene.table.get(&Key::from("ada")).await.unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", scene.table).contains("hush"));
    let range = QueryRange::new("a", 1).with_bounds(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    scene.table.query(&range).await.unwrap_err();
    assert_eq!(
        scene.double.requests(),
        [
            "GET /links(PartitionKey='fdee-ada',RowKey='')?sv=2021-12-02&sig=hush%2Fsig",
            "GET /links()?$filter=PartitionKey%20eq%20%27ca97-a%27&$top=1&sv=2021-12-02&sig=hush%2Fsig"
        ]
    );
    scene.double.request(0, |request| assert!(!request.headers().contains_key("authorization")));
}

/// Puts and gets a value, and returns the entity that was sent.
async fn sent(value: Bytes) -> Value {
    let stored: Arc<Mutex<Value>> = Arc::default();
    let shared = Arc::clone(&stored);
    let scene = Scene::new(move |request| {
        let mut entity = shared.lock();
        if request.method() == "GET" {
            return found(&entity);
        }
        *entity = serde_json::from_slice(request.body()).unwrap();
        entity["odata.etag"] = json!(ETAG);
        written()
    })
    .await;
    let (key, expires_at) = (Key::new("a", "b"), Some(at(NOW + 1)));
    let put = Put::new(key.clone(), value.clone()).with_expires_at(expires_at);
    let version = scene.table.put(put).await.unwrap();
    let item = scene.table.get(&key).await.unwrap();
    assert_eq!(item, Some(Item::new(key, value, version).with_expires_at(expires_at)));
    stored.lock().clone()
}

#[tokio::test]
async fn readable_values_are_text_and_long_ones_are_split() {
    for (value, pieces, text) in [
        (Bytes::from("{\"a\":\"b\"}\r\n\t"), 1, true),
        (Bytes::new(), 1, true),
        (Bytes::from("a\u{2028}b\u{2029}c"), 1, true),
        (Bytes::from("a\u{0}"), 1, false),
        (Bytes::from("\u{ffff}"), 1, false),
        (Bytes::from_static(b"\xff"), 1, false),
        (Bytes::from("\"".repeat(4_096)), 1, true),
        (Bytes::from("\"".repeat(4_097)), 1, false),
        (Bytes::from("x".repeat(390_000)), 13, true),
        (Bytes::from("😀".repeat(97_500)), 7, true),
        (Bytes::from("é".repeat(195_000)), 7, true),
        (Bytes::from(vec![0xff; 390_000]), 7, false),
    ] {
        let entity = sent(value).await;
        let names = entity.as_object().unwrap().keys().filter(|name| name.starts_with("value") && !name.contains('@'));
        assert_eq!(names.count(), pieces);
        assert_eq!(entity["value@odata.type"], if text { Value::Null } else { json!("Edm.Binary") });
        assert_eq!((&entity["sort"], &entity["expires"]), (&json!("b"), &json!((NOW + 1).to_string())));
        let units = |text: &Value| text.as_str().unwrap().encode_utf16().count();
        assert!(!text || units(&entity["value"]) <= 32_767);
    }
}

#[tokio::test]
async fn rows_of_other_writers_are_read_where_they_have_a_value() {
    for (value, expected) in [(json!("x"), Some("x")), (json!(7), Some("7")), (json!(true), None), (Value::Null, None)]
    {
        let mut row = row("", "", None);
        row["value"] = value;
        row.as_object_mut().unwrap().remove("write");
        let scene = Scene::script([found(&row)]).await;
        match (scene.table.get(&Key::from("a")).await, expected) {
            (Ok(item), Some(expected)) => assert_eq!(item.unwrap().value, expected),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Internal),
            (result, _) => panic!("{result:?}"),
        }
    }
}
