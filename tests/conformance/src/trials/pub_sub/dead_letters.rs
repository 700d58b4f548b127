//! What cannot be handled is kept as a dead letter, with its reason, and can be put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use isobar::prelude::*;
use isobar::{BoxError, EventQueue, axum};

use super::{JOBS, Recorded, ack, dead_jobs, deliver_later, fail, jobs, worker};
use crate::{HarnessResult, TrialResult, World};

crate::trials![
    "PS-4" => after_its_last_attempt_a_message_is_a_dead_letter_with_its_reason,
    "PS-4" => one_attempt_means_no_redelivery,
    "PS-4" => a_retry_after_does_not_add_attempts,
    "PS-4" => a_dead_letter_keeps_what_the_message_was,
    "PS-4" => the_reason_of_a_dead_letter_contains_the_panic,
    "PS-4" => the_reason_of_a_dead_letter_contains_the_error_and_its_sources,
    "PS-4" => the_dead_letters_of_two_topics_do_not_mix,
    "PS-4" => no_name_of_an_app_is_the_name_of_dead_letters,
    "PS-5" => a_rejected_message_is_a_dead_letter_immediately,
    "PS-5" => a_message_rejected_on_a_later_attempt_is_not_tried_again,
    "PS-5" => an_error_that_no_redelivery_repairs_is_a_dead_letter_immediately,
    "PS-11" => a_malformed_body_is_a_dead_letter_with_the_position,
    "PS-11" => a_body_of_another_type_is_a_dead_letter_with_the_position,
    "PS-11" => the_neighbours_of_a_malformed_body_are_handled_once,
    "PS-12" => a_dead_letter_put_back_is_delivered_as_new_and_handled_after_the_fix,
    "PS-12" => a_dead_letter_that_fails_again_is_a_dead_letter_again,
    "PS-12" => a_dead_letter_put_back_is_the_message_that_it_was,
    "PS-12" => putting_back_nothing_is_fine,
];

async fn after_its_last_attempt_a_message_is_a_dead_letter_with_its_reason(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 3, &recorded, fail).await?;
    let id = jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert!(dead_jobs(&*app).await?.is_empty(), "given up too early");
    deliver_later(&*world, &*app).await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].id, id.to_string());
    assert_eq!(dead[0].attempts, 3);
    assert_eq!(dead[0].reason, "gave up after 3 attempts: attempt 3 failed");
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2, 3], "a dead letter was delivered");
    Ok(())
}

async fn one_attempt_means_no_redelivery(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!((dead.len(), dead[0].attempts), (1, 1));
    assert_eq!(dead[0].reason, "gave up after 1 attempts: attempt 1 failed");
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1]);
    Ok(())
}

async fn a_retry_after_does_not_add_attempts(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let later = |_: &Message<u32>| Outcome::retry_after(Duration::from_secs(10), "closed");
    let app = worker::<u32>(&*world, 2, &recorded, later).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    for _ in 0..4 {
        deliver_later(&*world, &*app).await?;
    }
    assert_eq!(recorded.attempts(), [1, 2]);
    assert_eq!(dead_jobs(&*app).await?[0].reason, "gave up after 2 attempts: closed");
    Ok(())
}

async fn a_dead_letter_keeps_what_the_message_was(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let reject = |_: &Message<Bytes>| Outcome::reject("no");
    let app = worker::<Bytes>(&*world, 5, &recorded, reject).await?;
    let sent = Outgoing::new(Bytes::from_static(b"\0\xffbinary")).with_attribute("lang", "käse");
    let before = world.now();
    let id = jobs::<Bytes>(&*world).publish(sent.clone()).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].body, &dead[0].attributes), (&sent.body, &sent.attributes));
    assert_eq!(dead[0].id, id.to_string());
    assert!(dead[0].died_at + Duration::from_secs(1) > before, "died at {:?}", dead[0].died_at);
    Ok(())
}

async fn the_reason_of_a_dead_letter_contains_the_panic(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let out_of_paper = |message: &Message<u32>| -> Outcome { panic!("tray {} is out of paper", message.body) };
    let app = worker::<u32>(&*world, 1, &recorded, out_of_paper).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("tray 7 is out of paper"), "{}", dead[0].reason);
    Ok(())
}

async fn the_reason_of_a_dead_letter_contains_the_error_and_its_sources(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let once = cloud.topic::<u32>(JOBS).subscription("default").with_max_attempts(1);
        App::new("worker").on_message(once, |_, _cx| async {
            let disk = Error::internal("disk on fire");
            Err::<(), _>(Error::new(ErrorKind::Unavailable, "cannot store").with_source(disk))
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    let reason = &dead[0].reason;
    assert!(reason.contains("cannot store") && reason.contains("disk on fire"), "{reason}");
    Ok(())
}

/// An error of the app itself, alone and inside another error, an argument that is refused, and, which a new write may repair,
/// what is stored.
async fn an_error_that_no_redelivery_repairs_is_a_dead_letter_immediately(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let notes = cloud.table::<u32>("notes");
        App::new("worker").on_message(&cloud.topic::<String>(JOBS), move |message, _cx| {
            let notes = notes.clone();
            async move {
                match message.body.as_str() {
                    "app" => Err(Error::invalid_input("not a job"))?,
                    "inside" => Err(axum::Error::new(Error::invalid_input("not a job")))?,
                    "request" => notes.put("", &1).await.map(drop)?,
                    _ => notes.get("text").await.map(drop)?,
                }
                Ok::<_, BoxError>(())
            }
        })
    };
    world.cloud().table::<String>("notes").put("text", &"no number".to_owned()).await?;
    let app = world.run(app).await?;
    for body in ["app", "inside", "request", "stored"] {
        jobs::<String>(&*world).publish(body.to_owned()).await?;
    }
    app.deliver().await?;
    let mut reasons: Vec<_> = dead_jobs(&*app).await?.into_iter().map(|dead| dead.reason).collect();
    reasons.sort();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(reasons[0], "not a job (invalid-input)");
    assert_eq!(reasons[1], "not a job (invalid-input): not a job (invalid-input)");
    assert!(reasons[2].contains("the partition key is empty"), "{}", reasons[2]);
    Ok(())
}

async fn the_dead_letters_of_two_topics_do_not_mix(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let app = App::new("worker").on_message(&cloud.topic::<u32>("jobs"), |_, _cx| async { Outcome::reject("a") });
        app.on_message(&cloud.topic::<u32>("jobs-2"), |_, _cx| async { Outcome::reject("b") })
    };
    let app = world.run(app).await?;
    world.cloud().topic("jobs").publish(1_u32).await?;
    world.cloud().topic("jobs-2").publish(2_u32).await?;
    app.deliver().await?;
    for (topic, reason) in [("jobs", "a"), ("jobs-2", "b")] {
        let dead = app.dead_letters(&EventQueue::topic(topic)).await?;
        assert_eq!(dead.iter().map(|dead| dead.reason.as_str()).collect::<Vec<_>>(), [reason]);
    }
    assert_eq!(app.redrive(&EventQueue::topic("jobs")).await?, 1);
    assert_eq!(app.dead_letters(&EventQueue::topic("jobs-2")).await?.len(), 1, "the other topic's was put back");
    Ok(())
}

/// The names are those that providers once derived, and that look as if they did.
async fn no_name_of_an_app_is_the_name_of_dead_letters(world: Box<dyn World>) -> TrialResult {
    const OTHERS: [&str; 5] = ["clicks-dead", "clicks-fifo", "clicks-events", "clicks-events-dead", "dead-clicks"];
    let (recorded, changed) = (Recorded::default(), Recorded::default());
    let (handled, changes) = (recorded.clone(), changed.clone());
    let app = move |cloud: &Cloud| {
        let reject = cloud.topic::<u32>("clicks");
        let app = App::new("worker").on_message(&reject, |_, _cx| async { Outcome::reject("no") });
        let app = app.on_object(&cloud.bucket("clicks"), move |event: ObjectEvent, _cx| {
            changes.add(event.key);
            async { Outcome::reject("no") }
        });
        OTHERS.into_iter().fold(app, |app, name| {
            let handled = handled.clone();
            app.on_message(&cloud.topic::<u32>(name), move |message, _cx| {
                handled.add((name, message.body));
                async {}
            })
        })
    };
    let app = world.run(app).await?;
    let cloud = world.cloud();
    cloud.topic("clicks").publish(1_u32).await?;
    let ordered = cloud.topic::<u32>("clicks").publish(Outgoing::new(2_u32).with_ordering_key("a")).await;
    assert!(ordered.map_or_else(|error| error.kind() == ErrorKind::Unsupported, |_| true));
    cloud.bucket("clicks").put("a.txt", "a").await?;
    for name in OTHERS {
        cloud.topic(name).publish(7_u32).await?;
    }
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    let mut handled = recorded.all();
    handled.sort_unstable();
    let mut own = OTHERS.map(|name| (name, 7));
    own.sort_unstable();
    assert_eq!(handled, own, "a topic received what was not published to it");
    assert_eq!(changed.all(), ["a.txt"]);
    let dead = app.dead_letters(&EventQueue::topic("clicks")).await?;
    assert!(!dead.is_empty() && dead.iter().all(|dead| dead.reason == "no"), "{dead:?}");
    assert_eq!(app.dead_letters(&EventQueue::bucket("clicks")).await?.len(), 1);
    for name in OTHERS {
        assert!(app.dead_letters(&EventQueue::topic(name)).await?.is_empty(), "{name}");
    }
    Ok(())
}

async fn a_rejected_message_is_a_dead_letter_immediately(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let reject = |message: &Message<u32>| Outcome::reject(format!("no job {}", message.body));
    let app = worker::<u32>(&*world, 5, &recorded, reject).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("no job 7", 1));
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.count(), 1, "a rejected message was delivered again");
    Ok(())
}

async fn a_message_rejected_on_a_later_attempt_is_not_tried_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let second_rejects =
        |message: &Message<u32>| if message.attempt == 1 { fail(message) } else { Outcome::reject("never") };
    let app = worker::<u32>(&*world, 5, &recorded, second_rejects).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    for _ in 0..4 {
        deliver_later(&*world, &*app).await?;
    }
    assert_eq!(recorded.attempts(), [1, 2]);
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("never", 2));
    Ok(())
}

/// Publishes a body to a worker that expects a number, and returns why it was given up.
async fn reason_to_give_up(world: &dyn World, body: &'static [u8]) -> HarnessResult<String> {
    let recorded = Recorded::default();
    let app = worker::<u32>(world, 5, &recorded, ack).await?;
    jobs::<Bytes>(world).publish(Bytes::from_static(body)).await?;
    app.deliver().await?;
    deliver_later(world, &*app).await?;
    assert_eq!(recorded.count(), 0, "it was handled");
    let mut dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].attempts, &*dead[0].body), (1, body));
    Ok(dead.remove(0).reason)
}

async fn a_malformed_body_is_a_dead_letter_with_the_position(world: Box<dyn World>) -> TrialResult {
    let reason = reason_to_give_up(&*world, b"{\"half\": ").await?;
    assert!(reason.contains("line 1 column"), "{reason}");
    Ok(())
}

async fn a_body_of_another_type_is_a_dead_letter_with_the_position(world: Box<dyn World>) -> TrialResult {
    let reason = reason_to_give_up(&*world, b"\n \"seven\"").await?;
    assert!(reason.contains("line 2 column"), "{reason}");
    Ok(())
}

async fn the_neighbours_of_a_malformed_body_are_handled_once(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    let bodies: [&[u8]; 8] = [b"1", b"{", b"2", b"\xff\xfe", b"3", b"-4", b"4", b"[]"];
    let results = jobs::<Bytes>(&*world).publish_batch(bodies.map(Bytes::from_static)).await;
    results.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!(handled, [1, 2, 3, 4]);
    assert_eq!(dead_jobs(&*app).await?.len(), 4);
    Ok(())
}

async fn a_dead_letter_put_back_is_delivered_as_new_and_handled_after_the_fix(world: Box<dyn World>) -> TrialResult {
    let (recorded, is_fixed) = (Recorded::default(), Arc::new(AtomicBool::new(false)));
    let fixed = Arc::clone(&is_fixed);
    let answer = move |message: &Message<u32>| match fixed.load(Ordering::SeqCst) {
        true => Outcome::Ack,
        false => fail(message),
    };
    let app = worker::<u32>(&*world, 2, &recorded, answer).await?;
    jobs::<u32>(&*world).publish_batch([1_u32, 2]).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(dead_jobs(&*app).await?.len(), 2);
    is_fixed.store(true, Ordering::SeqCst);
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 2);
    app.deliver().await?;
    assert!(dead_jobs(&*app).await?.is_empty());
    let recorded = recorded.all();
    assert_eq!(recorded.iter().map(|message| message.attempt).collect::<Vec<_>>(), [1, 1, 2, 2, 1, 1]);
    let mut handled: Vec<_> = recorded[4..].iter().map(|message| message.body).collect();
    handled.sort_unstable();
    assert_eq!(handled, [1, 2]);
    Ok(())
}

async fn a_dead_letter_that_fails_again_is_a_dead_letter_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 2, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 1);
    app.deliver().await?;
    assert!(dead_jobs(&*app).await?.is_empty(), "it is given all its attempts again");
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2, 1, 2]);
    let dead = dead_jobs(&*app).await?;
    assert_eq!((dead.len(), dead[0].attempts), (1, 2));
    Ok(())
}

async fn a_dead_letter_put_back_is_the_message_that_it_was(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 1, &recorded, fail).await?;
    let body = Bytes::from_static(b"\0\xff binary");
    let sent = Outgoing::new(body).with_attribute("lang", "en").with_ordering_key("room-7");
    jobs::<Bytes>(&*world).publish(sent.clone()).await?;
    app.deliver().await?;
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 1);
    app.deliver().await?;
    assert_eq!(recorded.count(), 2);
    for message in recorded.all() {
        assert_eq!((message.body, message.attributes), (sent.body.clone(), sent.attributes.clone()));
        assert_eq!(message.ordering_key, sent.ordering_key);
    }
    Ok(())
}

async fn putting_back_nothing_is_fine(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 0);
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 0);
    app.deliver().await?;
    assert_eq!(recorded.count(), 1);
    Ok(())
}
