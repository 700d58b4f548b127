//! Objects, and URLs of them.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use isobar::ErrorKind;
use isobar::blob::PutMode;
use isobar_conformance::TrialResult;
use isobar_e2e::foreign_names;
use serde_json::json;

use super::{Both, bytes};

/// The name of the object with this key.
fn stored(key: &str) -> String {
    key.replace('%', "%25")
}

pub(super) async fn python_reads_ours(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("oa").await?;
    let pages = world.cloud().bucket("pages");
    let options =
        isobar::blob::PutOptions::default().with_content_type("text/x-cheese").with_metadata("colour", "gelb");
    pages.put_with("docs/käse 1%&+.html", "<p>cheese</p>", options).await?;
    let large: Vec<u8> = (0..20_000_000_u32).map(|number| (number % 251) as u8).collect();
    pages.put("large", large.clone()).await?;
    let listed = both.call("oa", "object.list", json!({"bucket": "oa-pages", "prefix": "docs/"}))?;
    // isobar escapes the characters of a key that a path of object_store must not contain.
    assert_eq!(listed["names"], json!([stored("docs/käse 1%&+.html")]));
    let read = |name: &str| both.call("oa", "object.get", json!({"bucket": "oa-pages", "name": name}));
    let found = read(&stored("docs/käse 1%&+.html"))?;
    assert_eq!(found["body"], bytes(b"<p>cheese</p>"));
    assert_eq!((&found["content_type"], &found["metadata"]["colour"]), (&json!("text/x-cheese"), &json!("gelb")));
    assert!(read("large")?["body"] == bytes(&large), "the content differs");
    Ok(())
}

pub(super) async fn ours_are_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("ob").await?;
    let pages = world.cloud().bucket("pages");
    let version = pages.put("mine", "1").await?;
    let put = |name: &str, body: &[u8]| {
        let object = json!({
            "bucket": "ob-pages", "name": name, "body": bytes(body), "content_type": "text/x-cheese",
            "metadata": {"colour": "yellow"},
        });
        both.call("ob", "object.put", object)
    };
    put("docs/a b.txt", b"theirs")?;
    let found = pages.get("docs/a b.txt").await?;
    assert_eq!(found.content_type.as_deref(), Some("text/x-cheese"));
    assert_eq!(found.metadata.get("colour").map(String::as_str), Some("yellow"));
    assert_eq!(found.bytes().await?, "theirs");
    let large: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 241) as u8).collect();
    put("large", &large)?;
    assert!(pages.get("large").await?.bytes().await? == large, "the content differs");
    // A write of the library makes isobar's version old, and the other way round.
    put("mine", b"2")?;
    let error = pages.put_with("mine", "3", PutMode::Update(version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let theirs = both.call("ob", "object.get", json!({"bucket": "ob-pages", "name": "mine"}))?;
    pages.put("mine", "4").await?;
    let mut late = json!({"bucket": "ob-pages", "name": "mine", "body": bytes(b"5")});
    late["generation"] = theirs["generation"].clone();
    let error = both.call("ob", "object.put", late).unwrap_err();
    assert!(error.message().contains("PreconditionFailed"), "{error}");
    assert_eq!(pages.get("mine").await?.bytes().await?, "4");
    Ok(())
}

pub(super) async fn names_that_are_no_paths_are_listed(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("od").await?;
    world.cloud().bucket("pages").put("readable", "1").await?;
    let names = ["a//b", "/c", "d/", "e/../f"];
    for name in names {
        both.call("od", "object.put", json!({"bucket": "od-pages", "name": name, "body": bytes(b"theirs")}))?;
    }
    foreign_names::are_listed(&world.cloud(), &names).await
}

/// Google's library signs the same URL.
pub(super) async fn python_signs_the_same(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("oc").await?;
    let pages = world.cloud().bucket("pages");
    for name in ["plain", "docs/käse 1%&+.html", "a~b(c)!*'", "x=y?z#é"] {
        for method in [Method::GET, Method::PUT] {
            let lasts = Duration::from_secs(600);
            let ours = match method {
                Method::GET => pages.signed_get(name, lasts).await?,
                _ => pages.signed_put(name, lasts).await?,
            };
            let now = ours.url.split("X-Goog-Date=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
            let (endpoint, _) = ours.url.split_once("/oc-pages/").unwrap();
            let grant = json!({
                "bucket": "oc-pages", "name": stored(name), "method": method.as_str(), "seconds": 600, "now": now,
                "endpoint": endpoint,
            });
            let theirs = both.call("oc", "object.sign", grant)?;
            assert_eq!(ours.url, theirs["url"].as_str().unwrap(), "{method} {name}");
        }
    }
    Ok(())
}
