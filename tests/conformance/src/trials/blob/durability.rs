//! Data outlives the process.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use isobar::blob::{ListCursor, PutMode, PutOptions};
use isobar::object_store::ObjectStoreExt;
use isobar::{App, Context, ErrorKind, ObjectEvent};
use parking_lot::Mutex;

use super::{STRANGE_KEYS, content, fill, in_pieces, keys_of, text};
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "BL-20" => objects_outlive_the_process,
    "BL-20" => deletes_and_overwrites_outlive_the_process,
    "BL-20" => versions_of_objects_are_good_and_never_repeated_after_the_process,
    "BL-20" => an_upload_that_was_not_completed_is_not_seen_after_the_process,
    "BL-20" => object_events_that_were_not_delivered_outlive_the_process,
    "BL-20" => list_cursors_are_good_after_the_process,
];

async fn objects_outlive_the_process(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let options = PutOptions::default().with_content_type("image/png").with_cache_control("no-cache");
    let large = content(9 << 20);
    files.put_stream("large", in_pieces(large.clone(), 1 << 20), options.with_metadata("n", "1")).await?;
    files.put("empty", "").await?;
    drop(files);

    let world = world.reopen().await?;
    let files = world.cloud().bucket("files");
    let mut expected: BTreeSet<_> = STRANGE_KEYS.iter().map(|key| (*key).to_owned()).collect();
    for key in &expected {
        assert_eq!(&text(&files, key).await?, key);
    }
    expected.extend(["large".to_owned(), "empty".to_owned()]);
    assert_eq!(keys_of(&files, "").await?.into_iter().collect::<BTreeSet<_>>(), expected);
    let object = files.get("large").await?;
    assert_eq!(object.content_type.as_deref(), Some("image/png"));
    assert_eq!((object.cache_control.as_deref(), object.metadata["n"].as_str()), (Some("no-cache"), "1"));
    assert!(object.bytes().await? == large, "the content is another");
    Ok(())
}

async fn deletes_and_overwrites_outlive_the_process(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "b", "c"]).await?;
    files.delete("a").await?;
    files.put("b", "new").await?;
    files.copy("c", "d", PutMode::Create).await?;
    drop(files);
    let world = world.reopen().await?;
    let files = world.cloud().bucket("files");
    assert_eq!(keys_of(&files, "").await?, ["b", "c", "d"]);
    assert_eq!((text(&files, "b").await?, text(&files, "d").await?), ("new".to_owned(), "c".to_owned()));
    Ok(())
}

async fn versions_of_objects_are_good_and_never_repeated_after_the_process(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let mut seen = HashSet::new();
    for _ in 0..5 {
        assert!(seen.insert(files.put("a", "same").await?));
    }
    files.delete("a").await?;
    let stale = files.put("b", "same").await?;
    let current = files.put("b", "same").await?;
    drop(files);
    let world = world.reopen().await?;
    let files = world.cloud().bucket("files");
    for _ in 0..5 {
        assert!(seen.insert(files.put("a", "same").await?), "a version was repeated after the process");
    }
    assert_eq!(files.put_with("b", "x", PutMode::Update(stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    files.put_with("b", "x", PutMode::Update(current)).await?;
    Ok(())
}

async fn an_upload_that_was_not_completed_is_not_seen_after_the_process(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("old", "old").await?;
    for name in ["old", "new"] {
        let mut upload = files.object_store().put_multipart(&name.into()).await?;
        upload.put_part(content(100_000).into()).await?;
        // Neither completed nor aborted.
        drop(upload);
    }
    drop(files);
    let world = world.reopen().await?;
    let files = world.cloud().bucket("files");
    assert_eq!(keys_of(&files, "").await?, ["old"]);
    assert_eq!(text(&files, "old").await?, "old");
    Ok(())
}

/// Runs an app that keeps the keys of the events of bucket `files`.
async fn watching(world: &dyn World, seen: Arc<Mutex<Vec<String>>>) -> HarnessResult<Box<dyn RunningApp>> {
    let app = world.run(move |cloud| {
        App::new("watcher").on_object(&cloud.bucket("files"), move |event: ObjectEvent, _cx: Context| {
            seen.lock().push(event.key);
            async {}
        })
    });
    app.await
}

async fn object_events_that_were_not_delivered_outlive_the_process(world: Box<dyn World>) -> TrialResult {
    let seen = Arc::default();
    let app = watching(&*world, Arc::clone(&seen)).await?;
    world.cloud().bucket("files").put("a//b", Bytes::from_static(b"x")).await?;
    drop(app);
    let world = world.reopen().await?;
    let app = watching(&*world, Arc::clone(&seen)).await?;
    app.deliver().await?;
    assert!(seen.lock().iter().any(|key| key == "a//b"), "the event is lost with the process");
    Ok(())
}

async fn list_cursors_are_good_after_the_process(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "b", "c"]).await?;
    let cursor = files.list("").limit(2).page().await?.next.unwrap().to_string();
    drop(files);
    let world = world.reopen().await?;
    let rest = world.cloud().bucket("files").list("").after(cursor.parse::<ListCursor>()?).all().await?;
    assert_eq!(rest.into_iter().map(|object| object.key).collect::<Vec<_>>(), ["c"]);
    Ok(())
}
