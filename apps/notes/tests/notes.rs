//! A note from its first word to its deletion, and everything that it triggers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use isobar::EventQueue;
use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::{Value, json};

async fn write(c: &TestClient, id: &str, user: &str, text: &str) {
    let a = c.put(&format!("/notes/{id}"), &json!({"user": user, "text": text})).await.unwrap();
    assert_eq!(a.status, StatusCode::NO_CONTENT, "{}", a.text());
}

/// The ids of the notes that a search finds.
async fn found(c: &TestClient, word: &str) -> Vec<String> {
    let notes: Vec<Value> = c.get(&format!("/notes?word={word}")).await.unwrap().json().unwrap();
    notes.iter().map(|note| note["id"].as_str().unwrap().to_owned()).collect()
}

/// The words under which the index has a note.
async fn indexed(c: &TestClient, id: &str) -> Vec<String> {
    c.cloud().table("words").get(("notes", id)).await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn the_index_follows_writes_and_a_search_never_returns_a_word_that_is_gone() -> Result<()> {
    let c = TestClient::new(notes::app)?;
    write(&c, "tea", "ada", "Green tea, and TEA again").await;
    write(&c, "milk", "bob", "milk for the tea").await;
    assert!(found(&c, "tea").await.is_empty(), "the index is written later");
    c.deliver_all().await?;
    assert_eq!(
        (found(&c, "Tea").await, found(&c, "green").await),
        (vec!["milk".into(), "tea".into()], vec!["tea".into()])
    );
    assert_eq!(indexed(&c, "tea").await, ["again", "and", "green", "tea"]);

    write(&c, "tea", "ada", "black coffee").await;
    assert_eq!(found(&c, "tea").await, ["milk"], "the index still has the old word");
    c.deliver_all().await?;
    assert_eq!(
        (found(&c, "coffee").await, indexed(&c, "tea").await),
        (vec!["tea".into()], vec!["black".into(), "coffee".into()])
    );

    assert_eq!(c.delete("/notes/milk").await?.status, StatusCode::NO_CONTENT);
    c.deliver_all().await?;
    assert_eq!((found(&c, "tea").await.len(), indexed(&c, "milk").await.len()), (0, 4));
    c.tick("purge").await?;
    let words = c.cloud().table::<Vec<String>>("words");
    assert_eq!((indexed(&c, "milk").await.len(), words.query("word/tea").all().await?.len()), (0, 0));
    assert_eq!(c.delete("/notes/milk").await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_note_that_was_written_before_the_index_existed_is_indexed_by_a_call() -> Result<()> {
    let before = TestClient::new(|_: &Cloud| App::new("before"))?;
    before.cloud().table("notes").put("tea", &json!({"user": "ada", "text": "green tea"})).await?;
    let c = before.with_app(notes::app)?;
    c.deliver_all().await?;
    assert!(found(&c, "tea").await.is_empty());
    c.invoke::<()>("reindex", &"tea").await?;
    assert_eq!(found(&c, "tea").await, ["tea"]);
    Ok(())
}

#[tokio::test]
async fn a_note_without_a_user_is_rejected() -> Result<()> {
    let c = TestClient::new(notes::app)?;
    let a = c.put("/notes/tea", &json!({"user": "", "text": "tea"})).await?;
    assert_eq!(a.status, StatusCode::BAD_REQUEST);
    assert!(a.text().contains("`user` is empty"), "{}", a.text());
    Ok(())
}

#[tokio::test]
async fn the_feed_works_while_the_mirror_is_down_and_has_the_last_20() -> Result<()> {
    let c = TestClient::new(notes::app)?;
    write(&c, "tea", "bob", "tea").await;
    for number in 0..25 {
        c.advance(Duration::from_millis(1));
        write(&c, &format!("n{number}"), "ada", "a note").await;
    }
    c.deliver_all().await?;
    let feed: Value = c.get("/feed/ada").await?.json()?;
    assert_eq!(
        (feed.as_array().unwrap().len(), &feed[0]["note"], &feed[19]["note"]),
        (20, &json!("n24"), &json!("n5"))
    );
    assert_eq!(c.cloud().table::<Value>("feed").query("ada").all().await?.len(), 20);
    assert_eq!(c.get("/feed/bob").await?.json::<Value>()?, json!([{"user": "bob", "did": "wrote", "note": "tea"}]));

    c.advance(Duration::from_secs(1));
    c.deliver_all().await?;
    let dead = c.dead_letters(("activity", "mirror"));
    assert_eq!((dead.len(), dead[0].attempts), (26, 2));
    assert!(dead[0].reason.contains("set ISOBAR_CONFIG_MIRROR"), "{}", dead[0].reason);
    assert!(c.dead_letters(("activity", "feed")).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_redrive_reaches_a_mirror_that_is_up_again() -> Result<()> {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mirror = async move |activity: axum::Json<Value>| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => StatusCode::INTERNAL_SERVER_ERROR,
        _ if activity.0 == json!({"user": "ada", "did": "wrote", "note": "tea"}) => StatusCode::OK,
        _ => StatusCode::BAD_REQUEST,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(mirror))).await.unwrap() });

    let provider = MemoryProvider::default();
    provider.set_config("mirror", &json!({ "url": url }).to_string());
    let c = TestClient::on(provider, notes::app)?;
    write(&c, "tea", "ada", "green tea").await;
    c.deliver_all().await?;
    c.advance(Duration::from_secs(1));
    assert_eq!(c.deliver_all().await?.dead, 1);
    assert_eq!(c.redrive(("activity", "mirror")), 1);
    assert_eq!((c.deliver_all().await?.acked, calls.load(Ordering::SeqCst)), (1, 3));
    Ok(())
}

#[tokio::test]
async fn a_reminder_is_due_later_and_not_for_a_deleted_note() -> Result<()> {
    let c = TestClient::new(notes::app)?;
    write(&c, "tea", "ada", "drink it").await;
    write(&c, "milk", "ada", "buy it").await;
    for path in ["/notes/tea/remind?in=900", "/notes/milk/remind?in=900"] {
        assert_eq!(c.post(path, &()).await?.status, StatusCode::ACCEPTED);
    }
    let long = c.post("/notes/tea/remind?in=901", &()).await?;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert!(long.text().contains("limit of 900 s"), "{}", long.text());
    assert_eq!(c.post("/notes/none/remind?in=1", &()).await?.status, StatusCode::NOT_FOUND);
    c.delete("/notes/milk").await?;
    for (advance, due) in [(899, json!([])), (1, json!([{"user": "ada", "text": "drink it"}]))] {
        c.advance(Duration::from_secs(advance));
        c.deliver_all().await?;
        assert_eq!(c.get("/due").await?.json::<Value>()?, due);
    }
    Ok(())
}

#[tokio::test]
async fn a_png_has_a_thumbnail_as_long_as_it_is_stored() -> Result<()> {
    let c = TestClient::new(notes::app)?;
    for key in ["images/cat.png", "images/cat.txt", "cat.png"] {
        let put = c.request(Method::PUT, &format!("/files/{key}")).header("content-type", "image/png").body("PNG");
        assert_eq!(put.send().await?.status, StatusCode::CREATED);
    }
    assert_eq!(c.deliver_all().await?.acked, 1);
    let thumbnail = c.get("/files/thumbs/images/cat.png").await?;
    assert_eq!((thumbnail.text().as_str(), thumbnail.header("content-type")), ("PNG", Some("image/png")));
    let files = c.cloud().bucket("files");
    assert_eq!(files.list("").all().await?.len(), 4);

    assert_eq!(c.delete("/files/images/cat.png").await?.status, StatusCode::NO_CONTENT);
    assert_eq!(c.deliver_all().await?.acked, 1);
    assert_eq!(c.get("/files/thumbs/images/cat.png").await?.status, StatusCode::NOT_FOUND);
    assert!(c.dead_letters(EventQueue::bucket("files").named("gone")).is_empty());
    Ok(())
}
