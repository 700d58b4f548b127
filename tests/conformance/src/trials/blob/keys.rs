//! Keys are any UTF-8, none is taken for another, and none reaches outside.

use std::collections::{BTreeSet, HashSet};

use isobar::ErrorKind;
use isobar::blob::Bucket;
use isobar::driver::Limits;

use super::{STRANGE_KEYS, fill, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-2" => every_strange_key_is_a_key_of_its_own,
    "BL-2" => a_delete_of_one_strange_object_leaves_the_others,
    "BL-2" => no_key_reaches_another_bucket,
    "BL-2" => a_key_and_a_key_below_it_live_together,
    "BL-2" => keys_that_differ_in_case_or_composition_are_different,
    "BL-2" => keys_that_look_like_escapes_of_others_are_different,
    "BL-2" => keys_that_a_service_reserves_are_stored_and_listed,
    "BL-17" => a_key_of_exactly_1024_bytes_is_taken,
    "BL-17" => a_key_of_one_byte_more_is_too_large_in_every_operation,
    "BL-17" => a_key_of_more_than_254_segments_is_too_large_in_every_operation,
    "BL-17" => an_empty_key_is_invalid_input_in_every_operation,
];

/// Puts all keys, then reads each of them by every way to read one.
async fn are_different(files: &Bucket, keys: &[impl AsRef<str>]) -> TrialResult {
    let all: BTreeSet<_> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
    assert_eq!(all.len(), keys.len(), "the trial repeats a key");
    fill(files, keys).await?;
    for key in &all {
        assert_eq!(&text(files, key).await?, key);
        let head = files.head(key).await?;
        assert_eq!((head.key.as_str(), head.size), (key.as_str(), key.len() as u64));
    }
    assert_eq!(keys_of(files, "").await?.into_iter().collect::<BTreeSet<_>>(), all);
    Ok(())
}

async fn every_strange_key_is_a_key_of_its_own(world: Box<dyn World>) -> TrialResult {
    are_different(&world.cloud().bucket("files"), STRANGE_KEYS).await
}

async fn a_delete_of_one_strange_object_leaves_the_others(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    for key in STRANGE_KEYS.iter().step_by(2) {
        files.delete(key).await?;
        assert_eq!(files.head(key).await.unwrap_err().kind(), ErrorKind::NotFound, "{key:?}");
    }
    let left: HashSet<_> = keys_of(&files, "").await?.into_iter().collect();
    let expected: HashSet<_> = STRANGE_KEYS.iter().skip(1).step_by(2).map(|key| (*key).to_owned()).collect();
    assert_eq!(left, expected);
    Ok(())
}

async fn no_key_reaches_another_bucket(world: Box<dyn World>) -> TrialResult {
    let (files, others) = (world.cloud().bucket("files"), world.cloud().bucket("others"));
    let ways = ["../others/a", "/others/a", "..\\others\\a", "%2e%2e/others/a", "../../others/a", "a/../../others/a"];
    others.put("a", "untouched").await?;
    fill(&files, &ways).await?;
    assert_eq!(keys_of(&others, "").await?, ["a"]);
    assert_eq!(text(&others, "a").await?, "untouched");
    for way in ways {
        assert_eq!(text(&files, way).await?, way);
        files.delete(way).await?;
    }
    assert_eq!(text(&others, "a").await?, "untouched");
    assert_eq!(keys_of(&files, "").await?, Vec::<String>::new());
    Ok(())
}

async fn a_key_and_a_key_below_it_live_together(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    are_different(&files, &["a/b/c", "a/b", "a", "a/", "a/b/", "a/b/c/d"]).await?;
    for gone in ["a/b", "a", "a/b/c/d", "a/", "a/b/"] {
        files.delete(gone).await?;
    }
    assert_eq!(keys_of(&files, "").await?, ["a/b/c"]);
    files.delete("a/b/c").await?;
    files.put("a", "again").await?;
    assert_eq!(text(&files, "a").await?, "again");
    Ok(())
}

async fn keys_that_differ_in_case_or_composition_are_different(world: Box<dyn World>) -> TrialResult {
    let keys = [
        "Readme.md",
        "README.MD",
        "readme.md",
        "k\u{e9}y",
        "ke\u{301}y",
        "stra\u{df}e",
        "strasse",
        "\u{212a}",
        "k",
        "K",
    ];
    are_different(&world.cloud().bucket("files"), &keys).await
}

async fn keys_that_look_like_escapes_of_others_are_different(world: Box<dyn World>) -> TrialResult {
    let keys = [
        "a//b", "a/%/b", "a/%25/b", ".", "%2E", "%2e", "%252E", "a.", "a%2E", "a\\b", "a%5Cb", "a%5cb", "\n", "%0A",
        "%0a", "%", "%25", "%2525", "a/", "a/%", "/", "%/%", "..", ".%2E", "%2E%2E",
    ];
    are_different(&world.cloud().bucket("files"), &keys).await
}

async fn keys_that_a_service_reserves_are_stored_and_listed(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let (token, file) = (".well-known/acme-challenge/token", ".well-known/acme-challenge");
    let keys = [token, file, ".well-known/acme-challeng%65/token", ".well-known/b", "soap", "soap/a", "soa%70"];
    are_different(&files, &keys).await?;
    assert_eq!(keys_of(&files, ".well-known/acme-challenge").await?.len(), 2);
    assert_eq!(keys_of(&files, ".well-known/acme-challenge/").await?, [token]);
    assert_eq!(keys_of(&files, "soap").await?.len(), 2);
    let page = files.list(".well-known/").delimited().page().await?;
    assert_eq!(page.prefixes, [".well-known/acme-challeng%65/", ".well-known/acme-challenge/"]);
    assert_eq!(page.objects.len(), 2);
    files.copy(token, "copy", isobar::blob::PutMode::Create).await?;
    files.delete(token).await?;
    assert_eq!(text(&files, "copy").await?, token);
    Ok(())
}

async fn a_key_of_exactly_1024_bytes_is_taken(world: Box<dyn World>) -> TrialResult {
    let keys =
        ["k".repeat(1_024), "\u{1f600}".repeat(256), "kkk/".repeat(253) + &"k".repeat(12), "%".repeat(341) + "k"];
    are_different(&world.cloud().bucket("files"), &keys).await
}

/// How every operation that takes a key refuses this one.
async fn error_kinds(files: &Bucket, key: &str) -> Vec<ErrorKind> {
    let second = std::time::Duration::from_secs(1);
    let overwrite = isobar::blob::PutMode::Overwrite;
    vec![
        files.put(key, "x").await.unwrap_err().kind(),
        files.put_stream(key, super::in_pieces("x".into(), 1), overwrite.clone()).await.unwrap_err().kind(),
        files.get(key).await.unwrap_err().kind(),
        files.get_range(key, 0..1).await.unwrap_err().kind(),
        files.head(key).await.unwrap_err().kind(),
        files.delete(key).await.unwrap_err().kind(),
        files.copy("a", key, overwrite.clone()).await.unwrap_err().kind(),
        files.copy(key, "b", overwrite).await.unwrap_err().kind(),
        files.signed_get(key, second).await.unwrap_err().kind(),
        files.signed_put(key, second).await.unwrap_err().kind(),
    ]
}

async fn a_key_of_one_byte_more_is_too_large_in_every_operation(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "x").await?;
    // The limit is that of the stored name, in which `%` is three bytes.
    for key in ["k".repeat(1_025), "\u{1f600}".repeat(256) + "k", "%".repeat(342)] {
        assert_eq!(error_kinds(&files, &key).await, vec![ErrorKind::TooLarge; 10]);
        assert_eq!(files.head(&key).await.unwrap_err().limit(), Some(Limits::PORTABLE.object_key_bytes));
    }
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}

async fn a_key_of_more_than_254_segments_is_too_large_in_every_operation(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "x").await?;
    for key in ["k/".repeat(254), "/".repeat(254), "k/".repeat(300)] {
        assert_eq!(error_kinds(&files, &key).await, vec![ErrorKind::TooLarge; 10]);
    }
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}

async fn an_empty_key_is_invalid_input_in_every_operation(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "x").await?;
    assert_eq!(error_kinds(&files, "").await, vec![ErrorKind::InvalidInput; 10]);
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}
