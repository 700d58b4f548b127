//! Transactions: all writes of one partition, or none.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::driver::Limits;
use isobar::key_value::{PutMode, PutOptions, Table, Transaction, Version};

use super::{STRANGE_SORTS, concurrently, fill};
use crate::{TrialResult, World};

crate::trials![
    "KV-13" => a_transaction_writes_and_deletes_all_that_it_says,
    "KV-13" => a_condition_that_fails_first_or_last_undoes_everything,
    "KV-13" => the_error_of_a_transaction_is_that_of_the_write_that_failed,
    "KV-13" => a_transaction_answers_in_the_order_of_its_writes_with_versions_that_work,
    "KV-13" => a_transaction_takes_strange_sort_keys,
    "KV-13" => concurrent_transfers_neither_make_nor_lose_money,
    "KV-13" => only_one_of_many_racing_transactions_creates,
    "KV-13" => a_transaction_adds_to_counters,
    "KV-13" => an_addition_that_cannot_be_made_undoes_its_transaction,
    "KV-13" => an_addition_in_a_transaction_keeps_the_expiry_and_begins_what_has_expired,
    "KV-13" => a_mark_and_its_count_are_one_write_for_64_concurrent_writers,
    "KV-14" => a_transaction_counts_as_json_on_every_provider,
    "KV-14" => a_transaction_of_100_writes_happens,
    "KV-14" => a_transaction_of_101_writes_is_too_large_and_writes_nothing,
    "KV-14" => a_transaction_of_exactly_2_megabytes_happens_and_one_byte_more_is_too_large,
    "KV-14" => a_transaction_that_writes_a_key_twice_is_invalid_input,
    "KV-14" => an_empty_transaction_is_ok,
    "KV-14" => a_transaction_with_a_wrong_write_writes_nothing,
];

/// What partition `p` holds.
async fn held(items: &Table<u32>) -> isobar::Result<BTreeMap<String, u32>> {
    let found = items.query("p").all().await?;
    Ok(found.into_iter().map(|entry| (entry.key.sort, entry.value)).collect())
}

fn map(entries: &[(&str, u32)]) -> BTreeMap<String, u32> {
    entries.iter().map(|(sort, value)| ((*sort).to_owned(), *value)).collect()
}

async fn a_transaction_writes_and_deletes_all_that_it_says(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put(("p", "updated"), &1).await?;
    let doomed = items.put(("p", "doomed"), &1).await?;
    items.put(("p", "deleted"), &1).await?;
    items.put(("p", "overwritten"), &1).await?;
    items.put(("q", "deleted"), &1).await?;
    let transaction = items
        .transact("p")
        .put_with("created", &2, PutMode::Create)
        .put_with("updated", &2, PutMode::Update(version))
        .put("overwritten", &2)
        .put("", &2)
        .delete("deleted")
        .delete("absent")
        .delete_version("doomed", doomed);
    transaction.commit().await?;
    assert_eq!(held(&items).await?, map(&[("", 2), ("created", 2), ("overwritten", 2), ("updated", 2)]));
    assert_eq!(items.get(("q", "deleted")).await?, Some(1));
    Ok(())
}

/// A transaction of which one write, at the front or the end, does not hold.
fn with_fault(items: &Table<u32>, fault: &str, first: bool, stale: &Version) -> Transaction<u32> {
    let add = |transaction: Transaction<u32>| match fault {
        "create" => transaction.put_with("taken", &9, PutMode::Create),
        "update" => transaction.put_with("taken", &9, PutMode::Update(stale.clone())),
        "update absent" => transaction.put_with("absent", &9, PutMode::Update(stale.clone())),
        "delete" => transaction.delete_version("taken", stale.clone()),
        _ => transaction.delete_version("absent", stale.clone()),
    };
    let transaction = items.transact("p");
    let transaction = if first { add(transaction) } else { transaction };
    let transaction = transaction.put("kept", &9).delete("kept too").put_with("new", &9, PutMode::Create);
    if first { transaction } else { add(transaction) }
}

async fn a_condition_that_fails_first_or_last_undoes_everything(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    fill(&world.cloud().table("items"), "p", &["kept", "kept too"]).await?;
    let stale = items.put(("p", "taken"), &2).await?;
    items.put(("p", "taken"), &2).await?;
    for fault in ["create", "update", "update absent", "delete", "delete absent"] {
        for first in [true, false] {
            let error = with_fault(&items, fault, first, &stale).commit().await.unwrap_err();
            let expected = if fault == "create" { ErrorKind::AlreadyExists } else { ErrorKind::Conflict };
            assert_eq!(error.kind(), expected, "{fault}");
            assert!(!error.outcome_unknown(), "{fault}");
            assert_eq!(held(&items).await?, map(&[("kept", 0), ("kept too", 1), ("taken", 2)]), "{fault}");
        }
    }
    Ok(())
}

async fn the_error_of_a_transaction_is_that_of_the_write_that_failed(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    items.put(("p", "taken"), &1).await?;
    let mut transaction = items.transact("p");
    for number in 0..99 {
        transaction = transaction.put(format!("{number}"), &1);
    }
    let error = transaction.put_with("taken", &2, PutMode::Create).commit().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::AlreadyExists, Some("transact")));
    assert_eq!(held(&items).await?, map(&[("taken", 1)]));
    Ok(())
}

async fn a_transaction_answers_in_the_order_of_its_writes_with_versions_that_work(
    world: Box<dyn World>,
) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let transaction = items.transact("p").put("b", &1).delete("z").put_with("a", &2, PutMode::Create).delete("y");
    let versions = transaction.commit().await?;
    let [Some(b), None, Some(a), None] = versions.as_slice() else { panic!("{versions:?}") };
    assert_eq!(&items.get_entry(("p", "a")).await?.unwrap().version, a);
    assert_eq!(&items.get_entry(("p", "b")).await?.unwrap().version, b);
    let next = items.transact("p").put_with("a", &3, PutMode::Update(a.clone())).delete_version("b", b.clone());
    next.commit().await?;
    assert_eq!(held(&items).await?, map(&[("a", 3)]));
    let stale = items.transact("p").put_with("a", &4, PutMode::Update(a.clone())).commit().await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
    Ok(())
}

async fn a_transaction_takes_strange_sort_keys(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "'p\"/\0", STRANGE_SORTS).await?;
    let mut transaction = items.transact("'p\"/\0");
    for sort in STRANGE_SORTS.iter().step_by(2) {
        transaction = transaction.delete(*sort);
    }
    transaction.commit().await?;
    let left: Vec<_> = items.query("'p\"/\0").all().await?;
    assert_eq!(left.len(), STRANGE_SORTS.len() / 2);
    assert!(left.iter().all(|entry| entry.value % 2 == 1));
    Ok(())
}

/// Moves 1 from one account to another, again and again until no other transfer was between.
async fn transfer(accounts: Table<i64>, from: &str, to: &str) -> isobar::Result<()> {
    for _ in 0..1_000 {
        let (Some(giver), Some(taker)) = (accounts.get_entry(("p", from)).await?, accounts.get_entry(("p", to)).await?)
        else {
            panic!("an account is gone");
        };
        let transaction = accounts
            .transact("p")
            .put_with(from, &(giver.value - 1), PutMode::Update(giver.version))
            .put_with(to, &(taker.value + 1), PutMode::Update(taker.version));
        match transaction.commit().await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
    panic!("a thousand transfers lost their race");
}

async fn concurrent_transfers_neither_make_nor_lose_money(world: Box<dyn World>) -> TrialResult {
    const ACCOUNTS: [&str; 3] = ["a", "b", "c"];
    let accounts = world.cloud().table::<i64>("accounts");
    for account in ACCOUNTS {
        accounts.put(("p", account), &100).await?;
    }
    let moved = concurrently(12, |number| {
        let accounts = accounts.clone();
        async move { transfer(accounts, ACCOUNTS[number % 3], ACCOUNTS[(number + 1 + number / 6) % 3]).await }
    });
    moved.await.into_iter().collect::<isobar::Result<Vec<_>>>()?;
    let balances: Vec<_> = accounts.query("p").all().await?.into_iter().map(|entry| entry.value).collect();
    // Six transfers went round: a to b, b to c, c to a, twice; and six the other way round.
    assert_eq!(balances, [100, 100, 100]);
    Ok(())
}

async fn only_one_of_many_racing_transactions_creates(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let results = concurrently(16, |number| {
        let number = number as u32;
        let transaction = items.transact("p").put(format!("of {number}"), &number);
        transaction.put_with("one", &number, PutMode::Create).commit()
    });
    let results = results.await;
    let winners: Vec<_> = (0..16).filter(|number| results[*number as usize].is_ok()).collect();
    let [winner] = winners.as_slice() else { panic!("{winners:?} won") };
    assert_eq!(held(&items).await?, map(&[(&format!("of {winner}"), *winner), ("one", *winner)]));
    let lost = results.into_iter().filter_map(Result::err);
    assert!(lost.into_iter().all(|error| error.kind() == ErrorKind::AlreadyExists));
    Ok(())
}

fn of_writes(items: &Table<u32>, count: u32) -> Transaction<u32> {
    (0..count).fold(items.transact("p"), |transaction, number| transaction.put(format!("{number:03}"), &number))
}

async fn a_transaction_of_100_writes_happens(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let versions = of_writes(&items, 100).commit().await?;
    assert_eq!(versions.iter().flatten().collect::<std::collections::HashSet<_>>().len(), 100);
    assert_eq!(held(&items).await?.into_values().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    Ok(())
}

async fn a_transaction_of_101_writes_is_too_large_and_writes_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let refused = of_writes(&items, 101).commit().await.unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (ErrorKind::TooLarge, Some(Limits::PORTABLE.transaction_writes)));
    assert_eq!(of_writes(&items, 100).delete("more").commit().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(held(&items).await?, map(&[]));
    Ok(())
}

async fn a_transaction_of_exactly_2_megabytes_happens_and_one_byte_more_is_too_large(
    world: Box<dyn World>,
) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let value = |size: usize| Bytes::from(vec![b'x'; size]);
    // Each write counts its value and both keys, of 1 byte each.
    let five = || {
        let sorts = ["a", "b", "c", "d", "e"].into_iter();
        sorts.fold(items.transact("p"), |writes, sort| writes.put(sort, &value(389_998)))
    };
    let refused = five().put("f", &value(49_999)).commit().await.unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (ErrorKind::TooLarge, Some(Limits::PORTABLE.transaction_bytes)));
    assert_eq!(items.query("p").all().await?.len(), 0);
    five().put("f", &value(49_998)).commit().await?;
    let sizes: Vec<_> = items.query("p").all().await?.iter().map(|entry| entry.value.len()).collect();
    assert_eq!(sizes, [389_998, 389_998, 389_998, 389_998, 389_998, 49_998]);
    Ok(())
}

async fn a_transaction_that_writes_a_key_twice_is_invalid_input(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let version = items.put(("p", "a"), &1).await?;
    let twice = [
        items.transact("p").put("a", &2).put("a", &3),
        items.transact("p").put("a", &2).put("b", &2).delete("a"),
        items.transact("p").delete("a").put_with("a", &2, PutMode::Create),
        items.transact("p").delete("a").delete_version("a", version),
    ];
    for transaction in twice {
        assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(held(&items).await?, map(&[("a", 1)]));
    Ok(())
}

async fn an_empty_transaction_is_ok(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    assert_eq!(items.transact("p").commit().await?, []);
    assert_eq!(items.transact("").commit().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn a_transaction_with_a_wrong_write_writes_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let dead = PutOptions::default().with_ttl(Duration::ZERO);
    let long = "s".repeat(513);
    let wrong = [
        (items.transact("p").put("a", &1).put_with("b", &1, dead), ErrorKind::InvalidInput),
        (items.transact("p").put("a", &1).put(long.as_str(), &1), ErrorKind::TooLarge),
        (items.transact("p").put("a", &1).delete(long.as_str()), ErrorKind::TooLarge),
    ];
    for (transaction, kind) in wrong {
        assert_eq!(transaction.commit().await.unwrap_err().kind(), kind);
    }
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn a_transaction_adds_to_counters(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    counters.put(("p", "put"), &5).await?;
    counters.add(("p", "added"), 5).await?;
    let adds = counters.transact("p").add("new", 3).put("other", &1).add("put", -7).add("added", 10).delete("absent");
    let versions = adds.commit().await?;
    let [Some(new), Some(_), Some(put), Some(added), None] = versions.as_slice() else { panic!("{versions:?}") };
    for (sort, sum, version) in [("new", 3, new), ("put", -2, put), ("added", 15, added)] {
        let entry = counters.get_entry(("p", sort)).await?.unwrap();
        assert_eq!((entry.value, &entry.version, entry.expires_at), (sum, version, None), "{sort}");
        assert_eq!(counters.add(("p", sort), 1).await?, sum + 1, "{sort}");
    }
    counters.transact("p").put_with("new", &9, PutMode::Create).add("put", 1).commit().await.unwrap_err();
    assert_eq!(counters.get(("p", "put")).await?, Some(-1));
    Ok(())
}

async fn an_addition_that_cannot_be_made_undoes_its_transaction(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (counters, raw) = (cloud.table::<i64>("counters"), cloud.table::<Bytes>("counters"));
    let limit = Limits::PORTABLE.counter_max_abs;
    counters.put(("p", "full"), &limit).await?;
    raw.put(("p", "text"), &Bytes::from("five")).await?;
    raw.put(("p", "bytes"), &Bytes::from_static(&[0xff])).await?;
    for (sort, delta) in
        [("full", 1), ("text", 1), ("bytes", 1), ("new", limit + 1), ("new", i64::MIN), ("full", i64::MAX)]
    {
        let transaction = counters.transact("p").put("mark", &1).add(sort, delta).add("good", 1);
        let error = transaction.commit().await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::InvalidInput, false), "{sort} {delta}");
        for untouched in ["mark", "new", "good"] {
            assert_eq!(counters.get(("p", untouched)).await?, None, "{sort} {delta}");
        }
    }
    assert_eq!(counters.get(("p", "full")).await?, Some(limit));
    assert_eq!(raw.get(("p", "text")).await?.as_deref(), Some(&b"five"[..]));
    let twice = counters.transact("p").add("new", 1).add("new", 1).commit().await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidInput);
    Ok(())
}

async fn an_addition_in_a_transaction_keeps_the_expiry_and_begins_what_has_expired(
    world: Box<dyn World>,
) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let expires_at = Some(world.now() + Duration::from_secs(10));
    let living = PutOptions::default().with_ttl(Duration::from_secs(10));
    counters.put_with(("p", "a"), &5, living).await?;
    world.advance(Duration::from_secs(5))?;
    counters.transact("p").add("a", 1).commit().await?;
    let entry = counters.get_entry(("p", "a")).await?.unwrap();
    assert_eq!((entry.value, entry.expires_at), (6, expires_at));
    world.advance(Duration::from_secs(5))?;
    counters.transact("p").put_with("mark", &1, PutMode::Create).add("a", 1).commit().await?;
    let entry = counters.get_entry(("p", "a")).await?.unwrap();
    assert_eq!((entry.value, entry.expires_at), (1, None));
    Ok(())
}

/// Each writer has a mark of its own, so that none of them is in another's way but at the counter.
async fn a_mark_and_its_count_are_one_write_for_64_concurrent_writers(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let marked = concurrently(64, |number| {
        let counters = counters.clone();
        let counted =
            move || counters.transact("p").put_with(format!("mark/{number}"), &1, PutMode::Create).add("sum", 1);
        async move {
            counted().commit().await?;
            Ok::<_, isobar::Error>(counted().commit().await.unwrap_err().kind())
        }
    });
    for again in marked.await {
        assert_eq!(again?, ErrorKind::AlreadyExists);
    }
    assert_eq!(counters.get(("p", "sum")).await?, Some(64));
    assert_eq!(counters.query("p").prefix("mark/").all().await?.len(), 64);
    Ok(())
}

/// What Cosmos DB counts is the text with its escapes, and of other bytes the base64.
async fn a_transaction_counts_as_json_on_every_provider(world: Box<dyn World>) -> TrialResult {
    let raw = world.cloud().table::<Bytes>("items");
    let limit = usize::try_from(Limits::PORTABLE.transaction_bytes)?;
    // Less both keys, of one and two characters.
    let share = limit / 100 - 3;
    for (what, value) in [("quotes", vec![b'"'; share / 2]), ("bytes", vec![0xff; share / 4 * 3])] {
        let writes = |value: &[u8]| {
            let value = Bytes::copy_from_slice(value);
            (0..100).fold(raw.transact("p"), |writes, number| writes.put(format!("{number:02}"), &value))
        };
        writes(&value).commit().await?;
        let longer = [value.as_slice(), &value[..3]].concat();
        let error = writes(&longer).commit().await.unwrap_err();
        assert!(error.kind() == ErrorKind::TooLarge, "{what}: {error}");
    }
    Ok(())
}
