//! A write whose caller goes away: dropped after its first poll, or aborted somewhere on its way.

use bytes::Bytes;
use futures_util::FutureExt;
use isobar::key_value::{PutMode, Table};

use crate::{TrialResult, World};

crate::trials![
    "KV-21" => a_put_that_is_dropped_happens_whole_or_not_at_all,
    "KV-21" => a_put_that_is_aborted_happens_whole_or_not_at_all,
    "KV-21" => a_transaction_that_is_dropped_happens_whole_or_not_at_all,
    "KV-21" => an_add_that_is_dropped_counts_once_or_not_at_all,
    "KV-21" => a_delete_that_is_dropped_leaves_all_or_nothing,
    "KV-21" => a_table_works_on_after_any_number_of_dropped_calls,
];

const ROUNDS: u8 = 40;

fn filled(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 100_000])
}

/// The value of the item, which must be one that was written, whole.
///
/// Each round has a key of its own: what was dropped may still be on its way when the next begins.
async fn whole(items: &Table<Bytes>, key: &str, allowed: &[u8]) -> isobar::Result<()> {
    let value = items.get(key).await?.unwrap();
    let byte = value[0];
    assert!(value == filled(byte), "a torn value");
    assert!(allowed.contains(&byte), "{byte} is neither the old nor the new: {allowed:?}");
    Ok(())
}

async fn a_put_that_is_dropped_happens_whole_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for round in 1..=ROUNDS {
        let key = format!("round {round}");
        items.put(&key, &filled(0)).await?;
        let ended = items.put(&key, &filled(round)).now_or_never();
        let allowed = if ended.is_some() { vec![round] } else { vec![0, round] };
        for _ in 0..3 {
            whole(&items, &key, &allowed).await?;
        }
        // Whatever became of it, a condition on what is read now decides on the next write.
        let version = items.get_entry(&key).await?.unwrap().version;
        match items.put_with(&key, &filled(200), PutMode::Update(version)).await {
            Ok(_) => whole(&items, &key, &[200, round]).await?,
            Err(error) => assert_eq!(error.kind(), isobar::ErrorKind::Conflict),
        }
    }
    Ok(())
}

async fn a_put_that_is_aborted_happens_whole_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for round in 1..=ROUNDS {
        let key = format!("round {round}");
        items.put(&key, &filled(0)).await?;
        let (writer, at) = (items.clone(), key.clone());
        let task = tokio::spawn(async move { writer.put(at, &filled(round)).await });
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let allowed = if task.await.is_ok() { vec![round] } else { vec![0, round] };
        whole(&items, &key, &allowed).await?;
    }
    Ok(())
}

/// Reads until both halves are of one transaction: one that was dropped may still be on its way.
async fn halves(items: &Table<u8>) -> isobar::Result<(u8, u8)> {
    let mut seen = (0, 1);
    for _ in 0..200 {
        let entries = items.query("p").all().await?;
        seen = (entries[0].value, entries[1].value);
        if seen.0 == seen.1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(seen)
}

async fn a_transaction_that_is_dropped_happens_whole_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u8>("items");
    items.transact("p").put("a", &0).put("b", &0).commit().await?;
    for round in 1..=ROUNDS {
        let transaction = items.transact("p").put("a", &round).put("b", &round);
        if round % 2 == 0 {
            drop(transaction.commit().now_or_never());
        } else {
            let task = tokio::spawn(transaction.commit());
            tokio::task::yield_now().await;
            task.abort();
        }
        let (a, b) = halves(&items).await?;
        assert!(a == b && a <= round, "half of a transaction: {a} and {b}");
    }
    Ok(())
}

async fn an_add_that_is_dropped_counts_once_or_not_at_all(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let mut sure = 0;
    for _ in 0..ROUNDS {
        sure += i64::from(counters.add("a", 1).now_or_never().is_some());
        counters.add("a", 1_000).await?;
    }
    let sum = counters.add("a", 0).await?;
    let (whole, dropped) = (sum / 1_000, sum % 1_000);
    assert_eq!(whole, i64::from(ROUNDS));
    assert!((sure..=i64::from(ROUNDS)).contains(&dropped), "{dropped} of {ROUNDS} counted, {sure} for sure");
    Ok(())
}

async fn a_delete_that_is_dropped_leaves_all_or_nothing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for round in 1..=ROUNDS {
        let key = format!("item {round}");
        items.put(&key, &filled(round)).await?;
        let ended = items.delete(&key).now_or_never().is_some();
        let left = items.get(&key).await?;
        assert!(left.is_none() || (!ended && left == Some(filled(round))), "a torn value");
    }
    Ok(())
}

async fn a_table_works_on_after_any_number_of_dropped_calls(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put(("p", "a"), &1).await?;
    for _ in 0..100 {
        drop(items.get(("p", "a")).now_or_never());
        drop(items.get_many([("p", "a"), ("p", "b")]).now_or_never());
        drop(items.query("p").page().now_or_never());
        drop(items.scan().page().now_or_never());
        drop(items.update(("p", "x"), |value| value.unwrap_or(0) + 1).now_or_never());
    }
    items.put(("p", "a"), &2).await?;
    assert_eq!(items.get(("p", "a")).await?, Some(2));
    assert!(items.update(("p", "x"), |value| value.unwrap_or(0) + 1).await? <= 101);
    Ok(())
}
