//! Reads of a part of an object.

use std::ops::Range;

use futures_util::TryStreamExt;
use isobar::ErrorKind;
use isobar::blob::GetOptions;

use super::{content, in_pieces};
use crate::{TrialResult, World};

crate::trials![
    "BL-7" => a_range_returns_just_its_bytes,
    "BL-7" => a_range_that_runs_past_the_end_is_cut,
    "BL-7" => a_range_past_the_end_or_of_no_byte_is_invalid_input,
    "BL-7" => any_range_of_an_empty_object_is_invalid_input,
    "BL-7" => ranges_across_the_parts_of_a_large_object_are_whole,
];

async fn a_range_returns_just_its_bytes(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let whole = content(1_000);
    files.put("a", whole.clone()).await?;
    for range in [0..1, 0..1_000, 1..2, 500..777, 999..1_000, 255..257] {
        let part = files.get_range("a", range.clone()).await?;
        assert_eq!(part, whole.slice(range.start as usize..range.end as usize), "{range:?}");
        let object = files.get_with("a", GetOptions::default().with_range(range.clone())).await?;
        assert_eq!((object.info.size, object.range.clone()), (1_000, range));
        let streamed: Vec<_> = object.stream().try_collect().await?;
        assert_eq!(streamed.concat(), part);
    }
    Ok(())
}

async fn a_range_that_runs_past_the_end_is_cut(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "hello").await?;
    for end in [6, 1_000, u64::MAX] {
        assert_eq!(files.get_range("a", 3..end).await?, "lo", "..{end}");
        let object = files.get_with("a", GetOptions::default().with_range(0..end)).await?;
        assert_eq!(object.range, 0..5);
    }
    Ok(())
}

async fn a_range_past_the_end_or_of_no_byte_is_invalid_input(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "hello").await?;
    for (start, end) in [(5, 6), (6, 7), (u64::MAX - 1, u64::MAX), (0, 0), (3, 3), (5, 5), (3, 2), (u64::MAX, 0)] {
        let error = files.get_range("a", Range { start, end }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{start}..{end}");
    }
    Ok(())
}

async fn any_range_of_an_empty_object_is_invalid_input(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("empty", "").await?;
    for range in [0..0, 0..1, 1..2, 0..u64::MAX] {
        let error = files.get_range("empty", range.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{range:?}");
    }
    Ok(())
}

async fn ranges_across_the_parts_of_a_large_object_are_whole(world: Box<dyn World>) -> TrialResult {
    const PART: u64 = 8 * 1024 * 1024;
    let files = world.cloud().bucket("files");
    let whole = content(2 * PART as usize + 10);
    files.put_stream("large", in_pieces(whole.clone(), 1_000_003), isobar::blob::PutMode::Overwrite).await?;
    for range in [PART - 1..PART + 1, PART..PART + 1, 0..1, PART - 500_000..PART + 500_000, 2 * PART..2 * PART + 10] {
        let part = files.get_range("large", range.clone()).await?;
        assert!(part == whole.slice(range.start as usize..range.end as usize), "{range:?}");
    }
    Ok(())
}
