//! Items.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::key_value::{PutOptions, Table};
use isobar::prelude::*;
use isobar_conformance::TrialResult;
use isobar_e2e::backends::cloud::{CloudUnderTest, Services};
use isobar_e2e::moved;
use serde_json::{Value, json};

use super::{Both, bytes};

/// The documents of a table, by their partition and sort keys.
fn documents(both: &Both, project: &str) -> isobar::Result<Vec<Value>> {
    let table = format!("{project}-items");
    let found = both.call(project, "document.list", json!({"collection": table}))?;
    Ok(found["documents"].as_array().unwrap().clone())
}

pub(super) async fn python_reads_ours(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("ia").await?;
    let cloud = world.cloud();
    let items = cloud.table::<Bytes>("items");
    let expiry = PutOptions::default().with_ttl(Duration::from_millis(1_500));
    items.put("text", &Bytes::from_static("käse".as_bytes())).await?;
    items.put("bytes", &Bytes::from_static(b"\0\xff")).await?;
    items.put_with(("é/a", "b.c/d"), &Bytes::from_static(b"soon gone"), expiry).await?;
    cloud.table::<i64>("items").add("count", 41).await?;
    let found = documents(&both, "ia")?;
    assert_eq!(found.len(), 4, "{found:?}");
    let read = |partition: &str| found.iter().find(|it| it["fields"]["p"] == partition).unwrap();
    assert_eq!(read("text")["fields"]["v"], "käse");
    assert_eq!(read("bytes")["fields"]["v"], bytes(b"\0\xff"));
    assert_eq!(read("count")["fields"]["n"], 41);
    let expiring = read("é/a");
    assert_eq!(expiring["fields"]["s"], "b.c/d");
    assert!(expiring["path"].as_str().unwrap().ends_with(".c3.a9.2fa/ia-items/sb.0c.1d"), "{expiring}");
    // A timestamp of Firestore, which a TTL policy requires; the clock starts with 2026.
    assert_eq!(expiring["fields"]["expireAt"], json!({"time": "2026-01-01T00:00:01.500+00:00"}));
    Ok(())
}

pub(super) async fn python_reads_what_was_moved(both: Arc<Both>) -> TrialResult {
    moved::move_to(&*both.gcp.services.open("mv").await?.provider()).await?;
    let found = documents(&both, "mv")?;
    assert_eq!(found.len(), moved::ITEMS);
    let read = |partition: &str, sort: &str| {
        let is_it = |it: &&Value| it["fields"]["p"] == partition && it["fields"]["s"] == sort;
        &found.iter().find(is_it).unwrap()["fields"]
    };
    assert_eq!(read("text", "")["v"], "käse");
    assert_eq!(read("bytes", "")["v"], bytes(b"\0\xff"));
    assert_eq!(read("p3", "0010")["v"], "value 10");
    assert_eq!(read("count", "")["n"], 41);
    assert_eq!(read("a", "b")["expireAt"], json!({"time": "2026-01-01T00:00:01.500+00:00"}));
    let listed = both.call("mv", "object.list", json!({"bucket": "mv-pages"}))?;
    assert_eq!(listed["names"].as_array().unwrap().len(), moved::OBJECTS);
    let read = |name: &str| both.call("mv", "object.get", json!({"bucket": "mv-pages", "name": name}));
    let page = read(moved::PAGE)?;
    assert_eq!((&page["content_type"], &page["metadata"]["colour"]), (&json!("text/x-cheese"), &json!("gelb")));
    assert_eq!(page["body"], bytes(b"<p>cheese</p>"));
    assert!(read("large")?["body"] == bytes(&moved::large()), "the content differs");
    Ok(())
}

pub(super) async fn ours_are_pythons(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("ib").await?;
    let items = world.cloud().table::<Bytes>("items");
    // The partition begins with digits of its hash, which an item of isobar shows.
    items.put("theirs", &Bytes::from_static(b"1")).await?;
    let path = documents(&both, "ib")?[0]["path"].as_str().unwrap().to_owned();
    let partition = path.strip_suffix("/s").unwrap();
    let write = |sort: &str, field: &str, value: Value| {
        let fields = json!({"p": "theirs", "s": sort, field: value, "expireAt": null});
        both.call("ib", "document.put", json!({"path": format!("{partition}/s{sort}"), "fields": fields}))
    };
    write("b", "v", json!("text"))?;
    write("a", "v", bytes(b"\x01\x02"))?;
    write("c", "n", json!(7))?;
    // The clock starts with 2026: this item has expired.
    let fields = json!({"p": "theirs", "s": "d", "v": "old", "expireAt": {"time": "2025-12-31T23:59:59+00:00"}});
    both.call("ib", "document.put", json!({"path": format!("{partition}/sd"), "fields": fields}))?;
    let found = items.query("theirs").all().await?;
    let values: Vec<_> = found.iter().map(|item| item.value.as_ref()).collect();
    assert_eq!(values, [b"1".as_slice(), b"\x01\x02", b"text", b"7"]);
    let descending = both.call("ib", "document.query", json!({"path": partition, "by": "s"}))?;
    let sorts = descending["documents"].as_array().unwrap().iter().map(|it| it["fields"]["s"].as_str().unwrap());
    assert_eq!(sorts.collect::<Vec<_>>(), ["d", "c", "b", "a", ""]);
    update_theirs(&items, || write("b", "v", json!("theirs again")).map(drop)).await?;
    both.call("ib", "document.delete", json!({"path": format!("{partition}/sa")}))?;
    assert_eq!(items.get(("theirs", "a")).await?, None);
    Ok(())
}

/// An item without isobar's mark can be updated under a condition too, until the library writes it again.
async fn update_theirs(items: &Table<Bytes>, write: impl Fn() -> isobar::Result<()>) -> TrialResult {
    let stored = items.get_entry(("theirs", "b")).await?.expect("it is there");
    let mode = PutMode::Update(stored.version.clone());
    let written = items.put_with(("theirs", "b"), &Bytes::from_static(b"new"), mode).await?;
    for (version, what) in [(stored.version, "ours"), (written, "theirs")] {
        let error = items.put_with(("theirs", "b"), &Bytes::new(), PutMode::Update(version)).await;
        assert_eq!(error.map_err(|error| error.kind()), Err(ErrorKind::Conflict), "after a write of {what}");
        write()?;
    }
    Ok(())
}

/// Increments of Firestore, transactions of the library and transactions of isobar, at the same time.
pub(super) async fn both_count(both: Arc<Both>) -> TrialResult {
    let world = both.gcp.open_as("ic").await?;
    let counts = world.cloud().table::<i64>("items");
    counts.add("hits", 1).await?;
    let path = documents(&both, "ic")?[0]["path"].clone();
    let theirs = {
        let both = Arc::clone(&both);
        tokio::task::spawn_blocking(move || {
            for by in ["increment", "transaction", "increment"] {
                let input = json!({"project": "ic", "path": path, "field": "n", "by": by, "times": 5});
                both.sdk.call("document.count", &input)?;
            }
            Ok::<_, isobar::Error>(())
        })
    };
    let mut ours = 0;
    while !theirs.is_finished() || ours < 10 {
        counts.add("hits", 1).await?;
        ours += 1;
    }
    theirs.await??;
    assert_eq!(counts.get("hits").await?, Some(1 + 15 + ours));
    Ok(())
}
