//! Keys are any UTF-8, and none is taken for another.

use std::collections::HashSet;

use isobar::key_value::{Key, Table};

use super::{STRANGE_SORTS, fill, sorts};
use crate::{TrialResult, World};

crate::trials![
    "KV-3" => every_strange_sort_key_is_a_key_of_its_own,
    "KV-3" => every_strange_partition_is_a_partition_of_its_own,
    "KV-3" => the_two_parts_of_a_key_do_not_run_together,
    "KV-3" => keys_that_differ_in_case_blanks_or_composition_are_different,
    "KV-3" => query_text_in_a_key_is_only_text,
    "KV-3" => a_query_sees_no_partition_but_its_own,
    "KV-3" => the_longest_keys_may_be_of_characters_that_services_forbid,
    "KV-3" => a_delete_of_one_strange_key_leaves_the_others,
];

/// Puts all keys, then reads each of them by every way to read one.
async fn are_different(items: &Table<usize>, keys: &[Key]) -> TrialResult {
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "the trial repeats a key");
    for (place, key) in keys.iter().enumerate() {
        items.put(key, &place).await?;
    }
    let many = items.get_many(keys).await?;
    assert_eq!(many, (0..keys.len()).map(Some).collect::<Vec<_>>());
    for (place, key) in keys.iter().enumerate() {
        let entry = items.get_entry(key).await?.expect("the item is there");
        assert_eq!((entry.value, &entry.key), (place, key));
        let found = items.query(key.partition.as_str()).range(key.sort.as_str()..=key.sort.as_str()).all().await?;
        assert_eq!(found.iter().map(|entry| entry.value).collect::<Vec<_>>(), [place], "{key:?}");
    }
    Ok(())
}

async fn every_strange_sort_key_is_a_key_of_its_own(world: Box<dyn World>) -> TrialResult {
    let keys: Vec<_> = STRANGE_SORTS.iter().map(|sort| Key::new("p", *sort)).collect();
    are_different(&world.cloud().table("items"), &keys).await
}

async fn every_strange_partition_is_a_partition_of_its_own(world: Box<dyn World>) -> TrialResult {
    let partitions = STRANGE_SORTS.iter().filter(|partition| !partition.is_empty());
    let keys: Vec<_> = partitions.map(|partition| Key::from(*partition)).collect();
    are_different(&world.cloud().table("items"), &keys).await
}

async fn the_two_parts_of_a_key_do_not_run_together(world: Box<dyn World>) -> TrialResult {
    let mut keys = vec![Key::new("ab", ""), Key::new("a", "b"), Key::new("a", ""), Key::new("b", "a")];
    for separator in ["\0", "\u{1}", "#", "/", "|", "%", ":", "~", "\u{1f}", "\u{10ffff}", "%00", "\\", "_", "."] {
        keys.push(Key::new(format!("a{separator}b"), ""));
        keys.push(Key::new(format!("a{separator}"), "b"));
        keys.push(Key::new("a", format!("{separator}b")));
        keys.push(Key::new(format!("a{separator}"), format!("{separator}b")));
    }
    are_different(&world.cloud().table("items"), &keys).await
}

async fn keys_that_differ_in_case_blanks_or_composition_are_different(world: Box<dyn World>) -> TrialResult {
    let parts = [
        "key",
        "Key",
        "KEY",
        "key ",
        " key",
        "key\t",
        "k\u{e9}y",
        "ke\u{301}y",
        "\u{feff}key",
        "ｋｅｙ",
        "ke\u{200b}y",
    ];
    let keys: Vec<_> = parts.iter().flat_map(|part| [Key::from(*part), Key::new("p", *part)]).collect();
    are_different(&world.cloud().table("items"), &keys).await
}

async fn query_text_in_a_key_is_only_text(world: Box<dyn World>) -> TrialResult {
    let texts = [
        "' OR 1=1 --",
        "\" OR \"\"=\"",
        "x'; DELETE FROM c WHERE '1'='1",
        "`; DROP TABLE items",
        "\\' OR c.id != \\'",
        "@partition",
        ":sort",
        "#name",
        "$filter=PartitionKey ne ''",
        "{\"$ne\":null}",
        "%' --",
        "*",
        "a'b\"c`d",
    ];
    let keys: Vec<_> = texts.iter().flat_map(|text| [Key::from(*text), Key::new("p", *text)]).collect();
    are_different(&world.cloud().table("items"), &keys).await
}

async fn a_query_sees_no_partition_but_its_own(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let partitions = ["a", "ab", "a\0", "a\u{1}", "a#", "a/", "a|", "a%", "A", "a ", "\u{10ffff}", "a\u{10ffff}", "b"];
    for (number, partition) in partitions.iter().enumerate() {
        fill(&items, partition, &["same"]).await?;
        items.put((*partition, "own"), &number).await?;
    }
    for (number, partition) in partitions.iter().enumerate() {
        let found = items.query(*partition).all().await?;
        assert_eq!(sorts(&found), ["own", "same"], "{partition:?}");
        assert_eq!(found[0].value, number, "{partition:?}");
        assert!(found.iter().all(|entry| entry.key.partition == *partition));
    }
    Ok(())
}

async fn the_longest_keys_may_be_of_characters_that_services_forbid(world: Box<dyn World>) -> TrialResult {
    let of = |character: char, bytes: usize| character.to_string().repeat(bytes / character.len_utf8());
    let characters =
        ['\0', '\u{1}', '/', '\\', '?', '#', '%', '.', '\'', '\u{7f}', '\u{ff}', '\u{1f600}', '\u{10ffff}'];
    // Two of the last character at its front would make a key isobar's own.
    let sort = |one: char| if one == '\u{10ffff}' { format!("aaaa{}", of(one, 508)) } else { of(one, 512) };
    let keys: Vec<_> = characters.iter().map(|one| Key::new(of(*one, 256), sort(*one))).collect();
    assert!(keys.iter().all(|key| key.partition.len() == 256 && key.sort.len() == 512));
    are_different(&world.cloud().table("items"), &keys).await
}

async fn a_delete_of_one_strange_key_leaves_the_others(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p", STRANGE_SORTS).await?;
    let (deleted, remaining): (Vec<_>, Vec<_>) = (0..STRANGE_SORTS.len()).partition(|place| place % 2 == 0);
    for place in &deleted {
        items.delete(("p", STRANGE_SORTS[*place])).await?;
    }
    let mut found: Vec<_> = items.query("p").all().await?.into_iter().map(|entry| entry.value).collect();
    found.sort_unstable();
    assert_eq!(found, remaining);
    Ok(())
}
