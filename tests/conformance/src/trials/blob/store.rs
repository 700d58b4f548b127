//! `object_store()`: the same objects through the interface that other libraries know.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use isobar::blob::{self, Bucket, PutMode, key};
use isobar::object_store::path::Path;
use isobar::object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, UpdateVersion,
};
use isobar::{Error, ErrorKind};

use super::{STRANGE_KEYS, content, fill, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-16" => the_store_reads_what_the_bucket_wrote,
    "BL-16" => the_bucket_reads_what_the_store_wrote,
    "BL-16" => the_store_knows_keys_by_their_stored_names,
    "BL-16" => the_store_holds_to_its_conditions,
    "BL-16" => parts_sent_at_the_same_time_are_stored_in_their_order,
    "BL-16" => an_upload_that_is_aborted_or_forgotten_leaves_nothing,
    "BL-16" => the_store_reads_several_ranges_and_lists_by_folder,
    "BL-16" => the_store_renames,
    "BL-16" => a_rename_that_must_create_refuses_to_overwrite,
    "BL-16" => the_store_deletes_many,
    "BL-6" => the_store_keeps_disposition_and_language,
    "BL-18" => the_store_of_a_narrowed_handle_refuses_what_the_handle_refuses,
];

fn path(name: &str) -> Path {
    Path::parse(name).expect("a path")
}

async fn read(store: &Arc<dyn ObjectStore>, name: &str) -> isobar::object_store::Result<Bytes> {
    store.get(&path(name)).await?.bytes().await
}

async fn the_store_reads_what_the_bucket_wrote(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    let options = blob::PutOptions::default().with_content_type("text/html").with_metadata("author", "ada");
    let version = files.put_with("dir/a", "hello", options).await?;
    let result = store.get(&path("dir/a")).await?;
    assert_eq!(result.meta.size, 5);
    assert!(version.as_str().contains(result.meta.e_tag.as_deref().unwrap()), "{version:?}");
    assert_eq!(result.attributes.get(&Attribute::ContentType).map(AsRef::as_ref), Some("text/html"));
    assert_eq!(result.attributes.get(&Attribute::Metadata("author".into())).map(AsRef::as_ref), Some("ada"));
    assert_eq!(result.bytes().await?, "hello");
    assert_eq!(store.head(&path("dir/a")).await?.size, 5);
    files.delete("dir/a").await?;
    let gone = Error::from(read(&store, "dir/a").await.unwrap_err());
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    Ok(())
}

async fn the_bucket_reads_what_the_store_wrote(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "text/css".into());
    attributes.insert(Attribute::CacheControl, "no-store".into());
    attributes.insert(Attribute::Metadata("n".into()), "1".into());
    store.put_opts(&path("dir/a"), "hello".into(), PutOptions { attributes, ..Default::default() }).await?;
    let object = files.get("dir/a").await?;
    assert_eq!(object.content_type.as_deref(), Some("text/css"));
    assert_eq!(object.cache_control.as_deref(), Some("no-store"));
    assert_eq!(object.metadata["n"], "1");
    let version = object.info.version.clone();
    assert_eq!(object.bytes().await?, "hello");
    files.put_with("dir/a", "next", PutMode::Update(version)).await?;
    store.delete(&path("dir/a")).await?;
    assert_eq!(files.get("dir/a").await.unwrap_err().kind(), ErrorKind::NotFound);
    Ok(())
}

async fn the_store_knows_keys_by_their_stored_names(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    fill(&files, STRANGE_KEYS).await?;
    for plain in STRANGE_KEYS {
        assert_eq!(read(&store, &key::encode(plain)).await?, plain.as_bytes(), "{plain:?}");
    }
    let mut listed: Vec<_> = store.list(None).map_ok(|meta| key::decode(meta.location.as_ref())).try_collect().await?;
    listed.sort_unstable();
    let mut expected = STRANGE_KEYS.to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    store.put(&path(&key::encode("new//../key")), "x".into()).await?;
    assert_eq!(text(&files, "new//../key").await?, "x");
    Ok(())
}

async fn the_store_holds_to_its_conditions(world: Box<dyn World>) -> TrialResult {
    let store = world.cloud().bucket("files").object_store();
    let put = async |content: &'static str, mode: isobar::object_store::PutMode| {
        store.put_opts(&path("a"), content.into(), mode.into()).await
    };
    let first = put("1", isobar::object_store::PutMode::Create).await?;
    let second = put("2", isobar::object_store::PutMode::Create).await.unwrap_err();
    assert!(matches!(second, isobar::object_store::Error::AlreadyExists { .. }), "{second:?}");
    let first = UpdateVersion { e_tag: first.e_tag, version: first.version };
    put("2", isobar::object_store::PutMode::Update(first.clone())).await?;
    let stale = put("3", isobar::object_store::PutMode::Update(first)).await.unwrap_err();
    assert!(matches!(stale, isobar::object_store::Error::Precondition { .. }), "{stale:?}");
    assert_eq!(read(&store, "a").await?, "2");
    let second = store.copy_if_not_exists(&path("a"), &path("a")).await.unwrap_err();
    assert!(matches!(second, isobar::object_store::Error::AlreadyExists { .. }), "{second:?}");
    Ok(())
}

async fn parts_sent_at_the_same_time_are_stored_in_their_order(world: Box<dyn World>) -> TrialResult {
    const PART: usize = 5 * 1024 * 1024;
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    let whole = content(2 * PART + 10);
    let mut upload = store.put_multipart(&path("large")).await?;
    let parts = [whole.slice(..PART), whole.slice(PART..2 * PART), whole.slice(2 * PART..)];
    let mut sent: Vec<_> = parts.into_iter().map(|part| upload.put_part(part.into())).collect();
    sent.reverse();
    futures_util::future::try_join_all(sent).await?;
    assert_eq!(files.head("large").await.unwrap_err().kind(), ErrorKind::NotFound);
    let result = upload.complete().await?;
    let object = files.get("large").await?;
    assert!(object.info.version.as_str().contains(result.e_tag.as_deref().unwrap()));
    assert!(object.bytes().await? == whole, "the parts are in another order");
    Ok(())
}

async fn an_upload_that_is_aborted_or_forgotten_leaves_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    files.put("old", "old").await?;
    for name in ["old", "new"] {
        let mut aborted = store.put_multipart(&path(name)).await?;
        aborted.put_part(content(1_000).into()).await?;
        aborted.abort().await?;
        let mut forgotten = store.put_multipart_opts(&path(name), PutMultipartOptions::default()).await?;
        forgotten.put_part(content(1_000).into()).await?;
        drop(forgotten);
    }
    assert_eq!(keys_of(&files, "").await?, ["old"]);
    assert_eq!(text(&files, "old").await?, "old");
    Ok(())
}

async fn the_store_reads_several_ranges_and_lists_by_folder(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    files.put("a", "0123456789").await?;
    let ranges = store.get_ranges(&path("a"), &[0..2, 8..10, 3..4]).await?;
    assert_eq!(ranges, ["01", "89", "3"]);
    fill(&files, &["dir/1", "dir/2", "dir/sub/3", "dir2/4"]).await?;
    let names = |metas: &[isobar::object_store::ObjectMeta]| {
        metas.iter().map(|meta| meta.location.to_string()).collect::<Vec<_>>()
    };
    let all: Vec<_> = store.list(Some(&path("dir"))).try_collect().await?;
    assert_eq!(names(&all), ["dir/1", "dir/2", "dir/sub/3"]);
    let rest: Vec<_> = store.list_with_offset(Some(&path("dir")), &path("dir/1")).try_collect().await?;
    assert_eq!(names(&rest), ["dir/2", "dir/sub/3"]);
    let grouped = store.list_with_delimiter(Some(&path("dir"))).await?;
    assert_eq!(
        (names(&grouped.objects), grouped.common_prefixes),
        (vec!["dir/1".into(), "dir/2".into()], vec![path("dir/sub")])
    );
    Ok(())
}

async fn the_store_renames(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    fill(&files, &["a", "b", "c", "d"]).await?;
    store.rename(&path("a"), &path("z")).await?;
    assert_eq!(
        (keys_of(&files, "").await?, text(&files, "z").await?),
        (vec!["b".into(), "c".into(), "d".into(), "z".into()], "a".into())
    );
    store.rename(&path("z"), &path("z")).await?;
    assert_eq!(text(&files, "z").await?, "a", "what is renamed to itself stays");
    Ok(())
}

async fn a_rename_that_must_create_refuses_to_overwrite(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    fill(&files, &["b", "c"]).await?;
    let second = store.rename_if_not_exists(&path("b"), &path("c")).await;
    assert!(matches!(second, Err(isobar::object_store::Error::AlreadyExists { .. })), "{second:?}");
    assert_eq!((text(&files, "b").await?, text(&files, "c").await?), ("b".into(), "c".into()));
    store.rename_if_not_exists(&path("b"), &path("z")).await?;
    assert_eq!(keys_of(&files, "").await?, ["c", "z"]);
    Ok(())
}

async fn the_store_deletes_many(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    fill(&files, &["a", "b", "c", "d"]).await?;
    let doomed = stream::iter(["b", "d"].map(|name| Ok(path(name)))).boxed();
    let deleted: Vec<_> = store.delete_stream(doomed).try_collect().await?;
    assert_eq!(deleted.len(), 2);
    assert_eq!(keys_of(&files, "").await?, ["a", "c"]);
    Ok(())
}

async fn the_store_keeps_disposition_and_language(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let store = files.object_store();
    let pairs =
        [(Attribute::ContentDisposition, "attachment; filename=\"a.txt\""), (Attribute::ContentLanguage, "de-CH")];
    let attributes: Attributes = pairs.iter().cloned().collect();
    let options = PutOptions { attributes: attributes.clone(), ..Default::default() };
    store.put_opts(&path("a"), "x".into(), options).await?;
    store.copy(&path("a"), &path("b")).await?;
    let mut upload =
        store.put_multipart_opts(&path("c"), PutMultipartOptions { attributes, ..Default::default() }).await?;
    upload.put_part("x".into()).await?;
    upload.complete().await?;
    for name in ["a", "b", "c"] {
        let read = store.get(&path(name)).await?.attributes;
        for (attribute, value) in &pairs {
            assert_eq!(read.get(attribute).map(AsRef::as_ref), Some(*value), "{name}: {attribute:?}");
        }
    }
    Ok(())
}

/// Was it refused for want of access?
fn refused<T>(result: isobar::object_store::Result<T>) -> bool {
    result.is_err_and(|error| matches!(error, isobar::object_store::Error::PermissionDenied { .. }))
}

async fn writes_are_refused(files: Bucket) {
    let store = files.object_store();
    assert!(refused(store.put(&path("a"), "new".into()).await));
    assert!(refused(store.put_multipart(&path("a")).await));
    assert!(refused(store.delete(&path("a")).await));
    assert!(refused(store.copy(&path("a"), &path("b")).await));
    assert!(refused(store.rename(&path("a"), &path("b")).await));
}

async fn reads_are_refused(files: Bucket) {
    let store = files.object_store();
    assert!(refused(store.get(&path("a")).await));
    assert!(refused(store.head(&path("a")).await));
    assert!(refused(store.get_ranges(&path("a"), &[0..1, 1..2]).await));
    assert!(refused(store.list(None).try_collect::<Vec<_>>().await));
    assert!(refused(store.list_with_offset(None, &path("0")).try_collect::<Vec<_>>().await));
    assert!(refused(store.list_with_delimiter(None).await));
    assert!(refused(store.copy(&path("a"), &path("b")).await));
}

async fn the_store_of_a_narrowed_handle_refuses_what_the_handle_refuses(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let reader = world.cloud().bucket("files").read_only();
    assert_eq!(read(&reader.object_store(), "a").await?, "old");
    writes_are_refused(reader).await;
    let writer = world.cloud().bucket("files").write_only();
    reads_are_refused(writer.clone()).await;
    assert_eq!((keys_of(&files, "").await?, text(&files, "a").await?), (vec!["a".into()], "old".into()));
    writer.object_store().put(&path("a"), "new".into()).await?;
    assert_eq!(text(&files, "a").await?, "new");
    Ok(())
}
