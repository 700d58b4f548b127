//! Values are returned as they were written, and immediately.

use std::collections::BTreeMap;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::key_value::{PutMode, Table};
use serde::{Deserialize, Serialize};

use crate::{TrialResult, World};

crate::trials![
    "KV-1" => every_byte_of_a_value_comes_back_through_every_read,
    "KV-1" => a_value_of_zero_bytes_is_an_item,
    "KV-1" => text_that_looks_like_a_number_is_not_normalised,
    "KV-1" => text_is_neither_trimmed_nor_unescaped_nor_composed,
    "KV-1" => documents_with_the_names_that_services_reserve_come_back,
    "KV-1" => integers_beyond_the_precision_of_a_float_survive,
    "KV-1" => floats_come_back_bit_for_bit,
    "KV-1" => a_null_is_a_value_and_not_a_missing_item,
    "KV-2" => a_writer_reads_its_own_writes_through_every_read,
    "KV-2" => a_writer_no_longer_reads_what_it_deleted,
    "KV-2" => two_handles_of_a_table_share_its_items,
];

/// What every read of the table gives for the only item of partition `p`.
async fn all_reads(items: &Table<Bytes>) -> isobar::Result<Vec<Option<Bytes>>> {
    let first = |entries: Vec<isobar::key_value::Entry<Bytes>>| entries.into_iter().next().map(|entry| entry.value);
    let mut values = vec![
        items.get(("p", "s")).await?,
        items.get_entry(("p", "s")).await?.map(|entry| entry.value),
        first(items.query("p").all().await?),
        first(items.scan().all().await?),
    ];
    values.extend(items.get_many([("p", "s")]).await?);
    Ok(values)
}

async fn comes_back(items: &Table<Bytes>, value: &[u8]) -> TrialResult {
    let value = Bytes::copy_from_slice(value);
    items.put(("p", "s"), &value).await?;
    assert_eq!(all_reads(items).await?, vec![Some(value); 5]);
    Ok(())
}

async fn every_byte_of_a_value_comes_back_through_every_read(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let all: Vec<u8> = (0..=255).collect();
    let reversed: Vec<u8> = (0..=255).rev().collect();
    for value in [all.as_slice(), &reversed, &[0], &[0xff], &[0xc3], &[0xed, 0xa0, 0x80], &[0xef, 0xbb, 0xbf]] {
        comes_back(&items, value).await?;
    }
    Ok(())
}

async fn a_value_of_zero_bytes_is_an_item(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    comes_back(&items, b"").await?;
    assert_eq!(items.get_many([("p", "s"), ("p", "t")]).await?, [Some(Bytes::new()), None]);
    let second = items.put_with(("p", "s"), &Bytes::new(), PutMode::Create).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    Ok(())
}

async fn text_that_looks_like_a_number_is_not_normalised(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let numbers =
        ["5", "05", "+5", "-0", "5.0", "5e0", "5 ", " 5", "1E400", "9007199254740993", "18446744073709551616", "NaN"];
    for number in numbers {
        comes_back(&items, number.as_bytes()).await?;
    }
    Ok(())
}

async fn text_is_neither_trimmed_nor_unescaped_nor_composed(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let texts = [
        " \t\r\n ",
        "\0",
        "a\0b",
        "\\n\\u0000",
        "&amp;%20+",
        "e\u{301} \u{e9}",
        "\u{feff}bom",
        "\u{2028}\u{85}",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "it's \"quoted\" `thrice`; DROP TABLE items --",
        "aGVsbG8=",
    ];
    for text in texts {
        comes_back(&items, text.as_bytes()).await?;
    }
    Ok(())
}

async fn documents_with_the_names_that_services_reserve_come_back(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let documents = [
        r#"{"id":"x","_etag":"y","_ts":1,"ttl":1,"pk":"z","value":{"B":"AA=="},"version":7,"expires_at":1}"#,
        r#"{"b":1,"a":2,"a":3}"#,
        "{ \"spaced\" : [ 1 , 2.50 ] }",
        "null",
        "\"\"",
        "[]",
    ];
    for document in documents {
        comes_back(&items, document.as_bytes()).await?;
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Integers {
    unsigned: Vec<u64>,
    signed: Vec<i64>,
    named: BTreeMap<String, u64>,
}

async fn integers_beyond_the_precision_of_a_float_survive(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Integers>("integers");
    let beyond = (1 << 53) + 1;
    let value = Integers {
        unsigned: vec![beyond, u64::MAX, u64::MAX - 1],
        signed: vec![i64::MIN, i64::MIN + 1, -(beyond as i64), i64::MAX],
        named: BTreeMap::from([("id".to_owned(), 1_234_567_890_123_456_789)]),
    };
    items.put("a", &value).await?;
    assert_eq!(items.get("a").await?, Some(value.clone()));
    assert_eq!(items.get_many(["a"]).await?, [Some(value.clone())]);
    assert_eq!(items.query("a").all().await?[0].value, value);
    Ok(())
}

async fn floats_come_back_bit_for_bit(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Vec<f64>>("floats");
    let mut value = vec![0.1, 0.2 + 0.1, 1e300, 5e-324, f64::MAX, f64::MIN_POSITIVE, -0.0, 31.245270191439438];
    value.extend((1..200).map(|number| f64::from(number).sqrt() * 1e3 / 7.0));
    items.put("a", &value).await?;
    let bits = |value: &[f64]| value.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&items.get("a").await?.unwrap()), bits(&value));
    Ok(())
}

async fn a_null_is_a_value_and_not_a_missing_item(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Option<u32>>("items");
    items.put("a", &None).await?;
    assert_eq!(items.get("a").await?, Some(None));
    assert_eq!(items.get_many(["a", "b"]).await?, [Some(None), None]);
    Ok(())
}

async fn a_writer_reads_its_own_writes_through_every_read(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for number in 0..20 {
        comes_back(&items, format!("write {number}").as_bytes()).await?;
    }
    Ok(())
}

async fn a_writer_no_longer_reads_what_it_deleted(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    for _ in 0..10 {
        items.put(("p", "s"), &Bytes::from_static(b"x")).await?;
        items.delete(("p", "s")).await?;
        assert_eq!(all_reads(&items).await?, vec![None; 5]);
    }
    Ok(())
}

async fn two_handles_of_a_table_share_its_items(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (raw, typed) = (cloud.table::<Bytes>("items"), cloud.table::<Vec<u32>>("items"));
    typed.put("a", &vec![1, 2]).await?;
    assert_eq!(raw.get("a").await?.as_deref(), Some(&b"[1,2]"[..]));
    raw.put("a", &Bytes::from_static(b" [3] ")).await?;
    assert_eq!(typed.get("a").await?, Some(vec![3]));
    raw.clone().delete("a").await?;
    assert_eq!(typed.get("a").await?, None);
    Ok(())
}
