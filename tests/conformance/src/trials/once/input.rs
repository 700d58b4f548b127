//! A key belongs to one input. Others lost this check on one of their paths: Powertools for Java #2260, for TypeScript #2058
//! and #5705, for Python #3781 and #3821.

use std::collections::HashMap;

use isobar::once::{Once, OnceResult};
use isobar::prelude::*;
use serde_json::json;

use super::{Caller, LEASE, wait_of};
use crate::{TrialResult, World};

crate::trials![
    "ON-5" => another_input_is_refused_while_the_work_is_running,
    "ON-5" => another_input_is_refused_when_the_work_is_done,
    "ON-5" => another_input_is_refused_after_an_interrupted_try,
    "ON-5" => another_input_is_accepted_after_an_error,
    "ON-5" => an_input_is_compared_by_its_json,
    "ON-5" => an_input_that_json_cannot_represent_runs_no_work,
];

/// The result of work that must not run for this input.
async fn refused(caller: &Caller, once: &Once, input: u32) -> Error {
    let ran = once.run_with(&caller.cx, "order", &input, async |_| -> Result<u32> { panic!("it ran for {input}") });
    ran.await.unwrap_err()
}

fn assert_other_input(error: &Error) {
    assert_eq!((error.kind(), error.origin()), (ErrorKind::InvalidInput, isobar::Origin::Request), "{error:?}");
    assert!(error.to_string().contains("`order` was used with another input"), "{error}");
    assert!(matches!(Err::<(), _>(error.clone()).into_outcome(), Outcome::Reject { .. }));
}

async fn another_input_is_refused_while_the_work_is_running(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let result = once.run_with(&caller.cx, "order", &1, async |_| {
        assert_other_input(&refused(&caller, &once, 2).await);
        let same = once.run_with(&caller.cx, "order", &1, async |_| Ok(0)).await?;
        assert_eq!(wait_of(same), LEASE);
        Ok(7)
    });
    assert_eq!(result.await?, OnceResult::Fresh(7));
    Ok(())
}

async fn another_input_is_refused_when_the_work_is_done(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    once.run_with(&caller.cx, "order", &1, async |_| Ok(7)).await?.into_value()?;
    for _ in 0..2 {
        assert_other_input(&refused(&caller, &once, 2).await);
        let same = once.run_with(&caller.cx, "order", &1, async |_| Ok(0)).await?;
        assert_eq!(same, OnceResult::Replayed(7));
    }
    Ok(())
}

async fn another_input_is_refused_after_an_interrupted_try(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let unknown = once.run_with(&caller.cx, "order", &1, async |_| {
        Err::<(), _>(Error::timeout("no response").with_outcome_unknown())
    });
    unknown.await.unwrap_err();
    let caller = caller.after(LEASE);
    assert_other_input(&refused(&caller, &once, 2).await);
    let same = once.run_with(&caller.cx, "order", &1, async |attempt| Ok(attempt.is_interrupted())).await?;
    assert_eq!(same, OnceResult::Fresh(true));
    assert_other_input(&refused(&caller, &once, 2).await);
    Ok(())
}

async fn another_input_is_accepted_after_an_error(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let failed = once.run_with(&caller.cx, "order", &1, async |_| Err::<(), _>(Error::invalid_input("1 is odd")));
    failed.await.unwrap_err();
    assert_eq!(once.run_with(&caller.cx, "order", &2, async |_| Ok(7)).await?, OnceResult::Fresh(7));
    Ok(())
}

async fn an_input_is_compared_by_its_json(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let members: Vec<_> = (0..50).map(|number| (format!("member {number}"), number)).collect();
    let map: HashMap<_, _> = members.iter().cloned().collect();
    once.run_with(&caller.cx, "order", &map, async |_| Ok(7)).await?.into_value()?;
    let same: HashMap<_, _> = members.iter().rev().cloned().collect();
    let later = once.run_with(&caller.cx, "order", &same, async |_| Ok(0)).await?;
    assert_eq!(later, OnceResult::Replayed(7));
    for other in [json!({}), json!(null), json!(members), json!({"member 0": 0})] {
        let other = once.run_with(&caller.cx, "order", &other, async |_| Ok(0)).await;
        assert_other_input(&other.unwrap_err());
    }
    Ok(())
}

async fn an_input_that_json_cannot_represent_runs_no_work(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let input = HashMap::from([((1, 2), 3)]);
    let refused = once.run_with(&caller.cx, "order", &input, async |_| -> Result<()> { panic!("it ran") });
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    Ok(())
}
