use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::key_value::PutMode;

use super::*;
use crate::pub_sub::Queue;

struct Place {
    folder: tempfile::TempDir,
    clock: ManualClock,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), 8 << 20);
        Self { folder, clock: ManualClock::default(), store }
    }

    fn table(&self, name: &str) -> LocalKeyValue {
        LocalKeyValue::new(
            name,
            self.store.clone(),
            self.clock(),
            Queue::new(self.store.clone(), self.clock(), None).enqueuer(),
        )
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    /// As after the end of the process: the file is closed and opened again.
    fn restart(self) -> Self {
        let Self { folder, clock, store } = self;
        drop(store);
        let store = Store::new(folder.path(), 8 << 20);
        // The thread that writes lets go of the file a moment after the last handle is gone.
        let opened = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            store.open().is_ok()
        });
        assert!(opened);
        Self { folder, clock, store }
    }
}

fn put(key: impl Into<Key>, value: impl Into<Bytes>) -> Put {
    Put::new(key, value)
}

fn range(partition: &str, lower: Bound<&str>, upper: Bound<&str>) -> QueryRange {
    let (lower, upper) = (lower.map(str::to_owned), upper.map(str::to_owned));
    QueryRange::new(partition, 1_000).with_bounds(lower, upper)
}

fn sorts(items: &Items) -> Vec<&str> {
    items.items.iter().map(|item| item.key.sort.as_str()).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_no_version_comes_back() {
    let place = Place::new();
    let value = Bytes::from((0..=255).cycle().take(380_000).collect::<Vec<u8>>());
    let first = place.table("notes").put(put("a", value.clone())).await.unwrap();
    place.table("notes").delete(&"a".into(), Some(&first)).await.unwrap();
    let second = place.table("notes").put(put("a", value.clone())).await.unwrap();
    let place = place.restart();
    let item = place.table("notes").get(&"a".into()).await.unwrap().unwrap();
    assert_eq!((item.value, item.version.clone()), (value, second.clone()));
    place.table("notes").delete(&"a".into(), None).await.unwrap();
    let third = place.restart().table("other").put(put("a", "")).await.unwrap();
    assert!(first != second && second != third && first != third);
}

#[tokio::test]
async fn a_table_without_a_write_is_empty() {
    let place = Place::new();
    let table = place.table("notes");
    assert_eq!(table.get(&"a".into()).await.unwrap(), None);
    assert_eq!(table.get_many(&["a".into(), "b".into()]).await.unwrap(), [None, None]);
    let all = range("a", Bound::Unbounded, Bound::Unbounded);
    assert_eq!(table.query(&all).await.unwrap(), Items::default());
    let scan = ScanSegment::new(0, 1, 1);
    assert_eq!(table.scan(&scan).await.unwrap(), Items::default());
    assert_eq!(tables(&place.store).unwrap(), []);
    assert_eq!(sweep(&place.store, &place.clock(), 10, Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test]
async fn conditions_hold_and_a_refused_write_changes_nothing() {
    let place = Place::new();
    let table = place.table("notes");
    let stale = table.put(put("a", "1")).await.unwrap();
    let fresh = table.put(put("a", "2")).await.unwrap();
    let kind = |result: Result<Version>| result.unwrap_err().kind();
    assert_eq!(kind(table.put(put("a", "3").with_mode(PutMode::Create)).await), ErrorKind::AlreadyExists);
    let update = |version: &Version| PutMode::Update(version.clone());
    assert_eq!(kind(table.put(put("a", "3").with_mode(update(&stale))).await), ErrorKind::Conflict);
    assert_eq!(kind(table.put(put("b", "3").with_mode(update(&stale))).await), ErrorKind::Conflict);
    assert_eq!(table.delete(&"a".into(), Some(&stale)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(table.get(&"a".into()).await.unwrap().unwrap().value, "2");
    table.put(put("a", "3").with_mode(update(&fresh))).await.unwrap();
    assert_eq!(table.delete(&"a".into(), Some(&fresh)).await.unwrap_err().kind(), ErrorKind::Conflict);
    table.delete(&"b".into(), None).await.unwrap();
}

#[tokio::test]
async fn a_transaction_checks_all_before_it_changes_anything() {
    let place = Place::new();
    let table = place.table("notes");
    table.put(put(("p", "b"), "old")).await.unwrap();
    let create = |sort: &str| Write::Put(put(("p", sort), "new").with_mode(PutMode::Create));
    let refused = table.transact(vec![create("a"), create("b")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(table.get(&("p", "a").into()).await.unwrap(), None);
    let delete = Write::Delete { key: ("p", "b").into(), version: None };
    let versions = table.transact(vec![create("a"), delete, create("c")]).await.unwrap();
    assert!(versions[0].is_some() && versions[1].is_none() && versions[0] != versions[2]);
    let all = table.query(&range("p", Bound::Unbounded, Bound::Unbounded)).await.unwrap();
    assert_eq!(sorts(&all), ["a", "c"]);
}

#[tokio::test]
async fn an_expired_item_is_absent_immediately_and_deleted_later() {
    let place = Place::new();
    let table = place.table("notes");
    let expires_at = |seconds| Some(place.clock.now() + Duration::from_secs(seconds));
    let short = put("short", "1").with_expires_at(expires_at(10));
    table.put(short.clone()).await.unwrap();
    let prolonged = table.put(put("prolonged", "1").with_expires_at(expires_at(10))).await.unwrap();
    table.put(put("prolonged", "2").with_expires_at(expires_at(99))).await.unwrap();
    place.clock.advance(Duration::from_millis(9_999));
    assert_eq!(table.get(&"short".into()).await.unwrap().unwrap().expires_at, short.expires_at);
    assert_eq!(sweep(&place.store, &place.clock(), 10, Duration::ZERO).await.unwrap(), 0);
    place.clock.advance(Duration::from_millis(1));
    assert_eq!(table.get(&"short".into()).await.unwrap(), None);
    let all = range("short", Bound::Unbounded, Bound::Unbounded);
    assert_eq!(table.query(&all).await.unwrap(), Items::default());
    let scan = ScanSegment::new(0, 1, 9);
    assert_eq!(table.scan(&scan).await.unwrap().items.len(), 1);
    let refused = table.delete(&"short".into(), Some(&prolonged)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(tables(&place.store).unwrap(), [("notes".to_owned(), 2)]);
    for lag in [Duration::from_millis(1), Duration::MAX] {
        assert_eq!(sweep(&place.store, &place.clock(), 10, lag).await.unwrap(), 0);
    }
    assert_eq!(sweep(&place.store, &place.clock(), 10, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(tables(&place.store).unwrap(), [("notes".to_owned(), 1)]);
    assert_eq!(table.get(&"prolonged".into()).await.unwrap().unwrap().value, "2");
    table.put(short.with_mode(PutMode::Create)).await.unwrap();
}

#[tokio::test]
async fn a_sweep_takes_no_more_than_it_may_and_goes_on() {
    let place = Place::new();
    let expires_at = Some(place.clock.now() + Duration::from_secs(1));
    for (table, key) in [("one", "a"), ("one", "b"), ("two", "a")] {
        place.table(table).put(put(key, "").with_expires_at(expires_at)).await.unwrap();
    }
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(sweep(&place.store, &place.clock(), 2, Duration::ZERO).await.unwrap(), 2);
    assert_eq!(sweep(&place.store, &place.clock(), 2, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(tables(&place.store).unwrap().iter().map(|(_, count)| count).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_counter_is_exact_under_contention_and_keeps_its_expiry() {
    let place = Place::new();
    let table = Arc::new(place.table("counters"));
    let expires_at = Some(place.clock.now() + Duration::from_secs(60));
    table.put(put("hits", "5").with_expires_at(expires_at)).await.unwrap();
    let adds = (0..64).map(|_| {
        let table = Arc::clone(&table);
        tokio::spawn(async move { table.add(&"hits".into(), 2).await.unwrap() })
    });
    for add in adds.collect::<Vec<_>>() {
        add.await.unwrap();
    }
    let item = table.get(&"hits".into()).await.unwrap().unwrap();
    assert_eq!((item.value.as_ref(), item.expires_at), (&b"133"[..], expires_at));
    table.put(put("text", "x")).await.unwrap();
    assert_eq!(table.add(&"text".into(), 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(table.add(&"hits".into(), i64::MAX).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(table.add(&"hits".into(), 1).await.unwrap(), 1);
    assert_eq!(table.get(&"hits".into()).await.unwrap().unwrap().expires_at, None);
}

/// Keys that a separator, an escape or UTF-16 order would put in another place.
const STRANGE: &[&str] = &[
    "",
    "\0",
    "\0\0",
    "\0a",
    "a",
    "a\0",
    "a\0b",
    "aa",
    "b",
    "\u{7f}",
    "\u{e9}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
];

#[tokio::test]
async fn every_range_is_that_of_an_ordered_map_up_and_down() {
    let place = Place::new();
    let table = place.table("notes");
    let mut reference = BTreeMap::new();
    for (number, (partition, sort)) in
        ["p", "p\0", "pp", "\u{10ffff}"].iter().flat_map(|p| STRANGE.iter().map(move |s| (*p, *s))).enumerate()
    {
        table.put(put((partition, sort), number.to_string())).await.unwrap();
        reference.insert((partition, sort), number.to_string());
    }
    for partition in ["p", "p\0", "pp", "\u{10ffff}", "none"] {
        for (lower, upper) in bounds() {
            for descending in [false, true] {
                let all = expected(&reference, partition, lower, upper, descending);
                let mut range = range(partition, lower, upper);
                (range.descending, range.limit) = (descending, 3);
                assert_eq!(all_pages(&table, &mut range).await, all, "{range:?}");
            }
        }
    }
}

fn bounds() -> Vec<(Bound<&'static str>, Bound<&'static str>)> {
    use Bound::{Excluded, Included, Unbounded};
    let mut all = vec![(Unbounded, Unbounded)];
    for (place, low) in STRANGE.iter().enumerate() {
        all.extend([(Included(*low), Unbounded), (Excluded(*low), Unbounded), (Unbounded, Included(*low))]);
        for high in &STRANGE[place + 1..] {
            all.extend([(Included(*low), Excluded(*high)), (Excluded(*low), Included(*high))]);
        }
    }
    all
}

fn expected(
    reference: &BTreeMap<(&str, &str), String>,
    partition: &str,
    lower: Bound<&str>,
    upper: Bound<&str>,
    descending: bool,
) -> Vec<String> {
    let above = |sort: &str| match lower {
        Bound::Included(lower) => sort >= lower,
        Bound::Excluded(lower) => sort > lower,
        Bound::Unbounded => true,
    };
    let below = |sort: &str| match upper {
        Bound::Included(upper) => sort <= upper,
        Bound::Excluded(upper) => sort < upper,
        Bound::Unbounded => true,
    };
    let mine = reference.iter().filter(|((p, sort), _)| *p == partition && above(sort) && below(sort));
    let mut values: Vec<_> = mine.map(|(_, value)| value.clone()).collect();
    if descending {
        values.reverse();
    }
    values
}

async fn all_pages(table: &LocalKeyValue, range: &mut QueryRange) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let page = table.query(range).await.unwrap();
        assert!(page.items.len() <= range.limit);
        values.extend(page.items.iter().map(|item| String::from_utf8(item.value.to_vec()).unwrap()));
        let Some(sort) = page.resume else { return values };
        let end = if range.descending { &mut range.upper } else { &mut range.lower };
        *end = Bound::Excluded(sort);
    }
}

#[tokio::test]
async fn segments_are_disjoint_and_complete_while_others_write() {
    let place = Place::new();
    let table = place.table("notes");
    let keys: Vec<_> = (0..300).map(|number| Key::new(format!("p{}", number % 7), format!("\0{number:04}"))).collect();
    let puts = |keys: &[Key]| keys.iter().map(|key| Write::Put(put(key, "x"))).collect();
    table.transact(puts(&keys)).await.unwrap();
    let mut seen = Vec::new();
    for segment in 0..5 {
        let mut scan = ScanSegment::new(segment, 5, 7);
        loop {
            let page = table.scan(&scan).await.unwrap();
            seen.extend(page.items.into_iter().map(|item| item.key));
            let Some(resume) = page.resume else { break };
            // What a cursor names may be gone when the scan goes on.
            table.delete(&serde_json::from_str(&resume).unwrap(), None).await.unwrap();
            table.put(put(format!("new{segment}"), "x")).await.unwrap();
            scan.after = Some(resume);
        }
    }
    seen.retain(|key| !key.partition.starts_with("new"));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(count, seen.len(), "a key was in two segments or pages");
    let mut keys = keys;
    keys.sort();
    assert_eq!(seen, keys);
}

#[tokio::test]
async fn a_page_of_a_scan_ends_after_a_mebibyte() {
    let place = Place::new();
    let table = place.table("notes");
    let puts = (0..9).map(|number| put(format!("{number}"), vec![7; 300_000])).collect();
    assert!(table.put_many(puts).await.iter().all(Result::is_ok));
    let (mut pages, mut scan) = (Vec::new(), ScanSegment::new(0, 1, usize::MAX));
    loop {
        let page = table.scan(&scan).await.unwrap();
        pages.push(page.items.len());
        scan.after = page.resume;
        if scan.after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [4, 4, 1]);
}

#[tokio::test]
async fn a_cursor_that_no_scan_gave_is_invalid_input() {
    let place = Place::new();
    place.table("notes").put(put("a", "")).await.unwrap();
    let scan = ScanSegment::new(0, 1, 7).with_after(Some("nonsense".into()));
    let error = place.table("notes").scan(&scan).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (ErrorKind::InvalidInput, Origin::Request), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_share_their_fsyncs() {
    let place = Place::new();
    let table = Arc::new(place.table("notes"));
    let started = Instant::now();
    table.put(put("alone", "x")).await.unwrap();
    let alone = started.elapsed();
    let started = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let table = Arc::clone(&table);
            tokio::spawn(async move {
                for number in 0..4 {
                    let key = Key::new(format!("t{task}"), number.to_string());
                    let version = table.put(put(&key, "x")).await.unwrap();
                    assert_eq!(table.get(&key).await.unwrap().unwrap().version, version);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(tables(&place.store).unwrap(), [("notes".to_owned(), 257)]);
    println!("one write: {alone:?}; 256 writes of 64 tasks: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_write_goes_on_when_its_future_is_dropped() {
    let place = Place::new();
    let table = place.table("notes");
    {
        let mut write = table.put(put("a", "1"));
        assert!(futures_util::FutureExt::now_or_never(&mut write).is_none());
    }
    table.put(put("b", "2")).await.unwrap();
    assert_eq!(table.get(&"a".into()).await.unwrap().unwrap().value, "1");
}

#[test]
fn a_second_handle_on_the_folder_is_an_error_with_the_next_step() {
    let place = Place::new();
    place.store.open().unwrap();
    let error = Store::new(place.folder.path(), 8 << 20).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("another process"), "{error}");
}

#[tokio::test]
async fn a_damaged_data_file_is_refused_by_name_and_left_as_it_is() {
    let place = Place::new();
    let many = (0..2_000).map(|number| Write::Put(put(("p", number.to_string().as_str()), vec![7; 500])));
    place.table("notes").transact(many.collect()).await.unwrap();
    let file = place.folder.path().join("isobar.redb");
    let crashed = std::fs::read(&file).unwrap();
    let Place { folder, store, .. } = place;
    drop(store);
    std::thread::sleep(Duration::from_millis(100));
    let whole = std::fs::read(&file).unwrap();
    assert_ne!(whole, crashed);
    let garbage: Vec<u8> = (0..whole.len()).map(|place| (place * 7 + place / 251) as u8).collect();
    let mut header = whole.clone();
    header[..512].copy_from_slice(&garbage[..512]);
    let mut damages = vec![garbage, header, b"no database".to_vec()];
    for file in [whole, crashed] {
        damages.extend([100, 320, 4_096, 5_000, file.len() / 2].map(|length| file[..length].to_vec()));
    }
    for (number, damaged) in damages.iter().enumerate() {
        std::fs::write(&file, damaged).unwrap();
        let error = Store::new(folder.path(), 8 << 20).open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "damage {number}: {error:?}");
        assert!(error.to_string().contains(&file.display().to_string()), "damage {number}: {error}");
        assert_eq!(&std::fs::read(&file).unwrap(), damaged, "damage {number} was changed");
    }
}
