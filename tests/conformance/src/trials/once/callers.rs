//! Callers of one key: one runs the work, and all of them get its result.

use std::collections::BTreeMap;
use std::time::Duration;

use isobar::key_value::Key;
use isobar::once::OnceResult;
use isobar::prelude::*;

use super::{Caller, LEASE, wait_of};
use crate::trials::key_value::concurrently;
use crate::trials::pub_sub::Recorded;
use crate::trials::start_error;
use crate::{TrialResult, World};

crate::trials![
    "ON-1" => a_hundred_callers_at_the_same_time_have_one_effect_and_one_result,
    "ON-1" => a_later_caller_gets_the_result_and_does_not_run_the_work,
    "ON-1" => a_running_try_is_never_a_result,
    "ON-1" => keys_and_tables_that_differ_share_no_result,
    "ON-1" => the_key_for_other_services_is_the_same_in_every_try,
    "ON-2" => an_error_frees_the_key_and_is_returned_as_it_is,
    "ON-2" => an_error_whose_outcome_is_unknown_keeps_the_key_until_its_lease_is_over,
    "ON-2" => a_result_is_known_for_its_time_to_live,
    "ON-2" => a_key_can_be_forgotten,
    "ON-2" => a_key_outside_of_the_limits_runs_no_work,
    "ON-2" => a_wrong_time_is_a_problem_at_the_start,
    "ON-2" => the_table_is_declared_like_any_other,
];

async fn a_hundred_callers_at_the_same_time_have_one_effect_and_one_result(world: Box<dyn World>) -> TrialResult {
    let (once, effects, now) = (world.cloud().once("payments"), Recorded::default(), world.now());
    let results = concurrently(100, |_| {
        let (once, effects) = (once.clone(), effects.clone());
        async move {
            let caller = Caller::at(now);
            loop {
                match caller.run(&once, "order", &effects).await {
                    Ok(OnceResult::InProgress { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                    ended => return ended,
                }
            }
        }
    });
    let results = results.await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(effects.count(), 1);
    let fresh = results.iter().filter(|result| **result == OnceResult::Fresh(1)).count();
    let replayed = results.iter().filter(|result| **result == OnceResult::Replayed(1)).count();
    assert_eq!((fresh, replayed), (1, 99));
    Ok(())
}

async fn a_later_caller_gets_the_result_and_does_not_run_the_work(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let result = (
        "\u{1f980} \"quoted\" \\ \0".to_owned(),
        Some(0.1 + 0.2),
        (),
        None::<u8>,
        BTreeMap::from([("a".to_owned(), vec![i64::MIN, i64::MAX])]),
    );
    let first = once.run(&caller.cx, "order", async |_| Ok(result.clone())).await?;
    assert_eq!(first, OnceResult::Fresh(result.clone()));
    for _ in 0..2 {
        let later = once.run(&caller.cx, "order", async |_| Err(Error::internal("it ran again"))).await?;
        assert_eq!(later, OnceResult::Replayed(result.clone()));
    }
    // Results that are `null` as JSON are results.
    once.run(&caller.cx, "unit", async |_| Ok(())).await?.into_value()?;
    let later = once.run(&caller.cx, "unit", async |_| Err::<(), _>(Error::internal("it ran again"))).await?;
    assert_eq!(later, OnceResult::Replayed(()));
    Ok(())
}

/// Powertools for TypeScript #2309: a record in progress was returned as a result.
async fn a_running_try_is_never_a_result(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    let (first, second) = (Caller::of(&*world), Caller::of(&*world));
    let result = once.run(&first.cx, "order", async |_| {
        for _ in 0..3 {
            assert_eq!(wait_of(second.run(&once, "order", &effects).await?), LEASE);
        }
        Ok(7)
    });
    assert_eq!(result.await?, OnceResult::Fresh(7));
    assert_eq!(second.run(&once, "order", &effects).await?, OnceResult::Replayed(7));
    assert_eq!(effects.count(), 0);
    Ok(())
}

async fn keys_and_tables_that_differ_share_no_result(world: Box<dyn World>) -> TrialResult {
    let (cloud, caller) = (world.cloud(), Caller::of(&*world));
    let keys = [Key::from("a"), Key::new("a", "b"), Key::new("ab", ""), Key::from("A"), Key::from("a ")];
    for (number, key) in keys.iter().enumerate() {
        for table in ["payments", "mails"] {
            let result = cloud.once(table).run(&caller.cx, key, async |_| Ok((table.to_owned(), number))).await?;
            assert_eq!(result, OnceResult::Fresh((table.to_owned(), number)));
        }
    }
    Ok(())
}

async fn the_key_for_other_services_is_the_same_in_every_try(world: Box<dyn World>) -> TrialResult {
    let (cloud, caller) = (world.cloud(), Caller::of(&*world));
    let key_of = async |table: &str, key: Key| {
        let (once, tries) = (cloud.once(table), Recorded::default());
        for _ in 0..2 {
            let failed = once.run(&caller.cx, &key, async |attempt| {
                tries.add(attempt.key().to_owned());
                Err::<(), _>(Error::internal("no paper"))
            });
            failed.await.unwrap_err();
        }
        assert_eq!(tries.all()[0], tries.all()[1]);
        tries.all().remove(0)
    };
    let mut keys = vec![
        key_of("payments", Key::from("a")).await,
        key_of("mails", Key::from("a")).await,
        key_of("payments", Key::new("a", "a")).await,
        key_of("payments", Key::from("aa")).await,
    ];
    assert!(keys.iter().all(|key| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())), "{keys:?}");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    Ok(())
}

async fn an_error_frees_the_key_and_is_returned_as_it_is(world: Box<dyn World>) -> TrialResult {
    let (once, caller, effects) = (world.cloud().once("payments"), Caller::of(&*world), Recorded::default());
    for _ in 0..3 {
        let failed = once.run(&caller.cx, "order", async |_| Err::<usize, _>(Error::throttled("slow down")));
        let failed = failed.await.unwrap_err();
        assert_eq!((failed.kind(), failed.message()), (ErrorKind::Throttled, "slow down"));
    }
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
    assert!(!effects.only().is_interrupted());
    Ok(())
}

async fn an_error_whose_outcome_is_unknown_keeps_the_key_until_its_lease_is_over(world: Box<dyn World>) -> TrialResult {
    let (once, caller, effects) = (world.cloud().once("payments"), Caller::of(&*world), Recorded::default());
    let failed =
        once.run(&caller.cx, "order", async |_| Err::<(), _>(Error::timeout("no response").with_outcome_unknown()));
    assert!(failed.await.unwrap_err().outcome_unknown());
    assert_eq!(wait_of(caller.run(&once, "order", &effects).await?), LEASE);
    let caller = caller.after(LEASE);
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
    assert!(effects.only().is_interrupted());
    Ok(())
}

async fn a_result_is_known_for_its_time_to_live(world: Box<dyn World>) -> TrialResult {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (cloud, effects) = (world.cloud(), Recorded::default());
    for (once, days) in [(cloud.once("payments"), 14), (cloud.once("mails").with_ttl(3 * DAY), 3)] {
        let before = effects.count();
        Caller::of(&*world).run(&once, "order", &effects).await?.into_value()?;
        world.advance(days * DAY - Duration::from_secs(1))?;
        Caller::of(&*world).run(&once, "order", &effects).await?.into_value()?;
        assert_eq!(effects.count(), before + 1);
        world.advance(Duration::from_secs(1))?;
        Caller::of(&*world).run(&once, "order", &effects).await?.into_value()?;
        assert_eq!(effects.count(), before + 2);
        assert!(!effects.all()[before + 1].is_interrupted());
    }
    // An item that expires before its lease would let two tries run at the same time.
    let once = cloud.once("short").with_ttl(Duration::from_secs(60));
    Caller::of(&*world).interrupt(&once, "order").await;
    world.advance(LEASE - Duration::from_secs(1))?;
    assert_eq!(wait_of(Caller::of(&*world).run(&once, "order", &effects).await?), Duration::from_secs(1));
    Ok(())
}

async fn a_key_can_be_forgotten(world: Box<dyn World>) -> TrialResult {
    let (once, caller, effects) = (world.cloud().once("payments"), Caller::of(&*world), Recorded::default());
    once.forget("order").await?;
    caller.run(&once, "order", &effects).await?.into_value()?;
    once.forget("order").await?;
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(2));
    // A try that is running when its key is forgotten stores its result.
    let forgotten = once.run(&caller.cx, "other", async |_| once.forget("other").await.map(|()| 7_usize));
    assert_eq!(forgotten.await?, OnceResult::Fresh(7));
    assert_eq!(caller.run(&once, "other", &effects).await?, OnceResult::Replayed(7));
    Ok(())
}

async fn a_key_outside_of_the_limits_runs_no_work(world: Box<dyn World>) -> TrialResult {
    let (once, caller, effects) = (world.cloud().once("payments"), Caller::of(&*world), Recorded::default());
    let long = "x".repeat(257);
    for (key, kind) in [("", ErrorKind::InvalidInput), (long.as_str(), ErrorKind::TooLarge)] {
        assert_eq!(caller.run(&once, key, &effects).await.unwrap_err().kind(), kind);
    }
    assert_eq!(effects.count(), 0);
    caller.run(&once, &"x".repeat(256), &effects).await?.into_value()?;
    Ok(())
}

async fn a_wrong_time_is_a_problem_at_the_start(world: Box<dyn World>) -> TrialResult {
    for ttl in [Duration::ZERO, Duration::from_millis(59_999), Duration::from_secs(1 << 40), Duration::MAX] {
        let error = start_error(&*world, move |cloud| {
            let _ = cloud.once("payments").with_ttl(ttl);
            App::new("shop")
        });
        let error = error.await?;
        assert!(error.contains("table `payments`") && error.contains("1 minute to 100 years"), "{error}");
    }
    let error = start_error(&*world, |cloud| {
        let _ = cloud.once("payments").with_timeout(Duration::ZERO);
        App::new("shop")
    });
    let error = error.await?;
    assert!(error.contains("the timeout of the work is zero"), "{error}");
    Ok(())
}

async fn the_table_is_declared_like_any_other(world: Box<dyn World>) -> TrialResult {
    let app = world
        .run_on_any_host(|cloud| {
            let _ = cloud.once("payments");
            App::new("shop")
        })
        .await?;
    let declared = &app.manifest().resources[0];
    assert_eq!((declared.kind.as_str(), declared.name.as_str()), ("table", "payments"));
    assert_eq!(declared.access, isobar::driver::Access::ReadWrite);
    Ok(())
}
