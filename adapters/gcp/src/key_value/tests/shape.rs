//! Names and types of documents.

use std::collections::HashMap;

use super::*;

/// Random text of any size up to `bytes`, with characters that are special in ids.
fn any(random: &mut fastrand::Rng, bytes: usize) -> String {
    let special = ['/', '.', '_', '0', '1', 'a', 's', '%', '\0', '\u{7f}', '\u{e9}', '\u{10ffff}', ' ', ':'];
    let mut text = String::new();
    let size = random.usize(1..=bytes);
    loop {
        let next = if random.bool() { special[random.usize(..special.len())] } else { random.char(..) };
        if text.len() + next.len_utf8() > size {
            return if text.is_empty() { "_".to_owned() } else { text };
        }
        text.push(next);
    }
}

fn check_id(id: &str) {
    assert!(id.len() <= 1_500 && !id.is_empty(), "{id}");
    assert!(id != "." && id != ".." && !(id.starts_with("__") && id.ends_with("__")), "{id}");
}

#[test]
fn each_key_has_a_distinct_path_that_firestore_accepts() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut paths = HashMap::new();
    for round in 0..20_000 {
        // Short keys repeat; long keys reach the limits.
        let (partition, sort) = if round % 10 == 0 { (498, 749) } else { (3, 3) };
        let key = Key::new(any(&mut random, partition), any(&mut random, sort));
        let path = key::path("links", &key).unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        assert_eq!((parts.len(), parts[0], parts[2]), (4, "links", "links"), "{path}");
        check_id(parts[1]);
        check_id(parts[3]);
        assert!(parts[1].bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)), "it is in a URL");
        let other = paths.insert(path, key.clone());
        assert!(other.is_none_or(|other| other == key), "two keys with the same path");
    }
    assert!((4_000..19_000).contains(&paths.len()), "{}", paths.len());
}

#[test]
fn keys_of_the_maximum_size_fit_and_larger_ones_are_an_error() {
    let (partition, sort) = ("\u{e9}".repeat(249), "/".repeat(749));
    key::path("links", &Key::new(partition.clone(), sort.clone())).unwrap();
    let error = key::path("links", &Key::new("a", sort + "/")).unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(749)));
    let error = key::path("links", &Key::new(partition + "\u{e9}", "")).unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(498)));
}

#[test]
fn paths_do_not_change() {
    for (partition, sort, path) in [
        ("a", "", "links/ca97a/links/s"),
        ("a", "__x__", "links/ca97a/links/s__x__"),
        ("a", "../b c\u{e9}", "links/ca97a/links/s.0.0.1b c\u{e9}"),
        ("A-_9", "x", "links/4e89A-_9/links/sx"),
        ("./\u{e9}", "x", "links/e687.2e.2f.c3.a9/links/sx"),
    ] {
        assert_eq!(key::path("links", &Key::new(partition, sort)).unwrap(), path);
    }
}

#[test]
fn a_counter_is_a_number_and_all_other_text_is_text() {
    for (value, is_counter) in [
        ("0", true),
        ("-9223372036854775808", true),
        ("9223372036854775807", true),
        ("9223372036854775808", false),
        ("-0", false),
        ("007", false),
    ] {
        let put = Put::new("a", value);
        let sent = serde_json::to_value(stored::Fields::of(&put, "mark")).unwrap();
        let number = is_counter.then(|| json!({"integerValue": value}));
        let text = (!is_counter).then(|| json!({"stringValue": value}));
        assert_eq!((sent.get("n"), sent.get("v")), (number.as_ref(), text.as_ref()), "{value}");
    }
}
