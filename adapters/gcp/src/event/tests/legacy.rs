use super::*;

/// Facts of `storage-legacy-input.json`, shortened.
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

/// Facts of `legacy_pubsub-legacy-input.json`.
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
fn what_is_missing_is_named() {
    for name in ["eventId", "eventType", "resource"] {
        for wrong in [None, Some(json!(null)), Some(json!(7)), Some(json!(""))] {
            if name == "resource" && wrong == Some(json!("")) {
                continue;
            }
            for (mut told, inner) in [(storage(), true), (pub_sub(), false)] {
                let context = if inner { &mut told["context"] } else { &mut told };
                match &wrong {
                    Some(wrong) => context[name] = wrong.clone(),
                    None => drop(context.as_object_mut().unwrap().remove(name)),
                }
                let (status, why) = refused(&[], &told);
                // Without any of them it is no background event at all.
                let nothing = !inner && name == "eventId" && wrong.is_none();
                assert_eq!((status, why.contains(name) || nothing), (400, true), "{why}");
            }
        }
    }
    let mut told = storage();
    told["context"]["timestamp"] = "noon".into();
    assert!(read(&[], &told).is_ok(), "an event is not lost for its time");
    told["context"]["eventType"] = format!("google.nothing{}", "x".repeat(9_000)).into();
    let (status, why) = refused(&[], &told);
    assert!(status == 400 && why.contains("google.nothing") && why.len() < 300, "{why}");
    for context in [json!(null), json!([]), json!("x")] {
        assert_eq!(refused(&[], json!({"context": context, "data": {}})).0, 400, "{context}");
    }
}

#[test]
fn a_message_that_is_none_is_refused() {
    for data in [json!(null), json!([]), json!("x"), json!({"data": "?"})] {
        let mut told = pub_sub();
        told["data"] = data;
        assert_eq!(read(&[], &told).unwrap().message().unwrap_err().status, 400, "{told}");
    }
}

#[test]
fn the_oldest_type_is_a_new_object_or_one_that_is_gone() {
    let mut told = storage();
    told["context"]["eventType"] = "providers/cloud.storage/eventTypes/object.change".into();
    let change = |told: &serde_json::Value| change_of_event(&event(&[], told)).unwrap().unwrap();
    assert_eq!(change(&told).change, isobar_abstraction::ObjectChange::Created { size: 352 });
    told["data"]["resourceState"] = "not_exists".into();
    assert_eq!(change(&told).change, isobar_abstraction::ObjectChange::Deleted);
    assert_eq!(event(&[], &told).kind, "google.cloud.storage.object.v1.finalized", "as the frameworks have it");
}
