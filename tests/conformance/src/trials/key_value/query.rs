//! Queries return a range of one partition in byte order.

use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use isobar::key_value::Table;

use super::{STRANGE_SORTS, fill, sorts};
use crate::{TrialResult, World};

crate::trials![
    "KV-9" => a_query_returns_utf8_byte_order,
    "KV-9" => a_descending_query_returns_the_exact_reverse,
    "KV-9" => the_order_is_that_of_bytes_for_any_text,
    "KV-9" => a_query_returns_keys_values_and_versions,
    "KV-9" => a_query_of_an_absent_partition_is_empty,
    "KV-10" => a_prefix_selects_exactly_what_begins_with_it,
    "KV-10" => a_prefix_of_the_last_characters_has_no_end_but_the_partition,
    "KV-10" => a_range_selects_exactly_the_keys_in_it,
    "KV-10" => ranges_that_hold_nothing_are_empty_pages,
    "KV-10" => a_prefix_or_range_selects_the_same_in_descending_order,
];

/// Items at sort keys, and the map in which Rust orders them by their bytes.
async fn filled<'a>(items: &Table<usize>, keys: &'a [String]) -> isobar::Result<BTreeMap<&'a str, usize>> {
    fill(items, "p", keys).await?;
    Ok(keys.iter().map(String::as_str).zip(0..).collect())
}

fn strange() -> Vec<String> {
    STRANGE_SORTS.iter().map(|sort| (*sort).to_owned()).collect()
}

/// Texts of up to 6 characters, of those at the borders of UTF-8's lengths and of separators; always
/// the same ones.
fn any_texts(count: usize) -> Vec<String> {
    const CHARACTERS: &str = "\0\u{1}#/%|~ab\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}";
    let characters: Vec<char> = CHARACTERS.chars().collect();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut texts = std::collections::BTreeSet::new();
    while texts.len() < count {
        let length = random(7);
        let text: String = (0..length).map(|_| characters[random(characters.len())]).collect();
        // Those are isobar's own.
        if !text.starts_with("\u{10ffff}\u{10ffff}") {
            texts.insert(text);
        }
    }
    texts.into_iter().rev().collect()
}

async fn a_query_returns_utf8_byte_order(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = strange();
    let reference = filled(&items, &keys).await?;
    let found = items.query("p").all().await?;
    assert_eq!(sorts(&found), reference.keys().copied().collect::<Vec<_>>());
    let values: Vec<_> = found.iter().map(|entry| entry.value).collect();
    assert_eq!(values, reference.values().copied().collect::<Vec<_>>());
    Ok(())
}

async fn a_descending_query_returns_the_exact_reverse(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = strange();
    let reference = filled(&items, &keys).await?;
    let found = items.query("p").descending().all().await?;
    assert_eq!(sorts(&found), reference.keys().rev().copied().collect::<Vec<_>>());
    Ok(())
}

async fn the_order_is_that_of_bytes_for_any_text(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = any_texts(200);
    let reference = filled(&items, &keys).await?;
    let found = items.query("p").all().await?;
    assert_eq!(sorts(&found), reference.keys().copied().collect::<Vec<_>>());
    let first = items.query("p").descending().limit(7).page().await?;
    assert_eq!(sorts(&first.items), reference.keys().rev().take(7).copied().collect::<Vec<_>>());
    Ok(())
}

async fn a_query_returns_keys_values_and_versions(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put(("p", "a"), &7).await?;
    let found = items.query("p").all().await?.remove(0);
    assert_eq!((found.key.partition.as_str(), found.key.sort.as_str()), ("p", "a"));
    assert_eq!((found.value, found.version, found.expires_at), (7, version, None));
    Ok(())
}

async fn a_query_of_an_absent_partition_is_empty(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let page = items.query("p").page().await?;
    assert!(page.items.is_empty() && page.next.is_none());
    items.put("q", &1).await?;
    assert_eq!(items.query("p").descending().all().await?, []);
    Ok(())
}

async fn a_prefix_selects_exactly_what_begins_with_it(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = strange();
    let reference = filled(&items, &keys).await?;
    let mut prefixes: Vec<&str> = reference.keys().copied().collect();
    prefixes.extend(["a\u{e001}", "zzz", "\u{d7fe}", "\u{10fffe}"]);
    for prefix in prefixes {
        let expected: Vec<_> = reference.keys().filter(|key| key.starts_with(prefix)).copied().collect();
        assert_eq!(sorts(&items.query("p").prefix(prefix).all().await?), expected, "prefix {prefix:?}");
    }
    Ok(())
}

async fn a_prefix_of_the_last_characters_has_no_end_but_the_partition(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys =
        ["z", "\u{d7ff}", "\u{d7ff}x", "\u{e000}", "\u{ffff}y", "\u{10000}", "\u{10ffff}", "\u{10ffff}\u{10fffe}z"];
    fill(&items, "p", &keys).await?;
    fill(&items, "p\u{10ffff}", &keys).await?;
    for (prefix, expected) in [
        ("\u{10ffff}", vec!["\u{10ffff}", "\u{10ffff}\u{10fffe}z"]),
        ("\u{10ffff}\u{10fffe}", vec!["\u{10ffff}\u{10fffe}z"]),
        ("\u{10ffff}\u{10fffe}\u{10ffff}", vec![]),
        ("\u{d7ff}", vec!["\u{d7ff}", "\u{d7ff}x"]),
        ("\u{ffff}", vec!["\u{ffff}y"]),
    ] {
        let found = items.query("p").prefix(prefix).all().await?;
        assert_eq!(sorts(&found), expected, "prefix {prefix:?}");
        assert!(found.iter().all(|entry| entry.key.partition == "p"));
    }
    Ok(())
}

const POINTS: &[&str] = &["", "\0", "a", "a\0", "a/b", "ab", "b", "\u{d7ff}", "\u{ffff}", "\u{10ffff}"];

/// Ranges of all kinds of ends, many of them the wrong way round.
fn ranges() -> Vec<(Bound<&'static str>, Bound<&'static str>)> {
    let bounds = |point: &&'static str| [Included(*point), Excluded(*point)];
    let ends: Vec<_> = POINTS.iter().flat_map(bounds).chain([Unbounded]).collect();
    ends.iter().flat_map(|lower| ends.iter().map(move |upper| (*lower, *upper))).collect()
}

/// Whether a range contains a sort key. `BTreeMap::range` would panic on a range whose ends are in the wrong order.
fn is_in_range(sort: &str, (lower, upper): (Bound<&str>, Bound<&str>)) -> bool {
    let above = match lower {
        Included(lower) => sort >= lower,
        Excluded(lower) => sort > lower,
        Unbounded => true,
    };
    above
        && match upper {
            Included(upper) => sort <= upper,
            Excluded(upper) => sort < upper,
            Unbounded => true,
        }
}

async fn a_range_selects_exactly_the_keys_in_it(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = strange();
    let reference = filled(&items, &keys).await?;
    for range in ranges() {
        let expected: Vec<_> = reference.keys().filter(|key| is_in_range(key, range)).copied().collect();
        assert_eq!(sorts(&items.query("p").range::<&str>(range).all().await?), expected, "{range:?}");
    }
    Ok(())
}

async fn ranges_that_hold_nothing_are_empty_pages(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", &["", "a", "b", "c"]).await?;
    let empty = [
        (Included("b"), Excluded("b")),
        (Excluded("b"), Included("b")),
        (Excluded("b"), Excluded("b")),
        (Included("c"), Included("a")),
        (Excluded("c"), Excluded("a")),
        (Unbounded, Excluded("")),
        (Excluded("a"), Excluded("a\0")),
        (Excluded("\u{10ffff}"), Unbounded),
    ];
    for range in empty {
        for query in [items.query("p").range::<&str>(range), items.query("p").range::<&str>(range).descending()] {
            let page = query.page().await?;
            assert!(page.items.is_empty() && page.next.is_none(), "{range:?} holds {page:?}");
        }
    }
    Ok(())
}

async fn a_prefix_or_range_selects_the_same_in_descending_order(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let keys = strange();
    filled(&items, &keys).await?;
    for prefix in ["a", "a\0", "\u{10ffff}", "/", ""] {
        let mut down = items.query("p").prefix(prefix).descending().all().await?;
        down.reverse();
        assert_eq!(down, items.query("p").prefix(prefix).all().await?, "prefix {prefix:?}");
    }
    for range in ranges().into_iter().step_by(7) {
        let mut down = items.query("p").range::<&str>(range).descending().all().await?;
        down.reverse();
        assert_eq!(down, items.query("p").range::<&str>(range).all().await?, "{range:?}");
    }
    Ok(())
}
