//! A delayed message waits for its time, and nothing of it counts as an attempt.

use std::collections::BTreeSet;
use std::time::Duration;

use isobar::EventQueue;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{JOBS, MAX_BACKOFF, MIN_BACKOFF, Recorded, ack, dead_jobs, deliver_later, fail, jobs, noting, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-16" => a_delayed_message_is_delivered_at_its_time_as_a_first_attempt,
    "PS-16" => the_delays_of_one_batch_end_each_at_their_time,
    "PS-16" => a_delay_of_a_part_of_a_second_does_not_end_early,
    "PS-16" => the_longest_delay_is_fifteen_minutes,
    "PS-16" => a_delay_over_the_limit_or_with_an_ordering_key_is_refused_alone,
    "PS-16" => a_delayed_message_that_fails_has_all_of_its_attempts,
    "PS-16" => messages_that_wait_for_their_time_hold_back_no_others,
    "PS-16" => a_handler_may_publish_to_itself_with_a_delay,
    "PS-16" => a_delayed_message_reaches_each_subscription_at_its_time,
    "PS-16" => a_delay_outlives_a_restart,
];

const SECOND: Duration = Duration::from_secs(1);

/// A message with a delay.
fn late<M>(body: M, delay: Duration) -> Outgoing<M> {
    Outgoing::new(body).with_delay(delay)
}

/// With one attempt, a delivery before its time would be the last.
async fn a_delayed_message_is_delivered_at_its_time_as_a_first_attempt(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<String>(&*world, 1, &recorded, ack).await?;
    let sent = late("tea \0".to_owned(), Duration::from_secs(600)).with_attribute("lang", "käse");
    let published = world.now();
    let id = jobs::<String>(&*world).publish(sent.clone()).await?;
    for step in [0, 0, 1, 58, 240, 300] {
        world.advance(Duration::from_secs(step))?;
        app.deliver().await?;
        app.deliver().await?;
        assert_eq!(recorded.count(), 0, "it was delivered early");
    }
    world.advance(SECOND)?;
    app.deliver().await?;
    let message = recorded.only();
    assert_eq!((&message.id, message.attempt, &message.ordering_key), (&id, 1, &None));
    assert_eq!((message.body, message.attributes), (sent.body, sent.attributes), "the delay is no attribute");
    assert!(message.trace_parent.is_some());
    let apart = message.published_at.duration_since(published).unwrap_or_else(|early| early.duration());
    assert!(apart < SECOND, "published at {published:?}, reported {:?}", message.published_at);
    world.advance(Duration::from_secs(24 * 3_600))?;
    app.deliver().await?;
    assert_eq!((recorded.count(), dead_jobs(&*app).await?.len()), (1, 0));
    Ok(())
}

async fn the_delays_of_one_batch_end_each_at_their_time(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u64>(&*world, 1, &recorded, ack).await?;
    let delays = [300, 60, 0, 900, 61, 300, 1, 600, 0, 120, 60, 899];
    let batch = delays.iter().enumerate().map(|(place, seconds)| late(place as u64, Duration::from_secs(*seconds)));
    let results = jobs::<u64>(&*world).publish_batch(batch).await;
    let ids: BTreeSet<_> = results.into_iter().map(|result| result.map(|id| id.to_string())).collect::<Result<_>>()?;
    assert_eq!(ids.len(), delays.len());
    let mut now = 0;
    for next in [0, 1, 59, 60, 61, 119, 120, 299, 300, 600, 898, 899, 900] {
        world.advance(Duration::from_secs(next - now))?;
        now = next;
        app.deliver().await?;
        let due = delays.iter().enumerate().filter(|(_, delay)| **delay <= now).map(|(place, _)| place as u64);
        let mut bodies = recorded.bodies();
        bodies.sort_unstable();
        assert_eq!(bodies, due.collect::<Vec<_>>(), "after {now} s");
    }
    assert!(recorded.attempts().iter().all(|attempt| *attempt == 1));
    Ok(())
}

async fn a_delay_of_a_part_of_a_second_does_not_end_early(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    jobs::<u32>(&*world).publish(late(1, Duration::from_millis(2_900))).await?;
    for _ in 0..4 {
        app.deliver().await?;
        world.advance(Duration::from_millis(720))?;
    }
    app.deliver().await?;
    assert_eq!(recorded.count(), 0, "it was delivered 20 ms early");
    // Some services wait whole seconds.
    world.advance(2 * SECOND)?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1]);
    Ok(())
}

const LONGEST: Duration = Limits::PORTABLE.message_delay;

async fn the_longest_delay_is_fifteen_minutes(world: Box<dyn World>) -> TrialResult {
    assert_eq!((LONGEST, world.cloud().limits().message_delay), (15 * 60 * SECOND, LONGEST));
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    jobs::<u32>(&*world).publish(late(1, LONGEST)).await?;
    for step in [Duration::ZERO, LONGEST - SECOND] {
        world.advance(step)?;
        app.deliver().await?;
        assert_eq!(recorded.count(), 0);
    }
    world.advance(SECOND)?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1]);
    Ok(())
}

async fn a_delay_over_the_limit_or_with_an_ordering_key_is_refused_alone(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    let topic = jobs::<u32>(&*world);
    let ordered = |delay| late(0, delay).with_ordering_key("a");
    let bad = [
        (late(0, LONGEST + Duration::from_nanos(1)), "900"),
        (late(0, Duration::MAX), "900"),
        (ordered(Duration::from_nanos(1)), "ordering key"),
        (ordered(LONGEST), "ordering key"),
    ];
    for (message, named) in &bad {
        let error = topic.publish(message.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::InvalidInput, false), "{error}");
        assert!(error.message().contains(named), "{error}");
    }
    let batch = bad.iter().map(|(message, _)| message.clone()).zip((1..).map(Outgoing::new));
    let results = topic.publish_batch(batch.flat_map(|(bad, good)| [bad, good])).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [Some(ErrorKind::InvalidInput), None].repeat(4));
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    let mut bodies = recorded.bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, [1, 2, 3, 4], "a refused message was published");
    // Zero is no delay, also where none is possible.
    let zero = topic.publish(late(5, Duration::ZERO).with_ordering_key("a")).await;
    assert!(zero.map_or_else(|error| error.kind() == ErrorKind::Unsupported, |_| true));
    Ok(())
}

async fn a_delayed_message_that_fails_has_all_of_its_attempts(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 3, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(late(1, LONGEST)).await?;
    for _ in 0..9 {
        app.deliver().await?;
        world.advance(LONGEST / 9)?;
    }
    assert_eq!(recorded.count(), 0);
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1]);
    world.advance(MIN_BACKOFF / 2 - SECOND)?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "a failure waits for its backoff");
    deliver_later(&*world, &*app).await?;
    assert!(dead_jobs(&*app).await?.is_empty(), "the delay counted as attempts");
    deliver_later(&*world, &*app).await?;
    let dead = dead_jobs(&*app).await?;
    assert_eq!((recorded.attempts(), dead.len(), dead[0].attempts), (vec![1, 2, 3], 1, 3));
    assert_eq!(app.redrive(&EventQueue::topic(JOBS)).await?, 1);
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 2, 3, 1], "a dead letter that is put back has no delay");
    Ok(())
}

/// More of them than any service delivers together.
async fn messages_that_wait_for_their_time_hold_back_no_others(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 2, &recorded, ack).await?;
    let waiting = (0..60).map(|number| late(number, Duration::from_secs(300)));
    jobs::<u32>(&*world).publish_batch(waiting).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    for number in 100..110_u32 {
        jobs::<u32>(&*world).publish(number).await?;
    }
    app.deliver().await?;
    let sorted = || {
        let mut bodies = recorded.bodies();
        bodies.sort_unstable();
        bodies
    };
    assert_eq!(sorted(), (100..110).collect::<Vec<_>>());
    world.advance(Duration::from_secs(300))?;
    app.deliver().await?;
    assert_eq!(sorted(), (0..60).chain(100..110).collect::<Vec<_>>());
    assert!(recorded.attempts().iter().all(|attempt| *attempt == 1));
    Ok(())
}

async fn a_handler_may_publish_to_itself_with_a_delay(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let again = move |jobs: Topic<u32>, job: Message<u32>, cx: Context| {
        sink.add((job.body, job.attempt, cx.now()));
        async move { if job.body < 3 { jobs.publish(late(job.body + 1, 100 * SECOND)).await.map(drop) } else { Ok(()) } }
    };
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        App::new("worker").with_state(jobs.clone()).on_message(&jobs, again).build()
    };
    let app = world.run(app).await?;
    let start = world.now();
    jobs::<u32>(&*world).publish(0_u32).await?;
    for _ in 0..10 {
        app.deliver().await?;
        world.advance(50 * SECOND)?;
    }
    let handled = recorded.all();
    assert_eq!(
        handled.iter().map(|(body, attempt, _)| (*body, *attempt)).collect::<Vec<_>>(),
        [0, 1, 2, 3].map(|it| (it, 1))
    );
    let times: Vec<_> = handled.iter().map(|(_, _, time)| time.duration_since(start).unwrap_or_default()).collect();
    assert_eq!(times, [0, 100, 200, 300].map(Duration::from_secs));
    Ok(())
}

async fn a_delayed_message_reaches_each_subscription_at_its_time(world: Box<dyn World>) -> TrialResult {
    let (plain_seen, index_seen) = (Recorded::default(), Recorded::default());
    let (plain, index) = (plain_seen.clone(), index_seen.clone());
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let twice = jobs.subscription("index").with_max_attempts(2).with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        noting(noting(App::new("worker"), &jobs, &plain, ack), twice, &index, fail)
    };
    let app = world.run(app).await?;
    let id = jobs::<u32>(&*world).publish(late(1, LONGEST)).await?;
    for _ in 0..3 {
        app.deliver().await?;
        world.advance(LONGEST / 3)?;
        assert_eq!((plain_seen.count(), index_seen.count()), (0, 0));
    }
    app.deliver().await?;
    assert_eq!((plain_seen.only().id, index_seen.only().id), (id.clone(), id));
    deliver_later(&*world, &*app).await?;
    assert_eq!((plain_seen.attempts(), index_seen.attempts()), (vec![1], vec![1, 2]));
    let index = EventQueue::topic(JOBS).named("index");
    assert_eq!((app.dead_letters(&index).await?.len(), app.redrive(&index).await?), (1, 1));
    app.deliver().await?;
    assert_eq!((plain_seen.attempts(), index_seen.attempts()), (vec![1], vec![1, 2, 1]));
    Ok(())
}

async fn a_delay_outlives_a_restart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    for (number, delay) in [(1, 300), (2, 600)] {
        jobs::<u32>(&*world).publish(late(number, Duration::from_secs(delay))).await?;
    }
    app.deliver().await?;
    drop(app);
    world.advance(Duration::from_secs(299))?;
    let world = world.reopen().await?;
    let app = worker::<u32>(&*world, 1, &recorded, ack).await?;
    for (step, expected) in [(0, vec![]), (1, vec![1]), (299, vec![1]), (1, vec![1, 2])] {
        world.advance(Duration::from_secs(step))?;
        app.deliver().await?;
        assert_eq!(recorded.bodies(), expected);
    }
    assert_eq!(recorded.attempts(), [1, 1]);
    Ok(())
}
