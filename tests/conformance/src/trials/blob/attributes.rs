//! Content type, cache control and metadata.

use std::collections::BTreeMap;

use isobar::ErrorKind;
use isobar::blob::{Bucket, PutMode, PutOptions};
use isobar::driver::Limits;

use super::{content, in_pieces, keys_of};
use crate::{TrialResult, World};

crate::trials![
    "BL-6" => type_cache_control_and_metadata_come_back_as_they_were_given,
    "BL-6" => an_overwrite_replaces_type_cache_control_and_metadata,
    "BL-6" => an_object_that_was_given_nothing_has_nothing,
    "BL-6" => a_streamed_object_keeps_what_it_was_given_whatever_its_size,
    "BL-6" => a_read_of_a_range_returns_the_attributes_too,
    "BL-17" => metadata_of_exactly_2000_bytes_is_taken_and_one_byte_more_is_too_large,
    "BL-17" => names_and_values_that_a_service_would_change_are_invalid_input,
];

fn all_options() -> PutOptions {
    PutOptions::default()
        .with_content_type("text/html; charset=utf-8")
        .with_cache_control("public, max-age=60")
        .with_metadata("author", "Ada Lovelace <ada@example.org>")
        .with_metadata("a", "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./")
        .with_metadata("n_2", "0")
}

/// Type, cache control and metadata of an object.
type Attributes = (Option<String>, Option<String>, BTreeMap<String, String>);

async fn attributes(files: &Bucket, key: &str) -> isobar::Result<Attributes> {
    let object = files.get(key).await?;
    Ok((object.content_type, object.cache_control, object.metadata))
}

fn attributes_of(options: &PutOptions) -> Attributes {
    (options.content_type.clone(), options.cache_control.clone(), options.metadata.clone())
}

async fn type_cache_control_and_metadata_come_back_as_they_were_given(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("all", "x", all_options()).await?;
    assert_eq!(attributes(&files, "all").await?, attributes_of(&all_options()));
    let options = PutOptions::from(PutMode::Create).with_content_type("image/png").with_metadata("k", "v");
    files.put_with("some", "", options.clone()).await?;
    assert_eq!(attributes(&files, "some").await?, attributes_of(&options));
    let mut update = all_options();
    update.mode = PutMode::Update(files.head("some").await?.version);
    files.put_with("some", "y", update).await?;
    assert_eq!(attributes(&files, "some").await?, attributes_of(&all_options()));
    Ok(())
}

async fn an_overwrite_replaces_type_cache_control_and_metadata(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "x", all_options()).await?;
    let other = PutOptions::default().with_content_type("text/plain").with_metadata("other", "1");
    files.put_with("a", "x", other.clone()).await?;
    assert_eq!(attributes(&files, "a").await?, attributes_of(&other));
    files.put_with("a", "x", all_options()).await?;
    files.put("a", "x").await?;
    let (content_type, cache_control, metadata) = attributes(&files, "a").await?;
    assert_ne!(content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!((cache_control, metadata), (None, BTreeMap::new()));
    Ok(())
}

async fn an_object_that_was_given_nothing_has_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    // No type is guessed, neither from the key nor from the content.
    files.put("page.html", "<!doctype html>").await?;
    assert_eq!(attributes(&files, "page.html").await?, (None, None, BTreeMap::new()));
    Ok(())
}

async fn a_streamed_object_keeps_what_it_was_given_whatever_its_size(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for size in [0, 10, 9 * 1024 * 1024] {
        files.put_stream("a", in_pieces(content(size), 1_000_003), all_options()).await?;
        assert_eq!(attributes(&files, "a").await?, attributes_of(&all_options()), "{size} bytes");
        assert_eq!(files.head("a").await?.size, size as u64);
    }
    Ok(())
}

async fn a_read_of_a_range_returns_the_attributes_too(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put_with("a", "hello", all_options()).await?;
    let object = files.get_with("a", isobar::blob::GetOptions::default().with_range(1..3)).await?;
    assert_eq!((object.info.size, object.range.clone()), (5, 1..3));
    assert_eq!(object.content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(object.metadata, all_options().metadata);
    Ok(())
}

async fn metadata_of_exactly_2000_bytes_is_taken_and_one_byte_more_is_too_large(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let of = |size: usize| PutOptions::default().with_metadata("name", "v".repeat(size - 8)).with_metadata("n", "v00");
    files.put_with("a", "x", of(2_000)).await?;
    assert_eq!(attributes(&files, "a").await?, attributes_of(&of(2_000)));
    let refused = files.put_with("b", "x", of(2_001)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (ErrorKind::TooLarge, Some(Limits::PORTABLE.metadata_bytes)));
    for size in [1, 9 * 1024 * 1024] {
        let streamed = files.put_stream("b", in_pieces(content(size), 1 << 20), of(2_001)).await;
        assert_eq!(streamed.unwrap_err().kind(), ErrorKind::TooLarge);
    }
    assert_eq!(keys_of(&files, "").await?, ["a"]);
    Ok(())
}

async fn names_and_values_that_a_service_would_change_are_invalid_input(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let names = ["", "Upper", "a-b", "1a", "_a", "a b", "ä", "a.b", "a\n", "x:y"];
    let values = ["", " a", "a ", "ä", "a\nb", "a\r\nx-evil: 1", "a\tb", "\0", "\u{7f}", "\u{1f600}"];
    let plain = PutOptions::default;
    let options = names.map(|name| plain().with_metadata(name, "v")).into_iter();
    let options = options.chain(values.map(|value| plain().with_metadata("n", value)));
    let options = options.chain(values.map(|value| plain().with_content_type(value)));
    let options = options.chain(values.map(|value| plain().with_cache_control(value)));
    for options in options {
        let put = files.put_with("a", "x", options.clone()).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::InvalidInput, "{options:?}");
        let streamed = files.put_stream("a", in_pieces("x".into(), 1), options).await;
        assert_eq!(streamed.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(keys_of(&files, "").await?, Vec::<String>::new());
    Ok(())
}
