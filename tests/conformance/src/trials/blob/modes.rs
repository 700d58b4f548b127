//! Conditional writes and reads of one object.

use isobar::ErrorKind;
use isobar::blob::{GetOptions, PutMode, PutOptions, Version};

use super::{content, in_pieces, keys_of, text};
use crate::trials::hostile_versions;
use crate::{TrialResult, World};

crate::trials![
    "BL-3" => create_takes_a_free_object_key_and_one_that_was_deleted,
    "BL-3" => create_on_a_taken_object_key_is_already_exists_and_changes_nothing,
    "BL-4" => update_of_an_object_succeeds_on_the_version_that_a_write_or_a_read_gave,
    "BL-4" => update_on_a_stale_object_version_is_conflict_and_changes_nothing,
    "BL-4" => update_of_an_absent_object_is_conflict_and_creates_nothing,
    "BL-4" => the_version_of_another_object_is_conflict,
    "BL-4" => a_version_that_never_was_changes_nothing,
    "BL-4" => a_version_that_never_was_reads_nothing,
    "BL-4" => a_read_of_a_version_that_is_gone_is_conflict,
];

async fn create_takes_a_free_object_key_and_one_that_was_deleted(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "1", PutMode::Create).await?;
    files.delete("a").await?;
    files.put_with("a", "2", PutMode::Create).await?;
    assert_eq!(text(&files, "a").await?, "2");
    files.put_with("a/b", "3", PutMode::Create).await?;
    files.put_with("A", "4", PutMode::Create).await?;
    Ok(())
}

async fn create_on_a_taken_object_key_is_already_exists_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let version = files.put_with("a", "old", PutOptions::default().with_metadata("is", "old")).await?;
    for content in ["new", "", "old"] {
        let error = files.put_with("a", content, PutMode::Create).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(!error.is_retryable() && !error.outcome_unknown());
    }
    let object = files.get("a").await?;
    assert_eq!((&object.info.version, object.metadata["is"].as_str()), (&version, "old"));
    assert_eq!(object.bytes().await?, "old");
    Ok(())
}

async fn update_of_an_object_succeeds_on_the_version_that_a_write_or_a_read_gave(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let written = files.put_with("a", "1", PutMode::Create).await?;
    let updated = files.put_with("a", "2", PutMode::Update(written)).await?;
    files.put_with("a", "3", PutMode::Update(updated)).await?;
    let head = files.head("a").await?.version;
    files.put_with("a", "4", PutMode::Update(head)).await?;
    let read = files.get("a").await?.info.version;
    files.put_with("a", "5", PutMode::Update(read)).await?;
    let listed = files.list("a").all().await?.remove(0).version;
    files.put_with("a", "6", PutMode::Update(listed)).await?;
    assert_eq!(text(&files, "a").await?, "6");
    Ok(())
}

async fn update_on_a_stale_object_version_is_conflict_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let first = files.put("a", "1").await?;
    let second = files.put("a", "2").await?;
    let current = files.put("a", "3").await?;
    for stale in [first, second] {
        let error = files.put_with("a", "new", PutMode::Update(stale)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(!error.outcome_unknown());
    }
    assert_eq!((files.head("a").await?.version, text(&files, "a").await?), (current, "3".to_owned()));
    Ok(())
}

async fn update_of_an_absent_object_is_conflict_and_creates_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let version = files.put("a", "1").await?;
    files.delete("a").await?;
    for key in ["a", "b"] {
        let lost = files.put_with(key, "2", PutMode::Update(version.clone())).await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict, "{key}");
    }
    assert_eq!(keys_of(&files, "").await?, Vec::<String>::new());
    Ok(())
}

async fn the_version_of_another_object_is_conflict(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "a").await?;
    let other = files.put("b", "b").await?;
    let lost = files.put_with("a", "new", PutMode::Update(other)).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(text(&files, "a").await?, "a");
    Ok(())
}

async fn a_version_that_never_was_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let current = files.put("a", "old").await?;
    let item = world.cloud().table::<u32>("items").put("a", &1).await?;
    for version in hostile_versions(&current).into_iter().chain([item]) {
        let update = PutMode::Update(version.clone());
        let stream = in_pieces("new".into(), 1);
        for written in [
            files.put_with("a", "new", update.clone()).await,
            files.put_with("absent", "new", update.clone()).await,
            files.put_stream("a", stream, update).await,
        ] {
            let error = written.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Conflict, false), "{version:?}");
        }
    }
    let many_parts = in_pieces(content(9 << 20), 1 << 20);
    files.put_stream("a", many_parts, PutMode::Update(Version::new("*"))).await.unwrap_err();
    assert_eq!((files.head("a").await?.version, keys_of(&files, "").await?), (current, vec!["a".to_owned()]));
    Ok(())
}

async fn a_version_that_never_was_reads_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let current = files.put("a", "old").await?;
    for version in hostile_versions(&current) {
        let of_version = GetOptions::default().with_version(version.clone());
        for options in [of_version.clone(), of_version.clone().with_range(1..2)] {
            assert_eq!(files.get_with("a", options).await.unwrap_err().kind(), ErrorKind::Conflict, "{version:?}");
        }
        assert_eq!(files.get_with("absent", of_version).await.unwrap_err().kind(), ErrorKind::NotFound, "{version:?}");
    }
    Ok(())
}

async fn a_read_of_a_version_that_is_gone_is_conflict(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let stale = files.put("a", "1").await?;
    let of = |version: &Version| GetOptions::default().with_version(version.clone());
    assert_eq!(files.get_with("a", of(&stale)).await?.bytes().await?, "1");
    let current = files.put("a", "2").await?;
    assert_eq!(files.get_with("a", of(&stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    let range = of(&stale).with_range(0..1);
    assert_eq!(files.get_with("a", range).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(files.get_with("a", of(&current)).await?.bytes().await?, "2");
    Ok(())
}
