//! Many writers of one object at the same time: one wins, and it is whole.

use isobar::blob::{PutMode, PutOptions, Version};
use isobar::{ErrorKind, Result};

use super::{content, in_pieces, keys_of, text};
use crate::trials::key_value::concurrently;
use crate::{TrialResult, World};

crate::trials![
    "BL-3" => one_of_many_racing_object_creates_wins,
    "BL-3" => one_of_many_racing_streamed_creates_wins,
    "BL-4" => one_of_many_racing_updates_of_an_object_version_wins,
    "BL-4" => many_writers_that_try_again_all_count,
    "BL-5" => racing_overwrites_of_an_object_leave_one_of_them_whole,
    "BL-5" => racing_streams_leave_one_of_them_whole,
    "BL-5" => a_reader_concurrent_with_a_writer_reads_one_write_whole,
    "BL-12" => one_of_many_racing_copies_creates,
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

fn exists_after_a_conflict<T>(result: Result<T>) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::Conflict => Err(isobar::Error::already_exists(error.to_string())),
        result => result,
    }
}

async fn one_of_many_racing_object_creates_wins(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 0..4 {
        let key = format!("dir/{round}");
        let results = concurrently(WRITERS, |number| {
            let (files, key) = (files.clone(), key.clone());
            async move { files.put_with(&key, number.to_string(), PutMode::Create).await }
        });
        let results = results.await;
        let winner = winner(&results, ErrorKind::AlreadyExists);
        assert_eq!(text(&files, &key).await?, winner.to_string());
        assert_eq!(results[winner].as_ref().ok(), Some(&files.head(&key).await?.version));
    }
    Ok(())
}

async fn one_of_many_racing_streamed_creates_wins(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let files = cloud.bucket("files");
    let whole = content(8 << 20);
    let results = concurrently(4, |number| {
        let (files, whole) = (files.clone(), whole.clone());
        let options = PutOptions::from(PutMode::Create).with_metadata("writer", number.to_string());
        async move { files.put_stream("a", in_pieces(whole, 1 << 20), options).await }
    });
    let results = results.await;
    if cloud.profile().conditional_multipart {
        // S3 reports a race of completions as a conflict.
        let results: Vec<_> = results.into_iter().map(exists_after_a_conflict).collect();
        let winner = winner(&results, ErrorKind::AlreadyExists);
        let object = files.get("a").await?;
        assert_eq!(object.metadata["writer"], winner.to_string());
        assert!(object.bytes().await? == whole, "the content is torn");
    } else {
        assert!(results.into_iter().all(|result| result.unwrap_err().kind() == ErrorKind::Unsupported));
        assert_eq!(keys_of(&files, "").await?, Vec::<String>::new());
    }
    Ok(())
}

async fn one_of_many_racing_updates_of_an_object_version_wins(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let mut version = files.put("a", "first").await?;
    for round in 0..4 {
        // On S3 the version is a hash: equal content would have an earlier version again.
        let content = move |number: usize| format!("{number} of {round}");
        let results = concurrently(WRITERS, |number| {
            let (files, version) = (files.clone(), version.clone());
            async move { files.put_with("a", content(number), PutMode::Update(version)).await }
        });
        let winner = winner(&results.await, ErrorKind::Conflict);
        let object = files.get("a").await?;
        version = object.info.version.clone();
        assert_eq!(object.bytes().await?, content(winner));
    }
    Ok(())
}

async fn many_writers_that_try_again_all_count(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("count", "0").await?;
    let counted = concurrently(16, |_| {
        let files = files.clone();
        async move {
            for _ in 0..1_000 {
                let object = files.get("count").await?;
                let version: Version = object.info.version.clone();
                let count: u32 = String::from_utf8_lossy(&object.bytes().await?).parse().expect("a number");
                match files.put_with("count", (count + 1).to_string(), PutMode::Update(version)).await {
                    Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
                    other => return other.map(drop),
                }
            }
            panic!("a thousand writes lost their race");
        }
    });
    counted.await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(text(&files, "count").await?, "16");
    Ok(())
}

async fn racing_overwrites_of_an_object_leave_one_of_them_whole(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let versions = concurrently(WRITERS, |number| {
        let options = PutOptions::default().with_metadata("writer", number.to_string());
        let files = files.clone();
        async move { files.put_with("a", vec![number as u8; 10_000 + number], options).await }
    });
    let versions = versions.await.into_iter().collect::<Result<Vec<_>>>()?;
    let object = files.get("a").await?;
    let last = versions.iter().position(|version| *version == object.info.version).expect("the version of none");
    assert_eq!(object.metadata["writer"], last.to_string());
    assert!(object.bytes().await? == vec![last as u8; 10_000 + last], "the content is torn");
    Ok(())
}

async fn racing_streams_leave_one_of_them_whole(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let versions = concurrently(4, |number| {
        let options = PutOptions::default().with_metadata("writer", number.to_string());
        let (files, whole) = (files.clone(), bytes::Bytes::from(vec![number as u8; (8 << 20) + number]));
        async move { files.put_stream("a", in_pieces(whole, 700_001), options).await }
    });
    let versions = versions.await.into_iter().collect::<Result<Vec<_>>>()?;
    let object = files.get("a").await?;
    let last = versions.iter().position(|version| *version == object.info.version).expect("the version of none");
    assert_eq!(object.metadata["writer"], last.to_string());
    assert!(object.bytes().await? == vec![last as u8; (8 << 20) + last], "the content is torn");
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}

async fn a_reader_concurrent_with_a_writer_reads_one_write_whole(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let of = |number: usize| PutOptions::default().with_metadata("n", number.to_string());
    files.put_with("a", vec![0; 50_000], of(0)).await?;
    let writer = files.clone();
    let writing = tokio::spawn(async move {
        for number in 1..60 {
            writer.put_with("a", vec![number as u8; 50_000 + number], of(number)).await?;
        }
        Ok::<_, isobar::Error>(())
    });
    while !writing.is_finished() {
        let object = files.get("a").await?;
        let number: usize = object.metadata["n"].parse()?;
        assert_eq!(object.info.size, (50_000 + number) as u64);
        assert!(object.bytes().await? == vec![number as u8; 50_000 + number], "a torn read");
        assert_eq!(keys_of(&files, "").await?, ["a"]);
        // Reads that never wait would keep the writer from its turn.
        tokio::task::yield_now().await;
    }
    writing.await??;
    Ok(())
}

async fn one_of_many_racing_copies_creates(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for number in 0..8 {
        files.put(format!("from {number}"), number.to_string()).await?;
    }
    let results = concurrently(8, |number| {
        let files = files.clone();
        async move { files.copy(format!("from {number}"), "to", PutMode::Create).await }
    });
    let winner = winner(&results.await, ErrorKind::AlreadyExists);
    assert_eq!(text(&files, "to").await?, winner.to_string());
    Ok(())
}
