//! A message that is not acknowledged is delivered again, later each time, and never immediately.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{JOBS, MAX_BACKOFF, MIN_BACKOFF, Recorded, dead_jobs, deliver_later, fail, jobs, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-2" => a_failed_message_is_delivered_again_after_its_backoff_and_not_before,
    "PS-2" => the_backoff_grows_with_every_attempt_up_to_its_maximum,
    "PS-2" => a_failing_message_is_never_retried_immediately,
    "PS-2" => any_error_of_a_handler_is_a_retry,
    "PS-2" => content_that_breaks_off_is_a_retry,
    "PS-2" => a_panic_is_delivered_again,
    "PS-2" => a_panic_after_an_await_is_delivered_again,
    "PS-2" => a_redelivery_is_the_same_message,
    "PS-2" => the_context_of_a_redelivery_counts_its_attempt,
    "PS-2" => a_message_that_succeeds_at_last_is_no_dead_letter,
    "PS-2" => a_message_that_waits_does_not_hold_back_others,
    "PS-3" => retry_after_waits_exactly_as_long_as_it_says,
    "PS-3" => retry_after_may_be_longer_than_the_longest_backoff,
    "PS-3" => a_throttled_error_waits_as_long_as_it_says,
    "PS-3" => the_longest_wait_is_six_hours_and_it_does_not_end_early,
    "PS-3" => a_wait_that_is_too_long_is_cut_to_the_longest,
    "PS-3" => an_error_that_says_to_wait_too_long_is_cut_too,
    "PS-3" => with_an_ordering_key_the_longest_wait_is_that_of_the_provider,
];

async fn a_failed_message_is_delivered_again_after_its_backoff_and_not_before(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    world.advance(MIN_BACKOFF / 2 - Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "it was delivered before its backoff");
    world.advance(MIN_BACKOFF / 2 + Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 2]);
    Ok(())
}

async fn the_backoff_grows_with_every_attempt_up_to_its_maximum(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 8, &recorded, fail).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    for attempt in 1..=6 {
        let longest = (MIN_BACKOFF * 2_u32.pow(attempt - 1)).min(MAX_BACKOFF);
        world.advance(longest / 2 - Duration::from_secs(1))?;
        app.deliver().await?;
        assert_eq!(
            recorded.count() as u32,
            attempt,
            "attempt {} was delivered before half of {longest:?}",
            attempt + 1
        );
        world.advance(longest / 2 + Duration::from_secs(1))?;
        app.deliver().await?;
        assert_eq!(recorded.count() as u32, attempt + 1, "attempt {} did not come after {longest:?}", attempt + 1);
    }
    assert_eq!(recorded.attempts(), [1, 2, 3, 4, 5, 6, 7]);
    Ok(())
}

/// go-cloud #3193: a negative answer without a delay made a hot loop that worsened an outage.
async fn a_failing_message_is_never_retried_immediately(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, fail).await?;
    jobs::<u32>(&*world).publish_batch([1_u32, 2, 3]).await.into_iter().collect::<Result<Vec<_>>>()?;
    for _ in 0..10 {
        app.deliver().await?;
    }
    assert_eq!(recorded.attempts(), [1, 1, 1]);
    Ok(())
}

async fn any_error_of_a_handler_is_a_retry(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<String>(JOBS);
        let subscription = jobs.subscription("default").with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        App::new("worker").on_message(subscription, move |job: Message<String>, _cx| {
            sink.add(job.attempt);
            async move { job.body.parse::<u32>().map(|_| ()) }
        })
    };
    let app = world.run(app).await?;
    jobs::<String>(&*world).publish("no number".to_owned()).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.all(), [1, 2]);
    Ok(())
}

async fn content_that_breaks_off_is_a_retry(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let subscription = cloud.topic::<u32>(JOBS).subscription("default").with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        let copy = move |films: Bucket, job: Message<u32>, _cx| {
            sink.add(job.attempt);
            let cut = (job.attempt == 1).then(|| Err(std::io::Error::other("the wire was cut")));
            let pieces = stream::iter([Ok(Bytes::from_static(b"film"))].into_iter().chain(cut));
            async move { films.put_stream("a", pieces, blob::PutOptions::default()).await.map(drop) }
        };
        App::new("worker").with_state(cloud.bucket("films")).on_message(subscription, copy).build()
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.all(), [1, 2]);
    assert_eq!(world.cloud().bucket("films").get("a").await?.bytes().await?, "film");
    Ok(())
}

async fn a_panic_is_delivered_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let first_panics = |message: &Message<u32>| match message.attempt {
        1 => panic!("out of paper"),
        _ => Outcome::Ack,
    };
    let app = worker::<u32>(&*world, 5, &recorded, first_panics).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "a panic waits like any failure");
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.attempts(), [1, 2]);
    assert!(dead_jobs(&*app).await?.is_empty());
    Ok(())
}

async fn a_panic_after_an_await_is_delivered_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let subscription = jobs.subscription("default").with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        App::new("worker").on_message(subscription, move |job: Message<u32>, _cx| {
            sink.add(job.attempt);
            async move {
                tokio::task::yield_now().await;
                assert!(job.attempt > 1, "out of paper");
            }
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.all(), [1, 2]);
    Ok(())
}

async fn a_redelivery_is_the_same_message(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<String>(&*world, 5, &recorded, fail).await?;
    let sent = Outgoing::new("hello".to_owned()).with_attribute("lang", "en").with_ordering_key("room-7");
    jobs::<String>(&*world).publish(sent).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let mut recorded = recorded.all();
    assert_eq!(recorded.len(), 2);
    recorded[1].attempt = 1;
    assert_eq!(recorded[0], recorded[1]);
    Ok(())
}

async fn the_context_of_a_redelivery_counts_its_attempt(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS);
        let subscription = jobs.subscription("default").with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        App::new("worker").on_message(subscription, move |job: Message<u32>, cx| {
            sink.add((job.attempt, cx.attempt()));
            async { Err::<(), _>(Error::internal("no")) }
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(recorded.all(), [(1, 1), (2, 2), (3, 3)]);
    Ok(())
}

async fn a_message_that_succeeds_at_last_is_no_dead_letter(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let third_succeeds = |message: &Message<u32>| if message.attempt < 3 { fail(message) } else { Outcome::Ack };
    let app = worker::<u32>(&*world, 3, &recorded, third_succeeds).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    for _ in 0..5 {
        deliver_later(&*world, &*app).await?;
    }
    assert_eq!(recorded.attempts(), [1, 2, 3]);
    assert!(dead_jobs(&*app).await?.is_empty());
    Ok(())
}

async fn a_message_that_waits_does_not_hold_back_others(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let first_fails = |message: &Message<u32>| if message.body == 0 { fail(message) } else { Outcome::Ack };
    let app = worker::<u32>(&*world, 5, &recorded, first_fails).await?;
    jobs::<u32>(&*world).publish(0_u32).await?;
    app.deliver().await?;
    for number in 1..=30_u32 {
        jobs::<u32>(&*world).publish(number).await?;
    }
    app.deliver().await?;
    let mut bodies = recorded.bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..=30).collect::<Vec<_>>());
    Ok(())
}

async fn waits_exactly(world: &dyn World, wait: Duration, first: Outcome) -> TrialResult {
    let recorded = Recorded::default();
    let answer = move |message: &Message<u32>| if message.attempt == 1 { first.clone() } else { Outcome::Ack };
    let app = worker::<u32>(world, 5, &recorded, answer).await?;
    jobs::<u32>(world).publish(1_u32).await?;
    app.deliver().await?;
    world.advance(wait - Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "it was delivered before {wait:?} had passed");
    world.advance(Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 2], "it did not come after {wait:?}");
    Ok(())
}

async fn retry_after_waits_exactly_as_long_as_it_says(world: Box<dyn World>) -> TrialResult {
    let wait = Duration::from_secs(7);
    waits_exactly(&*world, wait, Outcome::retry_after(wait, "the shop is closed")).await
}

async fn retry_after_may_be_longer_than_the_longest_backoff(world: Box<dyn World>) -> TrialResult {
    let wait = MAX_BACKOFF * 2;
    waits_exactly(&*world, wait, Outcome::retry_after(wait, "the shop is closed")).await
}

async fn a_throttled_error_waits_as_long_as_it_says(world: Box<dyn World>) -> TrialResult {
    let wait = Duration::from_secs(300);
    let throttled = Error::new(ErrorKind::Throttled, "slow down").with_retry_after(wait);
    let throttled = Err::<(), _>(throttled).into_outcome();
    waits_exactly(&*world, wait, throttled).await
}

const LONGEST: Duration = Limits::PORTABLE.retry_after;

async fn the_longest_wait_is_six_hours_and_it_does_not_end_early(world: Box<dyn World>) -> TrialResult {
    assert_eq!(LONGEST, Duration::from_secs(6 * 3600));
    waits_exactly(&*world, LONGEST, Outcome::retry_after(LONGEST, "closed until tomorrow")).await
}

async fn a_wait_that_is_too_long_is_cut_to_the_longest(world: Box<dyn World>) -> TrialResult {
    waits_exactly(&*world, LONGEST, Outcome::retry_after(Duration::from_secs(24 * 3600), "closed until tomorrow")).await
}

async fn an_error_that_says_to_wait_too_long_is_cut_too(world: Box<dyn World>) -> TrialResult {
    let throttled = Error::new(ErrorKind::Throttled, "never again").with_retry_after(Duration::from_secs(u64::MAX));
    waits_exactly(&*world, LONGEST, Err::<(), _>(throttled).into_outcome()).await
}

async fn with_an_ordering_key_the_longest_wait_is_that_of_the_provider(world: Box<dyn World>) -> TrialResult {
    let longest = world.cloud().profile().limits.ordered_retry_after;
    assert!(longest >= Limits::PORTABLE.ordered_retry_after && longest <= LONGEST);
    let recorded = Recorded::default();
    let tomorrow = |message: &Message<u32>| match message.attempt {
        1 => Outcome::retry_after(Duration::from_secs(24 * 3600), "closed until tomorrow"),
        _ => Outcome::Ack,
    };
    let app = worker::<u32>(&*world, 5, &recorded, tomorrow).await?;
    jobs::<u32>(&*world).publish(Outgoing::new(1_u32).with_ordering_key("a")).await?;
    app.deliver().await?;
    world.advance(longest - Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1], "it was delivered before {longest:?} had passed");
    world.advance(Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(recorded.attempts(), [1, 2], "it did not come after {longest:?}");
    Ok(())
}
