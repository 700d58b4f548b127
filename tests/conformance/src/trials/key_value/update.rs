//! `update`: read, change, write back, and again if another writer was faster.

use std::time::Duration;

use isobar::ErrorKind;
use isobar::key_value::PutOptions;

use super::concurrently;
use crate::{TrialResult, World};

crate::trials![
    "KV-17" => update_changes_what_is_there_and_returns_what_it_wrote,
    "KV-17" => update_creates_what_is_absent,
    "KV-17" => update_changes_no_other_item,
    "KV-17" => many_concurrent_updates_of_one_item_are_all_applied,
    "KV-17" => update_sees_the_write_that_was_faster,
    "KV-17" => update_that_always_loses_gives_up_with_conflict,
    "KV-17" => update_of_a_value_of_another_type_is_invalid_input_and_leaves_it,
    "KV-17" => modify_changes_only_what_is_there_and_loses_no_race,
    "KV-17" => modify_returns_the_error_of_its_closure_and_writes_nothing,
];

async fn update_changes_what_is_there_and_returns_what_it_wrote(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<String>("items");
    let old = items.put("a", &"one".to_owned()).await?;
    let written = items.update("a", |value| value.unwrap_or_default() + " two").await?;
    assert_eq!(written, "one two");
    let entry = items.get_entry("a").await?.unwrap();
    assert_eq!(entry.value, "one two");
    assert_ne!(entry.version, old);
    Ok(())
}

async fn update_creates_what_is_absent(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let mut seen = Vec::new();
    items
        .update("a", |value| {
            seen.push(value);
            7
        })
        .await?;
    assert_eq!(seen, [None]);
    assert_eq!(items.get("a").await?, Some(7));
    items.delete("a").await?;
    assert_eq!(items.update("a", |value| value.unwrap_or(1)).await?, 1);
    Ok(())
}

async fn update_changes_no_other_item(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    for key in [("p", "a"), ("p", "b"), ("q", "a")] {
        items.put(key, &1).await?;
    }
    items.update(("p", "a"), |_| 2).await?;
    assert_eq!(items.get_many([("p", "a"), ("p", "b"), ("q", "a")]).await?, [Some(2), Some(1), Some(1)]);
    Ok(())
}

async fn many_concurrent_updates_of_one_item_are_all_applied(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Vec<usize>>("items");
    let written = concurrently(32, |number| {
        let items = items.clone();
        async move {
            let added = items.update("a", |value| {
                let mut value = value.unwrap_or_default();
                value.push(number);
                value
            });
            added.await
        }
    });
    let written = written.await.into_iter().collect::<isobar::Result<Vec<_>>>()?;
    let last = items.get("a").await?.unwrap();
    let mut numbers = last.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..32).collect::<Vec<_>>());
    // Each of them wrote what was there, and itself behind it.
    assert!(written.iter().all(|value| last.starts_with(value)), "{written:?}");
    Ok(())
}

/// Runs a write to its end from within the `change` of an update.
fn complete_inside<T>(write: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write))
}

async fn update_sees_the_write_that_was_faster(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let faster = items.clone();
    items.put("a", &1).await?;
    let mut seen = Vec::new();
    let written = items.update("a", |value| {
        if seen.is_empty() {
            complete_inside(faster.put("a", &10)).unwrap();
        } else if seen.len() == 1 {
            complete_inside(faster.delete("a")).unwrap();
        } else if seen.len() == 2 {
            complete_inside(faster.put("a", &20)).unwrap();
        }
        seen.push(value);
        value.unwrap_or_default() + 1
    });
    assert_eq!(written.await?, 21);
    assert_eq!(seen, [Some(1), Some(10), None, Some(20)]);
    assert_eq!(items.get("a").await?, Some(21));
    Ok(())
}

async fn update_that_always_loses_gives_up_with_conflict(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let faster = items.clone();
    let mut tries = 0;
    let lost = items.update("a", |_| {
        tries += 1;
        complete_inside(faster.put("a", &tries)).unwrap();
        1_000
    });
    let error = lost.await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Conflict, Some("update")));
    assert_eq!(tries, 100);
    assert_eq!(items.get("a").await?, Some(100));
    Ok(())
}

async fn update_of_a_value_of_another_type_is_invalid_input_and_leaves_it(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let texts = cloud.table::<String>("items");
    let version = texts.put("a", &"text".to_owned()).await?;
    let numbers = cloud.table::<u32>("items");
    let mut called = false;
    let error = numbers.update("a", |_| {
        called = true;
        1
    });
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(!called, "the change saw what could not be read");
    assert_eq!(texts.get_entry("a").await?.unwrap().version, version);
    Ok(())
}

async fn modify_changes_only_what_is_there_and_loses_no_race(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    assert_eq!(items.modify("a", |_| Ok::<_, isobar::Error>(7)).await?, None);
    assert_eq!(items.get("a").await?, None);
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(60));
    let expires_at = {
        items.put_with("a", &0, ttl).await?;
        items.get_entry("a").await?.unwrap().expires_at
    };
    let added = concurrently(16, |_| {
        let items = items.clone();
        async move { items.modify("a", |value| Ok::<_, isobar::Error>(value + 1)).await }
    });
    assert!(added.await.iter().all(|added| matches!(added, Ok(Some(1..=16)))));
    let entry = items.get_entry("a").await?.unwrap();
    assert_eq!((entry.value, entry.expires_at), (16, expires_at));
    world.advance(Duration::from_secs(60))?;
    assert_eq!(items.modify("a", |value| Ok::<_, isobar::Error>(value + 1)).await?, None);
    Ok(())
}

async fn modify_returns_the_error_of_its_closure_and_writes_nothing(world: Box<dyn World>) -> TrialResult {
    #[derive(Debug)]
    enum Refused {
        SoldOut(u32),
        Store(isobar::Error),
    }
    impl From<isobar::Error> for Refused {
        fn from(error: isobar::Error) -> Self {
            Self::Store(error)
        }
    }
    let stock = world.cloud().table::<u32>("stock");
    let version = stock.put("tea", &0).await?;
    let take = |left: u32| left.checked_sub(1).ok_or(Refused::SoldOut(left));
    assert!(matches!(stock.modify("tea", take).await, Err(Refused::SoldOut(0))));
    assert_eq!(stock.get_entry("tea").await?.unwrap().version, version);
    let Err(Refused::Store(error)) = stock.modify("", take).await else { panic!("an empty key was taken") };
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Some("modify")));
    Ok(())
}
