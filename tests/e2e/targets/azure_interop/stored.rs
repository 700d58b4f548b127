//! Items and objects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::key_value::PutOptions;
use isobar::prelude::*;
use isobar_conformance::TrialResult;
use isobar_e2e::backends::cloud::{CloudUnderTest, Services};
use isobar_e2e::{foreign_names, moved};
use serde_json::{Value, json};

use super::{Both, bytes};

/// The `RowKey` of a sort key: a character for each byte.
fn row(sort: &str) -> String {
    sort.bytes().filter_map(|byte| char::from_u32(0x100 + u32::from(byte))).collect()
}

pub(super) async fn python_reads_our_entities(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("ta-").await?;
    let items = world.cloud().table::<Bytes>("items");
    let expiry = PutOptions::default().with_ttl(Duration::from_millis(1_500));
    items.put("text", &Bytes::from_static("käse".as_bytes())).await?;
    items.put("bytes", &Bytes::from_static(b"\0\xff")).await?;
    items.put_with(("a", "b"), &Bytes::from_static(b"soon gone"), expiry).await?;
    world.cloud().table::<i64>("items").add("count", 41).await?;
    let found = both.sdk.call("table.query", &json!({"table": "taq1items", "filter": "RowKey ge ''"}))?;
    let read = |partition: &str| {
        let mut entities = found["entities"].as_array().unwrap().iter();
        entities.find(|it| it["PartitionKey"].as_str().unwrap().ends_with(&format!("-{partition}"))).unwrap().clone()
    };
    assert_eq!(found["entities"].as_array().unwrap().len(), 4);
    assert_eq!(read("text")["value"], "käse");
    assert_eq!(read("bytes")["value"], bytes(b"\0\xff"));
    assert!(read("count")["value"].to_string().contains("41"), "{}", read("count"));
    let expiring = read("a");
    assert_eq!((&expiring["sort"], &expiring["RowKey"]), (&json!("b"), &json!(row("b"))));
    // 2026-01-01 and 1.5 s. The library returns an Int64 with its type.
    assert!(expiring["expires"].to_string().contains("1767225601500"), "{expiring}");
    Ok(())
}

pub(super) async fn our_entities_are_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("tb-").await?;
    let items = world.cloud().table::<Bytes>("items");
    // The partition begins with digits of its hash, which an item of isobar shows.
    items.put("theirs", &Bytes::from_static(b"1")).await?;
    let found = both.sdk.call("table.query", &json!({"table": "tbq1items", "filter": "RowKey ge ''"}))?;
    let partition = found["entities"][0]["PartitionKey"].clone();
    let write = |sort: &str, value: Value| {
        let entity = json!({"PartitionKey": partition, "RowKey": row(sort), "value": value});
        both.sdk.call("table.put", &json!({"table": "tbq1items", "entity": entity}))
    };
    write("b", json!("text"))?;
    write("a", bytes(b"\x01\x02"))?;
    write("c", json!(7))?;
    let found = items.query("theirs").all().await?;
    let values: Vec<_> = found.iter().map(|item| item.value.as_ref()).collect();
    assert_eq!(values, [b"1".as_slice(), b"\x01\x02", b"text", b"7"]);
    update_theirs(&items).await
}

/// An item without isobar's version can be updated under a condition too.
async fn update_theirs(items: &isobar::key_value::Table<Bytes>) -> TrialResult {
    let stored = items.get_entry(("theirs", "b")).await?.expect("it is there");
    items.put_with(("theirs", "b"), &Bytes::from_static(b"new"), PutMode::Update(stored.version.clone())).await?;
    let error = items.put_with(("theirs", "b"), &Bytes::new(), PutMode::Update(stored.version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    Ok(())
}

pub(super) async fn python_reads_our_documents(both: Arc<Both>) -> TrialResult {
    let world = both.full.open_as("ca-").await?;
    let items = world.cloud().table::<Bytes>("items");
    let expiry = PutOptions::default().with_ttl(Duration::from_millis(1_500));
    items.put("text", &Bytes::from_static("käse".as_bytes())).await?;
    items.put("bytes", &Bytes::from_static(b"\0\xff")).await?;
    items.put_with(("é/a", "b"), &Bytes::from_static(b"soon gone"), expiry).await?;
    world.cloud().table::<i64>("items").add("count", 41).await?;
    let read = |id: &str, partition: &str| {
        let input = json!({"database": "isobar", "container": "ca-items", "id": id, "partition": partition});
        both.sdk.call("cosmos.get", &input).map(|answer| answer["item"].clone())
    };
    assert_eq!(read("s", "text")?["v"], "käse");
    assert_eq!(read("s", "bytes")?["b"], "AP8=");
    assert_eq!(read("s", "count")?["v"], 41);
    let expiring = read("sYg", "é/a")?;
    // 2026-01-01 and 1.5 s; Cosmos DB's own is in whole seconds after the write, and never early.
    assert_eq!((&expiring["x"], &expiring["ttl"]), (&json!(1_767_225_601_500_u64), &json!(3)));
    Ok(())
}

pub(super) async fn our_documents_are_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.full.open_as("cb-").await?;
    let items = world.cloud().table::<Bytes>("items");
    items.put("mine", &Bytes::from_static(b"1")).await?;
    let write = |id: &str, sort: &str, name: &str, value: Value| {
        let item = json!({"id": id, "p": "theirs", "s": sort, name: value});
        both.sdk.call("cosmos.put", &json!({"database": "isobar", "container": "cb-items", "item": item}))
    };
    // The ids are `s` and the sort key in base64url.
    write("sYg", "b", "v", json!("text"))?;
    write("sYQ", "a", "b", json!("AQI="))?;
    write("sYw", "c", "v", json!(7))?;
    let found = items.query("theirs").all().await?;
    let values: Vec<_> = found.iter().map(|item| item.value.as_ref()).collect();
    assert_eq!(values, [b"\x01\x02".as_slice(), b"text", b"7"]);
    update_theirs(&items).await
}

pub(super) async fn python_reads_our_objects(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("ba-").await?;
    let pages = world.cloud().bucket("pages");
    pages.put("docs/käse 1.html", "<p>cheese</p>").await?;
    let large: Vec<u8> = (0..12_000_000_u32).map(|number| (number % 251) as u8).collect();
    pages.put("large", large.clone()).await?;
    let listed = both.sdk.call("blob.list", &json!({"container": "ba-pages", "prefix": "docs/"}))?;
    assert_eq!(listed["names"], json!(["docs/käse 1.html"]));
    let read = |name: &str| both.sdk.call("blob.get", &json!({"container": "ba-pages", "name": name}));
    assert_eq!(read("docs/käse 1.html")?["body"], bytes(b"<p>cheese</p>"));
    assert!(read("large")?["body"] == bytes(&large), "the content differs");
    Ok(())
}

pub(super) async fn python_reads_what_was_moved(both: Arc<Both>) -> TrialResult {
    moved::move_to(&*both.storage.services.open("mv-").await?.provider()).await?;
    let found = both.sdk.call("table.query", &json!({"table": "mvq1items", "filter": "RowKey ge ''"}))?;
    let entities = found["entities"].as_array().unwrap();
    assert_eq!(entities.len(), moved::ITEMS);
    let read = |partition: &str, sort: &str| {
        let is_it = |it: &&Value| {
            it["PartitionKey"].as_str().unwrap().ends_with(&format!("-{partition}")) && it["RowKey"] == row(sort)
        };
        entities.iter().find(is_it).unwrap().clone()
    };
    assert_eq!(read("text", "")["value"], "käse");
    assert_eq!(read("bytes", "")["value"], bytes(b"\0\xff"));
    assert_eq!(read("p3", "0010")["value"], "value 10");
    assert!(read("count", "")["value"].to_string().contains("41"));
    assert!(read("a", "b")["expires"].to_string().contains("1767225601500"));
    let listed = both.sdk.call("blob.list", &json!({"container": "mv-pages"}))?;
    assert_eq!(listed["names"].as_array().unwrap().len(), moved::OBJECTS);
    let read = |name: &str| both.sdk.call("blob.get", &json!({"container": "mv-pages", "name": name}));
    let page = read(moved::PAGE)?;
    assert_eq!((&page["content_type"], &page["metadata"]["colour"]), (&json!("text/x-cheese"), &json!("gelb")));
    assert_eq!(page["body"], bytes(b"<p>cheese</p>"));
    assert!(read("large")?["body"] == bytes(&moved::large()), "the content differs");
    Ok(())
}

pub(super) async fn our_objects_are_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("bb-").await?;
    let pages = world.cloud().bucket("pages");
    let version = pages.put("mine", "1").await?;
    let object = json!({
        "container": "bb-pages", "name": "docs/a b.txt", "body": bytes(b"theirs"), "content_type": "text/x-cheese",
        "metadata": {"colour": "yellow"},
    });
    both.sdk.call("blob.put", &object)?;
    let found = pages.get("docs/a b.txt").await?;
    assert_eq!(found.content_type.as_deref(), Some("text/x-cheese"));
    assert_eq!(found.metadata.get("colour").map(String::as_str), Some("yellow"));
    assert_eq!(found.bytes().await?, "theirs");
    // The library's write makes isobar's version old.
    both.sdk.call("blob.put", &json!({"container": "bb-pages", "name": "mine", "body": bytes(b"2")}))?;
    let error = pages.put_with("mine", "3", isobar::blob::PutMode::Update(version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    Ok(())
}

pub(super) async fn names_that_are_no_paths_are_listed(both: Arc<Both>) -> TrialResult {
    let world = both.storage.open_as("bc-").await?;
    world.cloud().bucket("pages").put("readable", "1").await?;
    let names = ["a//b", "/c", "d/"];
    for name in names {
        let object = json!({"container": "bc-pages", "name": name, "body": bytes(b"theirs")});
        both.sdk.call("blob.put", &object)?;
    }
    foreign_names::are_listed(&world.cloud(), &names).await
}
