//! What becomes of an upload.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::{Value, json};

/// A service whose first answer is an error.
async fn labeller() -> String {
    static FAILS: AtomicUsize = AtomicUsize::new(1);
    let labels = async || {
        if FAILS.fetch_sub(1, Ordering::SeqCst) == 1 {
            return (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!(null)));
        }
        (StatusCode::OK, axum::Json(json!(["cat", "sofa"])))
    };
    let app = Router::new().route("/labels", post(labels));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{at}/labels")
}

fn client(labeller: &str) -> TestClient {
    let provider = MemoryProvider::default();
    provider.set_config("labeller", &json!({ "url": labeller }).to_string());
    TestClient::on(provider, media::app).unwrap()
}

#[tokio::test]
async fn an_upload_is_labelled_found_and_forgotten() -> Result<()> {
    let c = client(&labeller().await);
    let put = c.request(Method::PUT, "/tom.jpg").header("content-type", "image/jpeg").body("JPEG");
    assert_eq!(put.send().await?.status, StatusCode::CREATED);
    assert_eq!(c.deliver_all().await?.retried, 1);
    c.advance(Duration::from_secs(5));
    assert_eq!(c.deliver_all().await?.acked, 1);
    assert_eq!(c.get("/tom.jpg").await?.json::<Value>()?["labels"], json!(["cat", "sofa"]));
    for (query, found) in
        [("", 1), ("?label=cat", 1), ("?label=dog", 0), ("?label=cat&media-type=video", 0), ("?startswith=to", 1)]
    {
        let a: Value = c.get(&format!("/{query}")).await?.json()?;
        assert_eq!(a["files"].as_array().unwrap().len(), found, "{query}: {a}");
    }
    let content = c.get("/tom.jpg/content").await?;
    assert_eq!((content.text().as_str(), content.header("content-type")), ("JPEG", Some("image/jpeg")));
    assert_eq!(content.header("content-security-policy"), Some("sandbox"));
    assert_eq!(c.get("/none.jpg/content").await?.status, StatusCode::NOT_FOUND);
    c.cloud().bucket("media").delete("tom.jpg").await?;
    assert_eq!(c.deliver_all().await?.acked, 1);
    assert_eq!(c.get("/tom.jpg").await?.status, StatusCode::NOT_FOUND);
    assert_eq!(c.get("/?label=cat").await?.json::<Value>()?["files"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_signed_url_takes_an_upload() -> Result<()> {
    let c = client("http://127.0.0.1:9/labels");
    let signed = c.post("/upload-url/tom.txt", &()).await?.json::<Value>()?;
    let put = c.request(Method::PUT, signed["url"].as_str().unwrap()).body("hello");
    assert_eq!(put.send().await?.status, StatusCode::OK);
    assert_eq!(c.get("/tom.txt/content").await?.text(), "hello");
    Ok(())
}
