//! Handlers of the writes of a table: their attempts and dead letters, and what they may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isobar::driver::{Access, Limits};
use isobar::prelude::*;
use isobar::{Event, EventQueue, WriteEvent};

use crate::trials::pub_sub::Recorded;
use crate::trials::start_error;
use crate::{TrialResult, World};

crate::trials![
    "KV-26" => a_failing_write_has_its_own_attempts_and_blocks_no_other,
    "KV-26" => a_write_that_is_never_handled_becomes_a_dead_letter_that_can_be_put_back,
    "KV-26" => a_later_attempt_reads_the_item_as_it_is_then,
    "KV-26" => a_handler_of_writes_may_write_to_another_table_and_to_its_own,
    "KV-26" => a_write_of_an_item_that_is_being_handled_is_reported_again,
    "KV-26" => a_handler_of_writes_needs_no_access_to_the_table,
    "KV-26" => the_state_the_layers_and_the_context_of_a_write_are_those_of_any_event,
    "KV-26" => a_second_handler_or_one_of_a_foreign_table_is_refused,
];

const WAIT: Duration = Duration::from_secs(60);

/// The attempts that were recorded for a key, without duplicates.
fn attempts(recorded: &Recorded<(Key, u32)>, key: &Key) -> BTreeSet<u32> {
    recorded.all().into_iter().filter(|it| it.0 == *key).map(|it| it.1).collect()
}

async fn a_failing_write_has_its_own_attempts_and_blocks_no_other(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let writes = cloud.table::<u32>("items").writes().with_backoff(WAIT, WAIT);
        App::new("watcher").on_write(writes, move |write: WriteEvent, cx: Context| {
            let (bad, attempt) = (write.key.sort == "bad", cx.attempt());
            sink.add((write.key, attempt));
            async move {
                assert!(!bad || attempt != 1, "the first attempt panics");
                if bad && attempt < 4 { Err(Error::internal("the index is down")) } else { Ok(()) }
            }
        })
    };
    let app = world.run(app).await?;
    let (items, bad) = (world.cloud().table::<u32>("items"), Key::new("p", "bad"));
    items.put(&bad, &1).await?;
    for number in 0..30 {
        items.put(("p", number.to_string()), &1).await?;
        items.put(number.to_string(), &1).await?;
    }
    app.deliver().await?;
    let handled: BTreeSet<_> = recorded.all().into_iter().collect();
    let others = (0..30).flat_map(|number| [Key::new("p", number.to_string()), Key::from(number.to_string())]);
    let expected: BTreeSet<_> = others.chain([bad.clone()]).map(|key| (key, 1)).collect();
    assert_eq!(handled, expected, "one waits for another");
    world.advance(WAIT / 2 - Duration::from_secs(1))?;
    app.deliver().await?;
    assert_eq!(attempts(&recorded, &bad), [1].into(), "it was delivered before its backoff");
    for attempt in 2..=4 {
        items.put(("p", format!("new {attempt}")), &1).await?;
        world.advance(WAIT)?;
        app.deliver().await?;
        assert_eq!(attempts(&recorded, &bad), (1..=attempt).collect());
        assert_eq!(attempts(&recorded, &Key::new("p", format!("new {attempt}"))), [1].into());
    }
    world.advance(WAIT)?;
    app.deliver().await?;
    assert_eq!(attempts(&recorded, &bad), (1..=4).collect(), "it was handled, and delivered again");
    assert!(app.dead_letters(&EventQueue::table("items")).await?.is_empty());
    Ok(())
}

async fn a_write_that_is_never_handled_becomes_a_dead_letter_that_can_be_put_back(
    world: Box<dyn World>,
) -> TrialResult {
    let (recorded, repaired) = (Recorded::default(), Arc::new(AtomicBool::new(false)));
    let (sink, is_repaired) = (recorded.clone(), Arc::clone(&repaired));
    let app = move |cloud: &Cloud| {
        let answer = move |write: WriteEvent, cx: Context| {
            let outcome = match write.key.sort.as_str() {
                "good" => Outcome::Ack,
                _ if is_repaired.load(Ordering::SeqCst) => Outcome::Ack,
                "rejected" => Outcome::reject("not an item"),
                _ => Outcome::retry("the index is down"),
            };
            sink.add((write.key, cx.attempt()));
            async { outcome }
        };
        let twice = |table: &str| cloud.table::<u32>(table).writes().with_max_attempts(2).with_backoff(WAIT, WAIT);
        let app = App::new("watcher").on_write(twice("items"), answer);
        app.on_write(twice("others"), |_, _cx| async { Outcome::reject("another table") })
    };
    let app = world.run(app).await?;
    let [failing, rejected] = ["a//\0%", "rejected"].map(|sort| Key::new("p\u{e9}", sort));
    let items = world.cloud().table::<u32>("items");
    for key in [&failing, &rejected, &Key::new("p", "good")] {
        items.put(key, &1).await?;
    }
    world.cloud().table::<u32>("others").put("a", &1).await?;
    let queue = EventQueue::table("items");
    let keys = async || -> TrialResult<BTreeSet<_>> {
        let mut keys = BTreeSet::new();
        for dead in app.dead_letters(&queue).await? {
            let event: WriteEvent = serde_json::from_slice(&dead.body)?;
            keys.insert((event.key, dead.attempts, dead.reason));
        }
        Ok(keys)
    };
    let of = |key: &Key, attempts, reason: &str| (key.clone(), attempts, reason.to_owned());
    app.deliver().await?;
    assert_eq!(keys().await?, [of(&rejected, 1, "not an item")].into());
    world.advance(WAIT)?;
    app.deliver().await?;
    let gave_up = of(&failing, 2, "gave up after 2 attempts: the index is down");
    assert_eq!(keys().await?, [of(&rejected, 1, "not an item"), gave_up].into());

    repaired.store(true, Ordering::SeqCst);
    let before = recorded.count();
    let count = app.dead_letters(&queue).await?.len();
    assert_eq!(app.redrive(&queue).await?, count);
    app.deliver().await?;
    let handled: BTreeSet<_> = recorded.all().into_iter().skip(before).collect();
    assert_eq!(handled, [(failing, 1), (rejected, 1)].into(), "put back with attempt 1, and without the others");
    assert!(app.dead_letters(&queue).await?.is_empty());
    assert!(!app.dead_letters(&EventQueue::table("others")).await?.is_empty(), "another table's were put back");
    Ok(())
}

async fn a_later_attempt_reads_the_item_as_it_is_then(world: Box<dyn World>) -> TrialResult {
    type Read = (Key, Option<u32>);
    let recorded = Recorded::<Read>::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let items = cloud.table::<u32>("items").read_only();
        let read = async |(items, sink): (Table<u32>, Recorded<Read>), write: WriteEvent, cx: Context| {
            sink.add((write.key.clone(), items.get(&write.key).await?));
            if cx.attempt() == 1 { Err(Error::internal("the index is down")) } else { Ok(()) }
        };
        let writes = items.writes().with_backoff(WAIT, WAIT);
        App::new("watcher").with_state((items, sink)).on_write(writes, read).build()
    };
    let app = world.run(app).await?;
    let items = world.cloud().table::<u32>("items");
    for key in ["deleted", "expired", "same"] {
        items.put_with(key, &1, key_value::PutOptions::default().with_ttl(WAIT * 10)).await?;
    }
    app.deliver().await?;
    let all = |values: [Option<u32>; 3]| -> BTreeSet<Read> {
        ["deleted", "expired", "same"].into_iter().map(Key::from).zip(values).collect()
    };
    assert_eq!(recorded.all().into_iter().collect::<BTreeSet<_>>(), all([Some(1); 3]));
    let before = recorded.count();
    items.delete("deleted").await?;
    items.put("same", &2).await?;
    world.advance(WAIT * 10)?;
    app.deliver().await?;
    let later: BTreeSet<_> = recorded.all().into_iter().skip(before).collect();
    assert_eq!(later, all([None, None, Some(2)]));
    Ok(())
}

#[derive(Clone)]
struct Notes {
    notes: Table<String>,
    by_word: Table<String>,
    recorded: Recorded<Key>,
}

impl Notes {
    /// Writes each word to another table, and a copy of the note to the same one.
    async fn index(self, write: WriteEvent, _: Context) -> Result<()> {
        self.recorded.add(write.key.clone());
        let Some(note) = self.notes.get(&write.key).await? else { return Ok(()) };
        if write.key.partition == "copies" {
            return Ok(());
        }
        for word in note.split(' ') {
            self.by_word.put((word, write.key.partition.as_str()), &note).await?;
        }
        self.notes.put(("copies", write.key.partition), &note).await.map(drop)
    }
}

async fn a_handler_of_writes_may_write_to_another_table_and_to_its_own(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let (notes, by_word) = (cloud.table("notes"), cloud.table("by-word"));
        let state = Notes { notes: notes.clone(), by_word, recorded: sink };
        App::new("notes").with_state(state).on_write(&notes, Notes::index).build()
    };
    let app = world.run(app).await?;
    let notes = world.cloud().table::<String>("notes");
    let names: Vec<_> = (0..15).map(|number| format!("note {number:02}")).collect();
    for name in &names {
        notes.put(name, &format!("green tea {name}")).await?;
    }
    app.deliver().await?;
    let index = world.cloud().table::<String>("by-word");
    for (found, place) in [(index.query("tea").all().await?, "index"), (notes.query("copies").all().await?, "copies")] {
        let found: Vec<_> = found.into_iter().map(|entry| (entry.key.sort, entry.value)).collect();
        let expected: Vec<_> = names.iter().map(|name| (name.clone(), format!("green tea {name}"))).collect();
        assert_eq!(found, expected, "{place}");
    }
    let reported: BTreeSet<_> = recorded.all().into_iter().collect();
    let expected = names.iter().flat_map(|name| [Key::from(name.as_str()), Key::new("copies", name.as_str())]);
    assert_eq!(reported, expected.collect());
    Ok(())
}

/// The handler counts the item up, to 5: a write that it does not see ends the count early.
async fn a_write_of_an_item_that_is_being_handled_is_reported_again(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let counts = cloud.table::<u32>("counts");
        let count_up = async |counts: Table<u32>, write: WriteEvent, _: Context| {
            let count = counts.get(&write.key).await?.unwrap_or_default();
            if count < 5 { counts.put(&write.key, &(count + 1)).await.map(drop) } else { Ok(()) }
        };
        App::new("counter").with_state(counts.clone()).on_write(&counts, count_up).build()
    };
    let app = world.run(app).await?;
    let counts = world.cloud().table::<u32>("counts");
    for name in ["a", "b", "c"] {
        counts.put(name, &1).await?;
    }
    app.deliver().await?;
    assert_eq!(counts.get_many(["a", "b", "c"]).await?, [Some(5); 3]);
    Ok(())
}

async fn a_handler_of_writes_needs_no_access_to_the_table(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let items = cloud.table::<u32>("items").read_only();
        let try_to_write = async |(items, sink): (Table<u32>, Recorded<_>), write: WriteEvent, _: Context| {
            let error = items.put(&write.key, &2).await.err();
            sink.add((write.table, items.get(&write.key).await?, error.map(|error| error.kind())));
            Ok::<_, Error>(())
        };
        let unread = cloud.table::<u32>("unread").read_only().write_only();
        App::new("watcher")
            .with_state((items.clone(), sink.clone()))
            .on_write(&items, try_to_write)
            .on_write(&unread, async |(_, sink): (_, Recorded<_>), write: WriteEvent, _: Context| {
                sink.add((write.table, None, None));
            })
            .build()
    };
    let app = world.run(app).await?;
    let declared: Vec<_> = app.manifest().tables().map(|table| (table.name.as_str(), table.access)).collect();
    assert_eq!(declared, [("items", Access::Read), ("unread", Access::None)]);
    for table in ["items", "unread"] {
        world.cloud().table::<u32>(table).put("a", &1).await?;
    }
    app.deliver().await?;
    let reported: Vec<_> = recorded.all().into_iter().collect();
    let items = ("items".to_owned(), Some(1), Some(ErrorKind::PermissionDenied));
    let unread = ("unread".to_owned(), None, None);
    assert!(reported.contains(&items) && reported.contains(&unread), "{reported:?}");
    assert!(reported.iter().all(|it| *it == items || *it == unread), "{reported:?}");
    Ok(())
}

async fn the_state_the_layers_and_the_context_of_a_write_are_those_of_any_event(world: Box<dyn World>) -> TrialResult {
    let (log, contexts) = (Recorded::<String>::default(), Recorded::<Context>::default());
    let (state, sink) = (log.clone(), contexts.clone());
    let app = move |cloud: &Cloud| {
        let handled =
            async |log: Recorded<String>, write: WriteEvent, _: Context| log.add(format!("of {}", write.key.sort));
        let (items, topic) = (cloud.table::<u32>("items"), cloud.topic::<u32>("jobs"));
        let module = App::new("desk").with_state(state.clone()).on_write(&items, handled).build();
        let outer = move |log: Recorded<String>, event, cx: Context, next: isobar::Next| {
            sink.add(cx.clone());
            async move {
                match &event {
                    Event::Write(write) => log.add(format!("around {} {}", write.table, write.key.sort)),
                    other => log.add(format!("{other:?}")),
                }
                next.run(event, cx).await
            }
        };
        let app = App::new("office").mount("/desk", module).on_message(&topic, |_, _cx| async {});
        app.with_state(state).layer(outer).build()
    };
    let app = world.run(app).await?;
    let items = world.cloud().table::<u32>("items");
    for sort in ["a", "b"] {
        items.put(("p", sort), &1).await?;
        app.deliver().await?;
    }
    let logged = log.all();
    let pairs: Vec<_> = logged.chunks(2).collect();
    assert!(pairs.len() >= 2 && logged[..2] == ["around items a", "of a"], "{logged:?}");
    assert!(
        pairs.iter().all(|it| **it == ["around items a", "of a"] || **it == ["around items b", "of b"]),
        "{logged:?}"
    );
    let ids: BTreeSet<_> = contexts.all().iter().map(|cx| cx.invocation_id().to_owned()).collect();
    assert_eq!(ids.len(), contexts.count(), "an invocation has the id of another");
    for cx in contexts.all() {
        assert_eq!((cx.attempt(), cx.provider()), (1, world.cloud().profile().provider));
        assert!(cx.remaining().is_some_and(|left| !left.is_zero() && left <= Limits::PORTABLE.event_timeout));
    }
    Ok(())
}

async fn a_second_handler_or_one_of_a_foreign_table_is_refused(world: Box<dyn World>) -> TrialResult {
    let foreign = world.cloud().table::<u32>("foreign");
    let app = move |cloud: &Cloud| {
        let on = |app: App, table: &str| app.on_write(&cloud.table::<u32>(table), |_, _cx| async {});
        let app = on(on(App::new("double"), "items"), "notes").mount("/desk", on(App::new("desk"), "items"));
        app.on_write(&foreign, |_, _cx| async {})
    };
    let report = start_error(&*world, app).await?;
    for part in
        ["two handlers for writes of table `items`; publish the key to a topic", "table `foreign` belongs to another"]
    {
        assert!(report.contains(part), "{part} is not in: {report}");
    }
    assert!(!report.contains("`notes`"), "{report}");
    Ok(())
}
