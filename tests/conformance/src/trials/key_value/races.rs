//! Many writers of one key at the same time: one wins, or all count.

use std::time::Duration;

use isobar::key_value::{PutMode, PutOptions};
use isobar::{ErrorKind, Result};

use super::concurrently;
use crate::{TrialResult, World};

crate::trials![
    "KV-4" => one_of_many_racing_creates_wins,
    "KV-4" => one_of_many_racing_creates_over_an_expired_item_wins,
    "KV-5" => one_of_many_racing_updates_of_a_version_wins,
    "KV-5" => one_of_many_racing_deletes_of_a_version_wins,
    "KV-5" => a_racing_update_and_delete_of_a_version_do_not_both_win,
    "KV-15" => many_writers_of_an_expired_counter_restart_it_once,
    "KV-2" => racing_overwrites_leave_one_of_them_whole,
];

const WRITERS: usize = 32;

/// The number of the only task that succeeded; all others must have failed with `kind`.
fn winner<T>(results: &[Result<T>], kind: ErrorKind) -> usize {
    let (mut winners, losers): (Vec<_>, Vec<_>) = (0..results.len()).partition(|number| results[*number].is_ok());
    for number in losers {
        let lost = results[number].as_ref().err().map(isobar::Error::kind);
        assert_eq!(lost, Some(kind), "writer {number}");
    }
    assert_eq!(winners.len(), 1, "{winners:?} won");
    winners.remove(0)
}

async fn one_of_many_racing_creates_wins(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    for round in 0..4 {
        let results = concurrently(WRITERS, |number| {
            let items = items.clone();
            async move { items.put_with(("p", round.to_string()), &number, PutMode::Create).await }
        });
        let results = results.await;
        let winner = winner(&results, ErrorKind::AlreadyExists);
        let entry = items.get_entry(("p", round.to_string())).await?.unwrap();
        assert_eq!((entry.value, Some(&entry.version)), (winner, results[winner].as_ref().ok()));
    }
    Ok(())
}

async fn one_of_many_racing_creates_over_an_expired_item_wins(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    items.put_with("a", &99, PutOptions::default().with_ttl(Duration::from_secs(1))).await?;
    world.advance(Duration::from_secs(1))?;
    let results = concurrently(WRITERS, |number| {
        let items = items.clone();
        async move { items.put_with("a", &number, PutMode::Create).await }
    });
    let winner = winner(&results.await, ErrorKind::AlreadyExists);
    assert_eq!(items.get("a").await?, Some(winner));
    Ok(())
}

async fn one_of_many_racing_updates_of_a_version_wins(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let mut version = items.put("a", &99).await?;
    for _ in 0..4 {
        let results = concurrently(WRITERS, |number| {
            let (items, version) = (items.clone(), version.clone());
            async move { items.put_with("a", &number, PutMode::Update(version)).await }
        });
        let winner = winner(&results.await, ErrorKind::Conflict);
        let entry = items.get_entry("a").await?.unwrap();
        assert_eq!(entry.value, winner);
        version = entry.version;
    }
    Ok(())
}

async fn one_of_many_racing_deletes_of_a_version_wins(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let version = items.put("a", &99).await?;
    let results = concurrently(WRITERS, |_| {
        let (items, version) = (items.clone(), version.clone());
        async move { items.delete_version("a", &version).await }
    });
    winner(&results.await, ErrorKind::Conflict);
    assert_eq!(items.get("a").await?, None);
    Ok(())
}

async fn a_racing_update_and_delete_of_a_version_do_not_both_win(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    for round in 0..10 {
        let key = ("p", round.to_string());
        let version = items.put(key.clone(), &99).await?;
        let results = concurrently(2, |number| {
            let (items, version, key) = (items.clone(), version.clone(), key.clone());
            async move {
                match number {
                    0 => items.delete_version(key, &version).await,
                    _ => items.put_with(key, &1, PutMode::Update(version)).await.map(drop),
                }
            }
        });
        let expected = (winner(&results.await, ErrorKind::Conflict) == 1).then_some(1);
        assert_eq!(items.get(key).await?, expected);
    }
    Ok(())
}

async fn many_writers_of_an_expired_counter_restart_it_once(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    counters.put_with("a", &1_000_000, PutOptions::default().with_ttl(Duration::from_secs(1))).await?;
    world.advance(Duration::from_secs(1))?;
    let sums = concurrently(WRITERS, |_| {
        let counters = counters.clone();
        async move { counters.add("a", 1).await }
    });
    let mut sums = sums.await.into_iter().collect::<Result<Vec<_>>>()?;
    sums.sort_unstable();
    assert_eq!(sums, (1..=WRITERS as i64).collect::<Vec<_>>());
    assert_eq!(counters.get("a").await?, Some(WRITERS as i64));
    Ok(())
}

async fn racing_overwrites_leave_one_of_them_whole(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Vec<usize>>("items");
    let versions = concurrently(WRITERS, |number| {
        let items = items.clone();
        async move { items.put("a", &vec![number; 2_000]).await }
    });
    let versions = versions.await.into_iter().collect::<Result<Vec<_>>>()?;
    let entry = items.get_entry("a").await?.unwrap();
    let last =
        versions.iter().position(|version| *version == entry.version).expect("the version is of none of the writers");
    assert!(entry.value == vec![last; 2_000], "the value is not that of the version");
    Ok(())
}
