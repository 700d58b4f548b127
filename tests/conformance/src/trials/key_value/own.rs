//! Isobar's own items, in the tables of an app.

use std::sync::Arc;

use bytes::Bytes;
use isobar::driver::key_value::{KeyValue, OwnItems, QueryRange, ScanSegment};
use isobar::driver::{Location, ResourceKind};
use isobar::key_value::{Cursor, Key, PutMode, PutOptions, Table};
use isobar::{Cloud, ErrorKind};

use super::{pages, sorts};
use crate::{TrialResult, World};

crate::trials![
    "KV-25" => an_own_item_and_those_of_the_app_are_written_together_or_not_at_all,
    "KV-25" => an_own_item_in_a_transaction_of_another_table_is_refused,
    "KV-25" => own_items_are_in_no_page_of_a_query_or_scan,
    "KV-25" => a_driver_shows_own_items_like_any_other,
    "KV-25" => a_sort_key_of_isobars_own_is_invalid_input_everywhere,
];

const OWN: &str = "\u{10ffff}\u{10ffff}";

async fn an_own_item_and_those_of_the_app_are_written_together_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let own = OwnItems::<String>::of(&items);
    let step = "step".to_owned();
    let both = own.put_in(items.transact("p").put("a", &1), "flow", &step, PutMode::Create);
    let versions = both.commit().await?;
    let entry = own.entry(("p", "flow")).await?.unwrap();
    assert_eq!((entry.key, entry.value, Some(&entry.version)), (Key::new("p", "flow"), step, versions[1].as_ref()));
    let again = own.put_in(items.transact("p").put("a", &2), "flow", &"again".to_owned(), PutMode::Create);
    assert_eq!(again.commit().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(items.get(("p", "a")).await?, Some(1));
    own.delete_in(items.transact("p").put("a", &3), "flow", Some(entry.version)).commit().await?;
    assert_eq!((items.get(("p", "a")).await?, own.entry(("p", "flow")).await?), (Some(3), None));
    // The longest, and what is written without a transaction.
    let longest = "k".repeat(504);
    let version = own.put_with(("p", longest.as_str()), &"x".to_owned(), PutOptions::default()).await?;
    own.delete_version(("p", longest.as_str()), &version).await?;
    own.delete(("p", longest.as_str())).await?;
    let longer = own.put_with(("p", longest + "k"), &"x".to_owned(), PutOptions::default()).await;
    assert_eq!(longer.unwrap_err().kind(), ErrorKind::TooLarge);
    Ok(())
}

async fn an_own_item_in_a_transaction_of_another_table_is_refused(world: Box<dyn World>) -> TrialResult {
    let (items, counts) = (world.cloud().table::<u32>("items"), world.cloud().table::<u32>("counts"));
    let own = OwnItems::<u32>::of(&counts);
    for wrong in [
        own.put_in(items.transact("p").put("a", &1), "flow", &2, PutMode::Overwrite),
        own.delete_in(items.transact("p").put("a", &1), "flow", None),
    ] {
        let error = wrong.commit().await.unwrap_err();
        assert!(error.kind() == ErrorKind::Internal && error.message().contains("`counts`"), "{error}");
    }
    assert_eq!(items.get(("p", "a")).await?, None);
    // Another handle of the same table will do.
    let same = OwnItems::<u32>::of(&world.cloud().table::<String>("items"));
    same.put_in(items.transact("p"), "flow", &2, PutMode::Overwrite).commit().await?;
    Ok(())
}

/// Five items of the app and five of isobar's own in each of two partitions.
async fn mixed(cloud: &Cloud) -> isobar::Result<Table<u32>> {
    let items = cloud.table::<u32>("items");
    let own = OwnItems::<u32>::of(&items);
    for partition in ["p", "q"] {
        let mut writes = items.transact(partition);
        for sort in ["", "a", "b", "\u{10ffff}", "\u{10ffff}\u{10fffe}"] {
            writes = own.put_in(writes.put(sort, &1), sort, &2, PutOptions::default());
        }
        writes.commit().await?;
    }
    Ok(items)
}

async fn own_items_are_in_no_page_of_a_query_or_scan(world: Box<dyn World>) -> TrialResult {
    let items = mixed(&world.cloud()).await?;
    let all = ["", "a", "b", "\u{10ffff}", "\u{10ffff}\u{10fffe}"];
    assert_eq!(sorts(&items.query("p").all().await?), all);
    assert_eq!(sorts(&items.query("p").prefix("\u{10ffff}").all().await?), all[3..]);
    assert_eq!(sorts(&items.query("p").range("b"..).descending().all().await?), [all[4], all[3], all[2]]);
    for limit in [1, 2, 5] {
        let found = pages(items.query("p").limit(limit)).await?;
        let counts: Vec<_> = found.iter().map(|page| page.items.len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 5);
        assert!(counts[..counts.len() - 1].iter().all(|count| *count == limit), "{limit}: {counts:?}");
    }
    for (text, descending, expected) in [(OWN, false, 0), ("\u{10ffff}\u{10ffff}b", true, 5)] {
        let cursor = format!("c{}", percent(text)).parse::<Cursor>()?;
        let query = items.query("p").after(cursor);
        let query = if descending { query.descending() } else { query };
        assert_eq!(query.all().await?.len(), expected);
    }
    for limit in [1, 3, 1_000] {
        let (mut scan, mut found) = (items.scan().limit(limit), Vec::new());
        loop {
            let page = scan.page().await?;
            assert!(page.items.len() <= limit && page.unreadable.is_empty());
            found.extend(page.items);
            let Some(next) = page.next else { break };
            scan = scan.after(next);
        }
        assert_eq!((found.len(), found.iter().all(|entry| entry.value == 1)), (10, true), "{limit}");
    }
    Ok(())
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("~{byte:02X}") })
        .collect()
}

async fn a_driver_shows_own_items_like_any_other(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    mixed(&cloud).await?;
    let driver: Arc<dyn KeyValue> = cloud.provider().key_value(&Location::new(ResourceKind::Table, "items"))?;
    let all = QueryRange::new("p", 100);
    let found = driver.query(&all).await?.items;
    let own = found.iter().filter(|item| item.key.sort.starts_with(OWN));
    assert_eq!((found.len(), own.count()), (10, 5));
    let (mut count, mut after) = (0, None);
    loop {
        let page = driver.scan(&ScanSegment::new(0, 1, 100).with_after(after)).await?;
        count += page.items.len();
        after = page.resume;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(count, 20);
    let item = driver.get(&Key::new("p", format!("{OWN}a"))).await?;
    assert_eq!(item.map(|item| item.value), Some(Bytes::from_static(b"2")));
    Ok(())
}

async fn a_sort_key_of_isobars_own_is_invalid_input_everywhere(world: Box<dyn World>) -> TrialResult {
    let items = mixed(&world.cloud()).await?;
    let version = items.get_entry(("p", "a")).await?.unwrap().version;
    for sort in [OWN.to_owned(), format!("{OWN}a"), format!("{OWN}none")] {
        let key = || Key::new("p", sort.as_str());
        let errors = [
            items.get(key()).await.err(),
            items.get_entry(key()).await.err(),
            items.get_many([Key::new("p", "a"), key()]).await.err(),
            items.put(key(), &3).await.err(),
            items.update(key(), |_| 3).await.err(),
            items.modify(key(), |_| Ok::<_, isobar::Error>(3)).await.err(),
            items.add(key(), 3).await.err(),
            items.delete(key()).await.err(),
            items.delete_version(key(), &version).await.err(),
            items.transact("p").put("a", &3).put(sort.as_str(), &3).commit().await.err(),
            items.transact("p").put("a", &3).delete(sort.as_str()).commit().await.err(),
            items.transact("p").put("a", &3).delete_version(sort.as_str(), version.clone()).commit().await.err(),
            items.transact("p").put("a", &3).add(sort.as_str(), 3).commit().await.err(),
            items.query("p").prefix(&sort).page().await.err(),
            items.query("p").range(sort.as_str()..).page().await.err(),
            items.query("p").range(..=sort.as_str()).page().await.err(),
        ];
        for (place, error) in errors.into_iter().enumerate() {
            assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidInput), "{place} at {sort:?}");
        }
    }
    assert_eq!(items.get(("p", "a")).await?, Some(1));
    assert_eq!(OwnItems::<u32>::of(&items).entry(("p", "a")).await?.unwrap().value, 2);
    Ok(())
}
