//! The requests that both receive, in all of Google's forms of events. The forms are those of the inputs of
//! `functions-framework-conformance`, and of pushes as the emulator sends them.

/// The expected result of an event.
#[derive(Debug)]
pub(super) enum Expected {
    /// The handler receives this event, as JSON.
    Seen(&'static str),
    /// The response has this status.
    Refused(u16),
}

use Expected::{Refused, Seen};

/// A request that is an event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static str,
    pub(super) expected: Expected,
    of: Of,
}

#[derive(Debug, PartialEq, Eq)]
enum Of {
    Topic,
    Bucket,
}

impl Event {
    /// The logical name of the topic or the bucket.
    pub(super) fn trigger(&self) -> &'static str {
        if self.of == Of::Topic { "clicks" } else { "pages" }
    }

    /// The segment for it in the paths of triggers.
    pub(super) fn kind(&self) -> &'static str {
        if self.of == Of::Topic { "topics" } else { "buckets" }
    }
}

type Headers = &'static [(&'static str, &'static str)];

const fn event(name: &'static str, of: Of, headers: Headers, body: &'static str, expected: Expected) -> Event {
    Event { name, method: "POST", path: "/", headers, body, expected, of }
}

const JSON: Headers = &[("content-type", "application/json")];
const STRUCTURED: Headers = &[("content-type", "application/cloudevents+json; charset=utf-8")];

const MESSAGE: Headers = &[
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-id", "9001"),
    ("ce-type", "google.cloud.pubsub.topic.v1.messagePublished"),
    ("ce-source", "//pubsub.googleapis.com/projects/seen/topics/clicks"),
    ("ce-time", "2026-11-26T09:30:00.500Z"),
];

const FINALIZED: Headers = &[
    ("content-type", "application/json; charset=utf-8"),
    ("ce-specversion", "1.0"),
    ("ce-id", "9002"),
    ("ce-type", "google.cloud.storage.object.v1.finalized"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
    ("ce-subject", "objects/docs/k%C3%A4se%201.txt"),
    ("ce-time", "2026-11-26T09:30:00Z"),
];

const DELETED: Headers = &[
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-id", "9003"),
    ("ce-type", "google.cloud.storage.object.v1.deleted"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
    ("ce-subject", "objects/docs/a.txt"),
    ("ce-time", "2026-11-26T09:30:00Z"),
];

const PERCENT_ENCODED: Headers = &[
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-id", "9004"),
    ("ce-type", "google.cloud.storage.object.v1.finalized"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
    ("ce-time", "2026-11-26T09%3A30%3A00Z"),
];

const WITHOUT_AN_ID: Headers = &[
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-type", "google.cloud.storage.object.v1.finalized"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
    ("ce-time", "2026-11-26T09:30:00Z"),
];

const OF_AN_OLD_VERSION: Headers = &[
    ("content-type", "application/json"),
    ("ce-specversion", "0.3"),
    ("ce-id", "9005"),
    ("ce-type", "google.cloud.storage.object.v1.finalized"),
    ("ce-source", "//storage.googleapis.com/projects/_/buckets/pages"),
    ("ce-time", "2026-11-26T09:30:00Z"),
];

const UNWRAPPED: Headers = &[
    ("content-type", "text/plain"),
    ("x-goog-pubsub-message-id", "9006"),
    ("x-goog-pubsub-publish-time", "2026-11-26T09:30:00.500Z"),
    ("x-goog-pubsub-subscription-name", "projects/seen/subscriptions/clicks"),
    ("lang", "de"),
];

const OBJECT: &str = r#"{"kind": "storage#object", "bucket": "pages", "name": "docs/käse 1.txt", "size": "352",
    "generation": "1790000000000001", "metageneration": "1", "contentType": "text/plain",
    "timeCreated": "2026-11-26T09:30:00.000Z", "updated": "2026-11-26T09:30:00.000Z"}"#;

const SEEN_OBJECT: Expected = Seen(
    r#"{"bucket": "pages", "object": "docs/käse 1.txt", "change": "created", "size": 352,
        "time": "2026-11-26T09:30:00.000Z"}"#,
);

const SEEN_DELETION: Expected = Seen(
    r#"{"bucket": "pages", "object": "docs/a.txt", "change": "deleted", "size": null,
        "time": "2026-11-26T09:30:00.000Z"}"#,
);

const SEEN_MESSAGE: Expected = Seen(
    r#"{"id": "9001", "body": "a8Okc2U=", "attributes": {"lang": "de", "Case": "Kept"},
        "time": "2026-11-26T09:30:00.500Z", "key": null}"#,
);

pub(super) const EVENTS: &[Event] = &[
    event(
        "a_message_as_a_structured_event",
        Of::Topic,
        STRUCTURED,
        r#"{"specversion": "1.0", "id": "9001", "type": "google.cloud.pubsub.topic.v1.messagePublished",
            "source": "//pubsub.googleapis.com/projects/seen/topics/clicks", "time": "2026-11-26T09:30:00.500Z",
            "datacontenttype": "application/json", "data": {"subscription": "projects/seen/subscriptions/clicks",
            "message": {"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", "messageId": "9001",
            "publishTime": "2026-11-26T09:30:00.500Z", "attributes": {"lang": "de", "Case": "Kept"},
            "data": "a8Okc2U="}}}"#,
        SEEN_MESSAGE,
    ),
    event(
        "a_message_as_a_binary_event",
        Of::Topic,
        MESSAGE,
        r#"{"subscription": "projects/seen/subscriptions/clicks", "message": {"messageId": "9001",
            "publishTime": "2026-11-26T09:30:00.500Z", "attributes": {"lang": "de", "Case": "Kept"},
            "data": "a8Okc2U="}}"#,
        SEEN_MESSAGE,
    ),
    event(
        "a_message_of_bytes_without_attributes",
        Of::Topic,
        MESSAGE,
        r#"{"message": {"messageId": "9001", "publishTime": "2026-11-26T09:30:00.500Z", "data": "AP+AAQ=="}}"#,
        Seen(
            r#"{"id": "9001", "body": "AP+AAQ==", "attributes": {}, "time": "2026-11-26T09:30:00.500Z", "key": null}"#,
        ),
    ),
    event(
        "a_message_as_a_background_event",
        Of::Topic,
        JSON,
        r#"{"eventId": "9001", "timestamp": "2026-11-26T09:30:00.500Z",
            "eventType": "providers/cloud.pubsub/eventTypes/topic.publish",
            "resource": "projects/seen/topics/clicks",
            "data": {"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage",
            "attributes": {"lang": "de", "Case": "Kept"}, "data": "a8Okc2U="}}"#,
        SEEN_MESSAGE,
    ),
    event(
        "a_message_as_a_background_event_with_a_context",
        Of::Topic,
        JSON,
        r#"{"context": {"eventId": "9001", "timestamp": "2026-11-26T09:30:00.500Z",
            "eventType": "google.pubsub.topic.publish", "resource": {"service": "pubsub.googleapis.com",
            "name": "projects/seen/topics/clicks", "type": "type.googleapis.com/google.pubsub.v1.PubsubMessage"}},
            "data": {"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage",
            "attributes": {"lang": "de", "Case": "Kept"}, "data": "a8Okc2U="}}"#,
        SEEN_MESSAGE,
    ),
    Event {
        path: "/projects/seen/topics/clicks",
        ..event(
            "a_message_as_a_push",
            Of::Topic,
            JSON,
            r#"{"subscription": "projects/seen/subscriptions/clicks", "message": {"data": "a8Okc2U=",
                "attributes": {"lang": "de", "Case": "Kept"}, "messageId": "9001", "message_id": "9001",
                "publishTime": "2026-11-26T09:30:00.500Z", "publish_time": "2026-11-26T09:30:00.500Z"}}"#,
            SEEN_MESSAGE,
        )
    },
    Event {
        path: "/projects/seen/topics/clicks",
        ..event(
            "a_push_with_an_ordering_key",
            Of::Topic,
            JSON,
            r#"{"subscription": "projects/seen/subscriptions/clicks", "deliveryAttempt": 2, "message": {
                "data": "a8Okc2U=", "messageId": "9001", "publishTime": "2026-11-26T09:30:00.500Z",
                "orderingKey": "cheese"}}"#,
            Seen(
                r#"{"id": "9001", "body": "a8Okc2U=", "attributes": {}, "time": "2026-11-26T09:30:00.500Z",
                    "key": "cheese"}"#,
            ),
        )
    },
    Event {
        path: "/projects/seen/topics/clicks",
        ..event(
            "a_push_of_attributes_alone",
            Of::Topic,
            JSON,
            r#"{"subscription": "projects/seen/subscriptions/clicks", "message": {"messageId": "9001",
                "publishTime": "2026-11-26T09:30:00.500Z", "attributes": {"lang": "de"}}}"#,
            Seen(
                r#"{"id": "9001", "body": "", "attributes": {"lang": "de"}, "time": "2026-11-26T09:30:00.500Z",
                    "key": null}"#,
            ),
        )
    },
    event(
        "a_push_without_its_wrapper",
        Of::Topic,
        UNWRAPPED,
        "käse",
        Seen(
            r#"{"id": "9006", "body": "a8Okc2U=", "attributes": {"lang": "de"},
                "time": "2026-11-26T09:30:00.500Z", "key": null}"#,
        ),
    ),
    event(
        "an_object_as_a_structured_event",
        Of::Bucket,
        STRUCTURED,
        r#"{"specversion": "1.0", "id": "9002", "type": "google.cloud.storage.object.v1.finalized",
            "source": "//storage.googleapis.com/projects/_/buckets/pages", "subject": "objects/docs/käse 1.txt",
            "time": "2026-11-26T09:30:00Z", "datacontenttype": "application/json",
            "data": {"kind": "storage#object", "bucket": "pages", "name": "docs/käse 1.txt", "size": "352"}}"#,
        SEEN_OBJECT,
    ),
    event("an_object_as_a_binary_event", Of::Bucket, FINALIZED, OBJECT, SEEN_OBJECT),
    event(
        "a_deletion_as_a_binary_event",
        Of::Bucket,
        DELETED,
        r#"{"kind": "storage#object", "bucket": "pages", "name": "docs/a.txt", "size": "352"}"#,
        SEEN_DELETION,
    ),
    event(
        "an_object_as_a_background_event",
        Of::Bucket,
        JSON,
        r#"{"eventId": "9002", "eventType": "providers/cloud.storage/eventTypes/object.change",
            "resource": "projects/_/buckets/pages/objects/docs/käse 1.txt#1790000000000001",
            "timestamp": "2026-11-26T09:30:00.000Z", "data": {"kind": "storage#object", "bucket": "pages",
            "name": "docs/käse 1.txt", "size": "352", "resourceState": "exists"}}"#,
        SEEN_OBJECT,
    ),
    event(
        "an_object_as_a_background_event_with_a_context",
        Of::Bucket,
        JSON,
        r#"{"context": {"eventId": "9002", "timestamp": "2026-11-26T09:30:00.000Z",
            "eventType": "google.storage.object.finalize", "resource": {"service": "storage.googleapis.com",
            "name": "projects/_/buckets/pages/objects/docs/käse 1.txt", "type": "storage#object"}},
            "data": {"kind": "storage#object", "bucket": "pages", "name": "docs/käse 1.txt", "size": "352"}}"#,
        SEEN_OBJECT,
    ),
    event(
        "a_deletion_as_a_background_event",
        Of::Bucket,
        JSON,
        r#"{"context": {"eventId": "9003", "timestamp": "2026-11-26T09:30:00.000Z",
            "eventType": "google.storage.object.delete", "resource": {"service": "storage.googleapis.com",
            "name": "projects/_/buckets/pages/objects/docs/a.txt", "type": "storage#object"}},
            "data": {"kind": "storage#object", "bucket": "pages", "name": "docs/a.txt", "size": "352"}}"#,
        SEEN_DELETION,
    ),
    event("attributes_with_percent_encoding", Of::Bucket, PERCENT_ENCODED, OBJECT, SEEN_OBJECT),
    event(
        "data_in_base64",
        Of::Bucket,
        STRUCTURED,
        // {"bucket":"pages","name":"docs/a.txt","size":"1"}
        r#"{"specversion": "1.0", "id": "9003", "type": "google.cloud.storage.object.v1.deleted",
            "source": "//storage.googleapis.com/projects/_/buckets/pages", "time": "2026-11-26T09:30:00Z",
            "data_base64": "eyJidWNrZXQiOiJwYWdlcyIsIm5hbWUiOiJkb2NzL2EudHh0Iiwic2l6ZSI6IjEifQ=="}"#,
        SEEN_DELETION,
    ),
    event(
        "an_event_whose_handler_fails",
        Of::Bucket,
        FINALIZED,
        r#"{"kind": "storage#object", "bucket": "pages", "name": "fail-please", "size": "352"}"#,
        Refused(500),
    ),
    event("an_event_that_is_no_json", Of::Bucket, STRUCTURED, r#"{"specversion": "1.0""#, Refused(400)),
    event("an_event_without_an_id", Of::Bucket, WITHOUT_AN_ID, OBJECT, Refused(400)),
    event("an_event_of_an_old_version", Of::Bucket, OF_AN_OLD_VERSION, OBJECT, Refused(400)),
    event("json_that_is_no_event", Of::Topic, JSON, r#"{"a": 1}"#, Refused(400)),
    event(
        "a_batch_of_events",
        Of::Bucket,
        &[("content-type", "application/cloudevents-batch+json")],
        r#"[{"specversion": "1.0", "id": "9002", "type": "google.cloud.storage.object.v1.finalized",
            "source": "//storage.googleapis.com/projects/_/buckets/pages", "data": {}}]"#,
        Refused(415),
    ),
    event(
        "a_background_event_of_no_known_type",
        Of::Topic,
        JSON,
        r#"{"context": {"eventId": "9001", "timestamp": "2026-11-26T09:30:00.500Z", "eventType": "google.seen.it",
            "resource": "projects/seen"}, "data": {}}"#,
        Refused(400),
    ),
    Event { method: "GET", ..event("an_event_by_get", Of::Topic, &[], "", Refused(405)) },
];

const BOTH: &[&str] = &["cloudevent", "event"];

/// Deviations of the framework: the event, the signatures of functions that are affected, and the behaviour of the
/// framework. isobar follows the specification.
pub(super) const DEVIATIONS: &[(&str, &[&str], &str)] = &[
    ("a_push_with_an_ordering_key", BOTH, "It passes data and attributes of a push, and drops its ordering key."),
    ("a_push_of_attributes_alone", BOTH, "It recognises a push by its data, and passes the body unchanged."),
    ("a_push_without_its_wrapper", BOTH, "It does not recognise them, and passes only the body."),
    (
        "attributes_with_percent_encoding",
        BOTH,
        "It does not decode it, which section 3.1.3.2 of the HTTP binding of CloudEvents 1.0.2 requires.",
    ),
    ("data_in_base64", BOTH, "It leaves `data_base64` to the function."),
    ("an_event_without_an_id", BOTH, "It calls the function with the attributes that it found."),
    ("an_event_of_an_old_version", BOTH, "It does not check the version."),
    ("json_that_is_no_event", BOTH, "It calls the function with the attributes that it found."),
    ("a_batch_of_events", BOTH, "It treats the batch as bytes, and calls the function."),
    ("a_background_event_of_no_known_type", BOTH, "It calls the function with the attributes that it found."),
    ("an_event_by_get", BOTH, "It answers 404 instead of 405."),
];
