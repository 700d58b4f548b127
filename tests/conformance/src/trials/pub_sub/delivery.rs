//! A message arrives as it was published, once it is published, and no more once it is handled.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};

use super::{JOBS, Recorded, ack, dead_jobs, deliver_later, jobs, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-1" => an_acknowledged_message_is_never_delivered_again,
    "PS-1" => body_attributes_ordering_key_and_id_arrive_as_they_were_published,
    "PS-1" => a_plain_message_has_neither_attributes_nor_ordering_key,
    "PS-1" => a_message_has_the_time_when_it_was_published,
    "PS-1" => binary_bodies_arrive_bit_for_bit,
    "PS-1" => typed_bodies_keep_large_numbers_and_any_text,
    "PS-1" => a_handler_that_returns_nothing_acknowledges,
    "PS-1" => messages_of_two_topics_do_not_mix,
    "PS-1" => a_topic_without_a_handler_accepts_messages,
    "PS-1" => what_a_message_handler_publishes_is_delivered_too,
    "PS-1" => a_message_handler_may_publish_to_its_own_topic,
    "PS-1" => messages_published_at_the_same_time_all_arrive_under_ids_of_their_own,
    "PS-1" => one_app_publishes_what_another_handles,
];

async fn an_acknowledged_message_is_never_delivered_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<String>(&*world, 5, &recorded, ack).await?;
    jobs::<String>(&*world).publish("once".to_owned()).await?;
    app.deliver().await?;
    assert_eq!(recorded.bodies(), ["once"]);
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    world.advance(Duration::from_secs(24 * 3600))?;
    app.deliver().await?;
    assert_eq!(recorded.count(), 1, "it was delivered again");
    assert!(dead_jobs(&*app).await?.is_empty());
    Ok(())
}

async fn body_attributes_ordering_key_and_id_arrive_as_they_were_published(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<String>(&*world, 5, &recorded, ack).await?;
    let sent = Outgoing::new("hello".to_owned())
        .with_attribute("lang", "en")
        .with_attribute("camelCase_and-More2", "it's \"quoted\" \\ <&> 100%")
        .with_attribute("text", "käse ☕ 日本 🧀")
        .with_attribute("blanks", " in front and behind ")
        .with_attribute("number", "007")
        .with_ordering_key("room/7:a+b=c&d?#~");
    let id = jobs::<String>(&*world).publish(sent.clone()).await?;
    app.deliver().await?;
    let message = recorded.only();
    assert_eq!(message.body, sent.body);
    assert_eq!(message.attributes, sent.attributes);
    assert_eq!(message.ordering_key, sent.ordering_key);
    assert_eq!(message.id, id);
    assert_eq!(message.attempt, 1);
    Ok(())
}

async fn a_plain_message_has_neither_attributes_nor_ordering_key(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    let message = recorded.only();
    assert_eq!(message.attributes.len(), 0, "{:?}", message.attributes);
    assert_eq!(message.ordering_key, None);
    Ok(())
}

async fn a_message_has_the_time_when_it_was_published(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, super::fail).await?;
    world.advance(Duration::from_millis(1_234))?;
    let published = world.now();
    jobs::<u32>(&*world).publish(1_u32).await?;
    world.advance(Duration::from_secs(3_600))?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2]);
    for message in recorded.all() {
        let reported = message.published_at;
        let apart = reported.duration_since(published).unwrap_or_else(|early| early.duration());
        assert!(apart < Duration::from_secs(1), "published at {published:?}, reported {reported:?}");
    }
    Ok(())
}

async fn binary_bodies_arrive_bit_for_bit(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let bodies: [&[u8]; 7] =
        [&all_bytes, b"\0", b"\xff\xfe", b"\xef\xbb\xbfmark", b" blanks \r\n", b"null", b"{\"a\": 1}"];
    let bodies = bodies.map(Bytes::copy_from_slice);
    for body in &bodies {
        jobs(&*world).publish(body.clone()).await?;
    }
    app.deliver().await?;
    let (recorded, bodies) = (recorded.bodies(), HashSet::from(bodies));
    assert_eq!(recorded.len(), bodies.len());
    assert_eq!(HashSet::from_iter(recorded), bodies);
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    balance: i64,
    price: f64,
    lines: Vec<Option<String>>,
}

async fn typed_bodies_keep_large_numbers_and_any_text(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Order>(&*world, 5, &recorded, ack).await?;
    let lines = ["", "käse ☕", "\0\u{7f}\u{2028}\"\\", "9007199254740993"];
    let lines = lines.iter().map(|line| Some((*line).to_owned())).chain([None]).collect();
    let order = Order { id: u64::MAX, balance: i64::MIN, price: 0.1 + 0.2, lines };
    jobs::<Order>(&*world).publish(order.clone()).await?;
    app.deliver().await?;
    assert_eq!(recorded.only().body, order);
    Ok(())
}

async fn a_handler_that_returns_nothing_acknowledges(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        App::new("worker").on_message(&cloud.topic::<u32>(JOBS), move |job, _cx| {
            sink.add(job.body);
            async {}
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.all(), [7]);
    Ok(())
}

async fn messages_of_two_topics_do_not_mix(world: Box<dyn World>) -> TrialResult {
    let (jobs_seen, news_seen) = (Recorded::default(), Recorded::default());
    let (on_jobs, on_news) = (jobs_seen.clone(), news_seen.clone());
    let app = move |cloud: &Cloud| {
        App::new("worker")
            .on_message(&cloud.topic::<String>("jobs"), move |message, _cx| {
                on_jobs.add(message.body);
                async {}
            })
            .on_message(&cloud.topic::<String>("jobs-2"), move |message, _cx| {
                on_news.add(message.body);
                async {}
            })
    };
    let app = world.run(app).await?;
    world.cloud().topic("jobs").publish("a".to_owned()).await?;
    world.cloud().topic("jobs-2").publish("b".to_owned()).await?;
    app.deliver().await?;
    assert_eq!((jobs_seen.all(), news_seen.all()), (vec!["a".to_owned()], vec!["b".to_owned()]));
    Ok(())
}

async fn a_topic_without_a_handler_accepts_messages(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    let silence = world.cloud().topic::<u32>("silence");
    silence.publish(1).await?;
    silence.publish(Outgoing::new(2).with_ordering_key("k")).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.count(), 0);
    Ok(())
}

async fn what_a_message_handler_publishes_is_delivered_too(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let (raw, done) = (cloud.topic::<u32>("raw"), cloud.topic::<u32>("done"));
        let next = done.clone();
        App::new("pipeline")
            .on_message(&raw, move |message, _cx| {
                let next = next.clone();
                async move { next.publish(message.body * 2).await.map(|_| ()) }
            })
            .on_message(&done, move |message, _cx| {
                sink.add(message.body);
                async {}
            })
    };
    let app = world.run(app).await?;
    for number in 1..=20_u32 {
        world.cloud().topic("raw").publish(number).await?;
    }
    app.deliver().await?;
    let mut doubled = recorded.all();
    doubled.sort_unstable();
    assert_eq!(doubled, (1..=20).map(|number| number * 2).collect::<Vec<_>>());
    Ok(())
}

async fn a_message_handler_may_publish_to_its_own_topic(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let countdown = cloud.topic::<u32>("countdown");
        let next = countdown.clone();
        App::new("counter").on_message(&countdown, move |message, _cx| {
            sink.add(message.body);
            let next = next.clone();
            async move {
                match message.body.checked_sub(1) {
                    Some(left) => next.publish(left).await.map(|_| ()),
                    None => Ok(()),
                }
            }
        })
    };
    let app = world.run(app).await?;
    world.cloud().topic("countdown").publish(10_u32).await?;
    app.deliver().await?;
    assert_eq!(recorded.all(), (0..=10).rev().collect::<Vec<_>>());
    Ok(())
}

async fn messages_published_at_the_same_time_all_arrive_under_ids_of_their_own(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    let topic = jobs::<u32>(&*world);
    let publishers = (0..50_u32).map(|number| {
        let topic = topic.clone();
        tokio::spawn(async move { topic.publish(number).await })
    });
    let mut ids = HashSet::new();
    for publisher in publishers.collect::<Vec<_>>() {
        ids.insert(publisher.await??.to_string());
    }
    app.deliver().await?;
    assert_eq!(ids.len(), 50);
    let recorded = recorded.all();
    assert_eq!(recorded.len(), 50);
    assert_eq!(recorded.iter().map(|message| message.body).collect::<HashSet<_>>().len(), 50);
    assert_eq!(recorded.iter().map(|message| message.id.to_string()).collect::<HashSet<_>>(), ids);
    Ok(())
}

async fn one_app_publishes_what_another_handles(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let producer = |cloud: &Cloud| {
        let jobs = cloud.topic::<String>(JOBS);
        App::new("producer").on_invoke("order", move |what: String, _cx| {
            let jobs = jobs.clone();
            async move { jobs.publish(what).await.map(|id| id.to_string()) }
        })
    };
    let producer = world.run(producer).await?;
    let consumer = worker::<String>(&*world, 5, &recorded, ack).await?;
    let id = producer.invoke("order", Bytes::from_static(b"\"tea\"")).await?;
    consumer.deliver().await?;
    let message = recorded.only();
    assert_eq!(message.body, "tea");
    assert_eq!(serde_json::from_slice::<String>(&id)?, message.id.to_string());
    Ok(())
}
