//! Versions of objects: one for each write, never seen again.

use std::collections::HashSet;

use isobar::ErrorKind;
use isobar::blob::{PutMode, PutOptions, Version};

use super::{in_pieces, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-19" => every_write_of_a_key_has_a_version_of_its_own,
    "BL-19" => a_version_does_not_return_after_delete_and_create_of_the_same_content,
    "BL-19" => a_write_of_other_metadata_alone_has_a_version_of_its_own,
    "BL-19" => the_version_of_an_object_is_text_that_a_header_can_carry,
];

async fn every_write_of_a_key_has_a_version_of_its_own(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let mut versions = HashSet::new();
    files.put("b", "same").await?;
    for _ in 0..5 {
        assert!(versions.insert(files.put("a", "same").await?), "a version is there twice");
        let streamed = files.put_stream("a", in_pieces("same".into(), 1), PutMode::Overwrite).await?;
        assert!(versions.insert(streamed), "a version is there twice");
        files.copy("b", "a", PutMode::Overwrite).await?;
        assert!(versions.insert(files.head("a").await?.version), "a version is there twice");
    }
    Ok(())
}

async fn a_version_does_not_return_after_delete_and_create_of_the_same_content(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(files.put_with("a", "same", PutMode::Create).await?);
        files.delete("a").await?;
    }
    files.put_with("a", "same", PutMode::Create).await?;
    for version in old {
        let lost = files.put_with("a", "new", PutMode::Update(version)).await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(text(&files, "a").await?, "same");
    Ok(())
}

async fn a_write_of_other_metadata_alone_has_a_version_of_its_own(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let first = files.put_with("a", "same", PutOptions::default().with_metadata("n", "1")).await?;
    let second = files.put_with("a", "same", PutOptions::default().with_metadata("n", "2")).await?;
    assert_ne!(first, second);
    let lost = files.put_with("a", "same", PutMode::Update(first)).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(files.get("a").await?.metadata["n"], "2");
    Ok(())
}

async fn the_version_of_an_object_is_text_that_a_header_can_carry(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let version = files.put("a", "1").await?;
    let header = http::HeaderValue::from_str(version.as_str())?;
    assert_eq!(header.to_str()?.trim(), version.as_str());
    let through_json: Version = serde_json::from_str(&serde_json::to_string(&version)?)?;
    files.put_with("a", "2", PutMode::Update(through_json)).await?;
    let head = files.head("a").await?.version;
    files.put_with("a", "3", PutMode::Update(Version::new(head.as_str()))).await?;
    Ok(())
}
