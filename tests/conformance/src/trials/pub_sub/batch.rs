//! A batch is a convenience: each of its messages is published and handled as if it were alone.

use std::collections::HashSet;

use bytes::Bytes;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{Recorded, ack, dead_jobs, deliver_later, fail, jobs, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-6" => only_the_failed_messages_of_a_batch_are_delivered_again,
    "PS-6" => a_panic_does_not_reach_the_neighbours_in_a_batch,
    "PS-6" => retried_rejected_and_acknowledged_neighbours_keep_apart,
    "PS-8" => a_batch_is_answered_with_one_id_for_each_message_in_their_order,
    "PS-8" => a_batch_of_a_thousand_is_delivered_whole,
    "PS-8" => a_batch_larger_than_any_request_is_delivered_whole,
    "PS-8" => an_oversize_message_in_a_batch_is_refused_alone,
    "PS-8" => refused_messages_of_a_batch_do_not_shift_the_results_of_others,
    "PS-8" => equal_messages_of_a_batch_are_different_messages,
    "PS-8" => an_empty_batch_is_fine,
];

async fn only_the_failed_messages_of_a_batch_are_delivered_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let two_fail = |message: &Message<u32>| match (message.body, message.attempt) {
        (3 | 7, 1) => fail(message),
        _ => Outcome::Ack,
    };
    let app = worker::<u32>(&*world, 5, &recorded, two_fail).await?;
    jobs::<u32>(&*world).publish_batch(0..10_u32).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    assert_eq!(recorded.count(), 10);
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!(handled, [0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9]);
    Ok(())
}

async fn a_panic_does_not_reach_the_neighbours_in_a_batch(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let one_panics = |message: &Message<u32>| {
        assert!(message.body != 5, "out of paper");
        Outcome::Ack
    };
    let app = worker::<u32>(&*world, 1, &recorded, one_panics).await?;
    jobs::<u32>(&*world).publish_batch(0..10_u32).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!(handled, (0..10).collect::<Vec<_>>());
    assert_eq!(dead_jobs(&*app).await?.len(), 1);
    Ok(())
}

async fn retried_rejected_and_acknowledged_neighbours_keep_apart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let by_number = |message: &Message<u32>| match message.body % 3 {
        0 => Outcome::Ack,
        1 => fail(message),
        _ => Outcome::reject(message.body.to_string()),
    };
    let app = worker::<u32>(&*world, 2, &recorded, by_number).await?;
    jobs::<u32>(&*world).publish_batch(0..9_u32).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    let mut reasons: Vec<_> = dead_jobs(&*app).await?.into_iter().map(|dead| dead.reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["2", "5", "8"]);
    deliver_later(&*world, &*app).await?;
    let mut twice = recorded.bodies().split_off(9);
    twice.sort_unstable();
    assert_eq!(twice, [1, 4, 7]);
    assert_eq!(dead_jobs(&*app).await?.len(), 6);
    Ok(())
}

async fn a_batch_is_answered_with_one_id_for_each_message_in_their_order(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    let ids = jobs::<u32>(&*world).publish_batch(0..25_u32).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 25);
    assert_eq!(recorded.count(), 25);
    for message in recorded.all() {
        assert_eq!(message.id, ids[message.body as usize], "message {}", message.body);
    }
    Ok(())
}

async fn a_batch_of_a_thousand_is_delivered_whole(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    let results = jobs::<u32>(&*world).publish_batch(0..1_000_u32).await;
    assert_eq!(results.into_iter().collect::<Result<HashSet<_>>>()?.len(), 1_000);
    app.deliver().await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!(handled, (0..1_000).collect::<Vec<_>>());
    Ok(())
}

/// SNS takes 256 KB in one request, whatever the number of messages.
async fn a_batch_larger_than_any_request_is_delivered_whole(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let body = |number: u8| Bytes::from(vec![b'a' + number; 200_000]);
    let results = jobs::<Bytes>(&*world).publish_batch((0..12).map(body)).await;
    assert_eq!(results.into_iter().collect::<Result<HashSet<_>>>()?.len(), 12);
    app.deliver().await?;
    let mut handled: Vec<Bytes> = recorded.bodies();
    handled.sort_unstable();
    assert!(handled == (0..12).map(body).collect::<Vec<_>>(), "the bodies are not what was published");
    Ok(())
}

async fn an_oversize_message_in_a_batch_is_refused_alone(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 5, &recorded, ack).await?;
    let limit = Limits::PORTABLE.message_bytes;
    let sizes = [1, limit as usize + 1, 2, limit as usize, 3];
    let results = jobs::<Bytes>(&*world).publish_batch(sizes.map(|size| Bytes::from(vec![b'x'; size]))).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::TooLarge), None, None, None]);
    app.deliver().await?;
    let mut handled: Vec<_> = recorded.bodies().iter().map(Bytes::len).collect();
    handled.sort_unstable();
    assert_eq!(handled, [1, 2, 3, limit as usize]);
    Ok(())
}

async fn refused_messages_of_a_batch_do_not_shift_the_results_of_others(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    let message = |number: u32| match number % 3 {
        0 => Outgoing::new(number),
        1 => Outgoing::new(number).with_ordering_key("no blanks"),
        _ => Outgoing::new(number).with_attribute("no.dots", "x"),
    };
    let results = jobs::<u32>(&*world).publish_batch((0..30).map(message)).await;
    assert_eq!(results.len(), 30);
    app.deliver().await?;
    assert_eq!(recorded.count(), 10);
    for (number, result) in (0..30).zip(&results) {
        match result {
            Ok(id) => assert!(recorded.all().iter().any(|message| message.body == number && message.id == *id)),
            Err(error) => assert_eq!((error.kind(), number % 3 > 0), (ErrorKind::InvalidInput, true)),
        }
    }
    Ok(())
}

async fn equal_messages_of_a_batch_are_different_messages(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<String>(&*world, 5, &recorded, ack).await?;
    let same = || Outgoing::new("same".to_owned()).with_ordering_key("k");
    let ids = jobs::<String>(&*world)
        .publish_batch([same(), same(), same()])
        .await
        .into_iter()
        .collect::<Result<HashSet<_>>>()?;
    jobs::<String>(&*world).publish(same()).await?;
    app.deliver().await?;
    assert_eq!(ids.len(), 3);
    assert_eq!(recorded.bodies(), ["same"; 4]);
    Ok(())
}

async fn an_empty_batch_is_fine(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    assert!(jobs::<u32>(&*world).publish_batch(Vec::<u32>::new()).await.is_empty());
    app.deliver().await?;
    assert_eq!(recorded.count(), 0);
    Ok(())
}
