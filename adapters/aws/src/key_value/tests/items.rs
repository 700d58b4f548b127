//! What is stored, how large it is, and what is read of it.

use serde::Serialize;

use super::super::stored::{Found, StoredItem};
use super::*;
use crate::profile::{SORT_BYTES, TRANSACTION_BYTES};

/// All strings of up to three of these, in byte order.
fn sort_keys() -> Vec<String> {
    let letters = ["\0", " ", "!", "\"", "a", "\u{e9}", "\u{ffff}", "\u{10ffff}"];
    let mut all = vec![String::new()];
    for _ in 0..3 {
        let longer = all.iter().flat_map(|begin| letters.iter().map(move |letter| format!("{begin}{letter}")));
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
fn a_stored_sort_key_is_read_back_as_it_was() {
    for sort in sort_keys() {
        let mut found: Found = serde_json::from_value(json_of(&StoredKey::new("a", &sort))).unwrap();
        assert_eq!(found.key().unwrap(), Key::new("a", sort));
    }
}

#[test]
fn a_sort_key_that_isobar_would_write_in_another_way_is_not_taken_for_another_key() {
    for stored in [" a", "\0", "!a", ""] {
        let mut found: Found = serde_json::from_value(json!({"pk": {"S": "a"}, "sk": {"S": stored}})).unwrap();
        assert_eq!(found.key().unwrap_err().kind(), ErrorKind::Internal, "{stored:?}");
    }
}

/// The size of an item as DynamoDB counts it. Source: "DynamoDB Item sizes and formats".
fn size(item: &Value) -> usize {
    let of_value = |attribute: &Value| match attribute.as_object().unwrap().iter().next().unwrap() {
        (kind, Value::String(number)) if kind == "N" => number.trim_start_matches('-').len().div_ceil(2) + 2,
        (kind, Value::String(base64)) if kind == "B" => base64.len() / 4 * 3 - base64.matches('=').count(),
        (_, text) => text.as_str().unwrap().len(),
    };
    item.as_object().unwrap().iter().map(|(name, attribute)| name.len() + of_value(attribute)).sum()
}

#[test]
fn the_largest_item_that_is_let_through_fits_into_dynamodb() {
    let key = Key::new("p".repeat(256), "!".repeat(512));
    let room = usize::try_from(ITEM_BYTES).unwrap() - 256 - 512;
    for value in [vec![b'x'; room], vec![0xff; room], "\u{e9}".repeat(room / 2).into_bytes(), vec![0; room]] {
        let put = Put::new(key.clone(), value).with_expires_at(at(NOW));
        let size = size(&item_of(&put));
        assert!((409_550..=409_600).contains(&size), "{size}");
    }
    assert_eq!(SORT_BYTES + 1, 1_024, "with its mark");
}

#[test]
fn the_largest_transaction_that_is_let_through_fits_into_dynamodb() {
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
fn a_counter_is_no_larger_as_a_number_than_dynamodb_takes() {
    let put = Put::new("a", i64::MIN.to_string());
    assert!(size(&json!({"": item_of(&put)["value"]})) <= 21);
}

async fn get(item: Value) -> Result<Option<Item>> {
    Scene::script([done(json!({ "Item": item }))]).await.table.get(&Key::from("a")).await
}

#[tokio::test]
async fn an_item_is_read_bit_for_bit_whatever_its_type() {
    for (value, bytes) in [
        (json!({"S": "caf\u{e9}"}), "caf\u{e9}".as_bytes()),
        (json!({"S": ""}), b""),
        (json!({"N": "-42"}), b"-42"),
        (json!({"B": "AP8="}), b"\0\xff"),
    ] {
        let item = get(json!({"value": value, "version": {"S": "v-1"}, "more": {"M": {}}})).await.unwrap().unwrap();
        let version = Version::new("v-1");
        let wanted = Item::new(Key::from("a"), Bytes::copy_from_slice(bytes), version);
        assert_eq!(item, wanted);
    }
}

#[tokio::test]
async fn an_item_is_gone_at_the_very_millisecond_at_which_it_expires() {
    let item = json!({"value": {"S": "x"}, "expires": {"N": (NOW + 750).to_string()}, "ttl": {"N": "1767225601"}});
    let scene = Scene::script([done(json!({ "Item": item }))]).await;
    let key = Key::from("a");
    scene.clock.advance(Duration::from_millis(749));
    let item = scene.table.get(&key).await.unwrap().unwrap();
    assert_eq!(item.expires_at, Some(at(NOW + 750)));
    scene.clock.advance(Duration::from_micros(999));
    assert!(scene.table.get(&key).await.unwrap().is_some());
    scene.clock.advance(Duration::from_micros(1));
    assert!(scene.table.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn an_item_of_somebody_else_expires_by_its_ttl_as_conditions_have_it() {
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
    assert!(text.is_some(), "DynamoDB does not delete by text either");
}

#[tokio::test]
async fn what_is_no_item_of_ours_is_internal_and_shows_no_value() {
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
