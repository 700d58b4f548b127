//! Messages of Storage Queues. Azure's libraries for Service Bus use AMQP, which the double does not support.

use std::sync::Arc;

use isobar::prelude::*;
use isobar_conformance::TrialResult;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Both;

pub(super) async fn python_receives_ours(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("ma-").await?;
    let clicks = world.cloud().topic::<String>("clicks");
    let id = clicks.publish(Outgoing::new("käse".to_owned()).with_attribute("lang", "de")).await?;
    let received = both.sdk.call("queue.receive", &json!({"queue": "ma-clicks"}))?;
    let message = &received["messages"][0];
    // The library decodes the base64, as the trigger of Functions does.
    let content: Value = serde_json::from_str(message["content"].as_str().unwrap())?;
    assert_eq!((&content["isobar"], &content["id"]), (&json!(1), &json!(id.as_str())));
    assert_eq!((&content["body"], &content["attributes"]["lang"]), (&json!("\"käse\""), &json!("de")));
    assert_eq!(message["attempt"], 1);
    Ok(())
}

pub(super) async fn ours_receive_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("mb-").await?;
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&seen);
    let app = world.run(move |cloud| {
        App::new("worker").on_message(&cloud.topic::<String>("clicks"), move |click: Message<String>, _cx| {
            heard.lock().push(click.body);
            async {}
        })
    });
    let app = app.await?;
    both.sdk.call("queue.send", &json!({"queue": "mb-clicks", "content": "\"käse, straight\""}))?;
    app.deliver().await?;
    assert_eq!(*seen.lock(), ["käse, straight"]);
    Ok(())
}
