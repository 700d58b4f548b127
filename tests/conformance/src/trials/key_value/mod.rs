//! Trials of key-value.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod access;
pub mod cancelling;
pub mod counter;
pub mod durability;
pub mod keys;
pub mod limits;
pub mod many;
pub mod modes;
pub mod names;
pub mod own;
pub mod paging;
pub mod put_many;
pub mod query;
pub mod races;
pub mod scan;
pub mod transact;
pub mod ttl;
pub mod typed;
pub mod update;
pub mod values;
pub mod versions;
pub mod write_handlers;
pub mod writes;

use isobar::Result;
use isobar::key_value::{Cursor, Entry, Page, Query, Table};

use crate::Trial;
use crate::strange::STRANGE_SORTS;

/// All of them.
pub fn all() -> Vec<Trial> {
    [
        values::all(),
        keys::all(),
        names::all(),
        limits::all(),
        modes::all(),
        versions::all(),
        many::all(),
        put_many::all(),
        query::all(),
        paging::all(),
        scan::all(),
        transact::all(),
        counter::all(),
        ttl::all(),
        update::all(),
        own::all(),
        typed::all(),
        access::all(),
        writes::all(),
        write_handlers::all(),
        races::all(),
        cancelling::all(),
        durability::all(),
    ]
    .concat()
}

/// Puts an item at each sort key of a partition; its value is the sort key's place in the list.
async fn fill(items: &Table<usize>, partition: &str, sorts: &[impl AsRef<str>]) -> Result<()> {
    for (chunk, sorts) in sorts.chunks(100).enumerate() {
        let mut writes = items.transact(partition);
        for (place, sort) in sorts.iter().enumerate() {
            writes = writes.put(sort.as_ref(), &(chunk * 100 + place));
        }
        writes.commit().await?;
    }
    Ok(())
}

/// The sort keys of entries.
fn sorts<T>(entries: &[Entry<T>]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.sort.as_str()).collect()
}

/// The pages of a query, each begun from the printed cursor of the one before.
async fn pages<T>(query: Query<T>) -> Result<Vec<Page<T>>>
where
    T: serde::de::DeserializeOwned + Clone + 'static,
{
    let mut pages = Vec::new();
    let mut query = query;
    loop {
        let page = query.page().await?;
        let next = page.next.clone();
        pages.push(page);
        assert!(pages.len() < 10_000, "the query does not end");
        let Some(next) = next else { return Ok(pages) };
        query = query.after(next.to_string().parse::<Cursor>()?);
    }
}

/// Runs tasks at the same time, and waits for all of them.
pub(in crate::trials) async fn concurrently<T, F>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = (0..tasks).map(|number| tokio::spawn(task(number))).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a task panicked"));
    }
    results
}
