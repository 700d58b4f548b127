//! Moving and comparing all resources of two sides.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use isobar_abstraction::driver::{Clock, ResourceKind};
use isobar_abstraction::{Error, Result};

use crate::backup::{Backup, BackupWriter};
use crate::bucket::BucketMove;
use crate::digest::Digest;
use crate::journal::Journal;
use crate::report::{Counts, Report, Sums, Watch};
use crate::run::{Options, Repair, Run};
use crate::side::Side;
use crate::table::TableMove;

/// Makes the target equal to the source: each table and each bucket of the source.
///
/// A second run with the same journal writes what changed since, and deletes what an earlier run wrote and the source does not
/// have any more. At the end both sides are compared, and what differs is written again. Objects whose versions the journal has
/// are not read for that.
///
/// Errors: those of both sides; `Config` for a resource that the target does not have; `InvalidInput` for what cannot be
/// carried, unless [`Options::skip_unfit`] is set; `Unavailable` after [`Options::stop`]. After each of them the same call
/// continues.
pub fn migrate<'a>(
    from: &'a Side,
    to: &'a Side,
    journal: &'a Journal,
    options: &'a Options,
    watch: &'a dyn Watch,
) -> BoxFuture<'a, Result<Vec<Report>>> {
    Box::pin(async move {
        let run = Run::new(journal, options, watch);
        let repair = Repair { writes: true, deletes: options.delete_extra };
        let mut reports = Vec::new();
        for pair in pairs(&run, from, to)? {
            let (moved, copied) = pair.copy().await?;
            let compared = pair.compare(repair, copied, true).await?;
            reports.push(pair.report(Some(moved), compared));
        }
        Ok(reports)
    })
}

/// Writes all tables and buckets of the source to a backup file, which replaces one that is there. Then the file is opened,
/// checked, and compared with the source: what was written to the source meanwhile differs.
///
/// `clock` is that of the source. Errors: those of the source and of the disk; a file that is there is not changed then.
pub fn backup<'a>(
    from: &'a Side,
    file: &'a Path,
    clock: Arc<dyn Clock>,
    options: &'a Options,
    watch: &'a dyn Watch,
) -> BoxFuture<'a, Result<Vec<Report>>> {
    Box::pin(async move {
        let journal = Journal::in_memory()?;
        let run = Run::new(&journal, options, watch);
        let writer = BackupWriter::create(file, from)?;
        let to = writer.side(from);
        let mut moved = Vec::new();
        for pair in pairs(&run, from, &to)? {
            moved.push(pair.copy().await?);
        }
        writer.finish()?;
        let to = Backup::open(file, clock)?.side();
        let mut reports = Vec::new();
        for (pair, (moved, copied)) in pairs(&run, from, &to)?.into_iter().zip(moved) {
            let compared = pair.compare(Repair::default(), copied, true).await?;
            reports.push(pair.report(Some(moved), compared));
        }
        Ok(reports)
    })
}

/// Compares both sides, and reports each difference to `watch`. With `repair` the target becomes equal to the source.
///
/// The content of objects is read on both sides. Errors: those of both sides.
pub fn verify<'a>(
    from: &'a Side,
    to: &'a Side,
    repair: bool,
    options: &'a Options,
    watch: &'a dyn Watch,
) -> BoxFuture<'a, Result<Vec<Report>>> {
    Box::pin(async move {
        let journal = Journal::in_memory()?;
        let run = Run::new(&journal, options, watch);
        let repair = Repair { writes: repair, deletes: repair && options.delete_extra };
        let mut reports = Vec::new();
        for pair in pairs(&run, from, to)? {
            let compared = pair.compare(repair, None, false).await?;
            reports.push(pair.report(None, compared));
        }
        Ok(reports)
    })
}

/// A resource on both sides.
pub(crate) struct Pair<'a> {
    pub(crate) kind: ResourceKind,
    pub(crate) name: &'a str,
    pub(crate) of: Resource<'a>,
}

pub(crate) enum Resource<'a> {
    Table(TableMove<'a>),
    Bucket(BucketMove<'a>),
}

impl Pair<'_> {
    /// The sums of what was copied are those of a table.
    async fn copy(&self) -> Result<(Sums, Option<Digest>)> {
        match &self.of {
            Resource::Table(table) => table.copy().await.map(|(sums, copied)| (sums, Some(copied))),
            Resource::Bucket(bucket) => bucket.copy().await.map(|sums| (sums, None)),
        }
        .map_err(|error| self.named(error))
    }

    async fn compare(&self, repair: Repair, copied: Option<Digest>, trusted: bool) -> Result<Counts> {
        match &self.of {
            Resource::Table(table) => table.compare(repair, copied).await,
            Resource::Bucket(bucket) => bucket.compare(repair, trusted).await,
        }
        .map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.with_resource(format!("{} `{}`", self.kind, self.name))
    }

    fn report(&self, moved: Option<Sums>, compared: Counts) -> Report {
        Report { kind: self.kind, name: self.name.to_owned(), moved, compared }
    }
}

/// The resources of the source, each with that of the target. Errors: `Config` for one that the target does not have.
pub(crate) fn pairs<'a>(run: &'a Run<'a>, from: &'a Side, to: &'a Side) -> Result<Vec<Pair<'a>>> {
    let pair = |(kind, name): (ResourceKind, &'a str)| {
        let missing = || Error::config(format!("{} has no {kind} `{name}`, which {} has", to.name(), from.name()));
        let resource = run.journal.resource(&format!("{kind}/{name}"))?;
        let of = match (from.table(name), from.bucket(name)) {
            (Some(from), _) if kind == ResourceKind::Table => {
                Resource::Table(TableMove { run, name, from, to: to.table(name).ok_or_else(missing)?, resource })
            }
            (_, Some(from)) => {
                Resource::Bucket(BucketMove { run, name, from, to: to.bucket(name).ok_or_else(missing)?, resource })
            }
            _ => return Err(missing()),
        };
        Ok(Pair { kind, name, of })
    };
    from.names().map(pair).collect()
}
