//! The permissions of the adapters: their tables in the READMEs, and the operations that the portable types send.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use isobar::clock::ManualClock;
use isobar::driver::{Access, PermissionRow, ResourceKind};
use isobar::key_value::PutOptions;
use isobar::prelude::*;
use isobar::{ErrorKind, WriteEvent, blob};
use isobar_conformance::{RunningApp, TrialResult, World};
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

/// The kind of resource and the access of a handle; `None` for the host of an app with triggers.
type Use = Option<(ResourceKind, Access)>;

fn is_for(row: &PermissionRow, of: Use) -> bool {
    of.map_or(row.kinds.is_empty(), |(kind, access)| row.is_for(kind, access))
}

/// The recorded operations by their use.
#[derive(Debug, Default)]
struct Recorded(Vec<(Use, BTreeSet<String>)>);

impl Recorded {
    async fn record(
        &mut self,
        kind: ResourceKind,
        access: Access,
        work: impl Future<Output = TrialResult>,
    ) -> TrialResult {
        self.record_use(Some((kind, access)), work).await
    }

    async fn record_use(&mut self, of: Use, work: impl Future<Output = TrialResult>) -> TrialResult {
        let recorder = Recorder::default();
        work.with_subscriber(tracing_subscriber::registry().with(recorder.clone())).await?;
        let mut operations = std::mem::take(&mut *recorder.0.lock());
        // A call of the harness, in place of the platform.
        operations.remove("deploy");
        self.0.push((of, operations));
        Ok(())
    }
}

/// Fails where the portable types, or the host of triggers, send an operation that no row for this use has, and where a row has
/// an operation that they do not send. `unsent` are operations that these worlds cannot show, each with the reason.
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
    for (of, operations) in &recorded.0 {
        let of_rows = rows.iter().filter(|row| is_for(row, *of));
        let known: BTreeSet<&str> = of_rows.flat_map(|row| row.operations.concat()).collect();
        let unknown = operations.iter().filter(|operation| !known.contains(operation.as_str()));
        wrong.extend(unknown.map(|operation| format!("no row for {of:?} has {operation}")));
    }
    for row in rows {
        let sent: BTreeSet<_> = recorded.0.iter().filter(|(of, _)| is_for(row, *of)).flat_map(|it| &it.1).collect();
        for operation in row.operations.concat() {
            let is_sent = sent.iter().any(|it| *it == operation);
            if is_sent == unsent.iter().any(|(name, _)| *name == operation) {
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
    let later = || Ok(world.advance(Duration::from_secs(2))?);
    let (items, pages) = (cloud.table::<i64>("items"), cloud.bucket("pages"));
    items.put(("p", "a"), &1).await?;
    pages.put("a", "content").await?;
    recorded.record(Table, Access::Read, table_reads(&cloud.table("items").read_only())).await?;
    recorded.record(Table, Access::Write, table_writes(later, &cloud.table("items").write_only())).await?;
    recorded.record(Table, Access::ReadWrite, table_reads(&items)).await?;
    recorded.record(Table, Access::ReadWrite, table_writes(later, &items)).await?;
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
    let jobs = world.run(|cloud: &Cloud| {
        let jobs = cloud.topic::<u32>("jobs").subscribe_only();
        let jobs = jobs.subscription("default").with_max_attempts(2);
        App::new("worker").on_message(jobs, async |_job: Message<u32>, _cx| Err::<(), _>("not yet"))
    });
    let jobs = jobs.await?;
    cloud.topic::<u32>("jobs").publish(1).await?;
    recorded.record_use(None, delivers(world, &*jobs)).await?;
    let writes = world.run(|cloud: &Cloud| {
        let writes = cloud.table::<u32>("written").writes();
        App::new("index").on_write(writes, async |_write: WriteEvent, _cx| Ok::<(), isobar::Error>(()))
    });
    // Table Storage has no feed. If no world has one, the operations of its row are missing.
    if let Ok(writes) = writes.await {
        cloud.table::<u32>("written").put("a", &1).await?;
        recorded.record_use(None, delivers(world, &*writes)).await?;
    }
    Ok(())
}

/// All attempts.
async fn delivers(world: &dyn World, app: &dyn RunningApp) -> TrialResult {
    for _attempt in 0..3 {
        app.deliver().await?;
        world.advance(Duration::from_secs(600))?;
    }
    Ok(())
}

/// Each operation on the table `items`, the bucket `pages`, the topic `clicks` and the secret `api-token`. Errors: the first one.
pub async fn use_each_resource(cloud: &Cloud, clock: &ManualClock) -> TrialResult {
    let (items, pages) = (cloud.table::<i64>("items"), cloud.bucket("pages"));
    items.put(("p", "a"), &1).await?;
    pages.put("a", "content").await?;
    table_reads(&items).await?;
    let wait = || {
        clock.advance(Duration::from_secs(2));
        Ok(())
    };
    table_writes(wait, &items).await?;
    bucket_reads(&pages).await?;
    bucket_writes(&pages).await?;
    bucket_copies(&pages).await?;
    publishes(&cloud.topic("clicks")).await?;
    // A value is read again after some minutes.
    clock.advance(Duration::from_secs(3600));
    cloud.secret("api-token").get().await?;
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
async fn table_writes(advance: impl FnOnce() -> TrialResult, items: &Table<i64>) -> TrialResult {
    let version = items.put(("p", "a"), &1).await?;
    let version = items.put_with(("p", "a"), &2, PutMode::Update(version)).await?;
    items.delete_version(("p", "a"), &version).await?;
    items.put_with(("p", "a"), &3, PutMode::Create).await?;
    let many = items.put_many([(("p", "a"), &1), (("p", "b"), &2)]).await;
    many.into_iter().collect::<Result<Vec<_>, _>>()?;
    items.add(("p", "count"), 1).await?;
    items.add(("p", "count"), 1).await?;
    items.transact("p").put("b", &1).add("count", 1).delete("a").commit().await?;
    for expiring in ["put", "add", "transact"] {
        items.put_with(("p", expiring), &5, PutOptions::default().with_ttl(Duration::from_secs(1))).await?;
    }
    advance()?;
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
