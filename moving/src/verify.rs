//! Comparing one table on both sides: by sums of hashes first, then only the parts that differ.

use std::future::ready;

use futures_util::future::try_join_all;
use futures_util::stream::{self, Stream, TryStreamExt};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::key_value::{Item, Key};
use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::digest::{Digest, Parts, item_hash, part_of};
use crate::journal::{Change, ItemRecord};
use crate::pace::Pace;
use crate::report::{Counts, Difference, Phase};
use crate::run::{Repair, Run};
use crate::side::TableSide;
use crate::table::{PAGES, TableMove, on_thread, pages};

/// The number of the intent of a repair: one repair ends before the next begins. Those of copies begin at 1.
const REPAIR: u64 = 0;

impl TableMove<'_> {
    /// Compares both sides, and repairs what differs. `source` are the sums of the source, where a copy has them.
    pub(crate) async fn compare(&self, repair: Repair, source: Option<Digest>) -> Result<Counts> {
        let run = self.run;
        run.watch.phase(ResourceKind::Table, self.name, Phase::Verifying);
        let of_source = async {
            match source {
                Some(source) => Ok(source),
                None => digest(run, self.from, &run.source, false).await,
            }
        };
        let (source, target) = tokio::try_join!(of_source, digest(run, self.to, &run.target, true))?;
        let parts = source.differing(&target);
        let mut counts = Counts { equal: source.count_without(&parts), ..Counts::default() };
        if !parts.is_empty() {
            let counts = Mutex::new(&mut counts);
            let mut pages = std::pin::pin!(pages_of(self.from, &run.source, &parts));
            while let Some(page) = pages.try_next().await? {
                run.check_stop()?;
                self.compare_page(page, repair, &counts).await?;
            }
            let mut pages = std::pin::pin!(pages_of(self.to, &run.target, &parts));
            while let Some(page) = pages.try_next().await? {
                run.check_stop()?;
                self.find_extra(page, repair, &counts).await?;
            }
        }
        run.journal.flush().await?;
        Ok(counts)
    }

    /// Compares items of the source with those of the target.
    async fn compare_page(&self, page: Vec<Item>, repair: Repair, counts: &Mutex<&mut Counts>) -> Result<()> {
        let keys: Vec<Key> = page.iter().map(|item| item.key.clone()).collect();
        let found = self.read(self.to, &self.run.target, &keys).await?;
        let mut wrong = Vec::new();
        for (item, found) in page.iter().zip(&found) {
            match difference(item, found.as_ref()) {
                None => counts.lock().equal += 1,
                Some(difference) => wrong.push((item, difference)),
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        if repair.writes {
            self.repair(wrong, counts).await
        } else {
            for (item, difference) in wrong {
                self.report(&item.key, difference, counts);
            }
            Ok(())
        }
    }

    /// Writes items to the target, and reads them back.
    async fn repair(&self, wrong: Vec<(&Item, Difference)>, counts: &Mutex<&mut Counts>) -> Result<()> {
        let items: Vec<&Item> = wrong.iter().map(|(item, _)| *item).collect();
        // The source may have changed since: what counts is the item that is there now.
        let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
        let now = self.read(self.from, &self.run.source, &keys).await?;
        let now: Vec<Item> = now.into_iter().flatten().collect();
        let some: Vec<&Item> = now.iter().collect();
        let (resource, number) = (self.resource, REPAIR);
        let intents = now.iter().map(|item| (item.key.clone(), item_hash(item))).collect();
        self.run.journal.write(Change::Intend { resource, number, items: intents }).await?;
        for (key, error) in self.write(&some).await? {
            self.run.unfit(&self.place(&key), error.message())?;
        }
        let keys: Vec<Key> = now.iter().map(|item| item.key.clone()).collect();
        let found = self.read(self.to, &self.run.target, &keys).await?;
        let mut written = Vec::new();
        for (item, found) in now.iter().zip(&found) {
            match difference(item, found.as_ref()) {
                None => {
                    counts.lock().equal += 1;
                    counts.lock().repaired += 1;
                    written.push((item.key.clone(), ItemRecord { hash: item_hash(item), ours: true }));
                }
                Some(difference) => self.report(&item.key, difference, counts),
            }
        }
        self.run.journal.note(Change::Wrote { resource, number: Some(number), items: written })
    }

    /// Finds the items of the target that the source does not have.
    async fn find_extra(&self, page: Vec<Item>, repair: Repair, counts: &Mutex<&mut Counts>) -> Result<()> {
        let keys: Vec<Key> = page.iter().map(|item| item.key.clone()).collect();
        let found = self.read(self.from, &self.run.source, &keys).await?;
        for (item, _) in page.into_iter().zip(found).filter(|(_, found)| found.is_none()) {
            if repair.deletes {
                let deleted = self.run.target.run(|| self.to.driver.delete(&item.key, Some(&item.version))).await;
                match deleted {
                    Ok(()) => {
                        counts.lock().repaired += 1;
                        let keys = vec![item.key];
                        self.run.journal.note(Change::Forget { resource: self.resource, keys })?;
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
            self.report(&item.key, Difference::Extra, counts);
        }
        Ok(())
    }

    fn report(&self, key: &Key, difference: Difference, counts: &Mutex<&mut Counts>) {
        counts.lock().count(difference);
        self.run.watch.difference(&self.place(key), difference);
    }
}

/// How an item of the target differs; `None` if it does not.
fn difference(item: &Item, found: Option<&Item>) -> Option<Difference> {
    match found {
        None => Some(Difference::Missing),
        Some(found) if found.value != item.value => Some(Difference::Value),
        Some(found) if found.expires_at != item.expires_at => Some(Difference::Expiry),
        Some(_) => None,
    }
}

/// The sums of a whole table. Progress counts one side.
async fn digest(run: &Run<'_>, side: &TableSide, pace: &Pace, is_counted: bool) -> Result<Digest> {
    let digest = Mutex::new(Digest::default());
    let hash = |page: Vec<Item>| {
        on_thread(move || Ok(page.iter().map(|item| (part_of(&item.key), item_hash(item))).collect::<Vec<_>>()))
    };
    let add = |hashes: Vec<(usize, u128)>| {
        if is_counted {
            run.watch.done(hashes.len() as u64, 0);
        }
        let mut digest = digest.lock();
        hashes.into_iter().for_each(|(part, hash)| digest.add(part, hash));
        run.check_stop()
    };
    let segment = |segment| {
        let pages = pages(side, pace, segment, side.segments);
        pages.map_ok(&hash).try_buffer_unordered(PAGES).try_for_each(|hashes| ready(add(hashes)))
    };
    try_join_all((0..side.segments).map(segment)).await?;
    Ok(digest.into_inner())
}

/// The items of some parts of a table.
fn pages_of<'a>(
    side: &'a TableSide,
    pace: &'a Pace,
    parts: &'a Parts,
) -> impl Stream<Item = Result<Vec<Item>>> + Send + 'a {
    let segments =
        stream::iter((0..side.segments).map(|segment| Ok::<_, Error>(pages(side, pace, segment, side.segments))));
    segments.try_flatten().map_ok(|mut page: Vec<Item>| {
        page.retain(|item| parts.contain(&item.key));
        page
    })
}
