//! Lists that are grouped by `/`, as folders are shown.

use std::collections::BTreeSet;

use isobar::blob::{Bucket, ListPage};

use super::{STRANGE_KEYS, fill, pages};
use crate::{TrialResult, World};

crate::trials![
    "BL-9" => all_keys_below_the_next_slash_are_one_group,
    "BL-9" => groups_and_objects_are_each_in_order,
    "BL-9" => groups_of_strange_keys_are_those_of_the_keys_as_written,
    "BL-9" => groups_below_a_prefix_that_ends_within_a_name_are_found,
    "BL-9" => pages_of_groups_return_each_group_once,
    "BL-9" => a_group_goes_with_its_last_object,
    "BL-9" => a_group_of_more_objects_than_a_page_counts_once,
];

/// Objects and groups of all pages, in the order of the pages.
fn joined(pages: Vec<ListPage>) -> (Vec<String>, Vec<String>) {
    let (mut objects, mut groups) = (Vec::new(), Vec::new());
    for page in pages {
        objects.extend(page.objects.into_iter().map(|object| object.key));
        groups.extend(page.prefixes);
    }
    (objects, groups)
}

async fn grouped(files: &Bucket, prefix: &str) -> isobar::Result<(Vec<String>, Vec<String>)> {
    Ok(joined(pages(files.list(prefix).delimited()).await?))
}

async fn all_keys_below_the_next_slash_are_one_group(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "img/1", "img/2", "img/old/1", "img/old/2", "img/z", "imgs/1", "z"]).await?;
    let (objects, groups) = grouped(&files, "").await?;
    assert_eq!((objects, groups), (vec!["a".into(), "z".into()], vec!["img/".into(), "imgs/".into()]));
    let (objects, groups) = grouped(&files, "img/").await?;
    assert_eq!((objects, groups), (vec!["img/1".into(), "img/2".into(), "img/z".into()], vec!["img/old/".into()]));
    let (objects, groups) = grouped(&files, "img/old/").await?;
    assert_eq!((objects.len(), groups), (2, vec![]));
    Ok(())
}

async fn groups_and_objects_are_each_in_order(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys = ["b/1", "a/1", "a!", "a0", "a-/1", "\u{10000}/1", "\u{e001}/1", "\u{fffd}", "\u{1f600}", "ab/1", "a"];
    fill(&files, &keys).await?;
    let (objects, groups) = grouped(&files, "").await?;
    assert_eq!(objects, ["a", "a!", "a0", "\u{fffd}", "\u{1f600}"]);
    assert_eq!(groups, ["a-/", "a/", "ab/", "b/", "\u{e001}/", "\u{10000}/"]);
    Ok(())
}

/// What a grouped list must hold, by the keys as they were written.
fn expected(prefix: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut objects, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for key in STRANGE_KEYS.iter().filter(|key| key.starts_with(prefix)) {
        match key[prefix.len()..].find('/') {
            Some(slash) => groups.insert(key[..=prefix.len() + slash].to_owned()),
            None => objects.insert((*key).to_owned()),
        };
    }
    (objects, groups)
}

async fn groups_of_strange_keys_are_those_of_the_keys_as_written(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let prefixes =
        ["", "a", "a/", "a//", "a///", "/", "//", ".", "..", "../", "../..", "a.", "a./", "%", "C", "\u{1f600}"];
    for prefix in prefixes {
        for limit in [1, 1_000] {
            let (objects, groups) = joined(pages(files.list(prefix).delimited().limit(limit)).await?);
            let found = (objects.iter().cloned().collect(), groups.iter().cloned().collect());
            assert_eq!(found, expected(prefix), "prefix {prefix:?}, limit {limit}");
            assert_eq!((objects.len(), groups.len()), (found.0.len(), found.1.len()), "{prefix:?} returns one twice");
        }
    }
    Ok(())
}

async fn groups_below_a_prefix_that_ends_within_a_name_are_found(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["img-1/a", "img-2/a", "img-2/b/c", "img", "import/a"]).await?;
    let (objects, groups) = grouped(&files, "im").await?;
    assert_eq!((objects, groups), (vec!["img".into()], vec!["img-1/".into(), "img-2/".into(), "import/".into()]));
    let (objects, groups) = grouped(&files, "img-2").await?;
    assert_eq!((objects, groups), (vec![], vec!["img-2/".into()]));
    Ok(())
}

async fn pages_of_groups_return_each_group_once(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys: Vec<_> = (0..30).map(|number| format!("{}/{number}", number % 7)).collect();
    fill(&files, &keys).await?;
    fill(&files, &["0", "3-", "9"]).await?;
    for limit in [1, 2, 3, 7, 100] {
        let pages = pages(files.list("").delimited().limit(limit)).await?;
        assert!(pages.iter().all(|page| page.objects.len() + page.prefixes.len() <= limit), "limit {limit}");
        let (objects, groups) = joined(pages);
        assert_eq!(objects, ["0", "3-", "9"], "limit {limit}");
        assert_eq!(groups, ["0/", "1/", "2/", "3/", "4/", "5/", "6/"], "limit {limit}");
    }
    Ok(())
}

async fn a_group_goes_with_its_last_object(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a/1", "a/2", "b/1"]).await?;
    files.delete("a/1").await?;
    assert_eq!(grouped(&files, "").await?.1, ["a/", "b/"]);
    files.delete("a/2").await?;
    assert_eq!(grouped(&files, "").await?.1, ["b/"]);
    files.put("a", "no folder").await?;
    assert_eq!(grouped(&files, "").await?, (vec!["a".into()], vec!["b/".into()]));
    Ok(())
}

async fn a_group_of_more_objects_than_a_page_counts_once(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let many: Vec<_> = (0..150).map(|number| format!("many/{number:03}")).collect();
    fill(&files, &many).await?;
    fill(&files, &["a", "z"]).await?;
    for limit in [1, 2, 50] {
        let (objects, groups) = joined(pages(files.list("").delimited().limit(limit)).await?);
        assert_eq!((objects, groups), (vec!["a".into(), "z".into()], vec!["many/".into()]), "limit {limit}");
    }
    Ok(())
}
