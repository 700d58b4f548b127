//! Messages.

use std::sync::Arc;

use isobar::prelude::*;
use isobar_conformance::TrialResult;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Both, bytes};

pub(super) async fn python_receives_ours(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("ma").await?;
    let clicks = world.cloud().topic::<String>("clicks");
    let id = clicks.publish(Outgoing::new("käse".to_owned()).with_attribute("lang", "de")).await?;
    let ordered = (0..5).map(|number| Outgoing::new(number.to_string()).with_ordering_key("cheese/1"));
    for sent in clicks.publish_batch(ordered).await {
        sent?;
    }
    let pulled = both.call("ma", "topic.pull", json!({"subscription": "ma-clicks", "count": 6}))?;
    let messages = pulled["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 6, "{messages:?}");
    let (ordered, plain): (Vec<_>, Vec<_>) = messages.iter().partition(|it| it["ordering_key"] == "cheese/1");
    assert_eq!((plain.len(), &plain[0]["id"]), (1, &json!(id.as_str())), "{messages:?}");
    assert_eq!((&plain[0]["body"], &plain[0]["attributes"]["lang"]), (&bytes("\"käse\"".as_bytes()), &json!("de")));
    assert!(plain[0]["attributes"]["traceparent"].is_string(), "{}", plain[0]);
    let bodies: Vec<_> = ordered.iter().map(|it| it["body"].clone()).collect();
    assert_eq!(bodies, (0..5).map(|number| bytes(format!("\"{number}\"").as_bytes())).collect::<Vec<_>>());
    Ok(())
}

pub(super) async fn ours_receive_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("mb").await?;
    let seen = Arc::<Mutex<Vec<Message<String>>>>::default();
    let heard = Arc::clone(&seen);
    let app = world.run(move |cloud| {
        App::new("worker").on_message(&cloud.topic::<String>("clicks"), move |click: Message<String>, _cx| {
            heard.lock().push(click);
            async {}
        })
    });
    let app = app.await?;
    let send = |body: &str, attributes: Value, key: &str| {
        let body = bytes(format!("\"{body}\"").as_bytes());
        let message = json!({"topic": "mb-clicks", "body": body, "attributes": attributes, "ordering_key": key});
        both.call("mb", "topic.publish", message)
    };
    let sent = send("käse", json!({"lang": "de"}), "")?;
    for number in ["0", "1", "2"] {
        send(number, json!({}), "cheese/1")?;
    }
    app.deliver().await?;
    let seen = seen.lock();
    let (ordered, plain): (Vec<_>, Vec<_>) = seen.iter().partition(|it| it.ordering_key.is_some());
    assert_eq!((plain.len(), plain[0].body.as_str(), plain[0].id.as_str()), (1, "käse", sent["id"].as_str().unwrap()));
    assert_eq!(plain[0].attributes.get("lang").map(String::as_str), Some("de"));
    assert_eq!((plain[0].attributes.len(), plain[0].attempt), (1, 1));
    assert_eq!(ordered.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(ordered.iter().all(|it| it.ordering_key.as_deref() == Some("cheese/1")), "{ordered:?}");
    Ok(())
}

/// Dead letters are in their own topic, with the reason. Published again unchanged, they are normal messages.
pub(super) async fn python_reads_our_dead(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("mc").await?;
    let seen = Arc::<Mutex<Vec<(String, u32)>>>::default();
    let heard = Arc::clone(&seen);
    let app = world.run(move |cloud| {
        App::new("worker").on_message(&cloud.topic::<String>("clicks"), move |click: Message<String>, _cx| {
            heard.lock().push((click.id.as_str().to_owned(), click.attempt));
            async { Outcome::reject("it is no käse") }
        })
    });
    let app = app.await?;
    let clicks = world.cloud().topic::<String>("clicks");
    let id = clicks.publish(Outgoing::new("brot".to_owned()).with_attribute("lang", "de")).await?;
    app.deliver().await?;
    let pulled = both.call("mc", "topic.pull", json!({"subscription": "mc-clicks--dead", "count": 1}))?;
    let dead_letter = &pulled["messages"][0];
    let attributes = &dead_letter["attributes"];
    assert_eq!(dead_letter["body"], bytes(b"\"brot\""));
    assert_eq!((&attributes["lang"], &attributes["isobar-id"]), (&json!("de"), &json!(id.as_str())));
    assert_eq!(attributes["isobar-dead-reason"], "it is no käse");
    assert_eq!(
        (&attributes["isobar-dead-attempts"], &attributes["isobar-dead-source"]),
        (&json!("1"), &json!("mc-clicks"))
    );
    let again = json!({"topic": "mc-clicks", "body": dead_letter["body"], "attributes": attributes});
    both.call("mc", "topic.publish", again)?;
    app.deliver().await?;
    assert_eq!(*seen.lock(), [(id.as_str().to_owned(), 1), (id.as_str().to_owned(), 1)]);
    Ok(())
}
