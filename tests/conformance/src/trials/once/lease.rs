//! The lease of a try: never missing, never endless, and measured in milliseconds on any clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isobar::Context;
use isobar::clock::ManualClock;
use isobar::once::OnceResult;
use isobar::prelude::*;

use super::{Caller, LEASE, wait_of};
use crate::trials::pub_sub::Recorded;
use crate::{TrialResult, World};

crate::trials![
    "ON-4" => without_time_left_the_lease_is_a_minute,
    "ON-4" => a_lease_is_the_time_left_and_thirty_seconds_to_the_millisecond,
    "ON-4" => a_timeout_ends_the_work_and_shortens_the_lease,
    "ON-4" => a_clock_that_jumps_back_makes_no_wait_longer_than_the_lease,
    "ON-4" => a_clock_that_jumps_forward_ends_a_lease_and_loses_no_result,
    "ON-4" => no_clock_makes_a_caller_panic,
];

/// A caller with another time left than usual.
fn with_left(caller: Caller, left: Option<Duration>) -> Caller {
    let cx = Context::new("trial", Arc::new(caller.clock.clone()));
    Caller { cx: left.map_or(cx.clone(), |left| cx.with_timeout(left)), ..caller }
}

/// Powertools for Python #4759: a remaining time of 0 was read as none, and no expiry was set.
async fn without_time_left_the_lease_is_a_minute(world: Box<dyn World>) -> TrialResult {
    const MINUTE: Duration = Duration::from_secs(60);
    let once = world.cloud().once("payments");
    for (key, left) in [("unknown", None), ("zero", Some(Duration::ZERO))] {
        let effects = Recorded::default();
        with_left(Caller::of(&*world), left).interrupt(&once, key).await;
        let caller = Caller::of(&*world);
        assert_eq!(wait_of(caller.run(&once, key, &effects).await?), MINUTE, "{key}");
        let caller = caller.after(MINUTE - Duration::from_millis(1));
        assert_eq!(wait_of(caller.run(&once, key, &effects).await?), Duration::from_millis(1), "{key}");
        let caller = caller.after(Duration::from_millis(1));
        assert_eq!(caller.run(&once, key, &effects).await?, OnceResult::Fresh(1), "{key}");
    }
    Ok(())
}

/// Powertools for Java #1281: an expiry in seconds was compared with one in milliseconds.
async fn a_lease_is_the_time_left_and_thirty_seconds_to_the_millisecond(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    with_left(Caller::of(&*world), Some(Duration::from_millis(10_250))).interrupt(&once, "order").await;
    let mut caller = Caller::of(&*world);
    for (passed, left) in [(0, 40_250), (250, 40_000), (39_999, 1)] {
        caller = caller.after(Duration::from_millis(passed));
        assert_eq!(wait_of(caller.run(&once, "order", &effects).await?), Duration::from_millis(left));
    }
    let caller = caller.after(Duration::from_millis(1));
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
    Ok(())
}

async fn a_timeout_ends_the_work_and_shortens_the_lease(world: Box<dyn World>) -> TrialResult {
    let once = world.cloud().once("payments").with_timeout(Duration::from_secs(10));
    let (caller, effects) = (Caller::of(&*world), Recorded::default());
    let error = once.run(&caller.cx, "order", async |_| {
        caller.clock.advance(Duration::from_secs(10));
        std::future::pending::<Result<()>>().await
    });
    let error = error.await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, true));
    let caller = Caller::of(&*world);
    assert_eq!(wait_of(caller.run(&once, "order", &effects).await?), Duration::from_secs(40));
    // The deadline limits it too.
    let hurried = with_left(Caller::of(&*world), Some(Duration::from_secs(5)));
    hurried.interrupt(&once, "hurried").await;
    assert_eq!(wait_of(caller.run(&once, "hurried", &effects).await?), Duration::from_secs(35));
    Ok(())
}

async fn a_clock_that_jumps_back_makes_no_wait_longer_than_the_lease(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    let caller = Caller::of(&*world);
    caller.interrupt(&once, "order").await;
    let year = Duration::from_secs(365 * 24 * 3600);
    for time in [caller.cx.now() - Duration::from_millis(1), caller.cx.now() - year, SystemTime::UNIX_EPOCH] {
        assert_eq!(wait_of(Caller::at(time).run(&once, "order", &effects).await?), LEASE);
    }
    // The clock of a process jumps back while it works: its result is stored.
    let result = once.run(&caller.cx, "other", async |_| {
        let back = Caller::at(caller.cx.now() - year);
        assert_eq!(wait_of(back.run(&once, "other", &effects).await?), LEASE);
        Ok(7)
    });
    assert_eq!(result.await?, OnceResult::Fresh(7));
    let back = Caller::at(caller.cx.now() - year);
    assert_eq!(back.run(&once, "other", &effects).await?, OnceResult::Replayed(7));
    assert_eq!(effects.count(), 0);
    Ok(())
}

async fn a_clock_that_jumps_forward_ends_a_lease_and_loses_no_result(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    let caller = Caller::of(&*world);
    let forward = Caller::at(caller.cx.now() + Duration::from_secs(10 * 365 * 24 * 3600));
    let result = once.run(&caller.cx, "order", async |_| {
        // It takes the key over, and knows that there was a try.
        assert_eq!(forward.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
        Ok(99)
    });
    assert_eq!(result.await?, OnceResult::Replayed(1));
    assert!(effects.only().is_interrupted());
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Replayed(1));
    Ok(())
}

async fn no_clock_makes_a_caller_panic(world: Box<dyn World>) -> TrialResult {
    let (once, effects) = (world.cloud().once("payments"), Recorded::default());
    let second = Duration::from_secs(1);
    let last = isobar::clock::latest();
    let times = [
        SystemTime::UNIX_EPOCH - second,
        SystemTime::UNIX_EPOCH,
        last - second,
        last,
        SystemTime::UNIX_EPOCH + Duration::from_secs(i64::MAX.unsigned_abs() / 2),
    ];
    for (number, time) in times.into_iter().enumerate() {
        let key = format!("order {number}");
        let caller = Caller { clock: ManualClock::new(time), cx: Caller::at(time).cx };
        let endless = with_left(Caller::at(time), Some(Duration::MAX));
        endless.interrupt(&once, &format!("endless {number}")).await;
        caller.interrupt(&once, &key).await;
        for other in times {
            let result = Caller::at(other).run(&once, &key, &effects).await?;
            assert!(!matches!(result, OnceResult::InProgress { retry_after } if retry_after > LEASE), "{result:?}");
        }
    }
    Ok(())
}
