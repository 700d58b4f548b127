//! Filters of object events: each is of the key as the app wrote it.

use std::collections::BTreeSet;
use std::time::Duration;

use isobar::prelude::*;
use isobar::{EventQueue, ObjectEvents};

use super::triggers::{Seen, of, watching};
use super::{content, fill};
use crate::trials::pub_sub::Recorded;
use crate::trials::start_error;
use crate::{TrialResult, World};

crate::trials![
    "BL-24" => each_trigger_receives_the_changes_that_its_filter_accepts,
    "BL-24" => a_filter_is_of_the_key_as_the_app_wrote_it,
    "BL-24" => an_event_that_no_filter_accepts_calls_no_handler_and_is_no_dead_letter,
    "BL-24" => a_filter_that_accepts_nothing_is_refused,
    "BL-24" => a_filter_may_be_as_long_as_a_key,
];

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
    let changes: Vec<_> = keys.zip(0..).map(|(key, size)| (key, Some(size))).collect();
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
        assert!(app.dead_letters(&EventQueue::bucket("files").named(name)).await?.is_empty(), "{name}");
    }
    files.put("in/0.csv", "x").await?;
    files.delete("in/0.csv").await?;
    app.deliver().await?;
    let each = |size| BTreeSet::from([("in/0.csv".to_owned(), size)]);
    assert_eq!((of(&seen, "import"), of(&seen, "audit")), (each(Some(1)), each(None)));
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
        for part in ["events `thumbs` of bucket `files`: the filter accepts nothing", "`created()` and `deleted()`"] {
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
        let app = watching(app, files.events("begin").with_prefix(&whole[1..]), "begin", &sink);
        // A dot is stored as three bytes, but only at the end of a key.
        watching(app, files.events("dot").with_prefix(format!("{}.", &whole[2..])), "dot", &sink)
    };
    let app = world.run(app).await?;
    let dotted = format!("{}.b", &key[2..]);
    fill(&world.cloud().bucket("files"), &[&key, &key[1..], &key[2..], "b", &dotted]).await?;
    app.deliver().await?;
    let expected = [(key.clone(), Some(1_024)), (key[1..].to_owned(), Some(1_023))];
    assert_eq!(of(&seen, "both"), BTreeSet::from([expected[0].clone()]));
    assert_eq!(of(&seen, "begin"), BTreeSet::from(expected));
    assert_eq!(of(&seen, "dot"), BTreeSet::from([(dotted, Some(1_024))]));
    Ok(())
}
