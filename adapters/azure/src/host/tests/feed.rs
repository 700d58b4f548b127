//! The feed of a table, in the forms of the Cosmos DB trigger, and the queue of its writes.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use isobar_testkit::Double;

use super::triggers::{DONE, queued};
use super::*;

/// A host, and a double of its storage account that stores all messages but those with `no!`.
async fn host() -> (Host, Double) {
    let double = Double::new(|request| {
        let bad = texts(request).iter().any(|text| text.contains("no!"));
        Response::builder().status(if bad { 500 } else { 201 }).body(String::new()).unwrap()
    })
    .await;
    let storage = format!("AccountName=acc;AccountKey=aHVzaA==;QueueEndpoint={}/acc", double.url);
    (Host::with(&[("AZURE_STORAGE_CONNECTION_STRING", &storage)]), double)
}

/// The decoded message of a request.
fn texts(request: &Request<Bytes>) -> Vec<String> {
    let xml = String::from_utf8_lossy(request.body()).into_owned();
    let text = xml.strip_prefix("<QueueMessage><MessageText>").and_then(|xml| xml.split('<').next());
    let decoded = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
    decoded.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// A call of the trigger, which wraps the array in a string twice.
fn call(documents: &[Value]) -> Value {
    let text = Value::from(documents).to_string();
    json!({"Data": {"documents": doubled(text)}, "Metadata": {"sys": {"MethodName": "feed-links"}}})
}

fn item(partition: &str, sort: &str) -> Value {
    json!({"id": format!("s{}", BASE64_URL_SAFE_NO_PAD.encode(sort)), "p": partition, "v": "", "_ts": 1, "_lsn": 2})
}

#[tokio::test]
async fn the_keys_of_a_feed_are_stored_and_delivered_from_their_queue() {
    let (host, double) = host().await;
    let own = "\u{10FFFF}\u{10FFFF}flow/step";
    let documents =
        [item("ada", "1"), item("ada", "2"), item("ada", "1"), item("ada", own), json!({"id": "x"}), json!(7)];
    assert_eq!(host.call("feed-links", call(&documents)).await, (200, DONE.to_owned()));
    assert!(host.seen().is_empty(), "the handler is called from the queue");
    assert_eq!(
        double.requests(),
        ["POST /acc/0writes-links/messages?messagettl=-1"; 2],
        "each key once, and none of isobar's"
    );
    let stored: Vec<_> = (0..2).flat_map(|place| double.request(place, texts)).collect();
    for text in &stored {
        assert_eq!(host.call("writes-links", queued(text, 2)).await.0, 200);
    }
    let mut seen = host.seen();
    seen.sort();
    assert_eq!(seen, ["ada / 1, attempt 2", "ada / 2, attempt 2"]);
    for bare in [json!(documents), json!(json!(documents).to_string())] {
        assert_eq!(host.call("feed-links", json!({"Data": {"documents": bare}})).await.0, 200, "less quoting");
    }
}

#[tokio::test]
async fn a_feed_is_acknowledged_only_when_all_keys_are_stored() {
    let (host, double) = host().await;
    let all: Vec<_> = (0..20).map(|number| item("p", &number.to_string())).chain([item("no!", "")]).collect();
    let (status, answer) = host.call("feed-links", call(&all)).await;
    assert_eq!((status, answer.contains("sends this part of the feed again")), (500, true), "{answer}");
    assert!(double.requests().len() > 20, "{}", double.requests().len());
}

#[tokio::test]
async fn a_large_feed_is_stored_whole_and_one_that_is_no_list_is_rejected() {
    let (host, double) = host().await;
    let many: Vec<_> = (0..1_000).map(|number| item("p", &number.to_string())).collect();
    assert_eq!(host.call("feed-links", call(&many)).await.0, 200);
    assert_eq!(double.requests().len(), 1_000);
    for wrong in [json!({}), json!("x"), json!(doubled("{}")), json!("[")] {
        let (status, answer) = host.call("feed-links", json!({"Data": {"documents": wrong}})).await;
        assert_eq!((status, answer.contains("not an array")), (400, true), "{answer}");
    }
    assert_eq!(host.call("feed-links", call(&[])).await.0, 200);
    let unreadable = host.call("writes-links", queued("{\"table\":7}", 1)).await;
    assert_eq!(unreadable.0, 200, "it is a dead letter");
    assert!(double.requests().pop().unwrap().starts_with("POST /acc/0writes-links-poison/messages"));
}
