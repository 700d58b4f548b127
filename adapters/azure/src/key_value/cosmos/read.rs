//! Reads of items by their keys.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http::Method;
use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::Key;
use isobar_rest::Safety;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CosmosKeyValue;
use super::key::{check_key, id, partition_header};
use super::request::{Ask, Success};
use super::service_error::is_absent;
use super::stored::Found;

/// The most keys in one query, so that its text and its response stay small.
const KEYS: usize = 100;

/// The most concurrent requests.
const CONCURRENCY: usize = 4;

/// A query: its text contains no values, only the names of parameters.
#[derive(Debug, Serialize)]
pub(super) struct Sql {
    query: String,
    parameters: Vec<Value>,
}

impl Sql {
    pub(super) fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), parameters: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.push(json!({"name": name, "value": value.into()}));
        self
    }
}

/// A page of items.
#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    #[serde(rename = "Documents")]
    pub(super) items: Vec<Found>,
}

impl CosmosKeyValue {
    /// The stored item at a key, also where it has expired.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Found>> {
        check_key(key)?;
        let id = id(&key.sort);
        let ask = Ask::item("ReadItem", Method::GET, Safety::Read, &id)
            .with("x-ms-documentdb-partitionkey", partition_header(&key.partition));
        match self.container.ask(ask).await? {
            Ok(success) => success.read().map(Some),
            Err(service_error) if is_absent(&service_error) => Ok(None),
            Err(service_error) => Err(service_error.into()),
        }
    }

    /// The stored items at different keys, also expired ones, in any order.
    pub(super) async fn find(&self, keys: &[&Key]) -> Result<Vec<Found>> {
        let mut groups: HashMap<&str, Vec<&str>> = HashMap::new();
        for key in keys {
            check_key(key)?;
            groups.entry(&key.partition).or_default().push(&key.sort);
        }
        let mut lookups: Vec<BoxFuture<'_, Result<Vec<Found>>>> = Vec::new();
        for (partition, sorts) in &groups {
            lookups.extend(sorts.chunks(KEYS).map(|sorts| self.look_up(partition, sorts).boxed()));
        }
        let found: Vec<_> = stream::iter(lookups).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The stored items at up to 100 keys of a partition, also expired ones.
    async fn look_up(&self, partition: &str, sorts: &[&str]) -> Result<Vec<Found>> {
        // A read of one item costs a third of a query.
        if let [sort] = sorts {
            return Ok(self.read(&Key::new(partition, *sort)).await?.into_iter().collect());
        }
        let names: Vec<_> = (0..sorts.len()).map(|number| format!("@i{number}")).collect();
        let mut sql = Sql::new(format!("SELECT * FROM c WHERE c.p = @p AND c.id IN ({})", names.join(", ")));
        sql = sql.with("@p", partition);
        for (name, sort) in names.iter().zip(sorts) {
            sql = sql.with(name, id(sort));
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.run(partition, &sql, sorts.len(), after.as_deref()).await?;
            found.extend(page.read::<Feed>()?.items);
            match page.continuation() {
                Some(continuation) => after = Some(continuation.to_owned()),
                None => return Ok(found),
            }
        }
    }

    /// One page of a query of one partition.
    pub(super) async fn run(&self, partition: &str, sql: &Sql, limit: usize, after: Option<&str>) -> Result<Success> {
        let mut ask = Ask::items("QueryItems", Method::POST, Safety::Read)
            .with("x-ms-documentdb-isquery", "True")
            .with("x-ms-documentdb-partitionkey", partition_header(partition))
            .with("x-ms-max-item-count", limit.to_string())
            .with_body("application/query+json", serde_json::to_vec(sql)?);
        if let Some(after) = after {
            ask = ask.with("x-ms-continuation", after);
        }
        Ok(self.container.ask(ask).await??)
    }
}
