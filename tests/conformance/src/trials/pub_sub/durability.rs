//! Messages, their attempts and dead letters are still there when everything has ended and started again.

use std::sync::Arc;
use std::time::Duration;

use isobar::EventQueue;
use isobar::prelude::*;
use tokio::sync::Notify;

use super::{JOBS, Recorded, ack, dead_jobs, deliver_later, fail, jobs, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-14" => a_message_published_before_a_restart_is_delivered_after_it,
    "PS-14" => a_message_outlives_a_restart_whole,
    "PS-14" => an_acknowledged_message_is_not_delivered_again_after_a_restart,
    "PS-14" => attempts_are_counted_across_a_restart,
    "PS-14" => a_backoff_is_kept_across_a_restart,
    "PS-14" => dead_letters_outlive_a_restart_and_can_be_put_back,
    "PS-14" => the_order_of_a_key_outlives_a_restart,
    "PS-14" => a_message_whose_handling_was_cut_off_is_delivered_again,
];

async fn a_message_published_before_a_restart_is_delivered_after_it(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    drop(worker::<u32>(&*world, 5, &recorded, ack).await?);
    jobs::<u32>(&*world).publish_batch(0..20_u32).await.into_iter().collect::<Result<Vec<_>>>()?;
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    deliver_later(&*world, &*app).await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!(handled, (0..20).collect::<Vec<_>>());
    Ok(())
}

async fn a_message_outlives_a_restart_whole(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sent = Outgoing::new("käse \0".to_owned()).with_attribute("lang", "日本").with_ordering_key("room-7");
    let before = world.now();
    drop(worker::<String>(&*world, 5, &recorded, ack).await?);
    let id = jobs::<String>(&*world).publish(sent.clone()).await?;
    let world = world.reopen().await?;
    let app = worker::<String>(&*world, 5, &recorded, ack).await?;
    deliver_later(&*world, &*app).await?;
    let message = recorded.only();
    assert_eq!((message.body, message.attributes), (sent.body, sent.attributes));
    assert_eq!((message.ordering_key, message.id), (sent.ordering_key, id));
    assert!(message.trace_parent.is_some());
    let apart = message.published_at.duration_since(before).unwrap_or_else(|early| early.duration());
    assert!(apart < Duration::from_secs(1), "published at {before:?}, reported {:?}", message.published_at);
    Ok(())
}

async fn an_acknowledged_message_is_not_delivered_again_after_a_restart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    drop(app);
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.count(), 1);
    Ok(())
}

async fn attempts_are_counted_across_a_restart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 3, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    drop(app);
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 3, &recorded, fail).await?;
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2, 3]);
    assert_eq!(dead_jobs(&*app).await?.len(), 1);
    Ok(())
}

async fn a_backoff_is_kept_across_a_restart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let wait = Duration::from_secs(900);
    let later = move |_: &Message<u32>| Outcome::retry_after(wait, "closed");
    let app = worker::<u32>(&*world, 5, &recorded, later).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    drop(app);
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 5, &recorded, later).await?;
    world.advance(wait - Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "it was delivered before {wait:?} had passed");
    world.advance(Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 2]);
    Ok(())
}

async fn dead_letters_outlive_a_restart_and_can_be_put_back(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, fail).await?;
    let id = jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    drop(app);
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    app.deliver().await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id.as_str(), dead[0].attempts), (id.as_str(), 1));
    assert_eq!(dead[0].reason, "gave up after 1 attempts: attempt 1 failed");
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 1);
    app.deliver().await?;
    assert_eq!(recorded.bodies(), [7, 7]);
    assert!(dead_jobs(&*app).await?.is_empty());
    Ok(())
}

async fn the_order_of_a_key_outlives_a_restart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let first_fails = |message: &Message<u32>| if message.attempt == 1 { fail(message) } else { Outcome::Ack };
    let app = worker::<u32>(&*world, 5, &recorded, first_fails).await?;
    for number in 1..=5_u32 {
        jobs::<u32>(&*world).publish(Outgoing::new(number).with_ordering_key("k")).await?;
    }
    app.deliver().await?;
    drop(app);
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    jobs::<u32>(&*world).publish(Outgoing::new(6_u32).with_ordering_key("k")).await?;
    app.deliver().await?;
    assert_eq!(recorded.bodies(), [1], "a later one did not wait");
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.bodies(), [1, 1, 2, 3, 4, 5, 6]);
    Ok(())
}

async fn a_message_whose_handling_was_cut_off_is_delivered_again(world: Box<dyn World>) -> TrialResult {
    let started = Arc::new(Notify::new());
    let handler_started = Arc::clone(&started);
    let stuck = move |cloud: &Cloud| {
        App::new("worker").on_message(&cloud.topic::<u32>(JOBS), move |_, _cx| {
            handler_started.notify_one();
            std::future::pending::<()>()
        })
    };
    let app = world.run(stuck).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    let mut delivery = tokio::spawn(async move { app.deliver().await });
    tokio::select! {
        () = started.notified() => {}
        ended = &mut delivery => {
            ended??;
            return Err("the delivery ended before its handler".into());
        }
    }
    delivery.abort();
    assert!(delivery.await.is_err_and(|end| end.is_cancelled()));
    let world = world.reopen().await?;
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    // Longer than any handler may run, and so than any lease.
    world.advance(Duration::from_secs(3_600))?;
    app.deliver().await?;
    assert_eq!(recorded.only().body, 7);
    Ok(())
}
