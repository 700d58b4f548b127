//! What was not declared is refused.

use std::time::Duration;

use bytes::Bytes;
use isobar::blob::{Bucket, PutMode};
use isobar::{App, Cloud, Context, Error, ErrorKind, Result};

use super::{content, in_pieces, keys_of, text};
use crate::{TrialResult, World};

crate::trials![
    "BL-18" => a_read_only_bucket_reads_and_refuses_every_write,
    "BL-18" => a_write_only_bucket_writes_and_refuses_every_read,
    "BL-18" => a_bucket_handle_narrowed_both_ways_can_do_nothing,
    "BL-18" => narrowing_a_bucket_handle_leaves_the_clone_made_before,
    "BL-18" => a_bucket_that_is_first_opened_after_the_start_is_refused,
    "BL-18" => a_bucket_declared_read_only_is_read_only_when_opened_again,
];

const MINUTE: Duration = Duration::from_secs(60);

/// How each read ends of a bucket that holds `a`.
async fn reads(files: &Bucket) -> Vec<Result<()>> {
    vec![
        files.get("a").await.map(drop),
        files.get_range("a", 0..1).await.map(drop),
        files.head("a").await.map(drop),
        files.list("").page().await.map(drop),
        files.list("").delimited().all().await.map(drop),
        files.signed_get("a", MINUTE).await.map(drop),
    ]
}

/// How each write ends.
async fn writes(files: &Bucket) -> Vec<Result<()>> {
    vec![
        files.put("new", "x").await.map(drop),
        files.put_stream("new", in_pieces("x".into(), 1), PutMode::Overwrite).await.map(drop),
        files.put_stream("new", in_pieces(content(9 << 20), 1 << 20), PutMode::Overwrite).await.map(drop),
        files.signed_put("new", MINUTE).await.map(drop),
        files.delete("new").await,
    ]
}

fn refused(results: Vec<Result<()>>) -> bool {
    results.into_iter().all(|result| result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
}

fn allowed(results: &[Result<()>]) -> bool {
    results.iter().all(Result::is_ok)
}

async fn a_read_only_bucket_reads_and_refuses_every_write(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let reader = world.cloud().bucket("files").read_only();
    assert!(allowed(&reads(&reader).await));
    assert!(refused(writes(&reader).await));
    assert_eq!(reader.delete("a").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let copied = reader.copy("a", "b", PutMode::Overwrite).await;
    assert_eq!(copied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!((keys_of(&files, "").await?, text(&files, "a").await?), (vec!["a".into()], "old".into()));
    Ok(())
}

async fn a_write_only_bucket_writes_and_refuses_every_read(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let writer = world.cloud().bucket("files").write_only();
    assert!(refused(reads(&writer).await));
    assert!(allowed(&writes(&writer).await));
    let copied = writer.copy("a", "b", PutMode::Overwrite).await;
    assert_eq!(copied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    writer.put("a", "new").await?;
    assert_eq!((keys_of(&files, "").await?, text(&files, "a").await?), (vec!["a".into()], "new".into()));
    Ok(())
}

async fn a_bucket_handle_narrowed_both_ways_can_do_nothing(world: Box<dyn World>) -> TrialResult {
    world.cloud().bucket("files").put("a", "old").await?;
    let open = || world.cloud().bucket("files");
    for nothing in [open().read_only().write_only(), open().write_only().read_only()] {
        assert!(refused(reads(&nothing).await));
        assert!(refused(writes(&nothing).await));
    }
    Ok(())
}

async fn narrowing_a_bucket_handle_leaves_the_clone_made_before(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let (reader, writer) = (files.clone().read_only(), files.clone().write_only());
    assert!(allowed(&reads(&files).await) && allowed(&writes(&files).await));
    assert!(allowed(&reads(&reader).await) && refused(writes(&reader).await));
    assert!(refused(reads(&writer).await) && allowed(&writes(&writer).await));
    Ok(())
}

/// An app of one function that opens the named bucket again, and returns how its operations end.
fn opening_late(cloud: &Cloud) -> App {
    let cloud = cloud.clone();
    App::new("late").on_invoke("open", move |name: String, _cx: Context| {
        let files = cloud.bucket(&name);
        async move {
            let ends = reads(&files).await.into_iter().chain(writes(&files).await);
            let ends = ends.map(|end| end.map_or_else(|error| error.kind().name().to_owned(), |()| "ok".to_owned()));
            Ok::<Vec<String>, Error>(ends.collect())
        }
    })
}

fn ends(read: &str, write: &str) -> Vec<String> {
    [vec![read.to_owned(); 6], vec![write.to_owned(); 5]].concat()
}

async fn a_bucket_that_is_first_opened_after_the_start_is_refused(world: Box<dyn World>) -> TrialResult {
    world.cloud().bucket("secrets").put("a", "old").await?;
    let app = world.run_on_any_host(|cloud| {
        cloud.bucket("files");
        opening_late(cloud)
    });
    let answer = app.await?.invoke("open", Bytes::from_static(b"\"secrets\"")).await?;
    let denied = ErrorKind::PermissionDenied.name();
    assert_eq!(serde_json::from_slice::<Vec<String>>(&answer)?, ends(denied, denied));
    assert_eq!(keys_of(&world.cloud().bucket("secrets"), "").await?, ["a"]);
    Ok(())
}

async fn a_bucket_declared_read_only_is_read_only_when_opened_again(world: Box<dyn World>) -> TrialResult {
    world.cloud().bucket("files").put("a", "old").await?;
    let app = world.run_on_any_host(|cloud| {
        let _declared = cloud.bucket("files").read_only();
        opening_late(cloud)
    });
    let answer = app.await?.invoke("open", Bytes::from_static(b"\"files\"")).await?;
    assert_eq!(serde_json::from_slice::<Vec<String>>(&answer)?, ends("ok", ErrorKind::PermissionDenied.name()));
    assert_eq!(keys_of(&world.cloud().bucket("files"), "").await?, ["a"]);
    Ok(())
}
