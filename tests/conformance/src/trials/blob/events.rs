//! Object events: every write and delete, with the key as it was written.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use isobar::blob::{Bucket, PutMode};
use isobar::{App, Context, Error, ErrorKind, EventQueue, ObjectChange, ObjectEvent, Result};
use parking_lot::Mutex;

use super::{STRANGE_KEYS, content, fill, in_pieces};
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "BL-14" => a_write_an_overwrite_and_a_delete_send_events,
    "BL-14" => every_way_to_write_sends_an_event,
    "BL-14" => events_contain_strange_keys_as_they_were_written,
    "BL-14" => writes_that_failed_and_deletes_of_nothing_send_no_event,
    "BL-14" => events_go_to_the_handler_of_their_own_bucket,
    "BL-14" => a_handler_reads_the_object_of_its_event,
    "BL-14" => an_event_whose_handler_fails_or_panics_is_delivered_again,
    "BL-14" => an_event_that_is_never_handled_becomes_a_dead_letter_that_can_be_put_back,
    "BL-14" => a_write_of_a_handler_sends_an_event_too,
];

/// The events that a handler received, in their order.
type Recorded = Arc<Mutex<Vec<ObjectEvent>>>;

/// Runs an app that keeps the events of bucket `files`.
async fn watching(world: &dyn World) -> HarnessResult<(Box<dyn RunningApp>, Recorded)> {
    let recorded = Recorded::default();
    let sink = Arc::clone(&recorded);
    let app = world.run(move |cloud| {
        let files = cloud.bucket("files");
        App::new("watcher").on_object(&files, move |event: ObjectEvent, _cx: Context| {
            sink.lock().push(event);
            async {}
        })
    });
    Ok((app.await?, recorded))
}

fn created(key: &str, size: usize) -> (String, ObjectChange) {
    (key.to_owned(), ObjectChange::Created { size: size as u64 })
}

fn deleted(key: &str) -> (String, ObjectChange) {
    (key.to_owned(), ObjectChange::Deleted)
}

/// Asserts that each change sent at least one event, and that there are no other events.
fn assert_events(recorded: &Recorded, expected: &[(String, ObjectChange)]) {
    let recorded = recorded.lock();
    let changes: Vec<_> = recorded.iter().map(|event| (event.key.clone(), event.change.clone())).collect();
    for change in expected {
        assert!(changes.contains(change), "{change:?} sent no event: {changes:?}");
    }
    for change in &changes {
        assert!(expected.contains(change), "{change:?} sent an event and did not happen");
    }
    assert!(recorded.iter().all(|event| event.bucket == "files"));
}

async fn a_write_an_overwrite_and_a_delete_send_events(world: Box<dyn World>) -> TrialResult {
    let (app, recorded) = watching(&*world).await?;
    let files = world.cloud().bucket("files");
    files.put("a", "one").await?;
    app.deliver().await?;
    assert_events(&recorded, &[created("a", 3)]);
    files.put("a", "longer").await?;
    app.deliver().await?;
    assert_events(&recorded, &[created("a", 3), created("a", 6)]);
    files.delete("a").await?;
    app.deliver().await?;
    assert_events(&recorded, &[created("a", 3), created("a", 6), deleted("a")]);
    Ok(())
}

async fn every_way_to_write_sends_an_event(world: Box<dyn World>) -> TrialResult {
    let (app, recorded) = watching(&*world).await?;
    let files = world.cloud().bucket("files");
    let version = files.put_with("created", "1", PutMode::Create).await?;
    files.put_with("created", "22", PutMode::Update(version)).await?;
    files.put("empty", "").await?;
    files.put_stream("small", in_pieces(content(10), 3), PutMode::Overwrite).await?;
    files.put_stream("large", in_pieces(content(9 << 20), 1 << 20), PutMode::Overwrite).await?;
    files.copy("created", "copied", PutMode::Overwrite).await?;
    files.copy("small", "copied too", PutMode::Create).await?;
    let url = files.signed_put("signed", Duration::from_secs(60)).await?;
    let mut request = Request::builder().method(Method::PUT).uri(&url.url);
    for (name, value) in &url.headers {
        request = request.header(name, value);
    }
    world.fetch(request.body(Bytes::from_static(b"12345"))?).await?;
    app.deliver().await?;
    let expected = [
        created("created", 1),
        created("created", 2),
        created("empty", 0),
        created("small", 10),
        created("large", 9 << 20),
        created("copied", 2),
        created("copied too", 10),
        created("signed", 5),
    ];
    assert_events(&recorded, &expected);
    Ok(())
}

async fn events_contain_strange_keys_as_they_were_written(world: Box<dyn World>) -> TrialResult {
    let (app, recorded) = watching(&*world).await?;
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    for key in STRANGE_KEYS.iter().step_by(3) {
        files.delete(key).await?;
    }
    app.deliver().await?;
    let mut expected: Vec<_> = STRANGE_KEYS.iter().map(|key| created(key, key.len())).collect();
    expected.extend(STRANGE_KEYS.iter().step_by(3).map(|key| deleted(key)));
    assert_events(&recorded, &expected);
    Ok(())
}

async fn writes_that_failed_and_deletes_of_nothing_send_no_event(world: Box<dyn World>) -> TrialResult {
    let (app, recorded) = watching(&*world).await?;
    let files = world.cloud().bucket("files");
    let stale = files.put("a", "1").await?;
    files.put("a", "22").await?;
    let refused = [
        files.put_with("a", "333", PutMode::Create).await.map(drop),
        files.put_with("a", "333", PutMode::Update(stale.clone())).await.map(drop),
        files.put_with("b", "333", PutMode::Update(stale)).await.map(drop),
        files.copy("absent", "b", PutMode::Overwrite).await,
        files.copy("a", "a", PutMode::Create).await,
        files.put("", "333").await.map(drop),
        files.put("k".repeat(1_025), "333").await.map(drop),
    ];
    assert!(refused.iter().all(Result::is_err));
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"333")), Err(std::io::Error::other("cut"))]);
    files.put_stream("b", broken, PutMode::Overwrite).await.unwrap_err();
    files.delete("absent").await?;
    app.deliver().await?;
    assert_events(&recorded, &[created("a", 1), created("a", 2)]);
    Ok(())
}

async fn events_go_to_the_handler_of_their_own_bucket(world: Box<dyn World>) -> TrialResult {
    let recorded: [Recorded; 2] = Default::default();
    let sink = recorded.clone();
    let app = world.run(move |cloud| {
        let keeper = |recorded: Recorded| {
            move |event: ObjectEvent, _cx: Context| {
                recorded.lock().push(event);
                async {}
            }
        };
        let [first, second] = sink;
        let app = App::new("two").on_object(&cloud.bucket("first"), keeper(first));
        app.on_object(&cloud.bucket("second"), keeper(second))
    });
    let app = app.await?;
    for (bucket, key) in [("first", "a"), ("second", "b"), ("first-2", "c"), ("first", "d")] {
        world.cloud().bucket(bucket).put(key, "x").await?;
    }
    app.deliver().await?;
    for (recorded, (bucket, keys)) in recorded.iter().zip([("first", vec!["a", "d"]), ("second", vec!["b"])]) {
        let recorded = recorded.lock();
        assert!(
            recorded.iter().all(|event| event.bucket == bucket && keys.contains(&event.key.as_str())),
            "{recorded:?}"
        );
        assert!(keys.iter().all(|key| recorded.iter().any(|event| event.key == *key)), "{recorded:?}");
    }
    Ok(())
}

async fn a_handler_reads_the_object_of_its_event(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|cloud| {
        let (files, sizes) = (cloud.bucket("files"), cloud.table::<String>("read"));
        let reader = files.clone().read_only();
        App::new("indexer").on_object(&files, move |event: ObjectEvent, _cx: Context| {
            let (reader, sizes) = (reader.clone(), sizes.clone());
            async move {
                let content = reader.get(&event.key).await?.bytes().await?;
                sizes.put(event.key, &String::from_utf8_lossy(&content).into_owned()).await.map(drop)
            }
        })
    });
    let app = app.await?;
    let keys = ["a", "a//../b", "100%", "ü \u{1f600}", "\\", "a\nb"];
    fill(&world.cloud().bucket("files"), &keys).await?;
    app.deliver().await?;
    let read = world.cloud().table::<String>("read");
    for key in keys {
        assert_eq!(read.get(key).await?.as_deref(), Some(key));
    }
    Ok(())
}

async fn an_event_whose_handler_fails_or_panics_is_delivered_again(world: Box<dyn World>) -> TrialResult {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&attempts);
    let app = world.run(move |cloud| {
        App::new("failing").on_object(&cloud.bucket("files"), move |event: ObjectEvent, cx: Context| {
            sink.lock().push((event.key, cx.attempt()));
            let attempt = cx.attempt();
            async move {
                assert_ne!(attempt, 1, "the first attempt panics");
                if attempt == 2 { Err(Error::internal("the second fails")) } else { Ok(()) }
            }
        })
    });
    let app = app.await?;
    world.cloud().bucket("files").put("a", "x").await?;
    for _ in 0..4 {
        app.deliver().await?;
        world.advance(Duration::from_secs(3600))?;
    }
    let mut attempts = attempts.lock().clone();
    attempts.dedup();
    assert_eq!(attempts, [1, 2, 3].map(|attempt| ("a".to_owned(), attempt)));
    assert_eq!(app.dead_letters(&EventQueue::bucket("files")).await?.len(), 0);
    Ok(())
}

/// Runs an app whose handler of bucket `files` fails while `healthy` is false.
async fn sometimes_failing(
    world: &dyn World,
    healthy: Arc<Mutex<bool>>,
    recorded: Recorded,
) -> HarnessResult<Box<dyn RunningApp>> {
    let app = world.run(move |cloud| {
        App::new("sometimes").on_object(&cloud.bucket("files"), move |event: ObjectEvent, _cx: Context| {
            let result = if *healthy.lock() { Ok(()) } else { Err(Error::internal("the index is down")) };
            recorded.lock().extend(result.is_ok().then_some(event));
            async { result }
        })
    });
    app.await
}

async fn an_event_that_is_never_handled_becomes_a_dead_letter_that_can_be_put_back(
    world: Box<dyn World>,
) -> TrialResult {
    let (healthy, recorded) = (Arc::new(Mutex::new(false)), Recorded::default());
    let app = sometimes_failing(&*world, Arc::clone(&healthy), Arc::clone(&recorded)).await?;
    world.cloud().bucket("files").put("a//b", "x").await?;
    for _ in 0..10 {
        app.deliver().await?;
        world.advance(Duration::from_secs(3600))?;
    }
    let dead = app.dead_letters(&EventQueue::bucket("files")).await?;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("the index is down") && dead[0].attempts > 1, "{dead:?}");
    assert!(recorded.lock().is_empty());
    *healthy.lock() = true;
    assert_eq!(app.redrive(&EventQueue::bucket("files")).await?, 1);
    app.deliver().await?;
    assert_events(&recorded, &[created("a//b", 1)]);
    assert_eq!(app.dead_letters(&EventQueue::bucket("files")).await?.len(), 0);
    Ok(())
}

/// Shortens a key by its last character, as an object of the same bucket, until none is left.
async fn shorten(files: Bucket, event: ObjectEvent) -> Result<()> {
    let shorter: String = event.key.chars().take(event.key.chars().count() - 1).collect();
    match files.put_with(&shorter, "x", PutMode::Create).await {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::AlreadyExists) => Ok(()),
        other => other.map(drop),
    }
}

async fn a_write_of_a_handler_sends_an_event_too(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|cloud| {
        let files = cloud.bucket("files");
        let writer = files.clone();
        App::new("chain").on_object(&files, move |event: ObjectEvent, _cx: Context| shorten(writer.clone(), event))
    });
    let app = app.await?;
    let files = world.cloud().bucket("files");
    files.put("abcd", "x").await?;
    app.deliver().await?;
    assert_eq!(super::keys_of(&files, "").await?, ["a", "ab", "abc", "abcd"]);
    Ok(())
}
