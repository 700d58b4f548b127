use std::time::Duration;

use serde_json::json;

use super::*;
use crate::profile::{ITEM_BYTES, SORT_BYTES};

const NOW: u64 = 1_767_225_600_250;

fn now() -> SystemTime {
    from_millis(NOW)
}

fn put(value: &[u8], expires_at: Option<u64>) -> Put {
    let key = Key::new("p", "s");
    Put::new(key, Bytes::copy_from_slice(value)).with_expires_at(expires_at.map(from_millis))
}

fn sent(put: &Put) -> Value {
    serde_json::from_str(&document(put, "mark", now()).unwrap()).unwrap()
}

#[test]
fn a_value_is_stored_as_text_as_a_number_or_in_base64() {
    for (value, v, b) in [
        (&b""[..], json!(""), Value::Null),
        (b"caf\xc3\xa9\t\r\n", json!("caf\u{e9}\t\r\n"), Value::Null),
        (b"{\"a\":1}", json!("{\"a\":1}"), Value::Null),
        (b"0", json!(0), Value::Null),
        (b"-9007199254740991", json!(-9_007_199_254_740_991_i64), Value::Null),
        (b"9007199254740992", json!("9007199254740992"), Value::Null),
        (b"007", json!("007"), Value::Null),
        (b"-0", json!("-0"), Value::Null),
        (b"1.0", json!("1.0"), Value::Null),
        (b"\0", Value::Null, json!("AA==")),
        (b"\xff\xfe", Value::Null, json!("//4=")),
    ] {
        let sent = sent(&put(value, None));
        assert_eq!((&sent["v"], &sent["b"]), (&v, &b), "{value:?}");
        let mut found = sent;
        found["_etag"] = json!("\"e\"");
        let found: Found = serde_json::from_value(found).unwrap();
        assert_eq!(found.key().unwrap(), Key::new("p", "s"));
        let item = found.into_item(Key::new("p", "s"), now()).unwrap().unwrap();
        assert_eq!((item.value.as_ref(), item.version.as_str(), item.expires_at), (value, "\"e\"", None));
    }
}

#[test]
fn numbers_that_the_service_returns_in_another_form_are_the_same_counters() {
    for (stored, value) in
        [("6", "6"), ("6.0", "6"), ("-7e0", "-7"), ("1.5", "1.5"), ("9.007199254740991e15", "9007199254740991")]
    {
        let found: Found = serde_json::from_str(&format!(r#"{{"v":{stored},"_etag":"e"}}"#)).unwrap();
        let item = found.into_item(Key::from("p"), now()).unwrap().unwrap();
        assert_eq!(item.value.as_ref(), value.as_bytes(), "{stored}");
    }
}

#[test]
fn no_item_is_deleted_before_it_expires() {
    let longest = (i32::MAX as u64 - 1) * 1_000;
    for (expires, ttl) in [
        (NOW + 1, json!(2)),
        (NOW + 1_000, json!(2)),
        (NOW + 1_001, json!(3)),
        (NOW, json!(1)),
        (0, json!(1)),
        (NOW + longest, json!(i32::MAX)),
        (NOW + longest + 1, Value::Null),
    ] {
        let sent = sent(&put(b"x", Some(expires)));
        assert_eq!((&sent["x"], &sent["ttl"]), (&json!(expires), &ttl), "{expires}");
    }
}

#[test]
fn an_item_of_any_bytes_fits_up_to_the_limit_and_a_larger_one_is_too_large() {
    for byte in [b'a', b'"', b'\n', 0, 0xff] {
        let mut put = put(&vec![byte; ITEM_BYTES as usize], None);
        put.key =
            Key::new("\u{1}".repeat(PROFILE.limits.partition_bytes as usize), "\u{1}".repeat(SORT_BYTES as usize));
        assert!(document(&put, "0123456789012345678901", now()).is_ok(), "{byte}");
    }
    let error = document(&put(&vec![0; 1_600_000], None), "mark", now()).unwrap_err();
    assert_eq!((error.kind(), error.limit()), (isobar_abstraction::ErrorKind::TooLarge, Some(2_097_152)));
    let key = Key::new("p", "s".repeat(SORT_BYTES as usize + 1));
    assert_eq!(check_key(&key).unwrap_err().kind(), isobar_abstraction::ErrorKind::TooLarge);
}

#[test]
fn a_version_contains_the_etag_and_matches_nothing_after_the_expiry() {
    assert_eq!(version("\"0000-1\"", None).as_str(), "\"0000-1\"");
    assert_eq!(etag_of(&version("\"0000-1\"", None), now()), Some("\"0000-1\""));
    assert_eq!(etag_of(&version("\"0000-1\"", Some(NOW + 1)), now()), Some("\"0000-1\""));
    assert_eq!(etag_of(&version("\"0000-1\"", Some(NOW)), now()), None);
    assert_eq!(etag_of(&version("e", Some(NOW)), now() - Duration::from_millis(1)), Some("e"));
    for invalid in ["", "*", "\"*\"", "\"a\", \"b\"", "a\nb", "\u{e9}", "@", "\"a\"@x", "\"\"", "a\"b"] {
        assert_eq!(etag_of(&Version::new(invalid), now()), None, "{invalid}");
    }
}

#[test]
fn an_item_without_isobar_s_format_is_an_error() {
    let read = |text: &str| serde_json::from_str::<Found>(text).unwrap();
    assert_eq!(read(r#"{"id":"1"}"#).key().unwrap_err().kind(), isobar_abstraction::ErrorKind::Config);
    assert_eq!(read(r#"{"p":"a","s":"\u0100"}"#).key().unwrap_err().kind(), isobar_abstraction::ErrorKind::Internal);
    let error = read(r#"{"p":"a","s":"","v":{"hush":1},"_etag":"e"}"#).into_item(Key::from("a"), now()).unwrap_err();
    assert!(!format!("{error:?}").contains("hush"));
}

#[test]
fn the_feed_has_the_keys_of_all_writes_and_of_no_other_document() {
    let written = |document: &str| written_key(&serde_json::from_str::<Box<RawValue>>(document).unwrap());
    let mut put = put(b"v", Some(NOW + 1_000));
    put.key = Key::new("2026-01-01T00:00:00Z", "\"\u{10FFFF}");
    assert_eq!(written(&document(&put, "mark", now()).unwrap()), Some(Some(put.key)));
    assert_eq!(written(&tombstone(&Key::from("p"), "mark").unwrap()), Some(None));
    assert_eq!(written(r#"{"id":"s","p":"a","deep":[[{}]],"_lsn":7}"#), Some(Some(Key::from("a"))));
    for foreign in ["7", "[]", "{}", r#"{"id":"s"}"#, r#"{"id":"s","p":7}"#, r#"{"id":"order-1","p":"a"}"#] {
        assert_eq!(written(foreign), None, "{foreign}");
    }
}
