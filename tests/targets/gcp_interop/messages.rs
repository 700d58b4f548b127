//! Messages.

use std::sync::Arc;

use isobar::prelude::*;
use isobar_conformance::Checked;
use serde_json::json;

use super::{Both, bytes};

pub(super) async fn python_receives_ours(both: Arc<Both>) -> Checked {
    let clicks = both.cloud("ma")?.topic::<String>("clicks");
    both.call("ma", "topic.make", json!({"topic": "ma-clicks"}))?;
    both.call("ma", "topic.subscribe", json!({"topic": "ma-clicks", "subscription": "theirs"}))?;
    let id = clicks.publish(Outgoing::new("käse".to_owned()).with_attribute("lang", "de")).await?;
    let ordered = (0..5).map(|number| Outgoing::new(number.to_string()).with_ordering_key("cheese/1"));
    for sent in clicks.publish_batch(ordered).await {
        sent?;
    }
    let told = both.call("ma", "topic.pull", json!({"subscription": "theirs", "count": 6}))?;
    let messages = told["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 6, "{messages:?}");
    let (ordered, plain): (Vec<_>, Vec<_>) = messages.iter().partition(|it| it["ordering_key"] == "cheese/1");
    assert_eq!((plain.len(), &plain[0]["id"]), (1, &json!(id.as_str())), "{messages:?}");
    assert_eq!((&plain[0]["body"], &plain[0]["attributes"]["lang"]), (&bytes("\"käse\"".as_bytes()), &json!("de")));
    assert!(plain[0]["attributes"]["traceparent"].is_string(), "{}", plain[0]);
    let bodies: Vec<_> = ordered.iter().map(|it| it["body"].clone()).collect();
    assert_eq!(bodies, (0..5).map(|number| bytes(format!("\"{number}\"").as_bytes())).collect::<Vec<_>>());
    Ok(())
}
