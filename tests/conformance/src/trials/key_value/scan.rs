//! A scan returns the whole table once, in segments.

use std::collections::BTreeMap;
use std::time::Duration;

use isobar::ErrorKind;
use isobar::key_value::{Cursor, Key, PutOptions, ScanQuery, Table};

use super::{STRANGE_SORTS, fill};
use crate::{TrialResult, World};

crate::trials![
    "KV-12" => a_scan_returns_every_item_of_every_partition_once,
    "KV-12" => segments_are_disjoint_and_together_the_whole,
    "KV-12" => pages_of_a_scan_are_bounded_and_go_on_from_printed_cursors,
    "KV-12" => a_scan_returns_once_what_was_there_all_the_time,
    "KV-12" => a_scan_of_an_empty_table_is_empty,
    "KV-12" => a_segment_that_there_is_not_is_invalid_input,
    "KV-12" => a_scan_from_a_foreign_cursor_is_invalid_input_or_a_page_of_the_table,
    "KV-12" => a_scan_leaves_out_what_has_expired,
    "KV-12" => a_scan_sees_no_table_but_its_own,
];

/// Fills some partitions, and returns all keys with their values.
async fn filled(items: &Table<usize>) -> isobar::Result<BTreeMap<Key, usize>> {
    let mut expected = BTreeMap::new();
    for partition in ["p", "q/'\"\0", "\u{10ffff}"] {
        fill(items, partition, STRANGE_SORTS).await?;
        expected.extend(STRANGE_SORTS.iter().map(|sort| Key::new(partition, *sort)).zip(0..));
    }
    for number in 0..40 {
        let key = Key::from(format!("own {number}"));
        items.put(&key, &number).await?;
        expected.insert(key, number);
    }
    Ok(expected)
}

/// All pages of a segment of a scan; asserts that each holds to the limit.
async fn read(mut scan: ScanQuery<usize>, limit: usize) -> isobar::Result<Vec<(Key, usize)>> {
    let mut found = Vec::new();
    for _ in 0..10_000 {
        let page = scan.page().await?;
        assert!(page.items.len() <= limit, "{} items, the limit is {limit}", page.items.len());
        found.extend(page.items.into_iter().map(|entry| (entry.key, entry.value)));
        let Some(next) = page.next else { return Ok(found) };
        scan = scan.after(next.to_string().parse::<Cursor>()?);
    }
    panic!("the scan does not end");
}

fn once(found: Vec<(Key, usize)>) -> BTreeMap<Key, usize> {
    let count = found.len();
    let map: BTreeMap<_, _> = found.into_iter().collect();
    assert_eq!(map.len(), count, "an item is there twice");
    map
}

async fn a_scan_returns_every_item_of_every_partition_once(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let expected = filled(&items).await?;
    let found = items.scan().all().await?.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(once(found), expected);
    Ok(())
}

async fn segments_are_disjoint_and_together_the_whole(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let expected = filled(&items).await?;
    for segments in [1, 2, 3, 8, 50] {
        let mut found = Vec::new();
        for segment in 0..segments {
            found.extend(read(items.scan().segment(segment, segments).limit(100), 100).await?);
        }
        assert_eq!(once(found), expected, "{segments} segments");
    }
    Ok(())
}

async fn pages_of_a_scan_are_bounded_and_go_on_from_printed_cursors(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let expected = filled(&items).await?;
    for limit in [1, 7] {
        let mut found = Vec::new();
        for segment in 0..2 {
            found.extend(read(items.scan().segment(segment, 2).limit(limit), limit).await?);
        }
        assert_eq!(once(found), expected, "limit {limit}");
    }
    assert!(items.scan().limit(0).page().await?.items.len() <= 1);
    assert_eq!(once(read(items.scan().limit(usize::MAX), usize::MAX).await?), expected);
    Ok(())
}

async fn a_scan_returns_once_what_was_there_all_the_time(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    for number in 0..60 {
        items.put((format!("p{}", number % 7), number.to_string()), &number).await?;
    }
    let (mut found, mut scan) = (Vec::new(), items.scan().limit(4));
    for step in 0..1_000 {
        let page = scan.page().await?;
        found.extend(page.items.iter().map(|entry| (entry.key.clone(), entry.value)));
        let Some(next) = page.next else { break };
        // The item at the cursor among others.
        let gone = page.items.last().filter(|entry| entry.value % 3 == 0);
        if let Some(entry) = gone {
            items.delete(&entry.key).await?;
        }
        if step < 20 {
            items.put((format!("p{step}"), "new"), &(1_000 + step)).await?;
        }
        scan = scan.after(next);
    }
    let found = once(found);
    let old = found.values().filter(|value| **value < 1_000).count();
    assert_eq!(old, 60, "an item is lost");
    Ok(())
}

async fn a_scan_of_an_empty_table_is_empty(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    assert_eq!(read(items.scan(), 1_000).await?, []);
    items.put("a", &1).await?;
    items.delete("a").await?;
    assert_eq!(read(items.scan().segment(1, 2), 1_000).await?, []);
    assert_eq!(read(items.scan(), 1_000).await?, []);
    Ok(())
}

async fn a_segment_that_there_is_not_is_invalid_input(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    items.put("a", &1).await?;
    for (segment, segments) in [(0, 0), (1, 1), (4, 4), (u32::MAX, 4)] {
        let error = items.scan().segment(segment, segments).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{segment} of {segments}");
    }
    Ok(())
}

async fn a_scan_from_a_foreign_cursor_is_invalid_input_or_a_page_of_the_table(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    items.put("a", &1).await?;
    for text in ["cnonsense", "c", "c0", "c~00", "c~7B", "c~22~22", "c~7B~7D"] {
        match items.scan().after(text.parse::<Cursor>()?).page().await {
            Ok(page) => assert!(page.items.iter().all(|entry| entry.key == Key::from("a")), "{text}: {page:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}"),
        }
    }
    Ok(())
}

async fn a_scan_leaves_out_what_has_expired(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(5));
    for number in 0..30 {
        let options = if number % 3 == 0 { PutOptions::default() } else { ttl.clone() };
        items.put_with(number.to_string(), &number, options).await?;
    }
    world.advance(Duration::from_secs(5))?;
    let found = once(read(items.scan().limit(2), 2).await?);
    let mut values: Vec<_> = found.into_values().collect();
    values.sort_unstable();
    assert_eq!(values, (0..30).step_by(3).collect::<Vec<_>>());
    Ok(())
}

async fn a_scan_sees_no_table_but_its_own(world: Box<dyn World>) -> TrialResult {
    let (items, others) = (world.cloud().table::<usize>("items"), world.cloud().table::<usize>("items-2"));
    items.put("a", &1).await?;
    others.put("b", &2).await?;
    assert_eq!(read(items.scan(), 1_000).await?, [(Key::from("a"), 1)]);
    assert_eq!(read(others.scan(), 1_000).await?, [(Key::from("b"), 2)]);
    Ok(())
}
