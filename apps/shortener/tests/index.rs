//! The nightly page.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use isobar::prelude::*;
use serde_json::{Value, json};

async fn made(client: &TestClient, wish: Value) -> String {
    let answer = client.post("/", &wish).await.unwrap();
    answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn before_the_first_sweep_there_is_no_index_and_a_hint() -> Result<()> {
    let answer = TestClient::new(shortener::app)?.get("/index.html").await?;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("sweep"), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn the_index_shows_the_newest_links_first() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    let mut ids = Vec::new();
    for number in 0..105 {
        client.advance(Duration::from_millis(1));
        ids.push(made(&client, json!({"url": format!("https://example.org/{number}")})).await);
    }
    client.tick("sweep").await?;
    let answer = client.get("/index.html").await?;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("text/html")));
    let page = answer.text();
    let listed: Vec<_> = page.match_indices("href=\"").map(|(at, _)| page[at + 6..at + 13].to_owned()).collect();
    let newest: Vec<_> = ids.into_iter().rev().take(100).collect();
    assert_eq!(listed, newest);
    Ok(())
}

#[tokio::test]
async fn urls_are_escaped() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    made(&client, json!({"url": "https://example.org/#\"><script>alert('x')</script>&amp;"})).await;
    client.tick("sweep").await?;
    let page = client.get("/index.html").await?.text();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
    assert!(page.contains("&amp;amp;"), "{page}");
    Ok(())
}

#[tokio::test]
async fn expired_and_half_made_links_are_left_out() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    let stays = made(&client, json!({"url": "https://stays.example"})).await;
    made(&client, json!({"url": "https://goes.example", "ttl_seconds": 60})).await;
    // What a crash leaves behind: a place in the index, but no link.
    let index = client.cloud().table::<String>("links");
    index.put(("newest", "9999999999999/crashed"), &"crashed".to_owned()).await?;
    client.advance(Duration::from_secs(60));
    client.tick("sweep").await?;
    let page = client.get("/index.html").await?.text();
    assert!(page.contains(&stays) && !page.contains("goes.example") && !page.contains("crashed"), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_later_sweep_replaces_the_page() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    client.tick("sweep").await?;
    made(&client, json!({"url": "https://later.example"})).await;
    assert!(!client.get("/index.html").await?.text().contains("later.example"));
    client.tick("sweep").await?;
    assert!(client.get("/index.html").await?.text().contains("later.example"));
    Ok(())
}
