//! What is over a limit is refused before anything is written.

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::driver::Limits;
use isobar::key_value::{Key, PutMode, Table};

use crate::{TrialResult, World};

crate::trials![
    "KV-18" => an_item_of_exactly_the_limit_with_its_keys_comes_back,
    "KV-18" => an_item_of_one_byte_more_is_too_large_and_not_written,
    "KV-18" => keys_of_exactly_the_limit_are_taken,
    "KV-18" => keys_of_one_byte_more_are_too_large_in_every_operation,
    "KV-18" => the_limit_of_a_key_counts_bytes_and_not_characters,
    "KV-18" => an_empty_partition_is_invalid_input_in_every_operation,
];

/// A value with which an item at `key` is larger than the limit by `more` bytes.
fn value_at_limit(key: &Key, more: usize) -> Bytes {
    let size = 390_000 - key.partition.len() - key.sort.len() + more;
    Bytes::from((0..size).map(|place| (place % 251) as u8).collect::<Vec<_>>())
}

async fn an_item_of_exactly_the_limit_with_its_keys_comes_back(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for key in [Key::from("a"), Key::new("p".repeat(256), "s".repeat(512))] {
        let value = value_at_limit(&key, 0);
        items.put(&key, &value).await?;
        assert!(items.get(&key).await? == Some(value.clone()), "the value is another");
        let ascii = Bytes::from(vec![b'"'; value.len()]);
        items.put(&key, &ascii).await?;
        assert!(items.get_many([&key]).await? == [Some(ascii)], "the quotes are others");
    }
    Ok(())
}

async fn an_item_of_one_byte_more_is_too_large_and_not_written(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let key = Key::new("p".repeat(256), "s");
    let (large, old) = (value_at_limit(&key, 1), Bytes::from_static(b"old"));
    let too_large = ErrorKind::TooLarge;
    let refused = items.put(&key, &large).await.unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (too_large, Some(Limits::PORTABLE.item_bytes)));
    assert_eq!(items.get(&key).await?, None);
    items.put(&key, &old).await?;
    assert_eq!(items.put(&key, &large).await.unwrap_err().kind(), too_large);
    assert_eq!(items.put_with(&key, &large, PutMode::Create).await.unwrap_err().kind(), too_large);
    assert_eq!(items.update(&key, |_| large.clone()).await.unwrap_err().kind(), too_large);
    let transaction = items.transact(key.partition.clone()).put("other", &old).put("s", &large);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), too_large);
    assert_eq!(items.get(&key).await?, Some(old));
    assert_eq!(items.scan().all().await?.len(), 1);
    Ok(())
}

async fn keys_of_exactly_the_limit_are_taken(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    let key = Key::new("ü".repeat(128), "€".repeat(170) + "ab");
    assert_eq!((key.partition.len(), key.sort.len()), (256, 512));
    items.put(&key, &1).await?;
    assert_eq!(items.get(&key).await?, Some(1));
    assert_eq!(items.query(key.partition.clone()).prefix(&key.sort).all().await?[0].key, key);
    assert_eq!(items.scan().all().await?[0].key, key);
    items.delete(&key).await?;
    assert_eq!(items.get(&key).await?, None);
    Ok(())
}

/// Uses a key in every operation that takes one.
async fn error_kinds(items: &Table<i64>, key: &Key) -> Vec<ErrorKind> {
    let version = isobar::key_value::Version::new("1");
    let (partition, sort) = (key.partition.clone(), key.sort.clone());
    vec![
        items.get(key).await.unwrap_err().kind(),
        items.get_entry(key).await.unwrap_err().kind(),
        items.get_many([key]).await.unwrap_err().kind(),
        items.put(key, &1).await.unwrap_err().kind(),
        items.delete(key).await.unwrap_err().kind(),
        items.delete_version(key, &version).await.unwrap_err().kind(),
        items.add(key, 1).await.unwrap_err().kind(),
        items.update(key, |_| 1).await.unwrap_err().kind(),
        items.transact(partition.clone()).put(sort.clone(), &1).commit().await.unwrap_err().kind(),
        items.transact(partition).delete(sort).commit().await.unwrap_err().kind(),
    ]
}

async fn keys_of_one_byte_more_are_too_large_in_every_operation(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let long_partition = Key::new("p".repeat(257), "s");
    assert_eq!(error_kinds(&items, &long_partition).await, vec![ErrorKind::TooLarge; 10]);
    let long_sort = Key::new("p", "s".repeat(513));
    assert_eq!(error_kinds(&items, &long_sort).await, vec![ErrorKind::TooLarge; 10]);
    let queried = items.query("p".repeat(257)).page().await.unwrap_err();
    assert_eq!((queried.kind(), queried.limit()), (ErrorKind::TooLarge, Some(256)));
    assert_eq!(items.get(&long_sort).await.unwrap_err().limit(), Some(512));
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn the_limit_of_a_key_counts_bytes_and_not_characters(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    for (character, most) in [("ü", 128), ("€", 85), ("\u{1f600}", 64)] {
        items.put(character.repeat(most), &1).await?;
        let refused = items.put(character.repeat(most + 1), &1).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge, "{character}");
    }
    Ok(())
}

async fn an_empty_partition_is_invalid_input_in_every_operation(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    assert_eq!(error_kinds(&items, &Key::new("", "s")).await, vec![ErrorKind::InvalidInput; 10]);
    assert_eq!(items.query("").page().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}
