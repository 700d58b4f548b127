//! Each subscription of a topic is a queue of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use isobar::EventQueue;
use isobar::prelude::*;
use isobar::pub_sub::{DeadLetter, MessageId};

use super::{JOBS, MAX_BACKOFF, MIN_BACKOFF, Recorded, ack, deliver_later, fail, jobs, noting};
use crate::trials::{BAD_NAMES, start_error};
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "PS-15" => each_subscription_receives_every_message_as_it_was_published,
    "PS-15" => a_topic_is_its_subscription_default,
    "PS-15" => a_failing_subscription_has_its_own_dead_letters_and_its_own_redrive,
    "PS-15" => each_subscription_has_attempts_and_a_backoff_of_its_own,
    "PS-15" => each_subscription_keeps_the_order_of_a_key_and_waits_alone,
    "PS-15" => the_subscriptions_of_modules_receive_like_those_of_the_app,
    "PS-15" => a_topic_can_have_a_named_subscription_only,
    "PS-15" => a_body_is_read_by_each_subscription_alone,
    "PS-15" => topics_and_subscriptions_whose_names_look_alike_do_not_mix,
    "PS-15" => a_subscription_with_a_reserved_or_malformed_name_is_refused,
    "PS-15" => two_handlers_of_one_subscription_are_refused_with_a_hint,
    "PS-15" => each_subscription_outlives_a_restart_as_it_was,
];

/// The ids of the messages.
fn ids(recorded: &Recorded<Message<u32>>) -> Vec<MessageId> {
    recorded.all().into_iter().map(|message| message.id).collect()
}

/// The queue of a subscription of `jobs`.
fn queue(subscription: &str) -> EventQueue {
    EventQueue::topic(JOBS).named(subscription)
}

async fn dead(app: &dyn RunningApp, subscription: &str) -> HarnessResult<Vec<DeadLetter>> {
    app.dead_letters(&queue(subscription)).await
}

async fn each_subscription_receives_every_message_as_it_was_published(world: Box<dyn World>) -> TrialResult {
    let recorded: [Recorded<Message<String>>; 3] = Default::default();
    let [plain, index, mail] = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<String>(JOBS);
        let app = noting(App::new("worker"), &jobs, &plain, ack);
        let app = noting(app, jobs.subscription("index"), &index, ack);
        noting(app, jobs.subscription("mail-2"), &mail, ack)
    };
    let app = world.run(app).await?;
    let before = world.now();
    let sent: Vec<_> = (0..25)
        .map(|number| Outgoing::new(format!("käse \0 {number}")).with_attribute("number", format!(" {number} é")))
        .collect();
    let topic = jobs::<String>(&*world);
    let mut published = vec![topic.publish(sent[0].clone()).await?];
    published.extend(topic.publish_batch(sent[1..].to_vec()).await.into_iter().collect::<Result<Vec<_>>>()?);
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let mut first = Vec::new();
    for (recorded, name) in recorded.iter().zip(["default", "index", "mail-2"]) {
        let mut messages = recorded.all();
        messages.sort_by_key(|message| published.iter().position(|id| *id == message.id));
        assert_eq!(
            messages.iter().map(|message| &message.id).collect::<Vec<_>>(),
            published.iter().collect::<Vec<_>>()
        );
        for (message, sent) in messages.iter_mut().zip(&sent) {
            assert_eq!((&message.body, &message.attributes), (&sent.body, &sent.attributes), "{name}");
            assert_eq!((message.attempt, &message.ordering_key), (1, &None), "{name}");
            let apart = message.published_at.duration_since(before).unwrap_or_else(|early| early.duration());
            assert!(apart < Duration::from_secs(1), "{name}: published at {before:?}, not {:?}", message.published_at);
            // The services may report it by the copy.
            message.published_at = before;
        }
        assert!(first.is_empty() || first == messages, "{name} received other messages, or another trace");
        first = messages;
        assert!(dead(&*app, name).await?.is_empty());
    }
    Ok(())
}

async fn a_topic_is_its_subscription_default(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let (by_topic, by_name) = (recorded.clone(), recorded.clone());
    let app = world.run(move |cloud| noting(App::new("worker"), &cloud.topic::<u32>(JOBS), &by_topic, fail)).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    assert_eq!(app.manifest().messages().next().map(|trigger| trigger.queue()), Some(queue("default")));
    drop(app);
    let app = move |cloud: &Cloud| {
        let twice = cloud.topic::<u32>(JOBS).subscription("default").with_max_attempts(2);
        noting(App::new("worker"), twice, &by_name, fail)
    };
    let app = world.run(app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2], "the message is in another queue");
    assert_eq!(app.dead_letters(&EventQueue::topic(JOBS)).await?.len(), 1);
    assert_eq!(app.redrive(&JOBS.into()).await?, 1);
    assert!(dead(&*app, "default").await?.is_empty());
    Ok(())
}

async fn a_failing_subscription_has_its_own_dead_letters_and_its_own_redrive(world: Box<dyn World>) -> TrialResult {
    let recorded: [Recorded<Message<u32>>; 3] = Default::default();
    let repaired = Arc::new(AtomicBool::new(false));
    let ([plain, index, mail], is_repaired) = (recorded.clone(), Arc::clone(&repaired));
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let index_jobs = jobs.subscription("index").with_max_attempts(2).with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        let answer =
            move |job: &Message<u32>| if is_repaired.load(Ordering::SeqCst) { Outcome::Ack } else { fail(job) };
        let app = noting(App::new("worker"), &jobs, &plain, ack);
        let app = noting(app, index_jobs, &index, answer);
        noting(app, jobs.subscription("mail"), &mail, |job| Outcome::reject(format!("no mail about {}", job.body)))
    };
    let app = world.run(app).await?;
    let id = jobs::<u32>(&*world).publish(7_u32).await?;
    for _ in 0..3 {
        app.deliver().await?;
        world.advance(MAX_BACKOFF)?;
    }
    let attempts = |expected: [&[u32]; 3]| assert_eq!(recorded.each_ref().map(Recorded::attempts), expected);
    attempts([&[1], &[1, 2], &[1]]);
    let dead_index = dead(&*app, "index").await?;
    assert_eq!(dead_index.len(), 1);
    assert_eq!((dead_index[0].id.as_str(), dead_index[0].attempts, &*dead_index[0].body), (id.as_str(), 2, &b"7"[..]));
    assert_eq!(dead_index[0].reason, "gave up after 2 attempts: attempt 2 failed");
    let dead_mail = dead(&*app, "mail").await?;
    assert_eq!(dead_mail.iter().map(|dead| dead.reason.as_str()).collect::<Vec<_>>(), ["no mail about 7"]);
    assert!(dead(&*app, "default").await?.is_empty());

    assert_eq!(app.redrive(&queue("default")).await?, 0);
    assert_eq!(app.redrive(&queue("index")).await?, 1);
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    attempts([&[1], &[1, 2, 1, 2], &[1]]);
    // A dead letter of a redriven message is put back to the same queue again.
    repaired.store(true, Ordering::SeqCst);
    assert_eq!(app.redrive(&queue("index")).await?, 1);
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    attempts([&[1], &[1, 2, 1, 2, 1], &[1]]);
    assert!(recorded.iter().all(|recorded| ids(recorded).iter().all(|it| *it == id)), "a redrive changed the id");
    assert_eq!((dead(&*app, "index").await?.len(), dead(&*app, "mail").await?), (0, dead_mail));
    Ok(())
}

async fn each_subscription_has_attempts_and_a_backoff_of_its_own(world: Box<dyn World>) -> TrialResult {
    let (fast_seen, slow_seen) = (Recorded::default(), Recorded::default());
    let (fast, slow) = (fast_seen.clone(), slow_seen.clone());
    let (short, long) = (Duration::from_secs(10), Duration::from_secs(2_000));
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let quick = jobs.subscription("fast").with_max_attempts(3).with_backoff(short, short);
        let app = noting(App::new("worker"), quick, &fast, fail);
        noting(app, jobs.subscription("slow").with_max_attempts(2).with_backoff(long, long), &slow, fail)
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    for _ in 0..4 {
        world.advance(short)?;
        app.deliver().await?;
    }
    assert_eq!((fast_seen.attempts(), slow_seen.attempts()), (vec![1, 2, 3], vec![1]));
    assert_eq!((dead(&*app, "fast").await?.len(), dead(&*app, "slow").await?.len()), (1, 0));
    world.advance(long)?;
    app.deliver().await?;
    assert_eq!((fast_seen.attempts(), slow_seen.attempts()), (vec![1, 2, 3], vec![1, 2]));
    assert_eq!(dead(&*app, "fast").await?[0].attempts, 3);
    assert_eq!(dead(&*app, "slow").await?[0].attempts, 2);
    Ok(())
}

async fn each_subscription_keeps_the_order_of_a_key_and_waits_alone(world: Box<dyn World>) -> TrialResult {
    let (plain_seen, index_seen) = (Recorded::default(), Recorded::default());
    let (plain, index) = (plain_seen.clone(), index_seen.clone());
    let second_waits = |job: &Message<u32>| if job.body == 2 && job.attempt == 1 { fail(job) } else { Outcome::Ack };
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let app = noting(App::new("worker"), &jobs, &plain, ack);
        noting(app, jobs.subscription("index").with_backoff(MIN_BACKOFF, MAX_BACKOFF), &index, second_waits)
    };
    let app = world.run(app).await?;
    for number in 1..=5_u32 {
        jobs::<u32>(&*world).publish(Outgoing::new(number).with_ordering_key("a")).await?;
    }
    app.deliver().await?;
    assert_eq!((plain_seen.bodies(), index_seen.bodies()), (vec![1, 2, 3, 4, 5], vec![1, 2]));
    deliver_later(&*world, &*app).await?;
    assert_eq!((plain_seen.bodies(), index_seen.bodies()), (vec![1, 2, 3, 4, 5], vec![1, 2, 2, 3, 4, 5]));
    let keys: BTreeSet<_> = plain_seen.all().into_iter().chain(index_seen.all()).map(|job| job.ordering_key).collect();
    assert_eq!(keys, BTreeSet::from([Some("a".to_owned())]));
    Ok(())
}

async fn the_subscriptions_of_modules_receive_like_those_of_the_app(world: Box<dyn World>) -> TrialResult {
    let recorded: [Recorded<Message<u32>>; 3] = Default::default();
    let [own, index, mail] = recorded.clone();
    let app = move |cloud: &Cloud| {
        let subscription = |name| cloud.topic::<u32>(JOBS).subscription(name);
        let drawer = noting(App::new("drawer"), subscription("mail"), &mail, ack);
        let desk = noting(App::new("desk"), subscription("index"), &index, ack).mount("/drawer", drawer);
        noting(App::new("worker").mount("/desk", desk), subscription("default"), &own, ack)
    };
    let app = world.run(app).await?;
    let names: Vec<_> = app.manifest().messages().map(|trigger| trigger.subscription.as_str()).collect();
    assert_eq!(names, ["default", "index", "mail"]);
    let id = jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    assert!(recorded.iter().all(|recorded| recorded.only().id == id));
    Ok(())
}

async fn a_topic_can_have_a_named_subscription_only(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let index = recorded.clone();
    let app = move |cloud: &Cloud| {
        let subscription = cloud.topic::<u32>(JOBS).subscription("index").with_max_attempts(1);
        noting(App::new("worker"), subscription, &index, fail)
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish_batch([1_u32, 2]).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 1]);
    assert_eq!((dead(&*app, "index").await?.len(), app.redrive(&queue("index")).await?), (2, 2));
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 1, 1, 1]);
    Ok(())
}

async fn a_body_is_read_by_each_subscription_alone(world: Box<dyn World>) -> TrialResult {
    let (number_seen, text_seen) = (Recorded::default(), Recorded::default());
    let (number, text) = (number_seen.clone(), text_seen.clone());
    let app = move |cloud: &Cloud| {
        let app = noting(App::new("worker"), &cloud.topic::<u32>(JOBS), &number, ack);
        noting(app, cloud.topic::<String>(JOBS).subscription("text"), &text, ack)
    };
    let app = world.run(app).await?;
    for body in ["7", "\"seven\"", "{\"half\": "] {
        jobs::<Bytes>(&*world).publish(Bytes::from(body)).await?;
    }
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!((number_seen.bodies(), text_seen.bodies()), (vec![7], vec!["seven".to_owned()]));
    for (name, unreadable) in [("default", ["\"seven\"", "{\"half\": "]), ("text", ["7", "{\"half\": "])] {
        let dead = dead(&*app, name).await?;
        let bodies: BTreeSet<&[u8]> = dead.iter().map(|dead| &*dead.body).collect();
        assert_eq!((dead.len(), bodies), (2, unreadable.map(str::as_bytes).into()), "{name}");
        assert!(dead.iter().all(|dead| dead.attempts == 1 && dead.reason.contains("line 1 column")), "{dead:?}");
    }
    Ok(())
}

async fn topics_and_subscriptions_whose_names_look_alike_do_not_mix(world: Box<dyn World>) -> TrialResult {
    const QUEUES: [(&str, &str); 7] = [
        ("aaa", "default"),
        ("aaa", "bbb"),
        ("aaa", "bbb-ccc"),
        ("aaa-bbb", "default"),
        ("aaa-bbb", "ccc"),
        ("aaa-bbb-ccc", "default"),
        ("bbb-ccc", "aaa"),
    ];
    // A host that delivers by itself may deliver what was put back before the queues are counted.
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = Arc::clone(&repaired);
    let app = move |cloud: &Cloud| {
        QUEUES.into_iter().fold(App::new("worker"), |app, (topic, name)| {
            let (subscription, repaired) = (cloud.topic::<String>(topic).subscription(name), Arc::clone(&is_repaired));
            app.on_message(subscription, move |_job, _cx| {
                let repaired = repaired.load(Ordering::SeqCst);
                async move { if repaired { Outcome::Ack } else { Outcome::reject(format!("of {topic} {name}")) } }
            })
        })
    };
    let app = world.run(app).await?;
    let topics: BTreeSet<_> = QUEUES.iter().map(|(topic, _)| *topic).collect();
    for topic in topics {
        world.cloud().topic::<String>(topic).publish(topic.to_owned()).await?;
    }
    app.deliver().await?;
    for (topic, name) in QUEUES {
        let dead = app.dead_letters(&(topic, name).into()).await?;
        assert_eq!(dead.len(), 1, "{topic} {name}");
        assert_eq!(dead[0].reason, format!("of {topic} {name}"));
        assert_eq!(dead[0].body, format!("\"{topic}\""), "{topic} {name}");
    }
    repaired.store(true, Ordering::SeqCst);
    assert_eq!(app.redrive(&("aaa", "bbb").into()).await?, 1);
    for (topic, name) in QUEUES {
        let expected = usize::from((topic, name) != ("aaa", "bbb"));
        assert_eq!(app.dead_letters(&(topic, name).into()).await?.len(), expected, "{topic} {name}");
    }
    Ok(())
}

async fn a_subscription_with_a_reserved_or_malformed_name_is_refused(world: Box<dyn World>) -> TrialResult {
    for bad in BAD_NAMES.into_iter().chain(["dead", "fifo", "events", "writes", "a--b", "bcd-"]) {
        let app = move |cloud: &Cloud| {
            let jobs = cloud.topic::<u32>(JOBS);
            App::new("worker")
                .on_message(&jobs, |_, _cx| async {})
                .on_message(jobs.subscription(bad), |_, _cx| async {})
        };
        let report = start_error(&*world, app).await?;
        assert!(report.contains(&format!("subscription `{bad}` of topic `{JOBS}`: `{bad}`")), "{bad}: {report}");
    }
    let recorded = Recorded::default();
    let good = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let names = ["dead-2", "jobs", "abc", "a-1", "poison"];
        names.into_iter().fold(App::new("worker"), |app, name| noting(app, jobs.subscription(name), &good, ack))
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    assert_eq!(recorded.bodies(), [1; 5]);
    Ok(())
}

async fn two_handlers_of_one_subscription_are_refused_with_a_hint(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let on = |app: App, name| app.on_message(cloud.topic::<u32>(JOBS).subscription(name), |_, _cx| async {});
        let app =
            on(on(App::new("worker").on_message(&cloud.topic::<u32>(JOBS), |_, _cx| async {}), "default"), "index");
        app.mount("/desk", on(on(App::new("desk"), "index"), "mail"))
    };
    let report = start_error(&*world, app).await?;
    for twice in ["topic `jobs`;", "subscription `index` of topic `jobs`;", "`topic.subscription(name)`"] {
        assert!(report.contains(twice), "{twice} is not in: {report}");
    }
    assert!(!report.contains("`mail`"), "{report}");
    Ok(())
}

async fn each_subscription_outlives_a_restart_as_it_was(world: Box<dyn World>) -> TrialResult {
    let recorded: [Recorded<Message<u32>>; 3] = Default::default();
    let start = async |world: &dyn World| {
        let [plain, index, mail] = recorded.clone();
        let app = move |cloud: &Cloud| {
            let jobs = cloud.topic::<u32>(JOBS);
            let index_jobs = jobs.subscription("index").with_max_attempts(3).with_backoff(MIN_BACKOFF, MAX_BACKOFF);
            let app = noting(App::new("worker"), &jobs, &plain, ack);
            noting(noting(app, index_jobs, &index, fail), jobs.subscription("mail"), &mail, |_| Outcome::reject("no"))
        };
        world.run(app).await
    };
    let app = start(&*world).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    jobs::<u32>(&*world).publish(2_u32).await?;
    drop(app);
    let world = world.reopen().await?;
    let app = start(&*world).await?;
    for _ in 0..3 {
        deliver_later(&*world, &*app).await?;
    }
    assert_eq!(recorded[0].bodies(), [1, 2]);
    let of = |body| recorded[1].all().into_iter().filter(move |job| job.body == body).map(|job| job.attempt);
    assert_eq!((of(1).collect::<Vec<_>>(), of(2).collect::<Vec<_>>()), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(recorded[2].attempts(), [1, 1]);
    assert_eq!((dead(&*app, "index").await?.len(), dead(&*app, "mail").await?.len()), (2, 2));
    Ok(())
}
