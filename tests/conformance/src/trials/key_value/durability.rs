//! Data outlives the process.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::key_value::{Cursor, PutMode, PutOptions};

use super::{STRANGE_SORTS, fill, sorts};
use crate::{TrialResult, World};

crate::trials![
    "KV-22" => items_outlive_the_process,
    "KV-22" => deletes_and_transactions_outlive_the_process,
    "KV-22" => versions_are_good_and_never_repeated_after_the_process,
    "KV-22" => expiry_outlives_the_process,
    "KV-22" => cursors_are_good_after_the_process,
];

async fn items_outlive_the_process(world: Box<dyn World>) -> TrialResult {
    let all: Bytes = (0..=255).collect();
    world.cloud().table::<Bytes>("values").put("all", &all).await?;
    world.cloud().table::<Bytes>("values").put("empty", &Bytes::new()).await?;
    fill(&world.cloud().table("keys"), "p'/\0", STRANGE_SORTS).await?;
    world.cloud().table::<i64>("counters").add("a", 41).await?;

    let world = world.reopen().await?;
    let values = world.cloud().table::<Bytes>("values");
    assert_eq!(values.get_many(["all", "empty", "none"]).await?, [Some(all), Some(Bytes::new()), None]);
    let mut expected = STRANGE_SORTS.to_vec();
    expected.sort_unstable();
    let keys = world.cloud().table::<usize>("keys").query("p'/\0").all().await?;
    assert_eq!(sorts(&keys), expected);
    assert!(keys.iter().all(|entry| STRANGE_SORTS[entry.value] == entry.key.sort));
    assert_eq!(world.cloud().table::<i64>("counters").add("a", 1).await?, 42);
    Ok(())
}

async fn deletes_and_transactions_outlive_the_process(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a", "b", "c", "d"]).await?;
    items.delete(("p", "a")).await?;
    items.transact("p").delete("b").put("c", &20).put("e", &40).commit().await?;
    drop(items);
    let world = world.reopen().await?;
    let found = world.cloud().table::<usize>("items").scan().all().await?;
    let mut found: Vec<_> = found.into_iter().map(|entry| (entry.key.sort, entry.value)).collect();
    found.sort_unstable();
    assert_eq!(found, [("c".to_owned(), 20), ("d".to_owned(), 3), ("e".to_owned(), 40)]);
    Ok(())
}

async fn versions_are_good_and_never_repeated_after_the_process(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let mut seen = HashSet::new();
    for number in 0..5 {
        assert!(seen.insert(items.put("a", &number).await?));
    }
    let current = items.put("b", &1).await?;
    seen.insert(current.clone());
    items.delete("a").await?;
    drop(items);

    let world = world.reopen().await?;
    let items = world.cloud().table::<usize>("items");
    for number in 0..5 {
        assert!(seen.insert(items.put("a", &number).await?), "a version was repeated after the process");
    }
    let stale = seen.iter().find(|version| **version != current).cloned().unwrap();
    assert_eq!(items.put_with("b", &2, PutMode::Update(stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    items.put_with("b", &2, PutMode::Update(current)).await?;
    Ok(())
}

async fn expiry_outlives_the_process(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let ttl = |seconds| PutOptions::default().with_ttl(Duration::from_secs(seconds));
    items.put_with("short", &1, ttl(10)).await?;
    items.put_with("long", &1, ttl(10_000)).await?;
    drop(items);
    let world = world.reopen().await?;
    let items = world.cloud().table::<usize>("items");
    assert_eq!(items.get_many(["short", "long"]).await?, [Some(1), Some(1)]);
    world.advance(Duration::from_secs(10))?;
    assert_eq!(items.get_many(["short", "long"]).await?, [None, Some(1)]);
    Ok(())
}

async fn cursors_are_good_after_the_process(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a", "b", "c"]).await?;
    let query = items.query("p").limit(2).page().await?.next.unwrap().to_string();
    let first = items.scan().limit(1).page().await?;
    let scan = first.next.unwrap().to_string();
    drop(items);
    let world = world.reopen().await?;
    let items = world.cloud().table::<usize>("items");
    assert_eq!(sorts(&items.query("p").after(query.parse::<Cursor>()?).all().await?), ["c"]);
    let mut rest = items.scan().after(scan.parse::<Cursor>()?).all().await?;
    rest.extend(first.items);
    assert_eq!(rest.into_iter().map(|entry| entry.key).collect::<HashSet<_>>().len(), 3);
    Ok(())
}
