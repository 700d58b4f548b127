//! Handlers of messages whose work runs once.

use isobar::once::{Attempt, Once, OnceResult};
use isobar::prelude::*;

use super::{Caller, LEASE};
use crate::trials::pub_sub::Recorded;
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "ON-7" => a_message_that_is_delivered_twice_has_one_effect,
    "ON-7" => a_message_waits_for_a_running_try_and_is_not_lost_with_it,
    "ON-7" => a_message_whose_work_fails_is_delivered_again_and_runs_it,
    "ON-7" => a_result_in_progress_is_a_retry_after_its_wait,
];

#[derive(Clone)]
struct Shop {
    once: Once,
    effects: Recorded<Attempt>,
    failures: u32,
}

impl Shop {
    /// The result decides over the message, without any further code.
    async fn pay(self, order: Message<String>, cx: Context) -> Result<OnceResult<()>> {
        let attempt = cx.attempt();
        self.once
            .run(&cx, &order.body, async |once| {
                if attempt <= self.failures {
                    return Err(Error::unavailable("the bank is closed"));
                }
                self.effects.add(once);
                Ok(())
            })
            .await
    }
}

async fn shop(world: &dyn World, effects: &Recorded<Attempt>, failures: u32) -> HarnessResult<Box<dyn RunningApp>> {
    let effects = effects.clone();
    world
        .run(move |cloud| {
            let shop = Shop { once: cloud.once("payments"), effects, failures };
            App::new("shop").with_state(shop).on_message(&cloud.topic::<String>("orders"), Shop::pay).build()
        })
        .await
}

async fn a_message_that_is_delivered_twice_has_one_effect(world: Box<dyn World>) -> TrialResult {
    let effects = Recorded::default();
    let app = shop(&*world, &effects, 0).await?;
    let orders = world.cloud().topic::<String>("orders");
    for _ in 0..2 {
        for _ in 0..2 {
            orders.publish("order-7".to_owned()).await?;
        }
        app.deliver().await?;
        // One of two at the same time waits for the other.
        world.advance(isobar::driver::Limits::PORTABLE.event_timeout + LEASE)?;
        app.deliver().await?;
    }
    assert!(!effects.only().is_interrupted());
    assert_eq!(app.dead_letters(&"orders".into()).await?.len(), 0);
    Ok(())
}

async fn a_message_waits_for_a_running_try_and_is_not_lost_with_it(world: Box<dyn World>) -> TrialResult {
    let effects = Recorded::default();
    let app = shop(&*world, &effects, 0).await?;
    let cloud = world.cloud();
    Caller::of(&*world).interrupt(&cloud.once("payments"), "order-7").await;
    cloud.topic::<String>("orders").publish("order-7".to_owned()).await?;
    app.deliver().await?;
    assert_eq!(effects.count(), 0, "the key has a lease");
    world.advance(LEASE)?;
    app.deliver().await?;
    assert!(effects.only().is_interrupted());
    assert_eq!(app.dead_letters(&"orders".into()).await?.len(), 0);
    Ok(())
}

async fn a_message_whose_work_fails_is_delivered_again_and_runs_it(world: Box<dyn World>) -> TrialResult {
    let effects = Recorded::default();
    let app = shop(&*world, &effects, 2).await?;
    world.cloud().topic::<String>("orders").publish("order-7".to_owned()).await?;
    for _ in 0..3 {
        app.deliver().await?;
        world.advance(LEASE)?;
    }
    assert!(!effects.only().is_interrupted());
    Ok(())
}

async fn a_result_in_progress_is_a_retry_after_its_wait(world: Box<dyn World>) -> TrialResult {
    let once = world.cloud().once("payments");
    let caller = Caller::of(&*world);
    caller.interrupt(&once, "order").await;
    let outcome = once.run(&caller.cx, "order", async |_| Ok(())).await.into_outcome();
    assert!(matches!(outcome, Outcome::Retry { after: Some(after), .. } if after == LEASE), "{outcome:?}");
    for _ in 0..2 {
        assert_eq!(once.run(&caller.cx, "other", async |_| Ok(())).await.into_outcome(), Outcome::Ack);
    }
    Ok(())
}
