//! Stored items: their attributes, sizes and reads.

use serde::Serialize;

use super::super::stored::{ReadItem, StoredItem};
use super::*;
use crate::profile::{SORT_BYTES, TRANSACTION_BYTES};

/// All strings of up to three of these, in byte order.
fn sort_keys() -> Vec<String> {
    let characters = ["\0", " ", "!", "\"", "a", "\u{e9}", "\u{ffff}", "\u{10ffff}"];
    let mut all = vec![String::new()];
    for _ in 0..3 {
        let longer =
            all.iter().flat_map(|prefix| characters.iter().map(move |character| format!("{prefix}{character}")));
        all = all.iter().cloned().chain(longer).collect();
        all.sort();
        all.dedup();
    }
    all
}

fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn item_of(put: &Put) -> Value {
    let version = Version::new("0123456789012345678901");
    json_of(&StoredItem::new(put, &version))
}

#[test]
fn stored_sort_keys_are_never_empty_and_differ_and_keep_byte_order() {
    let keys = sort_keys();
    assert_eq!(keys.len(), 1 + 8 + 64 + 512);
    let text = |key: &String| json_of(&StoredKey::new("a", key))["sk"]["S"].as_str().unwrap().to_owned();
    let stored: Vec<String> = keys.iter().map(text).collect();
    assert!(stored.iter().all(|sort| !sort.is_empty()));
    for (pair, keys) in stored.windows(2).zip(keys.windows(2)) {
        assert!(pair[0].as_bytes() < pair[1].as_bytes(), "{keys:?} are stored as {pair:?}");
    }
}

#[test]
fn stored_sort_key_is_read_unchanged() {
    for sort in sort_keys() {
        let mut found: ReadItem = serde_json::from_value(json_of(&StoredKey::new("a", &sort))).unwrap();
        assert_eq!(found.key().unwrap(), Key::new("a", sort));
    }
}

#[test]
fn sort_key_that_isobar_writes_differently_is_an_error() {
    for stored in [" a", "\0", "!a", ""] {
        let mut found: ReadItem = serde_json::from_value(json!({"pk": {"S": "a"}, "sk": {"S": stored}})).unwrap();
        assert_eq!(found.key().unwrap_err().kind(), ErrorKind::Internal, "{stored:?}");
    }
}

/// The size of an item by DynamoDB's rules. Source: "DynamoDB Item sizes and formats".
fn size(item: &Value) -> usize {
    let of_value = |attribute: &Value| match attribute.as_object().unwrap().iter().next().unwrap() {
        (kind, Value::String(number)) if kind == "N" => number.trim_start_matches('-').len().div_ceil(2) + 2,
        (kind, Value::String(base64)) if kind == "B" => base64.len() / 4 * 3 - base64.matches('=').count(),
        (_, text) => text.as_str().unwrap().len(),
    };
    item.as_object().unwrap().iter().map(|(name, attribute)| name.len() + of_value(attribute)).sum()
}

#[test]
fn largest_accepted_item_is_within_the_limit_of_dynamodb() {
    let key = Key::new("p".repeat(256), "!".repeat(512));
    let value_size = usize::try_from(ITEM_BYTES).unwrap() - 256 - 512;
    for value in [
        vec![b'x'; value_size],
        vec![0xff; value_size],
        "\u{e9}".repeat(value_size / 2).into_bytes(),
        vec![0; value_size],
    ] {
        let put = Put::new(key.clone(), value).with_expires_at(at(NOW));
        let size = size(&item_of(&put));
        assert!((409_550..=409_600).contains(&size), "{size}");
    }
    assert_eq!(SORT_BYTES + 1, 1_024, "including the mark");
}

#[test]
fn largest_accepted_transaction_is_within_the_limit_of_dynamodb() {
    let each = usize::try_from(TRANSACTION_BYTES / 100).unwrap();
    let key = |number: u64| Key::new("p".repeat(32), format!("!{number:07}"));
    let put = |number: u64| {
        let value = Bytes::from(vec![b'x'; each - 40]);
        Put::new(key(number), value).with_expires_at(at(NOW))
    };
    let sum: usize = (0..100).map(|number| size(&item_of(&put(number)))).sum();
    assert!(sum <= 4 * 1024 * 1024, "{sum}");
}

#[test]
fn counter_as_a_number_is_within_the_limit_of_dynamodb() {
    let put = Put::new("a", i64::MIN.to_string());
    assert!(size(&json!({"": item_of(&put)["value"]})) <= 21);
}

async fn get(item: Value) -> Result<Option<Item>> {
    Fixture::script([success(json!({ "Item": item }))]).await.table.get(&Key::from("a")).await
}

#[tokio::test]
async fn item_of_any_type_is_read_bit_for_bit() {
    for (value, bytes) in [
        (json!({"S": "caf\u{e9}"}), "caf\u{e9}".as_bytes()),
        (json!({"S": ""}), b""),
        (json!({"N": "-42"}), b"-42"),
        (json!({"B": "AP8="}), b"\0\xff"),
    ] {
        let item = get(json!({"value": value, "version": {"S": "v-1"}, "more": {"M": {}}})).await.unwrap().unwrap();
        let version = Version::new("v-1");
        let expected = Item::new(Key::from("a"), Bytes::copy_from_slice(bytes), version);
        assert_eq!(item, expected);
    }
}

#[tokio::test]
async fn item_is_absent_from_the_millisecond_of_its_expiry() {
    let item = json!({"value": {"S": "x"}, "expires": {"N": (NOW + 750).to_string()}, "ttl": {"N": "1767225601"}});
    let fixture = Fixture::script([success(json!({ "Item": item }))]).await;
    let key = Key::from("a");
    fixture.clock.advance(Duration::from_millis(749));
    let item = fixture.table.get(&key).await.unwrap().unwrap();
    assert_eq!(item.expires_at, Some(at(NOW + 750)));
    fixture.clock.advance(Duration::from_micros(999));
    assert!(fixture.table.get(&key).await.unwrap().is_some());
    fixture.clock.advance(Duration::from_micros(1));
    assert!(fixture.table.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn item_of_another_writer_expires_by_its_ttl_as_in_conditions() {
    let now = NOW / 1_000;
    for (ttl, lives) in [
        (format!("{now}"), false),
        (format!("{}", now + 1), true),
        (format!("{now}.2"), true),
        (format!("{}.9", now - 1), false),
        ("-5".to_owned(), false),
        ("0".to_owned(), false),
        ("99999999999999999999999999".to_owned(), true),
    ] {
        let item = get(json!({"value": {"S": "x"}, "ttl": {"N": ttl}})).await.unwrap();
        assert_eq!(item.is_some(), lives, "{ttl}");
        assert!(item.is_none_or(|item| item.version == Version::new("unversioned")));
    }
    let text = get(json!({"value": {"S": "x"}, "ttl": {"S": "0"}})).await.unwrap();
    assert!(text.is_some(), "DynamoDB ignores a `ttl` of text too");
}

#[tokio::test]
async fn malformed_item_is_internal_without_its_value() {
    for item in [
        json!({}),
        json!({"value": {"M": {"hush": {"S": "hush"}}}}),
        json!({"value": {"NULL": true}}),
        json!({"value": {"B": "hush!"}}),
        json!({"value": {"S": 7, "hush": "hush"}}),
        json!({"value": "hush"}),
        json!({"value": {"S": "hush"}, "version": {"N": "7"}}),
        json!("hush"),
    ] {
        let error = get(item.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{item}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
