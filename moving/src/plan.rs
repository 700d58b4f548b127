//! What a move would do, before it does anything.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::blob::ListRequest;
use isobar_abstraction::{Error, Result};
use object_store::GetOptions;
use serde::Serialize;

use crate::bucket::{self, BucketMove};
use crate::fit;
use crate::journal::Journal;
use crate::mover::{Resource, pairs};
use crate::report::{Phase, Watch, kind_name};
use crate::run::{Options, Run};
use crate::side::Side;
use crate::table::{self, TableMove};
use crate::upload;

/// What a move would do with a table or a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// `table` or `bucket`.
    #[serde(serialize_with = "kind_name")]
    pub kind: ResourceKind,
    /// Its logical name.
    pub name: String,
    /// The items or objects of the source.
    pub count: u64,
    /// Their bytes: keys and values of items, contents of objects.
    pub bytes: u64,
    /// Has the target data?
    pub has_target_data: bool,
    /// The requests that read, on both sides together, with the comparison at the end; about.
    pub reads: u64,
    /// The writes to the target, if it has nothing: one for each item, and one for each object or part of one.
    pub writes: u64,
    /// What the target cannot have.
    pub unfit: u64,
}

/// Counts what would move, and reports to `watch` what the target cannot have. All items of the source are read, and the list
/// of its objects; where the target has a lower limit of metadata, the head of each object too. Errors: those of both sides.
pub fn plan<'a>(
    from: &'a Side,
    to: &'a Side,
    options: &'a Options,
    watch: &'a dyn Watch,
) -> BoxFuture<'a, Result<Vec<Planned>>> {
    Box::pin(async move {
        let journal = Journal::in_memory()?;
        let run = Run::new(&journal, options, watch);
        let mut planned = Vec::new();
        for pair in pairs(&run, from, to)? {
            watch.phase(pair.kind, pair.name, Phase::Planning);
            planned.push(match &pair.of {
                Resource::Table(table) => table.plan().await?,
                Resource::Bucket(bucket) => bucket.plan().await?,
            });
        }
        Ok(planned)
    })
}

fn nothing(kind: ResourceKind, name: &str) -> Planned {
    let name = name.to_owned();
    Planned { kind, name, count: 0, bytes: 0, has_target_data: false, reads: 0, writes: 0, unfit: 0 }
}

impl TableMove<'_> {
    async fn plan(&self) -> Result<Planned> {
        let mut planned = nothing(ResourceKind::Table, self.name);
        for segment in 0..self.from.segments {
            let mut pages = std::pin::pin!(table::pages(self.from, &self.run.source, segment, self.from.segments));
            while let Some(page) = pages.try_next().await? {
                self.run.check_stop()?;
                planned.reads += 3;
                for item in &page {
                    planned.count += 1;
                    planned.bytes += table::size(item) as u64;
                    if let Some(why) = fit::item(item, &self.to.limits) {
                        planned.unfit += 1;
                        self.run.watch.unfit(&self.place(&item.key), &why);
                    }
                }
                self.run.watch.done(page.len() as u64, page.iter().map(table::size).sum::<usize>() as u64);
            }
        }
        planned.writes = planned.count;
        planned.has_target_data = !self.is_target_empty().await?;
        Ok(planned)
    }
}

impl BucketMove<'_> {
    async fn plan(&self) -> Result<Planned> {
        let mut planned = nothing(ResourceKind::Bucket, self.name);
        let reads_heads = self.to.limits.metadata_bytes < self.from.limits.metadata_bytes;
        let store = self.from.driver.object_store();
        let unreadable = AtomicU64::new(0);
        let mut objects = std::pin::pin!(bucket::objects(self.from, &self.run.source, |name| {
            unreadable.fetch_add(1, Ordering::Relaxed);
            self.run.watch.unfit(&self.place(name), bucket::UNREADABLE);
            Ok(())
        }));
        while let Some(object) = objects.try_next().await? {
            self.run.check_stop()?;
            planned.count += 1;
            planned.bytes += object.size;
            planned.reads += 1 + u64::from(reads_heads);
            planned.writes += upload::requests(object.size);
            let attributes = match reads_heads {
                true => {
                    let head = || async {
                        let options = GetOptions::default().with_head(true);
                        store.get_opts(&object.location, options).await.map_err(Error::from)
                    };
                    Some(self.run.source.run(head).await?.attributes)
                }
                false => None,
            };
            let name = object.location.as_ref();
            if let Some(why) = fit::object(name, attributes.as_ref(), &self.to.limits) {
                planned.unfit += 1;
                self.run.watch.unfit(&self.place(name), &why);
            }
            self.run.watch.done(1, object.size);
        }
        planned.unfit += unreadable.load(Ordering::Relaxed);
        planned.reads += 3 * planned.count.div_ceil(bucket::PAGE as u64).max(1);
        let first = self.run.target.run(|| self.to.driver.list(&FIRST)).await?;
        planned.has_target_data = !first.objects.is_empty() || first.resume.is_some();
        Ok(planned)
    }
}

/// One object, if there is one.
static FIRST: std::sync::LazyLock<ListRequest> = std::sync::LazyLock::new(|| ListRequest::new("", 1));
