//! The permissions of the adapters: their tables in the READMEs, and the operations that the portable types send.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use isobar::driver::{Access, PermissionRow, ResourceKind};
use isobar::key_value::PutOptions;
use isobar::prelude::*;
use isobar::{ErrorKind, blob};
use isobar_conformance::{TrialResult, World};
use object_store::path::Path;
use object_store::{ObjectStoreExt, TagSet};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The lines around the table in a README.
const START: &str = "<!-- permissions: ISOBAR_BLESS=1 cargo test --test mappings writes this table -->\n";
const END: &str = "<!-- end of permissions -->\n";

/// The text of a README with the table of these rows in its place; `None` without the lines around the table.
pub fn with_table(readme: &str, grants: &str, rows: &[PermissionRow]) -> Option<String> {
    let (before, rest) = readme.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    let mut table = format!("| identity | for | {grants} | on | remarks |\n|---|---|---|---|---|\n");
    for row in rows {
        let purpose = if row.purpose.is_empty() { "" } else { ", " };
        let named = |grant: &&str| if grant.contains(' ') { format!("*{grant}*") } else { format!("`{grant}`") };
        let grants: Vec<_> = row.grants.iter().map(named).collect();
        let remarks: Vec<_> =
            [row.wider.unwrap_or_default(), row.note].into_iter().filter(|it| !it.is_empty()).collect();
        let PermissionRow { holder, subject, purpose: what, on, .. } = row;
        let (grants, remarks) = (grants.join(" "), remarks.join("; "));
        let _ = writeln!(table, "| {holder} | {subject}{purpose}{what} | {grants} | {on} | {remarks} |");
    }
    Some([before, START, &table, END, after].concat())
}

/// The operations of the calls of a task.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, _id: &Id, _cx: Context<'_, S>) {
        if attributes.metadata().name() == "call" {
            attributes.record(&mut self.clone());
        }
    }
}

impl Visit for Recorder {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "operation" {
            self.0.lock().insert(value.to_owned());
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

/// The recorded operations, with the kind of resource and the access of the handle.
#[derive(Debug, Default)]
struct Recorded(Vec<(ResourceKind, Access, BTreeSet<String>)>);

impl Recorded {
    async fn record(
        &mut self,
        kind: ResourceKind,
        access: Access,
        work: impl Future<Output = TrialResult>,
    ) -> TrialResult {
        let recorder = Recorder::default();
        work.with_subscriber(tracing_subscriber::registry().with(recorder.clone())).await?;
        self.0.push((kind, access, std::mem::take(&mut *recorder.0.lock())));
        Ok(())
    }

    fn has(&self, row: &PermissionRow, operation: &str) -> bool {
        let mut of_row = self.0.iter().filter(|(kind, access, _)| row.is_for(*kind, *access));
        of_row.any(|(_, _, operations)| operations.contains(operation))
    }
}

/// Fails where the portable types send an operation that no row for their kind and their access has, and where a row has an
/// operation that they do not send. `unsent` are operations that these worlds cannot show, each with the reason.
pub async fn operations_are_those_of_the_rows(
    worlds: &[Box<dyn World>],
    rows: &[PermissionRow],
    unsent: &[(&str, &str)],
) -> TrialResult {
    let mut recorded = Recorded::default();
    for world in worlds {
        record_all(&**world, &mut recorded).await?;
    }
    let mut wrong = Vec::new();
    for (kind, access, operations) in &recorded.0 {
        let of_rows = rows.iter().filter(|row| row.is_for(*kind, *access));
        let known: BTreeSet<&str> = of_rows.flat_map(|row| row.operations.concat()).collect();
        let unknown = operations.iter().filter(|operation| !known.contains(operation.as_str()));
        wrong.extend(unknown.map(|operation| format!("no row for {access:?} of a {kind} has {operation}")));
    }
    for row in rows.iter().filter(|row| !row.kinds.is_empty()) {
        for operation in row.operations.concat() {
            let (is_sent, is_declared) =
                (recorded.has(row, operation), unsent.iter().any(|(name, _)| *name == operation));
            if is_sent == is_declared {
                let not = if is_sent { "" } else { "not " };
                wrong.push(format!("{}, {}: {operation} is {not}sent", row.subject, row.purpose));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\nrecorded: {recorded:#?}");
    Ok(())
}

async fn record_all(world: &dyn World, recorded: &mut Recorded) -> TrialResult {
    use ResourceKind::{Bucket, Config, Secret, Table, Topic};
    let cloud = world.cloud();
    let (items, pages) = (cloud.table::<i64>("items"), cloud.bucket("pages"));
    items.put(("p", "a"), &1).await?;
    pages.put("a", "content").await?;
    recorded.record(Table, Access::Read, table_reads(&cloud.table("items").read_only())).await?;
    recorded.record(Table, Access::Write, table_writes(world, &cloud.table("items").write_only())).await?;
    recorded.record(Table, Access::ReadWrite, table_reads(&items)).await?;
    recorded.record(Table, Access::ReadWrite, table_writes(world, &items)).await?;
    recorded.record(Bucket, Access::Read, bucket_reads(&cloud.bucket("pages").read_only())).await?;
    recorded.record(Bucket, Access::Write, bucket_writes(&cloud.bucket("pages").write_only())).await?;
    recorded.record(Bucket, Access::ReadWrite, bucket_reads(&pages)).await?;
    recorded.record(Bucket, Access::ReadWrite, bucket_writes(&pages)).await?;
    recorded.record(Bucket, Access::ReadWrite, bucket_copies(&pages)).await?;
    recorded.record(Topic, Access::Write, publishes(&cloud.topic("clicks"))).await?;
    // Without a permission of the app, a vault needs a token before its first request.
    drop(cloud.secret("none").optional().find().await?);
    for (kind, name) in [(Secret, "api-token"), (Config, "settings")] {
        world.set_secret(name, Some("7")).await?;
        let read = async {
            match kind {
                Secret => drop(cloud.secret(name).get().await?),
                _ => assert_eq!(*cloud.config::<i64>(name).get().await?, 7),
            }
            Ok(())
        };
        recorded.record(kind, Access::Read, read).await?;
    }
    Ok(())
}

async fn table_reads(items: &Table<i64>) -> TrialResult {
    items.get(("p", "a")).await?;
    items.get_many([("p", "a"), ("p", "b")]).await?;
    items.query("p").descending().limit(1).page().await?;
    items.query("p").all().await?;
    items.scan().limit(1).page().await?;
    items.scan().segment(1, 2).all().await?;
    Ok(())
}

/// Each write, also over an item that has expired.
async fn table_writes(world: &dyn World, items: &Table<i64>) -> TrialResult {
    let version = items.put(("p", "a"), &1).await?;
    let version = items.put_with(("p", "a"), &2, PutMode::Update(version)).await?;
    items.delete_version(("p", "a"), &version).await?;
    items.put_with(("p", "a"), &3, PutMode::Create).await?;
    items.add(("p", "count"), 1).await?;
    items.add(("p", "count"), 1).await?;
    items.transact("p").put("b", &1).add("count", 1).delete("a").commit().await?;
    for expiring in ["put", "add", "transact"] {
        items.put_with(("p", expiring), &5, PutOptions::default().with_ttl(Duration::from_secs(1))).await?;
    }
    world.clock().ok_or("the world has no clock")?.advance(Duration::from_secs(2));
    items.put_with(("p", "put"), &1, PutMode::Create).await?;
    items.add(("p", "add"), 1).await?;
    items.transact("p").add("transact", 1).put_with("b", &1, PutMode::Overwrite).commit().await?;
    for sort in ["put", "add", "transact", "count", "b"] {
        items.delete(("p", sort)).await?;
    }
    Ok(items.put(("p", "a"), &1).await.map(drop)?)
}

async fn bucket_reads(pages: &Bucket) -> TrialResult {
    assert_eq!(pages.get("a").await?.bytes().await?, "content");
    pages.get_range("a", 1..3).await?;
    pages.head("a").await?;
    pages.list("").all().await?;
    pages.signed_get("a", Duration::from_secs(60)).await?;
    Ok(())
}

async fn bucket_writes(pages: &Bucket) -> TrialResult {
    let version = pages.put("b", "1").await?;
    pages.put_with("b", "2", blob::PutMode::Update(version)).await?;
    pages.delete("b").await?;
    pages.put_with("b", "3", blob::PutMode::Create).await?;
    let part = || Ok::<_, isobar::Error>(Bytes::from(vec![7_u8; 6 << 20]));
    pages.put_stream("large", stream::iter([part(), part()]), blob::PutOptions::default()).await?;
    let broken = [part(), part(), part(), Err(isobar::Error::internal("broken"))];
    assert!(pages.put_stream("broken", stream::iter(broken), blob::PutOptions::default()).await.is_err());
    pages.signed_put("b", Duration::from_secs(60)).await?;
    Ok(())
}

/// A small object and a large one, with tags where the service has them.
async fn bucket_copies(pages: &Bucket) -> TrialResult {
    pages.copy("a", "copy", blob::PutMode::Overwrite).await?;
    let mut tags = TagSet::default();
    tags.push("colour", "yellow");
    let tagged = object_store::PutOptions { tags, ..object_store::PutOptions::default() };
    let content = Bytes::from(vec![7_u8; 6 << 20]);
    let store = pages.object_store();
    match store.put_opts(&Path::from("tagged"), content.clone().into(), tagged).await {
        Ok(_) => {}
        Err(_) => drop(store.put(&Path::from("tagged"), content.into()).await?),
    }
    Ok(pages.copy("tagged", "copy", blob::PutMode::Overwrite).await?)
}

/// A Storage Queue has no ordering keys.
async fn publishes(clicks: &Topic<u32>) -> TrialResult {
    clicks.publish(1).await?;
    for result in clicks.publish_batch([Outgoing::new(2), Outgoing::new(3).with_ordering_key("a")]).await {
        assert!(result.err().is_none_or(|error| error.kind() == ErrorKind::Unsupported));
    }
    Ok(())
}
