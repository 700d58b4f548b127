//! Counting clicks and returning their number.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use isobar::Event;
use isobar::driver::host;
use isobar::driver::pub_sub::DEFAULT_SUBSCRIPTION;
use isobar::prelude::*;
use isobar::pub_sub::MessageId;
use serde_json::{Value, json};

async fn made(client: &TestClient) -> String {
    let answer = client.post("/", &json!({"url": "https://example.org"})).await.unwrap();
    answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned()
}

async fn clicks(client: &TestClient, id: &str) -> i64 {
    let stats: Value = client.get(&format!("/{id}/stats")).await.unwrap().json().unwrap();
    stats["clicks"].as_i64().unwrap()
}

#[tokio::test]
async fn each_click_counts_once_it_is_delivered() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    let (one, other) = (made(&client).await, made(&client).await);
    for _ in 0..25 {
        client.get(&format!("/{one}")).await?;
    }
    client.get(&format!("/{other}")).await?;
    assert_eq!(clicks(&client, &one).await, 0);
    assert_eq!(client.deliver_all().await?.acked, 26);
    assert_eq!((clicks(&client, &one).await, clicks(&client, &other).await), (25, 1));
    Ok(())
}

#[tokio::test]
async fn a_direct_call_returns_the_clicks_of_one_link_or_of_all() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    let (one, other) = (made(&client).await, made(&client).await);
    for id in [&one, &one, &other] {
        client.get(&format!("/{id}")).await?;
    }
    client.deliver_all().await?;
    assert_eq!(client.invoke::<Value>("stats", &json!({"id": one})).await?, json!({"clicks": 2}));
    assert_eq!(client.invoke::<Value>("stats", &json!({})).await?, json!({"clicks": 3}));
    assert_eq!(client.invoke_raw("stats", "").await?, "{\"clicks\":3}");
    let unknown = client.invoke::<Value>("stats", &json!({"id": "nothing"})).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    Ok(())
}

/// Delivers one click under this message id.
async fn deliver(app: &App, cx: &Cloud, link: &str, id: &str) -> Outcome {
    let body = json!({"id": link}).to_string();
    let message = Message::new(MessageId::new(id), body, cx.clock().now());
    let (topic, subscription) = ("clicks".to_owned(), DEFAULT_SUBSCRIPTION.to_owned());
    host::deliver(app, Event::Message { topic, subscription, message }, Context::new("memory", cx.clock())).await
}

#[tokio::test]
async fn a_click_that_is_delivered_again_does_not_count_again() -> Result<()> {
    let cloud = Cloud::memory();
    let mut app = shortener::app(&cloud)?;
    let counts = cloud.table::<i64>("links");
    app.start(&cloud)?;
    for id in ["m-1", "m-1", "m-2", "m-1", "m-2"] {
        assert_eq!(deliver(&app, &cloud, "abcdefg", id).await, Outcome::Ack);
    }
    assert_eq!(counts.get(("link/abcdefg", "clicks")).await?, Some(2));
    assert_eq!(counts.get(("total", "clicks")).await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn a_click_whose_count_failed_half_way_is_finished_by_the_next_delivery() -> Result<()> {
    let cloud = Cloud::memory();
    let mut app = shortener::app(&cloud)?;
    let broken = cloud.table::<String>("links");
    app.start(&cloud)?;
    // The total holds no number, so the second of the two counts fails.
    broken.put(("total", "clicks"), &"not a number".to_owned()).await?;
    assert!(matches!(deliver(&app, &cloud, "abcdefg", "m-1").await, Outcome::Retry { .. }));
    broken.delete(("total", "clicks")).await?;
    assert_eq!(deliver(&app, &cloud, "abcdefg", "m-1").await, Outcome::Ack);
    let counts = cloud.table::<i64>("links");
    assert_eq!(counts.get(("link/abcdefg", "clicks")).await?, Some(1));
    assert_eq!(counts.get(("total", "clicks")).await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn what_is_no_click_becomes_a_dead_letter() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    client.publish("clicks", json!({"other": "fields"})).await?;
    assert_eq!(client.deliver_all().await?.dead, 1);
    let reason = &client.dead_letters("clicks")[0].reason;
    assert!(reason.contains("Click") && reason.contains("line 1 column"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn the_marks_of_counted_clicks_go_away() -> Result<()> {
    let client = TestClient::new(shortener::app)?;
    let id = made(&client).await;
    client.get(&format!("/{id}")).await?;
    client.deliver_all().await?;
    let marks = client.cloud().table::<Value>("links");
    assert_eq!(marks.query("total").prefix("seen/").all().await?.len(), 1);
    client.advance(Duration::from_secs(14 * 24 * 3_600));
    assert!(marks.query("total").prefix("seen/").all().await?.is_empty());
    assert_eq!(clicks(&client, &id).await, 1);
    Ok(())
}
