use super::*;

/// The event in `storage-legacy-input.json`, shortened.
fn storage() -> serde_json::Value {
    json!({
        "context": {
            "eventId": "aaaaaa-1111-bbbb-2222-cccccccccccc", "timestamp": "2020-09-29T11:32:00.000Z",
            "eventType": "google.storage.object.finalize",
            "resource": {"service": "storage.googleapis.com", "type": "storage#object",
                "name": "projects/_/buckets/some-bucket/objects/folder/Test.cs"},
        },
        "data": {"bucket": "some-bucket", "name": "folder/Test.cs", "size": "352"},
    })
}

/// The event in `legacy_pubsub-legacy-input.json`.
fn pub_sub() -> serde_json::Value {
    json!({
        "eventId": "aaaaaa-1111-bbbb-2222-cccccccccccc", "timestamp": "2020-09-29T11:32:00.000Z",
        "eventType": "providers/cloud.pubsub/eventTypes/topic.publish",
        "resource": "projects/sample-project/topics/gcf-test",
        "data": {"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", "attributes": {"attribute1": "value1"},
            "data": "VGhpcyBpcyBhIHNhbXBsZSBtZXNzYWdl"},
    })
}

#[test]
fn a_missing_field_is_named() {
    for name in ["eventId", "eventType", "resource"] {
        for wrong in [None, Some(json!(null)), Some(json!(7)), Some(json!(""))] {
            if name == "resource" && wrong == Some(json!("")) {
                continue;
            }
            for (mut body, inner) in [(storage(), true), (pub_sub(), false)] {
                let context = if inner { &mut body["context"] } else { &mut body };
                match &wrong {
                    Some(wrong) => context[name] = wrong.clone(),
                    None => drop(context.as_object_mut().unwrap().remove(name)),
                }
                let (status, message) = rejection(&[], &body);
                // Without any of these fields the body is not recognized as a background event.
                let unrecognized = !inner && name == "eventId" && wrong.is_none();
                assert_eq!((status, message.contains(name) || unrecognized), (400, true), "{message}");
            }
        }
    }
    let mut body = storage();
    body["context"]["timestamp"] = "noon".into();
    assert!(read(&[], &body).is_ok(), "an invalid time is ignored");
    body["context"]["eventType"] = format!("google.nothing{}", "x".repeat(9_000)).into();
    let (status, message) = rejection(&[], &body);
    assert!(status == 400 && message.contains("google.nothing") && message.len() < 300, "{message}");
    for context in [json!(null), json!([]), json!("x")] {
        assert_eq!(rejection(&[], json!({"context": context, "data": {}})).0, 400, "{context}");
    }
}

#[test]
fn an_invalid_message_is_rejected() {
    for data in [json!(null), json!([]), json!("x"), json!({"data": "?"})] {
        let mut body = pub_sub();
        body["data"] = data;
        assert_eq!(read(&[], &body).unwrap().message().unwrap_err().status, 400, "{body}");
    }
}

#[test]
fn the_oldest_type_is_a_new_or_a_deleted_object() {
    let mut body = storage();
    body["context"]["eventType"] = "providers/cloud.storage/eventTypes/object.change".into();
    let change = |body: &serde_json::Value| change_of_event(&event(&[], body)).unwrap().unwrap();
    assert_eq!(change(&body).change, isobar_abstraction::ObjectChange::Created { size: 352 });
    body["data"]["resourceState"] = "not_exists".into();
    assert_eq!(change(&body).change, isobar_abstraction::ObjectChange::Deleted);
    assert_eq!(event(&[], &body).kind, "google.cloud.storage.object.v1.finalized", "as in the functions frameworks");
}
