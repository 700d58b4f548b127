use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::messages::push;
use super::*;

const LINKS: &str = "/.isobar/writes/links";

/// An event of the document at a path.
fn event(database: &str, path: &str) -> Request<Body> {
    let name = format!("projects/p-1/databases/{database}/documents/{path}");
    let request = of_google(LINKS)
        .header("ce-specversion", "1.0")
        .header("ce-id", "1")
        .header("ce-source", format!("//firestore.googleapis.com/projects/p-1/databases/{database}"))
        .header("ce-type", "google.cloud.firestore.document.v1.written");
    request.body(Body::from(json!({"value": {"name": name}}).to_string())).unwrap()
}

fn path(sort: &str) -> String {
    use isobar_abstraction::driver::key_value::Key;
    crate::key_value::path("links", &Key::new("ada", sort)).unwrap()
}

#[tokio::test]
async fn a_written_key_is_published_before_its_event_is_acknowledged() {
    let host = Host::new().await;
    assert_eq!(host.send(event("(default)", &path("x/y"))).await.0, 204);
    let published = host.published();
    let [(topic, message)] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(topic, "links--writes");
    let body = BASE64_STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"table": "links", "key": {"partition": "ada", "sort": "x/y"}}));
    assert!(host.calls().is_empty(), "the app is called for the message only");

    let double = Double::new(|request| match request.uri().path() {
        path if path.ends_with("links--writes:publish") => {
            response(404, json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "no topic"}}))
        }
        _ => google(request),
    });
    let host = Host::at(double.await, &[]);
    assert_eq!(host.send(event("(default)", &path("x/y"))).await.0, 500);
}

#[tokio::test]
async fn events_without_an_item_of_the_table_are_acknowledged_and_skipped() {
    let own = format!("{0}{0}flow/step", '\u{10FFFF}');
    for (database, path) in [
        ("(default)", path(&own)),
        ("other", path("x")),
        ("(default)", path("x").replace("links", "words")),
        ("(default)", "links/ada".to_owned()),
    ] {
        let host = Host::new().await;
        assert_eq!(host.send(event(database, &path)).await.0, 204, "{database} {path}");
        assert!(host.published().is_empty() && host.calls().is_empty(), "{database} {path}");
    }
    let host = Host::new().await;
    assert_eq!(host.call(LINKS, "{}").await.0, 400);
}

#[tokio::test]
async fn a_published_key_is_handled_like_a_message() {
    let host = Host::new().await;
    let pushed = |partition: &str| {
        let body = json!({"table": "prod-links", "key": {"partition": partition, "sort": "x"}});
        push(&body.to_string(), json!({"subscription": "projects/p-1/subscriptions/links--writes"}))
    };
    assert_eq!(host.call(LINKS, pushed("ada")).await.0, 204);
    assert_eq!(host.calls(), [r#"links Key { partition: "ada", sort: "x" }, attempt 1"#]);
    for partition in ["retry", "reject"] {
        assert_eq!(host.call(LINKS, pushed(partition)).await.0, 204);
    }
    assert_eq!(host.call(LINKS, push("no JSON", json!({}))).await.0, 204);
    let topics: Vec<String> = host.published().into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["links--writes", "links--writes--dead", "links--writes--dead"]);
}
