//! Copies within a bucket.

use isobar::ErrorKind;
use isobar::blob::{PutMode, PutOptions};

use super::{STRANGE_KEYS, content, in_pieces, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-12" => a_copy_keeps_content_type_cache_control_and_metadata,
    "BL-12" => a_copy_replaces_all_of_what_it_overwrites,
    "BL-12" => a_copy_that_must_create_refuses_to_overwrite,
    "BL-12" => a_copy_of_an_absent_object_is_not_found_and_changes_nothing,
    "BL-12" => a_copy_lives_on_without_its_original,
    "BL-12" => a_copy_onto_itself_loses_nothing,
    "BL-12" => a_copy_takes_strange_keys,
    "BL-12" => a_copy_of_many_megabytes_keeps_all,
    "BL-12" => a_copy_of_many_megabytes_that_must_create_refuses_to_overwrite,
    "BL-15" => a_copy_over_a_version_is_unsupported_and_changes_nothing,
];

fn described() -> PutOptions {
    let options = PutOptions::default().with_content_type("text/html").with_cache_control("no-cache");
    options.with_metadata("author", "ada").with_metadata("n", "1")
}

async fn a_copy_keeps_content_type_cache_control_and_metadata(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "hello", described()).await?;
    for mode in [PutMode::Overwrite, PutMode::Create] {
        files.delete("b").await?;
        files.copy("a", "b", mode).await?;
        let copy = files.get("b").await?;
        assert_eq!(copy.content_type.as_deref(), Some("text/html"));
        assert_eq!(copy.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(copy.metadata, described().metadata);
        assert_eq!((copy.info.key.as_str(), copy.info.size), ("b", 5));
        assert_eq!(copy.bytes().await?, "hello");
    }
    Ok(())
}

async fn a_copy_replaces_all_of_what_it_overwrites(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "new", PutOptions::default().with_metadata("of", "a")).await?;
    let old = files.put_with("b", "something longer", described()).await?;
    files.copy("a", "b", PutMode::Overwrite).await?;
    let copy = files.get("b").await?;
    assert_eq!(copy.metadata, PutOptions::default().with_metadata("of", "a").metadata);
    assert_eq!(copy.cache_control, None);
    assert_eq!(copy.bytes().await?, "new");
    let lost = files.put_with("b", "x", PutMode::Update(old)).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
    Ok(())
}

async fn a_copy_that_must_create_refuses_to_overwrite(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "new").await?;
    let version = files.put_with("b", "old", described()).await?;
    let error = files.copy("a", "b", PutMode::Create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let object = files.get("b").await?;
    assert_eq!((&object.info.version, &object.metadata), (&version, &described().metadata));
    assert_eq!(object.bytes().await?, "old");
    Ok(())
}

async fn a_copy_of_an_absent_object_is_not_found_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("b", "old").await?;
    for to in ["b", "c"] {
        let error = files.copy("absent", to, PutMode::Overwrite).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "to {to}");
    }
    assert_eq!(files.copy("absent", "c", PutMode::Create).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(keys_of(&files, "").await?, ["b"]);
    assert_eq!(text(&files, "b").await?, "old");
    Ok(())
}

async fn a_copy_lives_on_without_its_original(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "one").await?;
    files.copy("a", "b", PutMode::Overwrite).await?;
    files.put("a", "two").await?;
    assert_eq!(text(&files, "b").await?, "one");
    files.delete("a").await?;
    assert_eq!(text(&files, "b").await?, "one");
    assert_eq!(keys_of(&files, "").await?, ["b"]);
    Ok(())
}

async fn a_copy_onto_itself_loses_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "hello", described()).await?;
    // Some services refuse it; none may lose the object.
    let _ = files.copy("a", "a", PutMode::Overwrite).await;
    let object = files.get("a").await?;
    assert_eq!(object.metadata, described().metadata);
    assert_eq!(object.bytes().await?, "hello");
    Ok(())
}

async fn a_copy_takes_strange_keys(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for keys in STRANGE_KEYS.windows(2).step_by(3) {
        files.put(keys[0], keys[0]).await?;
        files.copy(keys[0], keys[1], PutMode::Overwrite).await?;
        assert_eq!(text(&files, keys[1]).await?, keys[0], "{:?} to {:?}", keys[0], keys[1]);
    }
    Ok(())
}

/// A provider of S3 copies it in parts, as it does each object of 512 MiB and more.
async fn a_copy_of_many_megabytes_keeps_all(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let large = content(12_000_000);
    files.put_stream("large", in_pieces(large.clone(), 1 << 20), described()).await?;
    for mode in [PutMode::Create, PutMode::Overwrite] {
        files.copy("large", "copy", mode).await?;
        let copy = files.get("copy").await?;
        assert_eq!(copy.content_type.as_deref(), Some("text/html"));
        assert_eq!(copy.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(copy.metadata, described().metadata);
        assert!(copy.bytes().await? == large, "the copy is another");
    }
    Ok(())
}

async fn a_copy_of_many_megabytes_that_must_create_refuses_to_overwrite(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_stream("large", in_pieces(content(12_000_000), 1 << 20), PutMode::Overwrite).await?;
    files.put("copy", "old").await?;
    let error = files.copy("large", "copy", PutMode::Create).await.unwrap_err();
    assert_eq!((error.kind(), text(&files, "copy").await?.as_str()), (ErrorKind::AlreadyExists, "old"));
    Ok(())
}

async fn a_copy_over_a_version_is_unsupported_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "new").await?;
    let version = files.put("b", "old").await?;
    let error = files.copy("a", "b", PutMode::Update(version)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, Some("copy")));
    assert_eq!(text(&files, "b").await?, "old");
    Ok(())
}
