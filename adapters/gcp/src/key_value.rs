//! Tables as collections of Firestore, through its REST API.
//!
//! [`stored`] describes how tables and items are stored. All reads are strongly consistent. Only Firestore's automatic
//! indexes are needed; removing all fields except `s` from them makes writes cheaper, and a TTL policy on `expireAt` of
//! the collection group deletes expired items.

mod commit;
mod counter;
mod key;
mod range;
mod read;
mod scan;
mod service_error;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::driver::{Clock, Location};
use isobar_abstraction::{Error, Result};
use isobar_rest::{PageSize, PutBatch, put_in_batches, put_together};
use tokio::sync::OnceCell;

use crate::State;
use crate::config::Placement;
use crate::service::GoogleService;
pub(crate) use key::key_of;
#[cfg(test)]
pub(crate) use key::path;
use range::{StructuredQuery, ends};

/// The puts of one commit: less than 500 writes and 10 MiB, with room for names and fields.
const PUTS: PutBatch = PutBatch { puts: 400, bytes: 8_000_000, one_partition: false, requests: 4 };

/// Attempts of a write that loses races against other writes.
const MAX_ATTEMPTS: u32 = 20;

/// Opens the table at a location of the configuration, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn KeyValue>> {
    Ok(Arc::new(FirestoreKeyValue::new(state, at)?))
}

/// A collection of Firestore.
#[derive(Debug)]
pub(crate) struct FirestoreKeyValue {
    service: GoogleService,
    clock: Arc<dyn Clock>,
    project: Option<String>,
    database: String,
    collection: String,
    page_size: PageSize,
    /// The prefix of the names of all documents.
    documents: OnceCell<String>,
}

impl FirestoreKeyValue {
    fn new(state: &Arc<State>, at: &Location) -> Result<Self> {
        match state.config.placement(at)? {
            Placement::Firestore { endpoint, project, database, collection } => {
                let resource = format!("the collection `{collection}` of Firestore");
                let service = GoogleService::new(Arc::clone(state), endpoint, resource);
                let clock = Arc::clone(&state.clock);
                let (page_size, documents) = Default::default();
                Ok(Self { service, clock, project, database, collection, page_size, documents })
            }
            _ => Err(Error::config(format!("{at} is not a table"))),
        }
    }

    /// `projects/P/databases/D/documents`. Errors: `Config` if no source contains the project.
    async fn documents(&self) -> Result<&str> {
        let found = self.documents.get_or_try_init(|| async {
            let project = match &self.project {
                Some(project) => project.as_str().into(),
                None => self.service.state().credentials.project().await?,
            };
            Ok::<_, Error>(format!("projects/{project}/databases/{}/documents", self.database))
        });
        found.await.map(String::as_str)
    }

    /// The name of the document of an item.
    async fn name(&self, key: &Key) -> Result<String> {
        Ok(format!("{}/{}", self.documents().await?, key::path(&self.collection, key)?))
    }
}

#[async_trait]
impl KeyValue for FirestoreKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        match self.read(key).await? {
            Some(found) => found.into_item(key.clone(), self.clock.now()),
            None => Ok(None),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let found = self.find(&keys.iter().collect::<Vec<_>>()).await?;
        let now = self.clock.now();
        let items = keys.iter().zip(found).map(|(key, found)| match found {
            Some(found) => found.into_item(key.clone(), now),
            None => Ok(None),
        });
        items.collect()
    }

    async fn put(&self, put: Put) -> Result<Version> {
        let written = self.write("Put", &[Write::Put(put)]).await?;
        let version = written.into_iter().next().flatten();
        version.ok_or_else(|| Error::internal("bug in isobar: a put has no version; please report it"))
    }

    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        put_in_batches(self, puts, PUTS, |puts| put_together(self, puts)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let write = Write::Delete { key: key.clone(), version: version.cloned() };
        self.write("Delete", &[write]).await.map(drop)
    }

    /// One page. The cursor is the last sort key, as for every provider.
    async fn query(&self, range: &QueryRange) -> Result<Items> {
        let parent = format!("/{}", key::parent(&self.collection, &range.partition)?);
        let (start, end) = ends(range);
        let query =
            StructuredQuery { parent, field: "s", descending: range.descending, start, end, limit: range.limit };
        self.page(query, |key, _| key.sort.clone()).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.scan_items(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.write("Transact", &writes).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.add_item(key, delta).await
    }
}
