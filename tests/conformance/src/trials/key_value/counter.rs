//! Counters are exact, and plain items.

use std::time::Duration;

use bytes::Bytes;
use isobar::driver::Limits;
use isobar::key_value::{PutMode, PutOptions};
use isobar::{ErrorKind, Origin};

use super::concurrently;
use crate::{TrialResult, World};

crate::trials![
    "KV-15" => add_begins_at_zero_and_returns_the_sum,
    "KV-15" => a_counter_is_an_item_that_every_read_and_write_takes,
    "KV-15" => add_goes_on_from_a_number_that_was_put,
    "KV-15" => many_writers_of_one_counter_lose_nothing,
    "KV-15" => the_sums_that_racing_writers_receive_are_all_different,
    "KV-15" => add_stops_at_its_limits_and_changes_nothing,
    "KV-15" => add_to_what_is_no_integer_is_invalid_input_and_changes_nothing,
    "KV-15" => counters_of_strange_keys_are_separate,
    "KV-15" => add_keeps_the_expiry_and_put_ends_it,
];

async fn add_begins_at_zero_and_returns_the_sum(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let mut sums = Vec::new();
    for delta in [5, -7, 0, 1, 1_000_000] {
        sums.push(counters.add("a", delta).await?);
    }
    assert_eq!(sums, [5, -2, -2, -1, 999_999]);
    assert_eq!(counters.get("a").await?, Some(999_999));
    assert_eq!(counters.add("b", -3).await?, -3);
    Ok(())
}

async fn a_counter_is_an_item_that_every_read_and_write_takes(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (counters, raw) = (cloud.table::<i64>("counters"), cloud.table::<Bytes>("counters"));
    counters.add(("p", "a"), -42).await?;
    assert_eq!(raw.get(("p", "a")).await?.as_deref(), Some(&b"-42"[..]));
    assert_eq!(counters.get_many([("p", "a")]).await?, [Some(-42)]);
    assert_eq!(counters.query("p").all().await?[0].value, -42);
    assert_eq!(counters.scan().all().await?[0].value, -42);
    let second = counters.put_with(("p", "a"), &1, PutMode::Create).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let version = counters.get_entry(("p", "a")).await?.unwrap().version;
    counters.put_with(("p", "a"), &1, PutMode::Update(version)).await?;
    assert_eq!(counters.update(("p", "a"), |value| value.unwrap() * 10).await?, 10);
    assert_eq!(counters.add(("p", "a"), 1).await?, 11);
    counters.delete(("p", "a")).await?;
    assert_eq!(counters.add(("p", "a"), 1).await?, 1);
    Ok(())
}

async fn add_goes_on_from_a_number_that_was_put(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (counters, raw) = (cloud.table::<i64>("counters"), cloud.table::<Bytes>("counters"));
    for (text, sum) in [("5", 6), ("0", 1), ("-1", 0), ("-100", -99), ("9007199254740990", 9_007_199_254_740_991)] {
        raw.put("a", &Bytes::from(text)).await?;
        assert_eq!(counters.add("a", 1).await?, sum, "{text}");
        assert_eq!(raw.get("a").await?, Some(Bytes::from(sum.to_string())));
    }
    counters.transact("p").put("a", &5).commit().await?;
    assert_eq!(counters.add(("p", "a"), 5).await?, 10);
    counters.put_with(("p", "b"), &7, PutMode::Create).await?;
    assert_eq!(counters.add(("p", "b"), -8).await?, -1);
    Ok(())
}

async fn many_writers_of_one_counter_lose_nothing(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let sums = concurrently(32, |number| {
        let counters = counters.clone();
        async move {
            counters.add("a", number as i64).await?;
            counters.add("a", 1_000).await
        }
    });
    sums.await.into_iter().collect::<isobar::Result<Vec<_>>>()?;
    assert_eq!(counters.get("a").await?, Some(31 * 32 / 2 + 32_000));
    Ok(())
}

async fn the_sums_that_racing_writers_receive_are_all_different(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let sums = concurrently(32, |_| {
        let counters = counters.clone();
        async move { counters.add("a", 1).await }
    });
    let mut sums = sums.await.into_iter().collect::<isobar::Result<Vec<_>>>()?;
    sums.sort_unstable();
    assert_eq!(sums, (1..=32).collect::<Vec<_>>());
    Ok(())
}

async fn add_stops_at_its_limits_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let limit = Limits::PORTABLE.counter_max_abs;
    for sign in [1, -1] {
        counters.put("a", &(sign * (limit - 1))).await?;
        assert_eq!(counters.add("a", sign).await?, sign * limit);
        for delta in [sign, sign * limit, sign * i64::MAX] {
            assert_eq!(counters.add("a", delta).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{delta}");
            assert_eq!(counters.get("a").await?, Some(sign * limit));
        }
        assert_eq!(counters.add("a", -sign).await?, sign * (limit - 1));
    }
    for delta in [limit + 1, -limit - 1, i64::MAX, i64::MIN] {
        assert_eq!(counters.add("b", delta).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{delta}");
        assert_eq!(counters.get("b").await?, None);
    }
    assert_eq!(counters.add("b", -limit).await?, -limit);
    Ok(())
}

async fn add_to_what_is_no_integer_is_invalid_input_and_changes_nothing(world: Box<dyn World>) -> TrialResult {
    let raw = world.cloud().table::<Bytes>("counters");
    let texts = ["", "x", "\"5\"", "5.0", "5e0", "05", "+5", " 5", "5 ", "-0", "null", "[5]", "{\"n\":5}", "٥", "0x5"];
    for text in texts.map(Bytes::from).into_iter().chain([Bytes::from_static(&[0xff]), Bytes::from_static(&[0, 53])]) {
        let version = raw.put("a", &text).await?;
        let error = raw.add("a", 1).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (ErrorKind::InvalidInput, Origin::Data), "{text:?}");
        let entry = raw.get_entry("a").await?.unwrap();
        assert_eq!((entry.value, entry.version), (text, version));
    }
    Ok(())
}

async fn counters_of_strange_keys_are_separate(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    for (sum, sort) in (1..).zip(super::STRANGE_SORTS) {
        assert_eq!(counters.add(("p'\"/", *sort), sum).await?, sum);
    }
    for (sum, sort) in (1..).zip(super::STRANGE_SORTS) {
        assert_eq!(counters.add(("p'\"/", *sort), 1).await?, sum + 1, "{sort:?}");
    }
    Ok(())
}

async fn add_keeps_the_expiry_and_put_ends_it(world: Box<dyn World>) -> TrialResult {
    let counters = world.cloud().table::<i64>("counters");
    let expires_at = Some(world.now() + Duration::from_secs(10));
    counters.put_with("a", &5, PutOptions::default().with_ttl(Duration::from_secs(10))).await?;
    world.advance(Duration::from_secs(5))?;
    assert_eq!(counters.add("a", 1).await?, 6);
    assert_eq!(counters.get_entry("a").await?.unwrap().expires_at, expires_at);
    world.advance(Duration::from_secs(5))?;
    assert_eq!(counters.get("a").await?, None);
    assert_eq!(counters.add("a", 1).await?, 1);
    assert_eq!(counters.get_entry("a").await?.unwrap().expires_at, None);
    Ok(())
}
