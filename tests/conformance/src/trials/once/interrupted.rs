//! Tries that end at any point without a result.

use isobar::once::{OnInterrupted, OnceResult};
use isobar::prelude::*;
use tokio::sync::oneshot::channel;

use super::scripted::scripted;
use super::{Caller, LEASE, polled, wait_of};
use crate::trials::key_value::concurrently;
use crate::trials::pub_sub::Recorded;
use crate::{TrialResult, World};

crate::trials![
    "ON-3" => work_that_ends_at_any_point_runs_again_when_its_lease_is_over,
    "ON-3" => work_that_ends_at_any_point_is_refused_if_the_app_says_so,
    "ON-3" => a_refused_key_is_named_with_its_time_until_it_is_forgotten,
    "ON-3" => one_of_many_callers_takes_an_interrupted_key_over,
    "ON-3" => a_panic_in_the_work_is_an_interruption,
    "ON-3" => of_two_tries_the_result_that_is_stored_first_is_returned_to_both,
    "ON-3" => a_slow_try_stores_its_result_if_its_successor_has_none,
];

/// More than any backend needs for one run.
const POLLS: usize = 10_000;

/// Powertools for Python #53 and pull request #1387: after a timeout the record stayed in progress.
async fn work_that_ends_at_any_point_runs_again_when_its_lease_is_over(world: Box<dyn World>) -> TrialResult {
    let once = scripted(&*world, &[]).once("payments");
    for polls in 0..POLLS {
        let (key, effects) = (format!("order {polls}"), Recorded::default());
        let mut caller = Caller::of(&*world);
        let ended = polled(polls, caller.run(&once, &key, &effects)).await;
        let before = effects.count();
        assert!(before <= 1);
        // A write of the dropped caller may still be on its way.
        let mut result = caller.run(&once, &key, &effects).await?;
        if let OnceResult::InProgress { retry_after } = result {
            assert!(retry_after <= LEASE, "{retry_after:?}");
            caller = caller.after(LEASE);
            result = caller.run(&once, &key, &effects).await?;
        }
        let value = result.into_value()?;
        assert!((1..=before + 1).contains(&effects.count()), "the effect is lost, or happened too often");
        let again = effects.all().get(before).is_some_and(|attempt| !attempt.is_interrupted());
        assert!(before == 0 || !again, "the work cannot know that its effect may have happened");
        assert_eq!(caller.run(&once, &key, &effects).await?, OnceResult::Replayed(value));
        if let Some(ended) = ended {
            assert_eq!(ended?.into_value()?, value);
            return Ok(());
        }
    }
    panic!("it does not end")
}

/// Powertools for Python #8049: after a timeout the effect happened again, and a payment must not.
async fn work_that_ends_at_any_point_is_refused_if_the_app_says_so(world: Box<dyn World>) -> TrialResult {
    let once = scripted(&*world, &[]).once("payments").with_interrupted(OnInterrupted::Refuse);
    for polls in 0..POLLS {
        let (key, effects) = (format!("order {polls}"), Recorded::default());
        let mut caller = Caller::of(&*world);
        let ended = polled(polls, caller.run(&once, &key, &effects)).await;
        for _ in 0..2 {
            match caller.run(&once, &key, &effects).await {
                Ok(OnceResult::Fresh(value) | OnceResult::Replayed(value)) => assert_eq!(value, 1),
                Ok(OnceResult::InProgress { .. }) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
            }
            assert!(effects.count() <= 1, "the effect happened twice");
            caller = caller.after(LEASE);
        }
        if let Some(ended) = ended {
            assert_eq!((ended?, effects.count()), (OnceResult::Fresh(1), 1));
            return Ok(());
        }
    }
    panic!("it does not end")
}

async fn a_refused_key_is_named_with_its_time_until_it_is_forgotten(world: Box<dyn World>) -> TrialResult {
    let once = world.cloud().once("payments").with_interrupted(OnInterrupted::Refuse);
    let effects = Recorded::default();
    let caller = Caller::of(&*world);
    let since = isobar::clock::to_rfc3339(caller.cx.now());
    caller.interrupt(&once, "order-7").await;
    assert_eq!(wait_of(caller.run(&once, "order-7", &effects).await?), LEASE);
    let caller = caller.after(LEASE);
    for _ in 0..2 {
        let error = caller.run(&once, "order-7", &effects).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (ErrorKind::Conflict, isobar::Origin::Data));
        let text = error.to_string();
        for part in ["`order-7`", &since, "table `payments`"] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(effects.count(), 0);
    once.forget("order-7").await?;
    assert_eq!(caller.run(&once, "order-7", &effects).await?, OnceResult::Fresh(1));
    Ok(())
}

async fn one_of_many_callers_takes_an_interrupted_key_over(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    Caller::of(&*world).interrupt(&once, "order").await;
    let later = world.now() + LEASE;
    let results = concurrently(32, |_| {
        let (once, effects) = (once.clone(), effects.clone());
        async move { Caller::at(later).run(&once, "order", &effects).await }
    });
    for result in results.await {
        assert!(!matches!(result?, OnceResult::Fresh(number) if number != 1));
    }
    assert!(effects.only().is_interrupted());
    assert_eq!(Caller::at(later).run(&once, "order", &effects).await?, OnceResult::Replayed(1));
    Ok(())
}

async fn a_panic_in_the_work_is_an_interruption(world: Box<dyn World>) -> TrialResult {
    let (once, caller, effects) = (world.cloud().once("payments"), Caller::of(&*world), Recorded::default());
    let (failing, cx) = (once.clone(), caller.cx.clone());
    let task =
        tokio::spawn(
            async move { failing.run(&cx, "order", async |_| -> Result<()> { panic!("out of paper") }).await },
        );
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(wait_of(caller.run(&once, "order", &effects).await?), LEASE);
    let caller = caller.after(LEASE);
    caller.run(&once, "order", &effects).await?.into_value()?;
    assert!(effects.only().is_interrupted());
    Ok(())
}

async fn of_two_tries_the_result_that_is_stored_first_is_returned_to_both(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    let slow = Caller::of(&*world);
    let successor = Caller::of(&*world).after(LEASE);
    let result = once.run(&slow.cx, "order", async |_| {
        assert_eq!(successor.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
        Ok(99)
    });
    assert_eq!(result.await?, OnceResult::Replayed(1));
    assert_eq!(successor.run(&once, "order", &effects).await?, OnceResult::Replayed(1));
    // A slow try that fails does not free the key of its successor.
    let failed = once.run(&slow.cx, "other", async |_| {
        assert_eq!(successor.run(&once, "other", &effects).await?, OnceResult::Fresh(2));
        Err::<usize, _>(Error::internal("no paper"))
    });
    failed.await.unwrap_err();
    assert_eq!(successor.run(&once, "other", &effects).await?, OnceResult::Replayed(2));
    Ok(())
}

async fn a_slow_try_stores_its_result_if_its_successor_has_none(world: Box<dyn World>) -> TrialResult {
    let once = world.cloud().once("payments");
    let slow = Caller::of(&*world);
    let successor = Caller::of(&*world).after(LEASE);
    // Its successor failed and freed the key.
    let result = once.run(&slow.cx, "failed", async |_| {
        let failed = once.run(&successor.cx, "failed", async |_| Err::<u32, _>(Error::internal("no paper")));
        failed.await.unwrap_err();
        Ok(1)
    });
    assert_eq!(result.await?, OnceResult::Fresh(1));
    // Its successor is working when the result is stored, and gets it.
    let ((started, start), (claimed, claim), (stored, store)) = (channel(), channel(), channel());
    let slow = async {
        let result = once.run(&slow.cx, "working", async |_| {
            started.send(()).unwrap();
            claim.await.unwrap();
            Ok(2)
        });
        let result = result.await;
        stored.send(()).unwrap();
        result
    };
    let later = async {
        start.await.unwrap();
        let result = once.run(&successor.cx, "working", async |_| {
            claimed.send(()).unwrap();
            store.await.unwrap();
            Ok(3)
        });
        result.await
    };
    let (first, second) = futures_util::future::join(slow, later).await;
    assert_eq!((first?, second?), (OnceResult::Fresh(2), OnceResult::Replayed(2)));
    for (key, value) in [("failed", 1), ("working", 2)] {
        let later = once.run(&successor.cx, key, async |_| Err(Error::internal("it ran again"))).await?;
        assert_eq!(later, OnceResult::Replayed(value));
    }
    Ok(())
}
