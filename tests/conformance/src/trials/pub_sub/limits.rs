//! What some service could not carry is refused before it is sent, and everything else is carried.

use bytes::Bytes;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{Recorded, ack, jobs, worker};
use crate::{HarnessResult, TrialResult, World};

crate::trials![
    "PS-9" => a_message_of_just_the_limit_is_delivered_and_one_byte_more_is_too_large,
    "PS-9" => attributes_count_towards_the_limit_of_a_message,
    "PS-9" => a_body_that_is_no_text_counts_by_its_length_in_base64,
    "PS-9" => only_what_is_no_text_counts_in_base64,
    "PS-9" => an_empty_body_is_refused,
    "PS-9" => eight_attributes_are_delivered_and_nine_are_too_large,
    "PS-9" => attribute_names_out_of_the_rule_are_refused,
    "PS-9" => attribute_names_that_services_reserve_are_refused,
    "PS-9" => attribute_names_within_the_rule_are_delivered,
    "PS-9" => attribute_values_out_of_the_rule_are_refused,
    "PS-9" => attribute_values_within_the_rule_are_delivered,
    "PS-9" => ordering_keys_out_of_the_rule_are_refused,
    "PS-9" => ordering_keys_within_the_rule_are_delivered,
    "PS-9" => a_rejection_names_operation_and_topic,
];

const LIMIT: u64 = Limits::PORTABLE.message_bytes;

fn body(size: u64) -> Bytes {
    Bytes::from(vec![b'x'; size as usize])
}

/// Publishes a message that must be refused, and one that must come alone; returns the kind of the error.
async fn rejection(world: &dyn World, message: Outgoing<Bytes>) -> HarnessResult<ErrorKind> {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(world, 5, &recorded, ack).await?;
    let refused = jobs::<Bytes>(world).publish(message).await.expect_err("it was taken").kind();
    jobs::<Bytes>(world).publish(body(1)).await?;
    app.deliver().await?;
    assert_eq!(recorded.only().body, body(1));
    Ok(refused)
}

async fn a_message_of_just_the_limit_is_delivered_and_one_byte_more_is_too_large(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    jobs::<Bytes>(&*world).publish(body(LIMIT)).await?;
    let error = jobs::<Bytes>(&*world).publish(body(LIMIT + 1)).await.expect_err("it was taken");
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LIMIT)));
    app.deliver().await?;
    assert!(recorded.only().body == body(LIMIT), "the body is not what was published");
    Ok(())
}

async fn attributes_count_towards_the_limit_of_a_message(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let message = |size| Outgoing::new(body(size)).with_attribute("four", "6bytes");
    jobs::<Bytes>(&*world).publish(message(LIMIT - 10)).await?;
    let error = jobs::<Bytes>(&*world).publish(message(LIMIT - 9)).await.expect_err("it was taken");
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LIMIT)));
    app.deliver().await?;
    assert_eq!(recorded.only().body.len() as u64, LIMIT - 10);
    Ok(())
}

/// Bodies of a size that are no text: no UTF-8, or characters that no XML may have.
fn no_texts(size: usize) -> [Bytes; 4] {
    ["\0", "\x1f", "\u{fffe}", "\u{ffff}"]
        .map(|end| format!("{}{end}", "x".repeat(size - end.len())).into_bytes())
        .map(Bytes::from)
}

/// SNS and SQS carry text only: 240,000 binary bytes would be 320,000 there.
async fn a_body_that_is_no_text_counts_by_its_length_in_base64(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let limit = LIMIT as usize / 4 * 3;
    let mut sent = no_texts(limit).to_vec();
    sent.push(Bytes::from(vec![0xff; limit]));
    for body in &sent {
        jobs::<Bytes>(&*world).publish(body.clone()).await?;
    }
    let too_large = no_texts(limit + 1).into_iter().chain([Bytes::from(vec![0xff; limit + 1])]);
    for body in too_large {
        let error = jobs::<Bytes>(&*world).publish(body).await.expect_err("it was taken");
        assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LIMIT)));
    }
    let attributed = Outgoing::new(no_texts(limit)[0].clone()).with_attribute("a", "b");
    let error = jobs::<Bytes>(&*world).publish(attributed).await.expect_err("it was taken");
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(LIMIT)));
    app.deliver().await?;
    let mut recorded = recorded.bodies();
    recorded.sort_unstable();
    sent.sort_unstable();
    assert!(recorded == sent, "the bodies are not what was published");
    Ok(())
}

async fn only_what_is_no_text_counts_in_base64(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let ends = ["\t", "\r\n", "\x7f", "\u{85}", "\u{d7ff}", "\u{e000}", "\u{fffd}", "\u{10ffff}"];
    let sent = ends.map(|end| Bytes::from(format!("{}{end}", "x".repeat(LIMIT as usize - end.len())).into_bytes()));
    for body in &sent {
        jobs::<Bytes>(&*world).publish(body.clone()).await?;
    }
    app.deliver().await?;
    let (mut recorded, mut sent) = (recorded.bodies(), sent);
    recorded.sort_unstable();
    sent.sort_unstable();
    assert!(recorded == sent, "the bodies are not what was published");
    Ok(())
}

async fn an_empty_body_is_refused(world: Box<dyn World>) -> TrialResult {
    assert_eq!(rejection(&*world, Outgoing::new(Bytes::new())).await?, ErrorKind::InvalidInput);
    Ok(())
}

fn with_attributes(count: u32) -> Outgoing<Bytes> {
    let add = |message: Outgoing<Bytes>, number| message.with_attribute(format!("name-{number}"), "x");
    (0..count).fold(Outgoing::new(body(1)), add)
}

async fn eight_attributes_are_delivered_and_nine_are_too_large(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let sent = with_attributes(8);
    jobs::<Bytes>(&*world).publish(sent.clone()).await?;
    let error = jobs::<Bytes>(&*world).publish(with_attributes(9)).await.expect_err("it was taken");
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(8)));
    app.deliver().await?;
    assert_eq!(recorded.only().attributes, sent.attributes);
    Ok(())
}

/// Publishes a message with each of these attributes, all of which must be refused.
async fn all_refused(world: &dyn World, attributes: &[(&str, &str)]) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(world, 5, &recorded, ack).await?;
    for (name, value) in attributes {
        let result = jobs::<Bytes>(world).publish(Outgoing::new(body(1)).with_attribute(*name, *value)).await;
        let kind = result.err().map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::InvalidInput), "{name:?}: {value:?}");
    }
    app.deliver().await?;
    assert_eq!(recorded.count(), 0);
    Ok(())
}

/// Publishes a message with each of these attributes, all of which must be delivered.
async fn all_delivered(world: &dyn World, attributes: &[(&str, &str)]) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(world, 5, &recorded, ack).await?;
    for (name, value) in attributes {
        jobs::<Bytes>(world).publish(Outgoing::new(body(1)).with_attribute(*name, *value)).await?;
    }
    app.deliver().await?;
    let mut recorded: Vec<_> = recorded.all().into_iter().flat_map(|message| message.attributes).collect();
    let mut sent: Vec<_> = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    recorded.sort();
    sent.sort();
    assert_eq!(recorded, sent);
    Ok(())
}

async fn attribute_names_out_of_the_rule_are_refused(world: Box<dyn World>) -> TrialResult {
    let long = "a".repeat(65);
    let names = ["", " ", "1st", "_a", "-a", "a b", "a.b", "a:b", "käse", "a\n", "a\0", &long];
    all_refused(&*world, &names.map(|name| (name, "x"))).await
}

async fn attribute_names_that_services_reserve_are_refused(world: Box<dyn World>) -> TrialResult {
    let names =
        ["traceparent", "TraceParent", "aws-id", "AWSTraceHeader", "googclient_x", "Goog", "isobar-key", "X-id"];
    all_refused(&*world, &names.map(|name| (name, "x"))).await
}

async fn attribute_names_within_the_rule_are_delivered(world: Box<dyn World>) -> TrialResult {
    let long = "a".repeat(64);
    let names = ["a", "Z", "a1", "a_b-c", "xy", "content-type", "Date", "id", "body", "subject", &long];
    all_delivered(&*world, &names.map(|name| (name, "x"))).await
}

async fn attribute_values_out_of_the_rule_are_refused(world: Box<dyn World>) -> TrialResult {
    let (long, wide) = ("v".repeat(1_025), "ä".repeat(513));
    let values = ["", "a\nb", "a\r", "\0", "\t", "\u{7f}", "\u{85}", &long, &wide];
    all_refused(&*world, &values.map(|value| ("name", value))).await
}

async fn attribute_values_within_the_rule_are_delivered(world: Box<dyn World>) -> TrialResult {
    let (long, wide) = ("v".repeat(1_024), "ä".repeat(512));
    let values = ["a", " ", "true", "null", "{}", "\"", "\\", "%00", "a,b;c=d", "日本 🧀", &long, &wide];
    all_delivered(&*world, &values.map(|value| ("name", value))).await
}

async fn ordering_keys_out_of_the_rule_are_refused(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let long = "k".repeat(129);
    for key in ["", " ", "a b", "a\n", "\0", "\u{7f}", "käse", "🧀", &long] {
        let result = jobs::<Bytes>(&*world).publish(Outgoing::new(body(1)).with_ordering_key(key)).await;
        assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::InvalidInput), "{key:?}");
    }
    app.deliver().await?;
    assert_eq!(recorded.count(), 0);
    Ok(())
}

async fn ordering_keys_within_the_rule_are_delivered(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let all: String = ('!'..='~').collect();
    let long = "k".repeat(128);
    let keys = ["k", "0", &all, &long];
    for key in keys {
        jobs::<Bytes>(&*world).publish(Outgoing::new(body(1)).with_ordering_key(key)).await?;
    }
    app.deliver().await?;
    let mut recorded: Vec<_> = recorded.all().into_iter().filter_map(|message| message.ordering_key).collect();
    let mut keys = keys.map(str::to_owned);
    recorded.sort();
    keys.sort();
    assert_eq!(recorded, keys);
    Ok(())
}

async fn a_rejection_names_operation_and_topic(world: Box<dyn World>) -> TrialResult {
    let error = jobs::<Bytes>(&*world).publish(Bytes::new()).await.expect_err("it was taken");
    assert_eq!((error.operation(), error.resource()), (Some("publish"), Some("topic `jobs`")));
    let mut results = jobs::<Bytes>(&*world).publish_batch([Bytes::new()]).await;
    let error = results.remove(0).expect_err("it was taken");
    assert_eq!((error.operation(), error.resource()), (Some("publish_batch"), Some("topic `jobs`")));
    Ok(())
}
