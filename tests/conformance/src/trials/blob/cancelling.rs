//! A write whose caller goes away: dropped after its first poll, or somewhere on its way.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future, stream};
use isobar::blob::{Bucket, PutMode, PutOptions};

use super::{content, in_pieces, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-5" => an_object_put_that_is_dropped_happens_whole_or_not_at_all,
    "BL-5" => an_object_put_that_is_aborted_happens_whole_or_not_at_all,
    "BL-5" => a_stream_that_is_dropped_on_its_way_leaves_what_was_there,
    "BL-5" => a_copy_or_delete_that_is_dropped_leaves_all_or_nothing,
    "BL-5" => a_bucket_works_on_after_any_number_of_dropped_calls,
];

const ROUNDS: u8 = 40;

fn filled(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 100_000 + usize::from(byte)])
}

fn named(byte: u8) -> PutOptions {
    PutOptions::default().with_metadata("byte", byte.to_string())
}

/// The object must be one that was written, whole, with the metadata that belongs to it.
///
/// Each round has a key of its own: what was dropped may still be on its way when the next begins.
async fn whole(files: &Bucket, key: &str, allowed: &[u8]) -> TrialResult {
    let object = files.get(key).await?;
    let byte: u8 = object.metadata["byte"].parse()?;
    assert!(object.bytes().await? == filled(byte), "a torn object");
    assert!(allowed.contains(&byte), "{byte} is neither the old nor the new: {allowed:?}");
    Ok(())
}

async fn an_object_put_that_is_dropped_happens_whole_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 1..=ROUNDS {
        let key = format!("round {round}");
        files.put_with(&key, filled(0), named(0)).await?;
        let ended = files.put_with(&key, filled(round), named(round)).now_or_never();
        let allowed = if ended.is_some() { vec![round] } else { vec![0, round] };
        for _ in 0..3 {
            whole(&files, &key, &allowed).await?;
        }
    }
    assert_eq!(keys_of(&files, "").await?.len(), usize::from(ROUNDS));
    Ok(())
}

async fn an_object_put_that_is_aborted_happens_whole_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 1..=ROUNDS {
        let key = format!("round {round}");
        files.put_with(&key, filled(0), named(0)).await?;
        let (writer, at) = (files.clone(), key.clone());
        let task = tokio::spawn(async move { writer.put_with(at, filled(round), named(round)).await });
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let allowed = if task.await.is_ok() { vec![round] } else { vec![0, round] };
        whole(&files, &key, &allowed).await?;
    }
    assert_eq!(keys_of(&files, "").await?.len(), usize::from(ROUNDS));
    Ok(())
}

async fn a_stream_that_is_dropped_on_its_way_leaves_what_was_there(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("old", "old").await?;
    for size in [1 << 20, 8 << 20, 17 << 20] {
        for key in ["old", "new"] {
            let (sender, reached) = tokio::sync::oneshot::channel();
            // When all pieces have been taken, the stream says so and never ends.
            let forever = stream::once(async move {
                let _ = sender.send(());
                future::pending::<Result<Bytes, Infallible>>().await
            });
            let pieces = in_pieces(content(size), 1 << 20).chain(forever);
            let write = Box::pin(files.put_stream(key, pieces, PutMode::Overwrite));
            let future::Either::Right((_, dropped)) = future::select(write, reached).await else {
                panic!("a write without an end ended");
            };
            drop(dropped);
            assert_eq!(keys_of(&files, "").await?, ["old"], "{size} bytes");
            assert_eq!(text(&files, "old").await?, "old");
        }
    }
    Ok(())
}

async fn a_copy_or_delete_that_is_dropped_leaves_all_or_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 1..=ROUNDS {
        let (from, to) = (format!("from {round}"), format!("to {round}"));
        files.put(&from, filled(round)).await?;
        let ended = files.copy(&from, &to, PutMode::Create).now_or_never().is_some();
        match files.get(&to).await {
            Ok(object) => assert!(object.bytes().await? == filled(round), "a torn copy"),
            Err(error) => assert!(!ended && error.kind() == isobar::ErrorKind::NotFound, "{error:?}"),
        }
        let ended = files.delete(&from).now_or_never().is_some();
        match files.get(&from).await {
            Ok(object) => assert!(!ended && object.bytes().await? == filled(round), "a torn object"),
            Err(error) => assert_eq!(error.kind(), isobar::ErrorKind::NotFound),
        }
    }
    Ok(())
}

async fn a_bucket_works_on_after_any_number_of_dropped_calls(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "1").await?;
    for _ in 0..100 {
        drop(files.get("a").now_or_never());
        drop(files.head("a").now_or_never());
        drop(files.list("").page().now_or_never());
        drop(files.put_stream("b", in_pieces(content(100), 10), PutMode::Overwrite).now_or_never());
        drop(files.signed_get("a", std::time::Duration::from_secs(60)).now_or_never());
    }
    files.put("a", "2").await?;
    assert_eq!(text(&files, "a").await?, "2");
    assert!(keys_of(&files, "").await?.iter().all(|key| key == "a" || key == "b"));
    Ok(())
}
