//! Conditional writes and deletes of one item.

use isobar::ErrorKind;
use isobar::key_value::PutMode;

use crate::trials::hostile_versions;
use crate::{TrialResult, World};

crate::trials![
    "KV-4" => create_takes_a_free_key_and_one_that_was_deleted,
    "KV-4" => create_on_a_taken_key_is_already_exists_and_changes_nothing,
    "KV-5" => update_succeeds_on_the_version_that_a_write_or_a_read_gave,
    "KV-5" => update_on_a_stale_version_is_conflict_and_changes_nothing,
    "KV-5" => update_of_an_absent_item_is_conflict_and_creates_nothing,
    "KV-5" => a_delete_of_a_version_deletes_that_version_only,
    "KV-5" => a_delete_of_a_version_of_an_absent_item_is_conflict,
    "KV-5" => the_version_of_another_item_or_table_is_conflict,
    "KV-5" => a_version_that_never_was_is_conflict,
    "KV-5" => the_version_of_a_neighbour_in_a_transaction_is_conflict,
    "KV-5" => a_chain_of_updates_holds_each_to_the_version_before,
    "KV-7" => a_delete_of_an_absent_item_is_ok_however_often,
];

async fn create_takes_a_free_key_and_one_that_was_deleted(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    items.put_with("a", &1, PutMode::Create).await?;
    assert_eq!(items.get("a").await?, Some(1));
    items.delete("a").await?;
    items.put_with("a", &2, PutMode::Create).await?;
    assert_eq!(items.get("a").await?, Some(2));
    Ok(())
}

async fn create_on_a_taken_key_is_already_exists_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put(("p", "a"), &1).await?;
    for _ in 0..3 {
        let second = items.put_with(("p", "a"), &2, PutMode::Create).await.unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AlreadyExists);
        assert!(!second.is_retryable() && !second.outcome_unknown());
    }
    let entry = items.get_entry(("p", "a")).await?.unwrap();
    assert_eq!((entry.value, entry.version), (1, version));
    items.put_with(("p", "b"), &2, PutMode::Create).await?;
    items.put_with(("q", "a"), &2, PutMode::Create).await?;
    Ok(())
}

async fn update_succeeds_on_the_version_that_a_write_or_a_read_gave(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let written = items.put(("p", "a"), &1).await?;
    items.put_with(("p", "a"), &2, PutMode::Update(written)).await?;
    let read = items.get_entry(("p", "a")).await?.unwrap().version;
    items.put_with(("p", "a"), &3, PutMode::Update(read)).await?;
    let queried = items.query("p").all().await?.remove(0).version;
    items.put_with(("p", "a"), &4, PutMode::Update(queried)).await?;
    let scanned = items.scan().all().await?.remove(0).version;
    items.put_with(("p", "a"), &5, PutMode::Update(scanned)).await?;
    assert_eq!(items.get(("p", "a")).await?, Some(5));
    Ok(())
}

async fn update_on_a_stale_version_is_conflict_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let stale = items.put("a", &1).await?;
    // The same value again: what counts is the write, not what was written.
    let current = items.put("a", &1).await?;
    let lost = items.put_with("a", &2, PutMode::Update(stale)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict);
    assert!(!lost.outcome_unknown());
    let entry = items.get_entry("a").await?.unwrap();
    assert_eq!((entry.value, entry.version), (1, current));
    Ok(())
}

async fn update_of_an_absent_item_is_conflict_and_creates_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put("a", &1).await?;
    items.delete("a").await?;
    let lost = items.put_with("a", &2, PutMode::Update(version)).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.get("a").await?, None);
    Ok(())
}

async fn a_delete_of_a_version_deletes_that_version_only(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let stale = items.put("a", &1).await?;
    let current = items.put("a", &2).await?;
    assert_eq!(items.delete_version("a", &stale).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.get("a").await?, Some(2));
    items.delete_version("a", &current).await?;
    assert_eq!(items.get("a").await?, None);
    Ok(())
}

async fn a_delete_of_a_version_of_an_absent_item_is_conflict(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put("a", &1).await?;
    items.delete_version("a", &version).await?;
    assert_eq!(items.delete_version("a", &version).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.delete_version("b", &version).await.unwrap_err().kind(), ErrorKind::Conflict);
    Ok(())
}

async fn the_version_of_another_item_or_table_is_conflict(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (items, others) = (cloud.table::<u32>("items"), cloud.table::<u32>("others"));
    for number in 0..3 {
        items.put("a", &number).await?;
        items.put("b", &number).await?;
    }
    let other_item = items.get_entry("b").await?.unwrap().version;
    assert_eq!(items.put_with("a", &9, PutMode::Update(other_item)).await.unwrap_err().kind(), ErrorKind::Conflict);
    let only = others.put("a", &0).await?;
    assert_eq!(items.put_with("a", &9, PutMode::Update(only)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(items.get("a").await?, Some(2));
    Ok(())
}

async fn a_version_that_never_was_is_conflict(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let current = items.put("a", &1).await?;
    for version in hostile_versions(&current) {
        for key in ["a", "absent"] {
            let update = PutMode::Update(version.clone());
            for written in [
                items.put_with(key, &2, update.clone()).await.map(drop),
                items.delete_version(key, &version).await,
                items.transact(key).put_with("", &2, update).commit().await.map(drop),
                items.transact(key).put("b", &2).delete_version("", version.clone()).commit().await.map(drop),
            ] {
                let error = written.unwrap_err();
                assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Conflict, false), "{version:?}");
            }
        }
    }
    assert_eq!(
        items.scan().all().await?.iter().map(|item| (&item.version, item.value)).collect::<Vec<_>>(),
        [(&current, 1)]
    );
    Ok(())
}

async fn the_version_of_a_neighbour_in_a_transaction_is_conflict(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let versions = items.transact("p").put("a", &1).put("b", &1).commit().await?;
    let of_b = versions[1].clone().unwrap();
    let error = items.put_with(("p", "a"), &2, PutMode::Update(of_b.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(items.delete_version(("p", "a"), &of_b).await.unwrap_err().kind(), ErrorKind::Conflict);
    items.put_with(("p", "b"), &2, PutMode::Update(of_b)).await?;
    Ok(())
}

async fn a_chain_of_updates_holds_each_to_the_version_before(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let mut versions = vec![items.put_with("a", &0, PutMode::Create).await?];
    for number in 1..10 {
        let current = versions.last().cloned().unwrap();
        versions.push(items.put_with("a", &number, PutMode::Update(current)).await?);
    }
    versions.pop();
    for stale in versions {
        assert_eq!(items.put_with("a", &99, PutMode::Update(stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(items.get("a").await?, Some(9));
    Ok(())
}

async fn a_delete_of_an_absent_item_is_ok_however_often(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    items.delete("never").await?;
    items.put(("p", "a"), &1).await?;
    items.put(("p", "b"), &2).await?;
    items.delete(("p", "a")).await?;
    items.delete(("p", "a")).await?;
    assert_eq!(items.get_many([("p", "a"), ("p", "b")]).await?, [None, Some(2)]);
    Ok(())
}
