//! Objects come back bit for bit.

use bytes::Bytes;
use futures_util::TryStreamExt;
use isobar::ErrorKind;
use isobar::axum::body::to_bytes;

use super::{content, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-1" => every_byte_of_an_object_comes_back,
    "BL-1" => an_object_of_zero_bytes_is_an_object,
    "BL-1" => an_object_of_many_megabytes_comes_back,
    "BL-1" => an_object_is_read_as_bytes_as_a_stream_or_as_a_body,
    "BL-1" => an_overwrite_replaces_the_content_whole,
    "BL-1" => head_get_and_list_return_the_same_of_an_object,
    "BL-11" => a_read_of_an_absent_object_is_not_found,
    "BL-11" => a_delete_of_an_absent_object_is_ok_however_often,
    "BL-11" => a_deleted_object_is_gone_from_every_read,
];

async fn every_byte_of_an_object_comes_back(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let all: Bytes = (0..=255).chain((0..=255).rev()).collect();
    for bytes in [all, Bytes::from_static(b"\r\n\n\r"), Bytes::from_static(&[0xef, 0xbb, 0xbf]), content(70_001)] {
        files.put("a", bytes.clone()).await?;
        assert!(files.get("a").await?.bytes().await? == bytes, "the content is another");
    }
    Ok(())
}

async fn an_object_of_zero_bytes_is_an_object(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("empty", Bytes::new()).await?;
    let object = files.get("empty").await?;
    assert_eq!((object.info.size, object.range.clone()), (0, 0..0));
    assert_eq!(object.bytes().await?, Bytes::new());
    assert_eq!(files.head("empty").await?.size, 0);
    assert_eq!(keys_of(&files, "").await?, ["empty"]);
    files.put("was long", "long").await?;
    files.put("was long", "").await?;
    assert_eq!(files.get("was long").await?.bytes().await?, Bytes::new());
    Ok(())
}

async fn an_object_of_many_megabytes_comes_back(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let large = content(9 * 1024 * 1024 + 1);
    files.put("large", large.clone()).await?;
    assert_eq!(files.head("large").await?.size, large.len() as u64);
    assert!(files.get("large").await?.bytes().await? == large, "the content is another");
    Ok(())
}

async fn an_object_is_read_as_bytes_as_a_stream_or_as_a_body(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let bytes = content(300_000);
    files.put("a", bytes.clone()).await?;
    let parts: Vec<Bytes> = files.get("a").await?.stream().try_collect().await?;
    assert!(parts.concat() == bytes, "the stream is another");
    let body = to_bytes(files.get("a").await?.into_body(), usize::MAX).await?;
    assert!(body == bytes, "the body is another");
    Ok(())
}

async fn an_overwrite_replaces_the_content_whole(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for written in ["a long text that is stored first", "short", "", "another long text"] {
        files.put("a", written).await?;
        assert_eq!(text(&files, "a").await?, written);
        assert_eq!(files.head("a").await?.size, written.len() as u64);
    }
    Ok(())
}

async fn head_get_and_list_return_the_same_of_an_object(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let version = files.put("dir/a", "hello").await?;
    let head = files.head("dir/a").await?;
    assert_eq!((head.key.as_str(), head.size, &head.version), ("dir/a", 5, &version));
    assert_eq!(files.get("dir/a").await?.info, head);
    assert_eq!(files.list("").all().await?, [head]);
    Ok(())
}

async fn a_read_of_an_absent_object_is_not_found(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a/b", "x").await?;
    // What only begins or continues another key is no object, as it would be a folder in a file system.
    for absent in ["a", "a/", "a/b/", "a/b/c", "A/b", "b", "/a/b"] {
        assert_eq!(files.get(absent).await.unwrap_err().kind(), ErrorKind::NotFound, "{absent}");
        assert_eq!(files.head(absent).await.unwrap_err().kind(), ErrorKind::NotFound, "{absent}");
        assert_eq!(files.get_range(absent, 0..1).await.unwrap_err().kind(), ErrorKind::NotFound, "{absent}");
    }
    let error = files.get("b").await.unwrap_err();
    assert!(!error.is_retryable());
    Ok(())
}

async fn a_delete_of_an_absent_object_is_ok_however_often(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.delete("never").await?;
    files.put("a/b", "x").await?;
    for absent in ["a", "a/", "a/b/c", "never"] {
        files.delete(absent).await?;
    }
    assert_eq!(text(&files, "a/b").await?, "x");
    files.delete("a/b").await?;
    files.delete("a/b").await?;
    Ok(())
}

async fn a_deleted_object_is_gone_from_every_read(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for round in 0..5 {
        files.put("a", format!("round {round}")).await?;
        files.put("a/b", "stays").await?;
        files.delete("a").await?;
        assert_eq!(files.get("a").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(files.head("a").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(keys_of(&files, "").await?, ["a/b"]);
    }
    Ok(())
}
