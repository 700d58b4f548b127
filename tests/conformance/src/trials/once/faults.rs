//! Writes of records that fail, or whose response is lost, and results that cannot be stored.

use isobar::once::{OnInterrupted, OnceResult};
use isobar::prelude::*;

use super::scripted::{Fault, scripted};
use super::{Caller, LEASE, wait_of};
use crate::trials::pub_sub::Recorded;
use crate::{TrialResult, World};

crate::trials![
    "ON-6" => a_write_whose_response_is_lost_is_recognized,
    "ON-6" => work_whose_claim_cannot_be_stored_does_not_run,
    "ON-6" => a_result_that_cannot_be_stored_is_an_error_that_says_so,
    "ON-6" => an_error_is_returned_although_its_key_cannot_be_freed,
    "ON-6" => a_result_that_is_too_large_is_returned_once,
    "ON-6" => a_result_that_json_cannot_represent_is_returned_once,
    "ON-6" => a_result_of_another_type_is_an_error_and_stays,
];

async fn a_write_whose_response_is_lost_is_recognized(world: Box<dyn World>) -> TrialResult {
    use Fault::{Lost, None, Vanished};
    let caller = Caller::of(&*world);
    for (number, faults) in [vec![Lost], vec![None, Lost], vec![Lost, Lost], vec![None, Vanished]].iter().enumerate() {
        let (key, effects) = (format!("order {number}"), Recorded::default());
        // An interrupted try would be refused for ever.
        let once = scripted(&*world, faults).once("payments").with_interrupted(OnInterrupted::Refuse);
        assert_eq!(caller.run(&once, &key, &effects).await?, OnceResult::Fresh(1), "{faults:?}");
        assert_eq!(caller.run(&once, &key, &effects).await?, OnceResult::Replayed(1), "{faults:?}");
        assert!(!effects.only().is_interrupted());
    }
    // Of a try that takes a key over.
    let effects = Recorded::default();
    caller.interrupt(&world.cloud().once("payments"), "interrupted").await;
    let caller = caller.after(LEASE);
    let once = scripted(&*world, &[None, Lost]).once("payments");
    assert_eq!(caller.run(&once, "interrupted", &effects).await?, OnceResult::Fresh(1));
    assert!(effects.only().is_interrupted());
    Ok(())
}

async fn work_whose_claim_cannot_be_stored_does_not_run(world: Box<dyn World>) -> TrialResult {
    let (caller, effects) = (Caller::of(&*world), Recorded::default());
    for fault in [Fault::Down, Fault::Vanished] {
        let once = scripted(&*world, &[fault]).once("payments");
        let error = caller.run(&once, "order", &effects).await.unwrap_err();
        assert_eq!((error.kind(), effects.count()), (ErrorKind::Unavailable, 0));
    }
    let once = world.cloud().once("payments");
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
    Ok(())
}

async fn a_result_that_cannot_be_stored_is_an_error_that_says_so(world: Box<dyn World>) -> TrialResult {
    let (caller, effects) = (Caller::of(&*world), Recorded::default());
    let once = scripted(&*world, &[Fault::None, Fault::Down]).once("payments");
    let error = caller.run(&once, "order-7", &effects).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true));
    let text = error.to_string();
    assert!(text.contains("the work of `order-7` is done, but its result could not be stored"), "{text}");
    assert_eq!(effects.count(), 1);
    // For others it is an interrupted try.
    assert_eq!(wait_of(caller.run(&once, "order-7", &effects).await?), LEASE);
    let caller = caller.after(LEASE);
    caller.run(&once, "order-7", &effects).await?.into_value()?;
    assert!(effects.all()[1].is_interrupted());
    Ok(())
}

async fn an_error_is_returned_although_its_key_cannot_be_freed(world: Box<dyn World>) -> TrialResult {
    let (caller, effects) = (Caller::of(&*world), Recorded::default());
    let once = scripted(&*world, &[Fault::None, Fault::Down]).once("payments");
    let error = once.run(&caller.cx, "order", async |_| Err::<usize, _>(Error::not_found("no such order"))).await;
    assert_eq!(error.unwrap_err().message(), "no such order");
    assert_eq!(wait_of(caller.run(&once, "order", &effects).await?), LEASE);
    let caller = caller.after(LEASE);
    assert_eq!(caller.run(&once, "order", &effects).await?, OnceResult::Fresh(1));
    Ok(())
}

async fn a_result_that_is_too_large_is_returned_once(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let large = "x".repeat(390_000);
    let first = once.run_with(&caller.cx, "order", &1, async |_| Ok(large.clone())).await?;
    assert_eq!(first, OnceResult::Fresh(large));
    for caller in [caller, Caller::of(&*world).after(LEASE)] {
        let again = once.run_with(&caller.cx, "order", &1, async |_| -> Result<String> { panic!("it ran again") });
        let error = again.await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (ErrorKind::TooLarge, isobar::Origin::Data));
        assert!(error.to_string().contains("the work of `order` is done"), "{error}");
        let other = once.run_with(&caller.cx, "order", &2, async |_| Ok(String::new())).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // Just below, it is stored.
    let large = "a\"".repeat(120_000);
    once.run(&Caller::of(&*world).cx, "large", async |_| Ok(large.clone())).await?.into_value()?;
    let again = once.run(&Caller::of(&*world).cx, "large", async |_| Ok(String::new())).await?;
    assert!(again == OnceResult::Replayed(large));
    Ok(())
}

async fn a_result_that_json_cannot_represent_is_returned_once(world: Box<dyn World>) -> TrialResult {
    let (once, caller) = (world.cloud().once("payments"), Caller::of(&*world));
    let first = once.run(&caller.cx, "order", async |_| Ok(f64::INFINITY)).await?;
    assert_eq!(first, OnceResult::Fresh(f64::INFINITY));
    let again = once.run(&caller.cx, "order", async |_| -> Result<f64> { panic!("it ran again") }).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::TooLarge);
    Ok(())
}

async fn a_result_of_another_type_is_an_error_and_stays(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (once, caller) = (cloud.once("payments"), Caller::of(&*world));
    once.run(&caller.cx, "order", async |_| Ok("a secret result".to_owned())).await?.into_value()?;
    let error = once.run(&caller.cx, "order", async |_| -> Result<u32> { panic!("it ran again") }).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (ErrorKind::InvalidInput, isobar::Origin::Service));
    let text = crate::trials::full_text(&error);
    assert!(text.contains("`order`") && text.contains("u32") && !text.contains("secret"), "{text}");
    let again = once.run(&caller.cx, "order", async |_| Ok(String::new())).await?;
    assert_eq!(again, OnceResult::Replayed("a secret result".to_owned()));
    // An item of another use of the table stays too.
    let table = cloud.table::<String>("payments");
    table.put("other", &"a secret item".to_owned()).await?;
    let error = once.run(&caller.cx, "other", async |_| -> Result<u32> { panic!("it ran") }).await.unwrap_err();
    let text = crate::trials::full_text(&error);
    assert!(text.contains("the item `other` is not a record of work") && !text.contains("secret"), "{text}");
    assert_eq!(table.get("other").await?.as_deref(), Some("a secret item"));
    Ok(())
}
