//! Lists are in byte order, by any prefix.

use std::collections::BTreeSet;

use isobar::blob::{ObjectInfo, key};

use super::{STRANGE_KEYS, fill, keys_of};
use crate::{TrialResult, World};

crate::trials![
    "BL-8" => a_list_is_in_utf8_byte_order,
    "BL-8" => a_list_of_strange_keys_is_in_the_order_of_their_stored_names,
    "BL-8" => a_prefix_need_not_end_at_a_slash,
    "BL-8" => every_prefix_of_strange_keys_selects_exactly_what_begins_with_it,
    "BL-8" => a_list_of_nothing_is_empty,
    "BL-8" => a_list_contains_size_version_and_key,
    "BL-8" => a_list_sees_writes_and_deletes_immediately,
];

/// Keys that are stored as they are, so that they are listed in the order of their own bytes.
const PLAIN: &[&str] = &[
    "b",
    "a",
    "a/b",
    "a/a",
    "a!",
    "a-",
    "a0",
    "aa",
    "A",
    "0",
    "10",
    "9",
    "a b",
    "a/b/c",
    "\u{e9}",
    "e\u{301}",
    "z",
    "~a",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e001}",
    "\u{fffd}",
    "\u{10000}",
    "\u{1f600}",
    "\u{10ffff}",
    "a\u{10ffff}",
    "a\u{e001}",
];

async fn a_list_is_in_utf8_byte_order(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, PLAIN).await?;
    let mut expected = PLAIN.to_vec();
    expected.sort_unstable();
    assert_eq!(keys_of(&files, "").await?, expected);
    expected.retain(|key| key.starts_with('a'));
    assert_eq!(keys_of(&files, "a").await?, expected);
    Ok(())
}

async fn a_list_of_strange_keys_is_in_the_order_of_their_stored_names(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let mut expected = STRANGE_KEYS.to_vec();
    expected.sort_unstable_by_key(|plain| key::encode(plain));
    assert_eq!(keys_of(&files, "").await?, expected);
    Ok(())
}

async fn a_prefix_need_not_end_at_a_slash(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["logs/2025-12", "logs/2026-01", "logs/2026-02", "logs2/2026", "log", "other"]).await?;
    assert_eq!(keys_of(&files, "logs/2026").await?, ["logs/2026-01", "logs/2026-02"]);
    assert_eq!(keys_of(&files, "logs").await?, ["logs/2025-12", "logs/2026-01", "logs/2026-02", "logs2/2026"]);
    assert_eq!(keys_of(&files, "logs/").await?, ["logs/2025-12", "logs/2026-01", "logs/2026-02"]);
    assert_eq!(keys_of(&files, "logs/2026-01").await?, ["logs/2026-01"]);
    assert_eq!(keys_of(&files, "log").await?.len(), 5);
    assert_eq!(keys_of(&files, "/logs").await?, Vec::<String>::new());
    assert_eq!(keys_of(&files, "logs/2026-01/").await?, Vec::<String>::new());
    Ok(())
}

async fn every_prefix_of_strange_keys_selects_exactly_what_begins_with_it(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let ends = |key: &'static str| (1..=key.len()).filter(|end| key.is_char_boundary(*end)).map(|end| &key[..end]);
    let mut prefixes: BTreeSet<_> = STRANGE_KEYS.iter().flat_map(|key| ends(key)).collect();
    prefixes.extend(["a/.", "a/%", "%2", "..//", "b", "\u{10fffe}"]);
    for prefix in prefixes {
        let expected: BTreeSet<_> = STRANGE_KEYS.iter().filter(|key| key.starts_with(prefix)).copied().collect();
        let found = keys_of(&files, prefix).await?;
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "prefix {prefix:?}");
        assert_eq!(found.len(), expected.len(), "prefix {prefix:?}");
    }
    Ok(())
}

async fn a_list_of_nothing_is_empty(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for list in [files.list(""), files.list("a"), files.list("").delimited(), files.list("a/").delimited()] {
        let page = list.page().await?;
        assert!(page.objects.is_empty() && page.prefixes.is_empty() && page.next.is_none());
    }
    files.put("b", "x").await?;
    assert_eq!(files.list("a").all().await?, []);
    Ok(())
}

async fn a_list_contains_size_version_and_key(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let mut expected: Vec<ObjectInfo> = Vec::new();
    for (key, content) in [("a", ""), ("a//../b", "hello"), ("b", "x")] {
        let version = files.put(key, content).await?;
        let head = files.head(key).await?;
        assert_eq!((&head.version, head.size), (&version, content.len() as u64));
        expected.push(head);
    }
    assert_eq!(files.list("").all().await?, expected);
    Ok(())
}

async fn a_list_sees_writes_and_deletes_immediately(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 0..5 {
        let key = format!("key {round}");
        files.put(&key, "x").await?;
        assert_eq!(keys_of(&files, "").await?, [key.as_str()]);
        files.copy(&key, "z", isobar::blob::PutMode::Overwrite).await?;
        assert_eq!(keys_of(&files, "").await?, [key.as_str(), "z"]);
        files.delete(&key).await?;
        files.delete("z").await?;
        assert_eq!(files.list("").all().await?, []);
    }
    Ok(())
}
