//! Logical names of buckets, and the names in an error of a bucket.

use std::error::Error as _;
use std::time::Duration;

use isobar::blob::PutMode;
use isobar::{Error, ErrorKind};

use super::{keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-21" => buckets_whose_names_look_alike_are_different_buckets,
    "BL-21" => a_bucket_and_a_table_of_one_name_are_different,
    "BL-21" => a_wrong_name_of_a_bucket_is_a_config_error_at_first_use,
    "BL-22" => an_error_names_its_operation_and_its_bucket,
    "BL-22" => an_error_never_shows_content_and_debug_never_a_signature,
];

async fn buckets_whose_names_look_alike_are_different_buckets(world: Box<dyn World>) -> TrialResult {
    let longest = "b".repeat(40);
    let names = ["my-own-bucket", "my-ownbucket", "myownbucket", "my-own-bucket-2", "my-own", "abc", longest.as_str()];
    for name in names {
        world.cloud().bucket(name).put("a", name.to_owned()).await?;
    }
    for name in names {
        assert_eq!(text(&world.cloud().bucket(name), "a").await?, name);
        assert_eq!(keys_of(&world.cloud().bucket(name), "").await?, ["a"]);
    }
    Ok(())
}

async fn a_bucket_and_a_table_of_one_name_are_different(world: Box<dyn World>) -> TrialResult {
    let (files, items) = (world.cloud().bucket("orders"), world.cloud().table::<u32>("orders"));
    files.put("a", "file").await?;
    assert_eq!(items.scan().all().await?, []);
    items.put("b", &1).await?;
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}

async fn a_wrong_name_of_a_bucket_is_a_config_error_at_first_use(world: Box<dyn World>) -> TrialResult {
    let too_long = "a".repeat(41);
    for name in ["", "ab", "Pages", "1pages", "a_b", "a.b", "../etc", "a/b", "käse", too_long.as_str()] {
        let files = world.cloud().bucket(name);
        assert_eq!(files.put("a", "x").await.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
        assert_eq!(files.get("a").await.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
        assert_eq!(files.list("").page().await.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
    }
    Ok(())
}

fn assert_names(error: &Error, operation: &str) {
    assert_eq!(error.operation(), Some(operation), "{error}");
    assert_eq!(error.resource(), Some("bucket `pages`"), "{error}");
    let message = error.to_string();
    assert!(
        message.contains(operation) && message.contains("pages") && message.contains(error.kind().name()),
        "{message}"
    );
}

async fn an_error_names_its_operation_and_its_bucket(world: Box<dyn World>) -> TrialResult {
    let pages = world.cloud().bucket("pages");
    pages.put("a", "x").await?;
    assert_names(&pages.put_with("a", "y", PutMode::Create).await.unwrap_err(), "put");
    assert_names(&pages.get("b").await.unwrap_err(), "get");
    assert_names(&pages.get_range("a", 5..6).await.unwrap_err(), "get");
    assert_names(&pages.head("b").await.unwrap_err(), "head");
    assert_names(&pages.delete("").await.unwrap_err(), "delete");
    assert_names(&pages.copy("b", "c", PutMode::Overwrite).await.unwrap_err(), "copy");
    assert_names(&pages.signed_get("a", Duration::ZERO).await.unwrap_err(), "signed_get");
    assert_names(&pages.signed_put("a", Duration::ZERO).await.unwrap_err(), "signed_put");
    assert_names(&pages.clone().write_only().list("").page().await.unwrap_err(), "list");
    Ok(())
}

/// The error as logs show it: itself, its `Debug`, and all its sources.
fn full_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

async fn an_error_never_shows_content_and_debug_never_a_signature(world: Box<dyn World>) -> TrialResult {
    const SECRET: &str = "hunter2-correct-horse";
    let pages = world.cloud().bucket("pages");
    let stale = pages.put("a", SECRET).await?;
    // Other content: an object's version on S3 is a hash of it.
    pages.put("a", format!("{SECRET}!")).await?;
    let errors = [
        pages.put_with("a", SECRET, PutMode::Create).await.unwrap_err(),
        pages.put_with("a", SECRET, PutMode::Update(stale)).await.unwrap_err(),
        pages.get_range("a", 100..101).await.unwrap_err(),
        pages.copy("a", "a2", PutMode::Update(pages.head("a").await?.version)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(!full_text(&error).contains("hunter2"), "{error:?}");
    }
    for url in
        [pages.signed_get("a", Duration::from_secs(60)).await?, pages.signed_put("a", Duration::from_secs(60)).await?]
    {
        let (_, query) = url.url.split_once('?').expect("the permission is in the query");
        assert!(!format!("{url:?} {url:#?}").contains(query), "the signature is message");
    }
    Ok(())
}
