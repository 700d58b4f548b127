//! An expired item is gone in every read and condition, by the clock and not by the service's cleanup.

use std::time::Duration;

use isobar::ErrorKind;
use isobar::key_value::{PutMode, PutOptions, Table, Version};

use super::sorts;
use crate::{HarnessResult, Lacks, TrialResult, World};

crate::trials![
    "KV-16" => an_expired_item_is_never_read,
    "KV-16" => an_item_lives_until_its_expiry_and_not_at_it,
    "KV-16" => a_read_returns_the_expiry,
    "KV-16" => create_takes_a_key_whose_item_has_expired,
    "KV-16" => every_condition_takes_an_expired_item_for_absent,
    "KV-16" => a_delete_of_an_expired_item_is_ok,
    "KV-16" => a_counter_that_expired_begins_at_zero,
    "KV-16" => a_write_without_a_time_to_live_ends_that_of_the_one_before,
    "KV-16" => a_write_with_a_new_time_to_live_replaces_the_old,
    "KV-16" => update_keeps_the_expiry_and_sees_no_item_after_it,
    "KV-16" => a_time_to_live_of_zero_or_past_the_year_9999_is_invalid_input,
    "KV-16" => milliseconds_count_and_a_part_of_one_counts_as_a_whole,
    "KV-16" => transactions_write_and_see_expiry,
    "KV-16" => expired_items_hide_nothing_in_a_query,
];

const TEN: Duration = Duration::from_secs(10);

fn ten() -> PutOptions {
    PutOptions::default().with_ttl(TEN)
}

/// An item at `p`, `a` that has just expired, and the version that it had.
async fn expired(world: &dyn World, items: &Table<i64>) -> HarnessResult<Version> {
    let version = items.put_with(("p", "a"), &1, ten()).await?;
    world.advance(TEN)?;
    Ok(version)
}

async fn an_expired_item_is_never_read(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    expired(&*world, &items).await?;
    assert_eq!(items.get(("p", "a")).await?, None);
    assert_eq!(items.get_entry(("p", "a")).await?, None);
    assert_eq!(items.get_many([("p", "a"), ("p", "a")]).await?, [None, None]);
    assert_eq!(items.query("p").all().await?, []);
    assert_eq!(items.query("p").descending().all().await?, []);
    assert_eq!(items.query("p").range("a"..="a").all().await?, []);
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn an_item_lives_until_its_expiry_and_not_at_it(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put_with("a", &1, ten()).await?;
    assert_eq!(items.get("a").await?, Some(1));
    world.advance(TEN - Duration::from_millis(1))?;
    assert_eq!(items.get("a").await?, Some(1));
    assert_eq!(items.query("a").all().await?.len(), 1);
    world.advance(Duration::from_millis(1))?;
    assert_eq!(items.get("a").await?, None);
    world.advance(Duration::from_secs(100 * 365 * 24 * 3600))?;
    assert_eq!(items.get("a").await?, None);
    Ok(())
}

async fn a_read_returns_the_expiry(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let expires_at = Some(world.now() + TEN);
    items.put_with(("p", "a"), &1, ten()).await?;
    items.put(("q", "a"), &1).await?;
    world.advance(Duration::from_secs(1))?;
    assert_eq!(items.get_entry(("p", "a")).await?.unwrap().expires_at, expires_at);
    assert_eq!(items.query("p").all().await?[0].expires_at, expires_at);
    let mut scanned: Vec<_> = items.scan().all().await?.into_iter().map(|entry| entry.expires_at).collect();
    scanned.sort_unstable();
    assert_eq!(scanned, [None, expires_at]);
    Ok(())
}

async fn create_takes_a_key_whose_item_has_expired(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put_with(("p", "a"), &1, ten()).await?;
    let second = items.put_with(("p", "a"), &2, PutMode::Create).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    world.advance(TEN)?;
    items.put_with(("p", "a"), &2, PutMode::Create).await?;
    let second = items.put_with(("p", "a"), &3, PutMode::Create).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    world.advance(TEN)?;
    assert_eq!(items.get(("p", "a")).await?, Some(2));
    Ok(())
}

async fn every_condition_takes_an_expired_item_for_absent(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let version = expired(&*world, &items).await?;
    let update = items.put_with(("p", "a"), &2, PutMode::Update(version.clone())).await;
    assert_eq!(update.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.delete_version(("p", "a"), &version).await.unwrap_err().kind(), ErrorKind::Conflict);
    let update = items.transact("p").put_with("a", &2, PutMode::Update(version.clone())).commit().await;
    assert_eq!(update.unwrap_err().kind(), ErrorKind::Conflict);
    let delete = items.transact("p").put("b", &2).delete_version("a", version).commit().await;
    assert_eq!(delete.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn a_delete_of_an_expired_item_is_ok(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    expired(&*world, &items).await?;
    items.delete(("p", "a")).await?;
    items.delete(("p", "a")).await?;
    assert_eq!(items.get(("p", "a")).await?, None);
    Ok(())
}

async fn a_counter_that_expired_begins_at_zero(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    expired(&*world, &items).await?;
    assert_eq!(items.add(("p", "a"), 5).await?, 5);
    world.advance(TEN)?;
    assert_eq!(items.get(("p", "a")).await?, Some(5));
    Ok(())
}

async fn a_write_without_a_time_to_live_ends_that_of_the_one_before(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put_with(("p", "put"), &1, ten()).await?;
    let version = items.put_with(("p", "updated"), &1, ten()).await?;
    items.put_with(("p", "transacted"), &1, ten()).await?;
    items.put(("p", "put"), &2).await?;
    items.put_with(("p", "updated"), &2, PutMode::Update(version)).await?;
    items.transact("p").put("transacted", &2).commit().await?;
    assert!(items.query("p").all().await?.iter().all(|entry| entry.expires_at.is_none()));
    world.advance(TEN * 2)?;
    assert_eq!(sorts(&items.query("p").all().await?), ["put", "transacted", "updated"]);
    Ok(())
}

async fn a_write_with_a_new_time_to_live_replaces_the_old(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put_with("longer", &1, ten()).await?;
    items.put_with("shorter", &1, ten()).await?;
    items.put_with("longer", &2, PutOptions::default().with_ttl(TEN * 3)).await?;
    items.put_with("shorter", &2, PutOptions::default().with_ttl(TEN / 2)).await?;
    world.advance(TEN / 2)?;
    assert_eq!(items.get_many(["longer", "shorter"]).await?, [Some(2), None]);
    world.advance(TEN)?;
    assert_eq!(items.get("longer").await?, Some(2));
    world.advance(TEN * 2)?;
    assert_eq!(items.get("longer").await?, None);
    Ok(())
}

async fn update_keeps_the_expiry_and_sees_no_item_after_it(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let expires_at = Some(world.now() + TEN);
    items.put_with("a", &1, ten()).await?;
    world.advance(TEN / 2)?;
    assert_eq!(items.update("a", |value| value.unwrap() + 1).await?, 2);
    assert_eq!(items.get_entry("a").await?.unwrap().expires_at, expires_at);
    world.advance(TEN / 2)?;
    assert_eq!(items.get("a").await?, None);
    let restarted = items.update("a", |value| value.map_or(100, |value| value + 1)).await?;
    assert_eq!(restarted, 100);
    assert_eq!(items.get_entry("a").await?.unwrap().expires_at, None);
    Ok(())
}

async fn a_time_to_live_of_zero_or_past_the_year_9999_is_invalid_input(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put("a", &1).await?;
    let years = |years: u64| Duration::from_secs(years * 365 * 24 * 3600);
    for ttl in [Duration::ZERO, years(9_000), Duration::from_secs(u64::MAX), Duration::MAX] {
        let refused = items.put_with("a", &2, PutOptions::default().with_ttl(ttl)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput, "{ttl:?}");
    }
    assert_eq!(items.get("a").await?, Some(1));
    items.put_with("a", &2, PutOptions::default().with_ttl(years(1_000))).await?;
    assert_eq!(items.get("a").await?, Some(2));
    Ok(())
}

async fn milliseconds_count_and_a_part_of_one_counts_as_a_whole(world: Box<dyn World>) -> TrialResult {
    // The time must not pass between the write and the read.
    world.clock().ok_or(Lacks::Clock)?;
    let items = world.cloud().table::<i64>("items");
    for (ttl, lives) in [(1_500_000, 2), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (7_000_000, 7)] {
        let start = world.now();
        let lives = Duration::from_millis(lives);
        items.put_with("a", &1, PutOptions::default().with_ttl(Duration::from_nanos(ttl))).await?;
        assert_eq!(items.get_entry("a").await?.unwrap().expires_at, Some(start + lives), "{ttl} ns");
        world.advance(lives)?;
        assert_eq!(items.get("a").await?, None, "{ttl} ns");
    }
    Ok(())
}

async fn transactions_write_and_see_expiry(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.transact("p").put_with("a", &1, ten()).put("b", &1).commit().await?;
    world.advance(TEN)?;
    assert_eq!(sorts(&items.query("p").all().await?), ["b"]);
    items.transact("p").put_with("a", &2, PutMode::Create).delete("b").commit().await?;
    assert_eq!(sorts(&items.query("p").all().await?), ["a"]);
    assert_eq!(items.get(("p", "a")).await?, Some(2));
    Ok(())
}

async fn expired_items_hide_nothing_in_a_query(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    for number in 0..20 {
        let options = if number % 5 == 0 { PutOptions::default() } else { ten() };
        items.put_with(("p", format!("{number:02}")), &number, options).await?;
    }
    world.advance(TEN)?;
    assert_eq!(sorts(&items.query("p").all().await?), ["00", "05", "10", "15"]);
    assert_eq!(sorts(&items.query("p").prefix("1").all().await?), ["10", "15"]);
    assert_eq!(sorts(&items.query("p").range("01".."11").descending().all().await?), ["10", "05"]);
    assert_eq!(sorts(&items.query("p").descending().limit(1).page().await?.items), ["15"]);
    Ok(())
}
