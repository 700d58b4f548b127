//! Several triggers of one bucket: each has a filter, attempts and dead letters of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use isobar::prelude::*;
use isobar::{Event, EventQueue, ObjectEvents};

use super::{content, fill};
use crate::trials::pub_sub::Recorded;
use crate::trials::{BAD_NAMES, start_error};
use crate::{TrialResult, World};

crate::trials![
    "BL-24" => each_trigger_receives_the_changes_that_its_filter_accepts,
    "BL-24" => a_filter_is_of_the_key_as_the_app_wrote_it,
    "BL-24" => a_failing_trigger_has_its_own_attempts_dead_letters_and_redrive,
    "BL-24" => an_event_that_no_filter_accepts_calls_no_handler_and_is_no_dead_letter,
    "BL-24" => the_triggers_of_modules_receive_like_those_of_the_app,
    "BL-24" => triggers_and_buckets_whose_names_look_alike_do_not_mix,
    "BL-24" => a_filter_that_accepts_nothing_is_refused,
    "BL-24" => a_filter_may_be_as_long_as_a_key,
    "BL-24" => a_trigger_with_a_bad_name_or_a_second_handler_is_refused,
];

/// What handlers received: the trigger, the key, and the new size, or `None` for a delete.
type Seen = Recorded<(String, String, Option<u64>)>;

fn size(change: &ObjectChange) -> Option<u64> {
    if let ObjectChange::Created { size } = change { Some(*size) } else { None }
}

/// Adds a handler that notes the changes under this name.
fn watching(app: App, events: impl Into<ObjectEvents>, name: impl Into<String>, seen: &Seen) -> App {
    let (seen, name) = (seen.clone(), name.into());
    app.on_object(events, move |event: ObjectEvent, _cx| {
        seen.add((name.clone(), event.key, size(&event.change)));
        async {}
    })
}

/// The changes that a trigger received, without duplicates.
fn of(seen: &Seen, name: &str) -> BTreeSet<(String, Option<u64>)> {
    seen.all().into_iter().filter(|(trigger, ..)| trigger == name).map(|(_, key, size)| (key, size)).collect()
}

fn queue(trigger: &str) -> EventQueue {
    EventQueue::bucket("files").named(trigger)
}

/// A filter: the name of its trigger, its prefix, its suffix, and whether it accepts creations and deletes.
type Filter = (&'static str, &'static str, &'static str, bool, bool);

const FILTERS: [Filter; 9] = [
    ("default", "", "", true, true),
    ("photos", "photos/", ".jpg", true, false),
    ("photos-gone", "photos/", "", false, true),
    ("upper", "Photos/", "", true, true),
    ("jpg", "", ".jpg", true, true),
    ("overlap", "aba", "bab", true, true),
    ("same", "abab", "abab", true, true),
    ("made", "", "", true, false),
    ("gone", "", "", false, true),
];

fn events(files: &Bucket, (name, prefix, suffix, created, deleted): Filter) -> ObjectEvents {
    let events = files.events(name).with_prefix(prefix).with_suffix(suffix);
    match (created, deleted) {
        (true, false) => events.created(),
        (false, true) => events.deleted(),
        _ => events,
    }
}

async fn each_trigger_receives_the_changes_that_its_filter_accepts(world: Box<dyn World>) -> TrialResult {
    let seen = Seen::default();
    let sink = seen.clone();
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        FILTERS.into_iter().fold(App::new("watcher"), |app, it| watching(app, events(&files, it), it.0, &sink))
    };
    let app = world.run(app).await?;
    let keys = ["photos/a.jpg", "photos/a.png", "photos/A.JPG", "Photos/a.jpg", "photos.jpg", "photos/", ".jpg", "a"]
        .into_iter()
        .chain(["aba", "bab", "abab", "ababab", "abaXbab", "xabab"]);
    let changes: Vec<_> = keys.zip(1..).map(|(key, size)| (key, Some(size))).collect();
    let rewritten = ["photos/a.jpg", "abab"];
    let again = rewritten.iter().zip(101..).map(|(key, size)| (*key, Some(size)));
    let changes: Vec<_> = changes.iter().copied().chain(again).chain(rewritten.map(|key| (key, None))).collect();
    let files = world.cloud().bucket("files");
    for (key, size) in &changes {
        match size {
            Some(size) => files.put(key, content(*size)).await.map(drop)?,
            None => files.delete(key).await?,
        }
    }
    app.deliver().await?;
    for (name, prefix, suffix, created, deleted) in FILTERS {
        let accepted = changes.iter().filter(|(key, size)| {
            key.starts_with(prefix) && key.ends_with(suffix) && if size.is_some() { created } else { deleted }
        });
        let expected = accepted.map(|(key, size)| ((*key).to_owned(), size.map(|size| size as u64)));
        assert_eq!(of(&seen, name), expected.collect(), "{name}");
    }
    Ok(())
}

/// Keys that are stored under other names, and beginnings and ends that divide what is escaped in them.
async fn a_filter_is_of_the_key_as_the_app_wrote_it(world: Box<dyn World>) -> TrialResult {
    const KEYS: &[&str] = &[
        "a/",
        "a//",
        "a//b",
        "a/b",
        "a",
        "a.",
        "a./b",
        "a..",
        "a.b",
        "img.",
        "img./x",
        "img.x",
        "img",
        ".",
        "..",
        "./a",
        "/",
        "//",
        "/a",
        "%",
        "%%",
        "%2",
        "%2F",
        "%25",
        "a%2Fb",
        "a%b",
        "\\",
        "a\\",
        "a\\b",
        "a b",
        "a ",
        " a",
        "a+b",
        "a+",
        "soap",
        "soap/x",
        "soaps",
        ".well-known/acme-challenge/x",
        ".well-known/acme-challenges",
        "\u{e9}",
        "e\u{301}",
        "\u{1f600}/\u{1f600}",
        "\u{1}a",
        "\u{e000}",
        "a?b#c&d",
        "A/",
    ];
    const PREFIXES: &[&str] = &[
        "a/",
        "a//",
        "a.",
        "img.",
        ".",
        "/",
        "%",
        "%2",
        "a\\",
        "a ",
        "a+",
        "soap",
        ".well-known/acme-challenge",
        "\u{e9}",
        "e",
        "\u{1f600}/",
        "\u{1}",
        "a%2",
    ];
    const SUFFIXES: &[&str] = &["/", ".", "%", "2F", "\\", " ", "\u{301}", "\u{1f600}", "p", "//"];
    let seen = Seen::default();
    let sink = seen.clone();
    let filters: Vec<_> = PREFIXES.iter().map(|it| (*it, "")).chain(SUFFIXES.iter().map(|it| ("", *it))).collect();
    let declared = filters.clone();
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        declared.iter().enumerate().fold(App::new("watcher"), |app, (place, (prefix, suffix))| {
            let name = format!("filter-{place}");
            watching(app, files.events(&name).with_prefix(*prefix).with_suffix(*suffix), &name, &sink)
        })
    };
    let app = world.run(app).await?;
    let files = world.cloud().bucket("files");
    fill(&files, KEYS).await?;
    app.deliver().await?;
    for (place, (prefix, suffix)) in filters.iter().enumerate() {
        let accepted = KEYS.iter().filter(|key| key.starts_with(prefix) && key.ends_with(suffix));
        let expected: BTreeSet<_> = accepted.map(|key| ((*key).to_owned(), Some(key.len() as u64))).collect();
        assert!(!expected.is_empty(), "the trial has no key for {prefix:?} and {suffix:?}");
        assert_eq!(of(&seen, &format!("filter-{place}")), expected, "prefix {prefix:?}, suffix {suffix:?}");
    }
    Ok(())
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

async fn an_event_that_no_filter_accepts_calls_no_handler_and_is_no_dead_letter(world: Box<dyn World>) -> TrialResult {
    let seen = Seen::default();
    let (sink, around) = (seen.clone(), Recorded::default());
    let layer_calls = around.clone();
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        let csv = files.events("import").with_prefix("in/").with_suffix(".csv").created().with_max_attempts(1);
        let app = watching(App::new("watcher"), csv, "import", &sink);
        let audit = files.events("audit").with_prefix("in/").deleted().with_max_attempts(1);
        watching(app, audit, "audit", &sink).layer(move |event, cx, next| {
            layer_calls.add(());
            async move { next.run(event, cx).await }
        })
    };
    let app = world.run(app).await?;
    let files = world.cloud().bucket("files");
    for number in 0..15 {
        files.put(format!("in/{number}.txt"), "x").await?;
        files.put(format!("out/{number}.csv"), "x").await?;
        files.delete(format!("out/{number}.csv")).await?;
    }
    app.deliver().await?;
    world.advance(Duration::from_secs(3_600))?;
    app.deliver().await?;
    assert_eq!((seen.all(), around.count()), (Vec::new(), 0));
    for name in ["import", "audit"] {
        assert!(app.dead_letters(&queue(name)).await?.is_empty(), "{name}");
    }
    files.put("in/0.csv", "x").await?;
    files.delete("in/0.csv").await?;
    app.deliver().await?;
    let each = |size| BTreeSet::from([("in/0.csv".to_owned(), size)]);
    assert_eq!((of(&seen, "import"), of(&seen, "audit")), (each(Some(1)), each(None)));
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

async fn a_filter_that_accepts_nothing_is_refused(world: Box<dyn World>) -> TrialResult {
    let long = |text: &str, count| text.repeat(count);
    let nothing: [fn(ObjectEvents) -> ObjectEvents; 3] =
        [|it| it.created().deleted(), |it| it.deleted().created(), |it| it.created().deleted().created()];
    for filter in nothing {
        let app = move |cloud: &Cloud| {
            App::new("watcher").on_object(filter(cloud.bucket("files").events("thumbs")), |_, _cx| async {})
        };
        let report = start_error(&*world, app).await?;
        for part in ["bucket `files`, events `thumbs`: the filter accepts nothing", "`created()` and `deleted()`"] {
            assert!(report.contains(part), "{part} is not in: {report}");
        }
    }
    for (prefix, suffix) in [
        (long("a", 1_025), String::new()),
        (String::new(), long("a", 1_025)),
        (long("a", 600), long("b", 600)),
        // Stored with three bytes for each.
        (long("%", 342), String::new()),
        (long("\\", 200), long("%", 200)),
    ] {
        let app = move |cloud: &Cloud| {
            let events = cloud.bucket("files").events("thumbs").with_prefix(&prefix).with_suffix(&suffix);
            App::new("watcher").on_object(events, |_, _cx| async {})
        };
        let report = start_error(&*world, app).await?;
        assert!(report.contains("the filter accepts nothing") && report.contains("1024"), "{report}");
    }
    Ok(())
}

async fn a_filter_may_be_as_long_as_a_key(world: Box<dyn World>) -> TrialResult {
    let seen = Seen::default();
    let (sink, key) = (seen.clone(), "a".repeat(1_024));
    let whole = key.clone();
    let app = move |cloud: &Cloud| {
        let files = cloud.bucket("files");
        // They overlap: the key has both.
        let both = files.events("both").with_prefix(&whole).with_suffix(&whole);
        let app = watching(App::new("watcher"), both.created().created(), "both", &sink);
        watching(app, files.events("begin").with_prefix(&whole[1..]), "begin", &sink)
    };
    let app = world.run(app).await?;
    fill(&world.cloud().bucket("files"), &[&key, &key[1..], &key[2..], "b"]).await?;
    app.deliver().await?;
    let expected = [(key.clone(), Some(1_024)), (key[1..].to_owned(), Some(1_023))];
    assert_eq!(of(&seen, "both"), BTreeSet::from([expected[0].clone()]));
    assert_eq!(of(&seen, "begin"), BTreeSet::from(expected));
    Ok(())
}

async fn a_trigger_with_a_bad_name_or_a_second_handler_is_refused(world: Box<dyn World>) -> TrialResult {
    for bad in BAD_NAMES.into_iter().chain(["dead", "fifo", "events", "writes", "a--b", "bcd-"]) {
        let app =
            move |cloud: &Cloud| App::new("watcher").on_object(cloud.bucket("files").events(bad), |_, _cx| async {});
        let report = start_error(&*world, app).await?;
        assert!(report.contains(&format!("bucket `files`, events `{bad}`: `{bad}`")), "{bad}: {report}");
    }
    let app = |cloud: &Cloud| {
        let files = cloud.bucket("files");
        let on = |app: App, events: ObjectEvents| app.on_object(events, |_, _cx| async {});
        let app = on(on(App::new("watcher"), (&files).into()), files.events("default").created());
        let app = on(on(app, files.events("thumbs").created()), files.events("audit"));
        app.mount("/desk", on(App::new("desk"), files.events("thumbs").deleted()))
    };
    let report = start_error(&*world, app).await?;
    for twice in ["bucket `files`;", "bucket `files`, events `thumbs`;", "`bucket.events(name)`"] {
        assert!(report.contains(twice), "{twice} is not in: {report}");
    }
    assert!(!report.contains("`audit`"), "{report}");
    Ok(())
}
