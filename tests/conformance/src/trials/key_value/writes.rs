//! The writes of a table: which of them a handler receives.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use isobar::driver::key_value::OwnItems;
use isobar::key_value::PutOptions;
use isobar::prelude::*;
use isobar::{EventQueue, WriteEvent};

use super::{STRANGE_SORTS, concurrently, fill};
use crate::trials::pub_sub::Recorded;
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "KV-26" => every_way_to_write_an_item_is_reported,
    "KV-26" => strange_keys_are_reported_as_they_were_written,
    "KV-26" => deletes_failed_writes_and_earlier_items_are_not_reported,
    "KV-26" => isobars_own_items_are_not_reported,
    "KV-26" => hundreds_of_writes_at_the_same_time_are_all_reported,
    "KV-26" => after_its_last_write_an_item_is_reported_again,
    "KV-26" => the_writes_of_tables_whose_names_look_alike_do_not_mix,
    "KV-26" => writes_before_a_restart_are_reported_after_it,
];

/// An app that notes the keys of the writes of `items`.
struct Watcher {
    app: Box<dyn RunningApp>,
    recorded: Recorded<Key>,
    /// The number of keys that were looked at.
    passed: usize,
    known: BTreeSet<Key>,
}

impl Watcher {
    async fn start(world: &dyn World) -> HarnessResult<Self> {
        let recorded = Recorded::default();
        let sink = recorded.clone();
        let app = move |cloud: &Cloud| {
            App::new("watcher").on_write(&cloud.table::<u32>("items").read_only(), move |write: WriteEvent, _cx| {
                assert_eq!(write.table, "items");
                sink.add(write.key);
                async {}
            })
        };
        Ok(Self { app: world.run(app).await?, recorded, passed: 0, known: BTreeSet::new() })
    }

    /// Delivers, and asserts that each of the keys was reported since the last call, and no other key than those of all calls.
    async fn expect<K: Into<Key>>(&mut self, keys: impl IntoIterator<Item = K>) -> HarnessResult<()> {
        self.app.deliver().await?;
        let reported: BTreeSet<_> = self.recorded.all().into_iter().skip(self.passed).collect();
        self.passed = self.recorded.count();
        let expected: BTreeSet<_> = keys.into_iter().map(Into::into).collect();
        let lost: Vec<_> = expected.difference(&reported).collect();
        assert!(lost.is_empty(), "not reported: {lost:?}");
        self.known.extend(expected);
        let foreign: Vec<_> = reported.difference(&self.known).collect();
        assert!(foreign.is_empty(), "reported and not written: {foreign:?}");
        assert!(self.app.dead_letters(&EventQueue::table("items")).await?.is_empty());
        Ok(())
    }
}

async fn every_way_to_write_an_item_is_reported(world: Box<dyn World>) -> TrialResult {
    let mut watcher = Watcher::start(&*world).await?;
    let items = world.cloud().table::<u32>("items");
    let version = items.put_with("a", &1, PutMode::Create).await?;
    watcher.expect(["a"]).await?;
    items.put_with("a", &2, PutMode::Update(version)).await?;
    watcher.expect(["a"]).await?;
    items.put("a", &2).await?;
    watcher.expect(["a"]).await?;
    items.put_with(("p", "late"), &3, PutOptions::default().with_ttl(Duration::from_secs(60))).await?;
    watcher.expect([("p", "late")]).await?;
    for number in ["n", "n"] {
        items.add(number, 5).await?;
        watcher.expect([number]).await?;
    }
    for (number, change) in ["n", "new"].into_iter().zip(1..) {
        items.update(number, move |_| change).await?;
        watcher.expect([number]).await?;
        items.modify(number, |_| Ok::<_, Error>(9)).await?;
        watcher.expect([number]).await?;
    }
    let version = items.get_entry("a").await?.expect("it is there").version;
    let writes = items.transact("p").put("b", &1).put_with("c", &2, PutMode::Create).add("n", 3).put("late", &4);
    writes.delete("none").commit().await?;
    items.transact("a").put_with("", &7, PutMode::Update(version)).add("n", 1).commit().await?;
    let written = [("p", "b"), ("p", "c"), ("p", "n"), ("p", "late"), ("a", ""), ("a", "n")];
    watcher.expect(written).await?;
    let many = ["d", "e", "f"].map(|sort| (("p", sort), &1));
    items.put_many(many).await.into_iter().collect::<Result<Vec<_>>>()?;
    watcher.expect(many.map(|(key, _)| key)).await?;
    items.delete("a").await?;
    items.put("a", &1).await?;
    watcher.expect(["a"]).await?;
    Ok(())
}

async fn strange_keys_are_reported_as_they_were_written(world: Box<dyn World>) -> TrialResult {
    let mut watcher = Watcher::start(&*world).await?;
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p'/\0", STRANGE_SORTS).await?;
    let mut keys: Vec<_> = STRANGE_SORTS.iter().map(|sort| Key::new("p'/\0", *sort)).collect();
    let of = |character: char, bytes: usize| character.to_string().repeat(bytes / character.len_utf8());
    let longest = ['\0', '/', '%', '\u{7f}', '\u{1f600}'].map(|one| Key::new(of(one, 256), of(one, 512)));
    let partitions = STRANGE_SORTS.iter().filter(|partition| !partition.is_empty()).map(|it| Key::from(*it));
    for key in partitions.chain(longest).chain([Key::new("ab", ""), Key::new("a", "b"), Key::new("a#", "b")]) {
        items.put(&key, &1).await?;
        keys.push(key);
    }
    watcher.expect(keys).await?;
    Ok(())
}

/// The items were written before an app handled the writes for the first time.
async fn deletes_failed_writes_and_earlier_items_are_not_reported(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let stale = items.put(("p", "a"), &1).await?;
    fill(&world.cloud().table("items"), "p", &["a", "b", "c", "d"]).await?;
    items.put_with(("p", "late"), &3, PutOptions::default().with_ttl(Duration::from_secs(60))).await?;
    let texts = world.cloud().table::<String>("items");
    texts.put(("p", "text"), &"no number".to_owned()).await?;
    let mut watcher = Watcher::start(&*world).await?;

    items.delete(("p", "b")).await?;
    items.delete(("p", "none")).await?;
    let current = items.get_entry(("p", "c")).await?.expect("it is there").version;
    items.delete_version(("p", "c"), &current).await?;
    items.transact("p").delete("d").commit().await?;
    let failed = [
        items.put_with(("p", "a"), &2, PutMode::Create).await.err(),
        items.put_with(("p", "a"), &2, PutMode::Update(stale.clone())).await.err(),
        items.put_with(("p", "none"), &2, PutMode::Update(stale.clone())).await.err(),
        items.delete_version(("p", "a"), &stale).await.err(),
        items.transact("p").put("x", &1).put_with("a", &2, PutMode::Create).commit().await.err(),
        items.transact("p").add("y", 1).delete_version("a", stale).commit().await.err(),
        items.add(("p", "text"), 1).await.err(),
        items.modify(("p", "a"), |_| Err::<u32, _>(Error::conflict("no"))).await.err(),
        items.put(("p", "k".repeat(513)), &1).await.err(),
        texts.put(("p", "large"), &"x".repeat(1 << 20)).await.err(),
    ];
    assert!(failed.iter().all(Option::is_some), "{failed:?}");
    watcher.expect::<Key>([]).await?;
    world.advance(Duration::from_secs(3_600))?;
    assert_eq!(items.get(("p", "late")).await?, None);
    watcher.expect::<Key>([]).await?;
    items.put(("p", "a"), &9).await?;
    watcher.expect([("p", "a")]).await?;
    Ok(())
}

async fn isobars_own_items_are_not_reported(world: Box<dyn World>) -> TrialResult {
    let mut watcher = Watcher::start(&*world).await?;
    let items = world.cloud().table::<u32>("items");
    let own = OwnItems::<u32>::of(&items);
    let version = own.put_with(("p", "alone"), &1, PutOptions::default()).await?;
    own.put_in(items.transact("p"), "first", &2, PutMode::Create).commit().await?;
    watcher.expect::<Key>([]).await?;
    let both = own.put_in(items.transact("p").put("a", &1), "second", &2, PutMode::Create);
    own.put_in(both, "", &2, PutMode::Create).put("\u{10ffff}\u{10fffe}", &3).commit().await?;
    own.delete_version(("p", "alone"), &version).await?;
    own.delete_in(items.transact("p").put("b", &3), "first", None).commit().await?;
    watcher.expect([("p", "a"), ("p", "\u{10ffff}\u{10fffe}"), ("p", "b")]).await?;
    Ok(())
}

async fn hundreds_of_writes_at_the_same_time_are_all_reported(world: Box<dyn World>) -> TrialResult {
    let mut watcher = Watcher::start(&*world).await?;
    let items = world.cloud().table::<usize>("items");
    let sorts: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let written = concurrently(102, |task| {
        let (items, sorts) = (items.clone(), sorts.clone());
        async move {
            match task {
                0 | 1 => fill(&items, &format!("whole-{task}"), &sorts).await,
                other => items.put(format!("alone-{other}"), &other).await.map(drop),
            }
        }
    });
    written.await.into_iter().collect::<Result<()>>()?;
    let mut keys: Vec<_> = (2..102).map(|task| Key::from(format!("alone-{task}"))).collect();
    for partition in ["whole-0", "whole-1"] {
        keys.extend(sorts.iter().map(|sort| Key::new(partition, sort.as_str())));
    }
    watcher.expect(keys).await?;
    Ok(())
}

/// One event can be of several writes, but the last write has an event after it.
async fn after_its_last_write_an_item_is_reported_again(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let counts = cloud.table::<i64>("items").read_only();
        App::new("watcher").with_state((counts.clone(), sink)).on_write(&counts, read_count).build()
    };
    let app = world.run(app).await?;
    for round in 1..=3 {
        let items = world.cloud().table::<i64>("items");
        let added = concurrently(20, |_| {
            let items = items.clone();
            async move { items.add("n", 1).await }
        });
        added.await.into_iter().collect::<Result<Vec<_>>>()?;
        app.deliver().await?;
        assert_eq!(recorded.all().into_iter().max(), Some(20 * round), "the last write was not reported");
    }
    Ok(())
}

async fn read_count((counts, sink): (Table<i64>, Recorded<i64>), write: WriteEvent, _: Context) -> Result<()> {
    sink.add(counts.get(write.key).await?.unwrap_or_default());
    Ok(())
}

async fn the_writes_of_tables_whose_names_look_alike_do_not_mix(world: Box<dyn World>) -> TrialResult {
    const TABLES: [&str; 5] = ["notes", "notes-2", "notes-writes", "writes-notes", "not"];
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let reject = |_, _| async { Outcome::reject("no writes are expected") };
        let app = App::new("watcher").on_message(&cloud.topic::<u32>("notes"), reject);
        let app = app.on_message(&cloud.topic::<u32>("notes-writes"), reject);
        let app = app.on_object(&cloud.bucket("notes"), |_, _| async { Outcome::reject("no writes are expected") });
        TABLES.into_iter().fold(app, |app, name| {
            let sink = sink.clone();
            // The type of the items does not matter.
            app.on_write(&cloud.table::<Bytes>(name), move |write: WriteEvent, _cx| {
                sink.add((name, write.table, write.key.partition));
                async {}
            })
        })
    };
    let app = world.run(app).await?;
    let cloud = world.cloud();
    for name in TABLES {
        cloud.table::<Bytes>(name).put(format!("raw {name}"), &Bytes::from_static(b"\0\xff")).await?;
        cloud.table::<Vec<u32>>(name).put(format!("typed {name}"), &vec![1]).await?;
    }
    cloud.table::<u32>("notes-3").put("of another table", &1).await?;
    app.deliver().await?;
    let reported: BTreeSet<_> = recorded.all().into_iter().collect();
    let expected = TABLES
        .iter()
        .flat_map(|name| ["raw", "typed"].map(|kind| (*name, (*name).to_owned(), format!("{kind} {name}"))));
    assert_eq!(reported, expected.collect());
    for queue in [EventQueue::topic("notes"), EventQueue::topic("notes-writes"), EventQueue::bucket("notes")] {
        assert!(app.dead_letters(&queue).await?.is_empty(), "{queue}");
    }
    Ok(())
}

async fn writes_before_a_restart_are_reported_after_it(world: Box<dyn World>) -> TrialResult {
    let mut watcher = Watcher::start(&*world).await?;
    let items = world.cloud().table::<u32>("items");
    items.put("a", &1).await?;
    watcher.expect(["a"]).await?;
    items.put("b", &1).await?;
    items.transact("p").put("c", &1).add("d", 1).commit().await?;
    // A host that delivers by itself may have reported them before it ends.
    let before = watcher.recorded.clone();
    drop((watcher, items));
    let world = world.reopen().await?;
    let mut watcher = Watcher::start(&*world).await?;
    watcher.known.extend(["a".into(), "b".into(), Key::new("p", "c"), Key::new("p", "d")]);
    let reported = before.all();
    watcher.expect(watcher.known.clone().into_iter().filter(|key| !reported.contains(key))).await?;
    world.cloud().table::<u32>("items").put("e", &1).await?;
    watcher.expect(["e"]).await?;
    Ok(())
}
