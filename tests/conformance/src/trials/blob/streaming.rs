//! Writes from a stream: whole at their end, and not seen before.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use isobar::blob::{Bucket, PutMode, PutOptions};
use isobar::{Cloud, ErrorKind, Origin, Result};

use super::{content, in_pieces, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-1" => a_stream_of_any_size_and_pieces_comes_back,
    "BL-1" => a_stream_of_empty_pieces_and_pauses_comes_back,
    "BL-19" => the_version_of_a_streamed_write_is_good_for_update,
    "BL-5" => a_stream_that_fails_early_or_late_leaves_what_was_there,
    "BL-5" => a_stream_is_not_seen_before_it_has_ended,
    "BL-5" => a_reader_reads_to_the_end_what_it_began_to_read,
    "BL-15" => a_streamed_create_holds_or_is_unsupported_and_never_overwrites,
    "BL-15" => a_streamed_update_holds_or_is_unsupported_and_never_overwrites,
];

const LARGE: usize = 9 * 1024 * 1024 + 12_345;
const PART: usize = 8 * 1024 * 1024;

async fn a_stream_of_any_size_and_pieces_comes_back(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for (size, piece) in [
        (0, 1),
        (1, 1),
        (1_000, 7),
        (PART - 1, 65_537),
        (PART, 1 << 20),
        (PART, PART),
        (PART + 1, 999_983),
        (LARGE, 123_457),
        (2 * PART, 3_000_001),
        (2 * PART + 5, 2 * PART + 5),
    ] {
        let whole = content(size);
        files.put_stream("a", in_pieces(whole.clone(), piece), PutMode::Overwrite).await?;
        assert_eq!(files.head("a").await?.size, size as u64, "{size} bytes in pieces of {piece}");
        assert!(files.get("a").await?.bytes().await? == whole, "{size} bytes in pieces of {piece}");
    }
    Ok(())
}

async fn a_stream_of_empty_pieces_and_pauses_comes_back(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let whole = content(LARGE);
    let pieces = in_pieces(whole.clone(), 500_000).flat_map(|piece| stream::iter([Ok(Bytes::new()), piece]));
    let pieces = pieces.then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    files.put_stream("a", pieces, PutMode::Overwrite).await?;
    assert!(files.get("a").await?.bytes().await? == whole, "the content is another");
    Ok(())
}

async fn the_version_of_a_streamed_write_is_good_for_update(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for size in [10, LARGE] {
        let version = files.put_stream("a", in_pieces(content(size), 1 << 20), PutMode::Overwrite).await?;
        assert_eq!(files.head("a").await?.version, version);
        let next = files.put_with("a", "next", PutMode::Update(version.clone())).await?;
        let lost = files.put_with("a", "lost", PutMode::Update(version)).await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(files.head("a").await?.version, next);
    }
    Ok(())
}

/// A stream that breaks off behind so many bytes.
async fn broken(files: &Bucket, key: &str, good: usize, options: PutOptions) -> isobar::Error {
    let good = in_pieces(content(good), 1 << 20).map(|piece| piece.map_err(|never| match never {}));
    let bad = stream::iter([Err(io::Error::other("the wire was cut"))]);
    files.put_stream(key, good.chain(bad), options).await.unwrap_err()
}

async fn a_stream_that_fails_early_or_late_leaves_what_was_there(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let old = files.put_with("old", "old", PutOptions::default().with_metadata("is", "old")).await?;
    for good in [0, 10, PART - 1, PART, PART + 1, LARGE] {
        for key in ["old", "new"] {
            let options = PutOptions::default().with_metadata("is", "new");
            let error = broken(&files, key, good, options).await;
            assert!(format!("{error:?}").contains("the wire was cut"), "{error:?}");
            assert_eq!((error.kind(), error.origin()), (ErrorKind::InvalidInput, Origin::Data));
        }
        assert_eq!(keys_of(&files, "").await?, ["old"], "behind {good} bytes");
        let object = files.get("old").await?;
        assert_eq!((&object.info.version, object.metadata["is"].as_str()), (&old, "old"));
        assert_eq!(object.bytes().await?, "old");
    }
    Ok(())
}

async fn a_stream_is_not_seen_before_it_has_ended(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("old", "old").await?;
    for key in ["old", "new"] {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let writer = files.clone();
        let pieces = stream::unfold(receiver, |mut receiver| async move {
            Some((Ok::<_, Infallible>(receiver.recv().await?), receiver))
        });
        let task = tokio::spawn(async move { writer.put_stream(key, pieces, PutMode::Overwrite).await });
        // The channel holds one piece, so all but the last two have been taken when the loop ends.
        for _ in 0..20 {
            sender.send(content(1 << 20)).await?;
        }
        assert_eq!(keys_of(&files, "").await?, ["old"]);
        assert_eq!(text(&files, "old").await?, "old");
        assert_eq!(files.head("new").await.unwrap_err().kind(), ErrorKind::NotFound);
        drop(sender);
        task.await??;
        assert_eq!(files.head(key).await?.size, 20 << 20);
        files.delete("new").await?;
        files.put("old", "old").await?;
    }
    Ok(())
}

async fn a_reader_reads_to_the_end_what_it_began_to_read(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let old = content(3_000_000);
    files.put("a", old.clone()).await?;
    let (overwritten, deleted) = (files.get("a").await?, files.get("a").await?);
    files.put("a", "new").await?;
    assert!(overwritten.bytes().await? == old, "the content changed under the reader");
    files.delete("a").await?;
    assert!(deleted.bytes().await? == old, "the content changed under the reader");
    Ok(())
}

/// Whether a conditional write of a stream may say that it is not supported.
fn may_be_unsupported(cloud: &Cloud, size: usize) -> bool {
    size >= PART && !cloud.profile().conditional_multipart
}

/// Asserts how a conditional write ended that must not have written.
fn refused(cloud: &Cloud, size: usize, result: Result<isobar::blob::Version>, kind: ErrorKind) {
    let expected = if may_be_unsupported(cloud, size) { ErrorKind::Unsupported } else { kind };
    assert_eq!(result.unwrap_err().kind(), expected, "{size} bytes");
}

async fn a_streamed_create_holds_or_is_unsupported_and_never_overwrites(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let files = cloud.bucket("files");
    files.put("taken", "old").await?;
    for size in [10, PART, LARGE] {
        let pieces = || in_pieces(content(size), 700_001);
        let second = files.put_stream("taken", pieces(), PutMode::Create).await;
        refused(&cloud, size, second, ErrorKind::AlreadyExists);
        assert_eq!(text(&files, "taken").await?, "old");
        match files.put_stream("free", pieces(), PutMode::Create).await {
            Ok(version) => assert_eq!(files.head("free").await?.version, version),
            Err(error) => {
                assert!(may_be_unsupported(&cloud, size) && error.kind() == ErrorKind::Unsupported, "{error:?}");
                assert_eq!(keys_of(&files, "").await?, ["taken"]);
            }
        }
        files.delete("free").await?;
    }
    Ok(())
}

async fn a_streamed_update_holds_or_is_unsupported_and_never_overwrites(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let files = cloud.bucket("files");
    for size in [10, PART, LARGE] {
        let pieces = || in_pieces(content(size), 700_001);
        let stale = files.put("a", "older").await?;
        let current = files.put("a", "old").await?;
        refused(
            &cloud,
            size,
            files.put_stream("a", pieces(), PutMode::Update(stale.clone())).await,
            ErrorKind::Conflict,
        );
        refused(&cloud, size, files.put_stream("none", pieces(), PutMode::Update(stale)).await, ErrorKind::Conflict);
        assert_eq!((keys_of(&files, "").await?, text(&files, "a").await?), (vec!["a".into()], "old".into()));
        match files.put_stream("a", pieces(), PutMode::Update(current)).await {
            Ok(_) => assert!(files.get("a").await?.bytes().await? == content(size), "the content is another"),
            Err(error) => {
                assert!(may_be_unsupported(&cloud, size) && error.kind() == ErrorKind::Unsupported, "{error:?}");
                assert_eq!(text(&files, "a").await?, "old");
            }
        }
    }
    Ok(())
}
