//! `put_many`: many items in one call, each as if it were written alone.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use isobar::driver::key_value::{KeyValue, Put};
use isobar::driver::{Access, Resource, ResourceKind};
use isobar::prelude::*;

use super::STRANGE_SORTS;
use crate::{TrialResult, World};

crate::trials![
    "KV-27" => many_items_are_written_with_one_new_version_each_in_their_order,
    "KV-27" => many_items_of_more_than_16_megabytes_are_written_whole,
    "KV-27" => strange_keys_are_written_together,
    "KV-27" => an_item_of_many_that_is_refused_does_not_affect_the_others,
    "KV-27" => conditions_of_many_puts_do_not_depend_on_each_other,
    "KV-27" => many_puts_of_expired_items_replace_them,
    "KV-27" => many_of_no_items_is_empty,
];

async fn many_items_are_written_with_one_new_version_each_in_their_order(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    // Some hundreds of one partition, and some of their own.
    let key = |number: usize| match number % 5 {
        0 => Key::from(format!("own {number}")),
        _ => Key::new("p", format!("{:04}", (number * 7) % 1_000)),
    };
    let mut versions = HashSet::new();
    for round in [0, 1_000] {
        let values: Vec<_> = (0..510).map(|number| number + round).collect();
        let results = items.put_many(values.iter().map(|value| (key(value % 1_000), value))).await;
        assert_eq!(results.len(), values.len());
        for (value, version) in values.iter().zip(results) {
            let version = version?;
            if value % 50 < 2 {
                let entry = items.get_entry(key(value % 1_000)).await?.expect("it was written");
                assert_eq!((entry.value, &entry.version), (*value, &version));
            }
            assert!(versions.insert((key(value % 1_000), version)), "a version was not new");
        }
    }
    let mut stored: Vec<_> = items.scan().all().await?.into_iter().map(|entry| entry.value).collect();
    stored.sort_unstable();
    assert_eq!(stored, (1_000..1_510).collect::<Vec<_>>());
    Ok(())
}

async fn many_items_of_more_than_16_megabytes_are_written_whole(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let values: Vec<_> = (0..60_u8).map(|number| Bytes::from(vec![number; 300_000])).collect();
    let keys: Vec<_> = (0..60).map(|number| Key::new("p", format!("{number}"))).collect();
    let results = items.put_many(keys.iter().zip(&values)).await;
    results.into_iter().collect::<Result<Vec<_>>>()?;
    for (value, stored) in values.iter().zip(items.get_many(&keys).await?) {
        assert!(stored.as_ref() == Some(value), "{:?} bytes", stored.map(|value| value.len()));
    }
    Ok(())
}

async fn strange_keys_are_written_together(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let values: Vec<_> = (0..STRANGE_SORTS.len()).collect();
    let keys: Vec<_> = STRANGE_SORTS.iter().map(|sort| Key::new("p'\"#/\0", *sort)).collect();
    let results = items.put_many(keys.iter().zip(&values)).await;
    results.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(items.get_many(&keys).await?, values.into_iter().map(Some).collect::<Vec<_>>());
    Ok(())
}

async fn an_item_of_many_that_is_refused_does_not_affect_the_others(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<String>("items");
    let (short, long) = ("short".to_owned(), "x".repeat(390_001));
    let sort = "s".repeat(513);
    let sent = [
        (("p", "a"), &short),
        (("", "a"), &short),
        (("p", "large"), &long),
        (("p", "b"), &short),
        (("p", sort.as_str()), &short),
        (("p", "a"), &long),
        (("p", "b"), &short),
        (("p", "c"), &short),
    ];
    let results = items.put_many(sent).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    let (invalid, too_large) = (Some(ErrorKind::InvalidInput), Some(ErrorKind::TooLarge));
    assert_eq!(kinds, [None, invalid, too_large, None, too_large, too_large, invalid, None]);
    let error = results[6].as_ref().unwrap_err();
    assert_eq!((error.operation(), error.resource()), (Some("put_many"), Some("table `items`")));
    assert_eq!(items.query("p").all().await?.len(), 3);
    Ok(())
}

async fn conditions_of_many_puts_do_not_depend_on_each_other(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let items = cloud.table::<u32>("items");
    let (old, other) = (items.put(("p", "old"), &1).await?, items.put(("p", "other"), &1).await?);
    let stale = items.put(("p", "stale"), &1).await?;
    items.put(("p", "stale"), &2).await?;
    let put = |sort: &str, mode| Put::new(("p", sort), "7").with_mode(mode);
    let puts = vec![
        put("old", PutMode::Create),
        put("plain", PutMode::Overwrite),
        put("new", PutMode::Create),
        put("stale", PutMode::Update(stale)),
        put("none", PutMode::Update(old)),
        put("other", PutMode::Update(other)),
        put("old2", PutMode::Overwrite),
    ];
    let driver: Resource<dyn KeyValue> = cloud.resource(ResourceKind::Table, "items");
    let put = async |driver: &std::sync::Arc<dyn KeyValue>| Ok(driver.put_many(puts).await);
    let results = driver.run("put_many", Access::Write, put).await?;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    let (exists, conflict) = (Some(ErrorKind::AlreadyExists), Some(ErrorKind::Conflict));
    assert_eq!(kinds, [exists, None, None, conflict, conflict, None, None]);
    let keys = ["old", "plain", "new", "stale", "none", "other", "old2"].map(|sort| ("p", sort));
    let stored = [Some(1), Some(7), Some(7), Some(2), None, Some(7), Some(7)];
    assert_eq!(items.get_many(keys).await?, stored);
    Ok(())
}

async fn many_puts_of_expired_items_replace_them(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let brief = isobar::key_value::PutOptions::default().with_ttl(Duration::from_secs(1));
    items.put_with(("p", "a"), &1, brief).await?;
    world.advance(Duration::from_secs(2))?;
    let results = items.put_many([(("p", "a"), &2), (("p", "b"), &3)]).await;
    results.into_iter().collect::<Result<Vec<_>>>()?;
    world.advance(Duration::from_secs(5))?;
    let entries = items.query("p").all().await?;
    let stored: Vec<_> = entries.iter().map(|entry| (entry.value, entry.expires_at)).collect();
    assert_eq!(stored, [(2, None), (3, None)]);
    Ok(())
}

async fn many_of_no_items_is_empty(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    assert!(items.put_many(Vec::<(Key, &u32)>::new()).await.is_empty());
    Ok(())
}
