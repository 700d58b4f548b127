//! Versions: one for each write, never seen again.

use std::collections::HashSet;

use isobar::ErrorKind;
use isobar::key_value::{PutMode, Version};

use crate::{TrialResult, World};

crate::trials![
    "KV-6" => every_write_has_a_version_of_its_own,
    "KV-6" => a_version_does_not_return_after_delete_and_create,
    "KV-6" => every_read_returns_the_version_of_the_last_write,
    "KV-6" => every_kind_of_write_changes_the_version,
    "KV-6" => a_refused_write_leaves_the_version,
    "KV-6" => a_version_is_text_that_a_header_can_carry,
];

async fn every_write_has_a_version_of_its_own(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let mut versions = HashSet::new();
    for _ in 0..10 {
        for key in ["a", "b"] {
            assert!(versions.insert(items.put(key, &1).await?), "a version is there twice");
        }
        for version in items.transact("p").put("a", &1).put("b", &1).commit().await? {
            assert!(versions.insert(version.unwrap()), "a version is there twice");
        }
    }
    Ok(())
}

async fn a_version_does_not_return_after_delete_and_create(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(items.put_with("a", &1, PutMode::Create).await?);
        items.delete("a").await?;
    }
    let current = items.put_with("a", &1, PutMode::Create).await?;
    assert!(!old.contains(&current));
    for version in old {
        assert_eq!(items.delete_version("a", &version).await.unwrap_err().kind(), ErrorKind::Conflict);
        let updated = items.put_with("a", &2, PutMode::Update(version)).await;
        assert_eq!(updated.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(items.get("a").await?, Some(1));
    Ok(())
}

async fn every_read_returns_the_version_of_the_last_write(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    for number in 0..5 {
        let version = items.put(("p", "a"), &number).await?;
        assert_eq!(items.get_entry(("p", "a")).await?.unwrap().version, version);
        assert_eq!(items.query("p").all().await?[0].version, version);
        assert_eq!(items.scan().all().await?[0].version, version);
    }
    Ok(())
}

async fn every_kind_of_write_changes_the_version(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let key = ("p", "a");
    let version = async || items.get_entry(key).await.map(|entry| entry.unwrap().version);
    let mut versions = vec![items.put(key, &1).await?];
    items.add(key, 1).await?;
    versions.push(version().await?);
    items.update(key, |value| value.unwrap()).await?;
    versions.push(version().await?);
    items.transact("p").put("a", &2).commit().await?;
    versions.push(version().await?);
    items.add(key, 0).await?;
    versions.push(version().await?);
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), versions.len(), "{versions:?}");
    let stale = versions.swap_remove(0);
    assert_eq!(items.put_with(key, &9, PutMode::Update(stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    Ok(())
}

async fn a_refused_write_leaves_the_version(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let version = items.put("a", &1).await?;
    items.put_with("a", &2, PutMode::Create).await.unwrap_err();
    items.put_with("a", &2, PutMode::Update(Version::new("other"))).await.unwrap_err();
    items.add("a", i64::MAX).await.unwrap_err();
    items.transact("a").put("", &2).delete_version("x", version.clone()).commit().await.unwrap_err();
    items.put_with("a", &2, PutMode::Update(version)).await?;
    Ok(())
}

async fn a_version_is_text_that_a_header_can_carry(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put("a", &1).await?;
    let header = http::HeaderValue::from_str(version.as_str())?;
    assert_eq!(header.to_str()?.trim(), version.as_str());
    let through_json: Version = serde_json::from_str(&serde_json::to_string(&version)?)?;
    items.put_with("a", &2, PutMode::Update(through_json)).await?;
    let read = items.get_entry("a").await?.unwrap().version;
    items.put_with("a", &3, PutMode::Update(Version::new(read.as_str()))).await?;
    Ok(())
}
