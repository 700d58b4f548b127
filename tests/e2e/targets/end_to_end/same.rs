//! Trials for the hosts of a deployed app: its responses are the same as in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use isobar::{Body, EventQueue};
use isobar_conformance::memory::Memory;
use isobar_conformance::{Harness, HarnessResult, RunningApp, TrialResult};
use isobar_e2e::transcript;
use serde_json::{Value, json};

/// The transcript of the shortener is the same as in memory.
pub(crate) async fn shortener(host: impl Harness) -> TrialResult {
    let expected = transcript::shortener(&Memory, shortener::app).await?;
    let found = transcript::shortener(&host, shortener::app).await?;
    transcript::assert_same(&expected, &found, host.name());
    Ok(())
}

/// The transcript of the notes, which have every kind of trigger, is the same as in memory.
pub(crate) async fn notes(host: impl Harness) -> TrialResult {
    let expected = transcript::notes(&Memory, notes::app).await?;
    let found = transcript::notes(&host, notes::app).await?;
    transcript::assert_same(&expected, &found, host.name());
    Ok(())
}

/// The variables of a host whose app logs all that it can: no secret is in its log.
pub(crate) fn all_logs() -> BTreeMap<String, String> {
    [("RUST_LOG".to_owned(), "trace".to_owned())].into()
}

/// A webhook is answered immediately; the reply is sent once, and in order, through messages with an ordering key.
pub(crate) async fn chatbot(host: impl Harness) -> TrialResult {
    let expected = transcript::chatbot(&Memory, chatbot::app).await?;
    let found = transcript::chatbot(&host, chatbot::app).await?;
    transcript::assert_same(&expected, &found, host.name());
    Ok(())
}

/// Makes a link of the shortener, and returns its id.
pub(crate) async fn link(app: &dyn RunningApp) -> HarnessResult<String> {
    let request = Request::post("/").body(Body::from(r#"{"url": "https://example.org/"}"#)).unwrap();
    let made: Value = app.http(request).await?.json()?;
    Ok(made["id"].as_str().unwrap().to_owned())
}

/// Of several messages, the one that no handler can decode becomes a dead letter with the reason, and the others are counted
/// once.
pub(crate) async fn poison(host: impl Harness) -> TrialResult {
    let world = host.open().await?;
    let app = world.run(shortener::app).await?;
    let id = link(app.as_ref()).await?;
    let click = || Bytes::from(json!({ "id": id }).to_string());
    let clicks = world.cloud().topic::<Bytes>("clicks");
    for body in [click(), click(), Bytes::from_static(b"{not json"), click(), click()] {
        clicks.publish(body).await?;
    }
    app.deliver().await?;
    let stats = app.invoke("stats", Bytes::from(json!({ "id": id }).to_string())).await?;
    assert_eq!(stats, r#"{"clicks":4}"#);
    let dead = app.dead_letters(&EventQueue::topic("clicks")).await?;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].attempts, dead[0].body.as_ref()), (1, b"{not json".as_slice()));
    assert!(dead[0].reason.contains("line 1 column 2"), "{}", dead[0].reason);
    Ok(())
}
