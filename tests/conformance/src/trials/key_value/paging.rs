//! Pages of a query: full, complete, and steady while others write.

use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::key_value::{Cursor, PutOptions, Table};

use super::{STRANGE_SORTS, fill, pages, sorts};
use crate::{TrialResult, World};

crate::trials![
    "KV-11" => pages_of_any_size_are_full_and_together_the_whole,
    "KV-11" => pages_of_strange_keys_go_on_from_printed_cursors,
    "KV-11" => pages_go_down_as_they_go_up,
    "KV-11" => pages_hold_to_the_prefix_and_the_range,
    "KV-11" => a_limit_of_zero_counts_as_one_and_the_largest_takes_all,
    "KV-11" => pages_return_once_what_was_there_all_the_time,
    "KV-11" => pages_going_down_are_steady_while_others_write,
    "KV-11" => a_cursor_is_good_when_the_item_at_it_is_gone,
    "KV-11" => pages_with_expired_items_between_are_full,
    "KV-11" => a_page_larger_than_one_response_of_a_service_is_full,
    "KV-11" => all_returns_more_than_one_page_of_the_default_size,
    "KV-11" => a_cursor_is_text_that_a_url_can_carry,
    "KV-11" => text_that_is_no_cursor_is_invalid_input,
    "KV-11" => a_cursor_never_leads_out_of_its_query,
];

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

async fn pages_of_any_size_are_full_and_together_the_whole(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &numbered(12)).await?;
    let whole = items.query("p").all().await?;
    for limit in [1, 2, 3, 5, 11, 12, 13] {
        let pages = pages(items.query("p").limit(limit)).await?;
        let (last, full) = pages.split_last().unwrap();
        assert!(full.iter().all(|page| page.items.len() == limit), "limit {limit}: {pages:?}");
        assert!(last.items.len() <= limit && last.next.is_none());
        let together: Vec<_> = pages.iter().flat_map(|page| page.items.clone()).collect();
        assert_eq!(together, whole, "limit {limit}");
    }
    Ok(())
}

async fn pages_of_strange_keys_go_on_from_printed_cursors(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", STRANGE_SORTS).await?;
    let mut expected = STRANGE_SORTS.to_vec();
    expected.sort_unstable();
    let up = pages(items.query("p").limit(1)).await?;
    let up: Vec<_> = up.iter().flat_map(|page| sorts(&page.items)).collect();
    assert_eq!(up, expected);
    expected.reverse();
    let down = pages(items.query("p").limit(1).descending()).await?;
    let down: Vec<_> = down.iter().flat_map(|page| sorts(&page.items)).collect();
    assert_eq!(down, expected);
    Ok(())
}

async fn pages_go_down_as_they_go_up(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &numbered(10)).await?;
    let first = items.query("p").descending().limit(4).page().await?;
    assert_eq!(sorts(&first.items), ["0009", "0008", "0007", "0006"]);
    let second = items.query("p").descending().limit(4).after(first.next.unwrap()).page().await?;
    assert_eq!(sorts(&second.items), ["0005", "0004", "0003", "0002"]);
    let third = items.query("p").descending().limit(4).after(second.next.unwrap()).page().await?;
    assert_eq!(sorts(&third.items), ["0001", "0000"]);
    assert_eq!(third.next, None);
    Ok(())
}

async fn pages_hold_to_the_prefix_and_the_range(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a1", "b1", "b2", "b3", "c1"]).await?;
    for query in [items.query("p").prefix("b"), items.query("p").range("b".."c")] {
        for query in [query.clone(), query.descending()] {
            let pages = pages(query.limit(2)).await?;
            let mut found: Vec<_> = pages.iter().flat_map(|page| sorts(&page.items)).collect();
            found.sort_unstable();
            assert_eq!(found, ["b1", "b2", "b3"]);
        }
    }
    Ok(())
}

async fn a_limit_of_zero_counts_as_one_and_the_largest_takes_all(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a", "b", "c"]).await?;
    assert_eq!(sorts(&items.query("p").limit(0).page().await?.items), ["a"]);
    assert_eq!(sorts(&items.query("p").limit(usize::MAX).page().await?.items), ["a", "b", "c"]);
    assert_eq!(sorts(&items.query("p").descending().limit(usize::MAX).page().await?.items), ["c", "b", "a"]);
    Ok(())
}

/// Between two pages, deletes some of the items that were there and inserts others around them.
async fn write_between(items: &Table<usize>, step: usize) -> isobar::Result<()> {
    items.put(("p", format!("0{step:03}-new")), &0).await?;
    items.put(("p", format!("{step:04}+new")), &0).await?;
    items.delete(("p", format!("{:04}", step * 4))).await
}

async fn steady(items: &Table<usize>, descending: bool) -> TrialResult {
    fill(items, "p", &numbered(40)).await?;
    let query = items.query("p").limit(3);
    let mut query = if descending { query.descending() } else { query };
    let mut found = Vec::new();
    for step in 0..200 {
        let page = query.page().await?;
        found.extend(page.items.into_iter().map(|entry| entry.key.sort));
        let Some(next) = page.next else { break };
        query = query.after(next);
        if step < 10 {
            write_between(items, step).await?;
        }
    }
    let mut once = found.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), found.len(), "an item is there twice: {found:?}");
    let stayed = (0..40).filter(|number| number % 4 != 0).map(|number| format!("{number:04}"));
    for sort in stayed {
        assert!(once.contains(&sort), "{sort} is lost");
    }
    Ok(())
}

async fn pages_return_once_what_was_there_all_the_time(world: Box<dyn World>) -> TrialResult {
    steady(&world.cloud().table("items"), false).await
}

async fn pages_going_down_are_steady_while_others_write(world: Box<dyn World>) -> TrialResult {
    steady(&world.cloud().table("items"), true).await
}

async fn a_cursor_is_good_when_the_item_at_it_is_gone(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a", "b", "c", "d"]).await?;
    let page = items.query("p").limit(2).page().await?;
    items.delete(("p", "b")).await?;
    items.delete(("p", "c")).await?;
    items.put(("p", "b2"), &9).await?;
    let rest = items.query("p").limit(9).after(page.next.unwrap()).page().await?;
    assert_eq!(sorts(&rest.items), ["b2", "d"]);
    Ok(())
}

async fn pages_with_expired_items_between_are_full(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(10));
    let mut writes = items.transact("p");
    for number in 0..60 {
        let sort = format!("{number:04}");
        writes = if number % 6 == 5 { writes.put(sort, &number) } else { writes.put_with(sort, &number, ttl.clone()) };
    }
    writes.commit().await?;
    world.advance(Duration::from_secs(10))?;
    for limit in [1, 3, 10] {
        for query in [items.query("p").limit(limit), items.query("p").limit(limit).descending()] {
            let page = query.page().await?;
            assert_eq!(page.items.len(), limit, "a page is not full");
            assert!(page.items.iter().all(|entry| entry.value % 6 == 5), "an expired item is read");
            assert_eq!(pages(query).await?.iter().map(|page| page.items.len()).sum::<usize>(), 10);
        }
    }
    Ok(())
}

async fn a_page_larger_than_one_response_of_a_service_is_full(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for number in 0..15_u8 {
        items.put(("p", format!("{number:02}")), &Bytes::from(vec![number; 380_000])).await?;
    }
    let page = items.query("p").limit(15).page().await?;
    assert_eq!(page.items.len(), 15);
    for (number, entry) in (0..15_u8).zip(page.items) {
        assert!(entry.value.len() == 380_000 && entry.value.iter().all(|byte| *byte == number), "item {number}");
    }
    let down = items.query("p").descending().limit(14).page().await?;
    assert_eq!(sorts(&down.items)[13], "01");
    Ok(())
}

async fn all_returns_more_than_one_page_of_the_default_size(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &numbered(1_005)).await?;
    let first = items.query("p").page().await?;
    assert_eq!(first.items.len(), 1_000);
    let rest = items.query("p").after(first.next.unwrap()).page().await?;
    assert_eq!((rest.items.len(), rest.next), (5, None));
    let all = items.query("p").all().await?;
    assert_eq!(all.iter().map(|entry| entry.value).collect::<Vec<_>>(), (0..1_005).collect::<Vec<_>>());
    Ok(())
}

async fn a_cursor_is_text_that_a_url_can_carry(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", STRANGE_SORTS).await?;
    let pages = pages(items.query("p").limit(1)).await?;
    let scanned = items.scan().limit(1).page().await?;
    let cursors = pages.into_iter().filter_map(|page| page.next).chain(scanned.next);
    for cursor in cursors {
        let text = cursor.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{text:?}");
        assert_eq!(text.parse::<Cursor>()?, cursor);
    }
    Ok(())
}

async fn text_that_is_no_cursor_is_invalid_input(_: Box<dyn World>) -> TrialResult {
    for text in ["", "x", "C", "c~", "c~z", "c~zz", "c~ff", "c a", "ca/b", "cä", "c~2f", "c%2F", "null", "0", "\0"] {
        let error = text.parse::<Cursor>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
    }
    Ok(())
}

async fn a_cursor_never_leads_out_of_its_query(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["a1", "b1", "b2", "c1"]).await?;
    fill(&items, "q", &["b1"]).await?;
    // Clients send cursors back, and may send a cursor that they did not receive.
    for foreign in ["c", "ca", "ca1", "cb1", "cc1", "czzz"] {
        let cursor: Cursor = foreign.parse()?;
        for query in [items.query("p").prefix("b"), items.query("p").prefix("b").descending()] {
            let found = query.limit(9).after(cursor.clone()).all().await?;
            assert!(found.iter().all(|entry| entry.key.sort.starts_with('b')), "{foreign}: {found:?}");
            assert!(found.iter().all(|entry| entry.key.partition == "p"));
        }
    }
    Ok(())
}
