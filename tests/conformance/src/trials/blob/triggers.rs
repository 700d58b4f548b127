//! Several triggers of one bucket: each has attempts and dead letters of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use isobar::prelude::*;
use isobar::{Event, EventQueue, ObjectEvents};

use crate::trials::pub_sub::Recorded;
use crate::trials::{BAD_NAMES, start_error};
use crate::{TrialResult, World};

crate::trials![
    "BL-24" => a_failing_trigger_has_its_own_attempts_dead_letters_and_redrive,
    "BL-24" => the_triggers_of_modules_receive_like_those_of_the_app,
    "BL-24" => triggers_and_buckets_whose_names_look_alike_do_not_mix,
    "BL-24" => a_trigger_with_a_bad_name_or_a_second_handler_is_refused,
];

/// What handlers received: the trigger, the key, and the new size, or `None` for a delete.
pub(super) type Seen = Recorded<(String, String, Option<u64>)>;

fn size(change: &ObjectChange) -> Option<u64> {
    if let ObjectChange::Created { size } = change { Some(*size) } else { None }
}

/// Adds a handler that notes the changes under this name.
pub(super) fn watching(app: App, events: impl Into<ObjectEvents>, name: impl Into<String>, seen: &Seen) -> App {
    let (seen, name) = (seen.clone(), name.into());
    app.on_object(events, move |event: ObjectEvent, _cx| {
        seen.add((name.clone(), event.key, size(&event.change)));
        async {}
    })
}

/// The changes that a trigger received, without duplicates.
pub(super) fn of(seen: &Seen, name: &str) -> BTreeSet<(String, Option<u64>)> {
    seen.all().into_iter().filter(|(trigger, ..)| trigger == name).map(|(_, key, size)| (key, size)).collect()
}

fn queue(trigger: &str) -> EventQueue {
    EventQueue::bucket("files").named(trigger)
}

async fn a_failing_trigger_has_its_own_attempts_dead_letters_and_redrive(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<(&str, u32)> = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        let on = |app: App, events: ObjectEvents, name, answer: fn() -> Outcome| {
            let sink = sink.clone();
            app.on_object(events, move |_, cx: Context| {
                sink.add((name, cx.attempt()));
                async move { answer() }
            })
        };
        let wait = Duration::from_secs(60);
        let failing = files.events("thumbs").with_max_attempts(2).with_backoff(wait, wait).created();
        let app = on(App::new("watcher"), (&files).into(), "default", || Outcome::Ack);
        let app = on(app, failing, "thumbs", || Outcome::retry("no thumbs"));
        on(app, files.events("audit").with_prefix("a"), "audit", || Outcome::reject("no audit"))
    };
    let app = world.run(app).await?;
    world.cloud().bucket("files").put("a//b", "x").await?;
    let attempts = |name: &str| -> Vec<u32> {
        let mut all: Vec<_> = recorded.all().into_iter().filter(|it| it.0 == name).map(|it| it.1).collect();
        all.dedup();
        all
    };
    app.deliver().await?;
    world.advance(Duration::from_secs(29))?;
    app.deliver().await?;
    assert_eq!(attempts("thumbs"), [1], "it was delivered before its backoff");
    world.advance(Duration::from_secs(31))?;
    app.deliver().await?;
    assert_eq!(["default", "thumbs", "audit"].map(attempts), [vec![1], vec![1, 2], vec![1]]);
    let (thumbs, audit) = (app.dead_letters(&queue("thumbs")).await?, app.dead_letters(&queue("audit")).await?);
    assert_eq!((thumbs.len(), audit.len(), app.dead_letters(&queue("default")).await?.len()), (1, 1, 0));
    assert_eq!((thumbs[0].attempts, thumbs[0].reason.as_str()), (2, "gave up after 2 attempts: no thumbs"));
    assert_eq!((audit[0].attempts, audit[0].reason.as_str()), (1, "no audit"));

    let before = recorded.count();
    assert_eq!(app.redrive(&queue("thumbs")).await?, 1);
    app.deliver().await?;
    assert_eq!(recorded.all()[before..], [("thumbs", 1)], "the others were called for it");
    assert_eq!(
        (app.dead_letters(&queue("thumbs")).await?.len(), app.dead_letters(&queue("audit")).await?.len()),
        (0, 1)
    );
    Ok(())
}

async fn the_triggers_of_modules_receive_like_those_of_the_app(world: Box<dyn World>) -> TrialResult {
    let (seen, around) = (Seen::default(), Recorded::default());
    let (sink, log) = (seen.clone(), around.clone());
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        let note = async |seen: Seen, event: ObjectEvent, _cx| seen.add(("state".to_owned(), event.key, None));
        let drawer = App::new("drawer").with_state(sink.clone()).on_object(files.events("state"), note).build();
        let desk =
            watching(App::new("desk"), files.events("module").created(), "module", &sink).mount("/drawer", drawer);
        watching(App::new("office"), &files, "own", &sink).mount("/desk", desk).layer(move |event, cx, next| {
            if let Event::Object { trigger, event } = &event {
                log.add(format!("{trigger} {}", event.key));
            }
            async move { next.run(event, cx).await }
        })
    };
    let app = world.run(app).await?;
    assert_eq!(app.manifest().objects().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["default", "module", "state"]);
    world.cloud().bucket("files").put("a", "xy").await?;
    app.deliver().await?;
    let names: BTreeSet<_> = seen.all().into_iter().collect();
    let of = |name: &str, size| (name.to_owned(), "a".to_owned(), size);
    assert_eq!(names, BTreeSet::from([of("module", Some(2)), of("own", Some(2)), of("state", None)]));
    let around: BTreeSet<_> = around.all().into_iter().collect();
    assert_eq!(around, ["default a", "module a", "state a"].map(str::to_owned).into());
    Ok(())
}

async fn triggers_and_buckets_whose_names_look_alike_do_not_mix(world: Box<dyn World>) -> TrialResult {
    const QUEUES: [(&str, &str); 5] =
        [("aaa", "default"), ("aaa", "bbb-ccc"), ("aaa-bbb", "ccc"), ("aaa-bbb", "default"), ("aaa-events", "bbb")];
    let app = |cloud: &Cloud| {
        let topics = ["aaa", "aaa-events", "events-aaa"].into_iter().fold(App::new("watcher"), |app, topic| {
            app.on_message(&cloud.topic::<u32>(topic), move |_, _cx| async move { Outcome::reject(topic) })
        });
        QUEUES.into_iter().fold(topics, |app, (bucket, name)| {
            app.on_object(cloud.bucket(bucket).events(name), move |event, _cx| async move {
                Outcome::reject(format!("of {bucket} {name}: {} {}", event.bucket, event.key))
            })
        })
    };
    let app = world.run(app).await?;
    for bucket in ["aaa", "aaa-bbb", "aaa-events"] {
        world.cloud().bucket(bucket).put(format!("in {bucket}"), "x").await?;
    }
    world.cloud().topic("aaa").publish(1_u32).await?;
    app.deliver().await?;
    for (bucket, name) in QUEUES {
        let dead = app.dead_letters(&EventQueue::bucket(bucket).named(name)).await?;
        let reasons: Vec<_> = dead.iter().map(|dead| dead.reason.as_str()).collect();
        assert_eq!(reasons, [format!("of {bucket} {name}: {bucket} in {bucket}")]);
    }
    for (topic, expected) in [("aaa", 1), ("aaa-events", 0), ("events-aaa", 0)] {
        assert_eq!(app.dead_letters(&topic.into()).await?.len(), expected, "{topic}");
    }
    Ok(())
}

async fn a_trigger_with_a_bad_name_or_a_second_handler_is_refused(world: Box<dyn World>) -> TrialResult {
    for bad in BAD_NAMES.into_iter().chain(["dead", "fifo", "events", "writes", "a--b", "bcd-"]) {
        let app =
            move |cloud: &Cloud| App::new("watcher").on_object(cloud.bucket("files").events(bad), |_, _cx| async {});
        let report = start_error(&*world, app).await?;
        assert!(report.contains(&format!("events `{bad}` of bucket `files`: `{bad}`")), "{bad}: {report}");
    }
    let app = |cloud: &Cloud| {
        let files = cloud.bucket("files");
        let on = |app: App, events: ObjectEvents| app.on_object(events, |_, _cx| async {});
        let app = on(on(App::new("watcher"), (&files).into()), files.events("default").created());
        let app = on(on(app, files.events("thumbs").created()), files.events("audit"));
        app.mount("/desk", on(App::new("desk"), files.events("thumbs").deleted()))
    };
    let report = start_error(&*world, app).await?;
    for twice in ["bucket `files`;", "events `thumbs` of bucket `files`;", "`bucket.events(name)`"] {
        assert!(report.contains(twice), "{twice} is not in: {report}");
    }
    assert!(!report.contains("`audit`"), "{report}");
    Ok(())
}
