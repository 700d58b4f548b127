//! Links and their counters in one container of Cosmos DB with the partition key `/p`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::options::{ItemWriteOptions, Precondition};
use azure_data_cosmos::{CosmosError, FeedScope, Query};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A short link.
#[derive(Serialize, Deserialize)]
pub struct Link {
    pub url: String,
}

/// What is stored: a text or a number.
#[derive(Serialize, Deserialize)]
struct Item<T> {
    id: String,
    p: String,
    value: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(rename = "_etag", skip_serializing)]
    etag: Option<String>,
}

const NEWEST: &str = "newest";
const TOTAL: &str = "total";
const CLICKS: &str = "clicks";
const LINK: &str = "link";
const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);

#[derive(Clone)]
pub struct Links(ContainerClient);

impl Links {
    pub fn new(container: ContainerClient) -> Self {
        Self(container)
    }

    /// Stores a link under a new id: its counter, its place in the index, itself.
    pub async fn create(&self, link: &Link, ttl: Option<Duration>) -> Result<String, Error> {
        let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(7).collect();
        let counter = item(&partition(&id), CLICKS, 0_i64, ttl.map(|ttl| ttl + REMEMBERED));
        self.create_item(&counter).await?;
        let place = item(NEWEST, &format!("{:013}-{id}", now().as_millis()), id.clone(), ttl);
        self.0.upsert_item(NEWEST, &place.id, &place, None).await?;
        let stored = item(&partition(&id), LINK, link, ttl);
        self.0.upsert_item(stored.p.clone(), LINK, &stored, None).await?;
        Ok(id)
    }

    pub async fn find(&self, id: &str) -> Result<Option<Link>, Error> {
        Ok(self.get(&partition(id), LINK).await?.map(|item| item.value))
    }

    pub async fn clicks(&self, id: &str) -> Result<Option<i64>, Error> {
        match self.find(id).await? {
            Some(_) => Ok(Some(self.get(&partition(id), CLICKS).await?.map_or(0, |item| item.value))),
            None => Ok(None),
        }
    }

    pub async fn all_clicks(&self) -> Result<i64, Error> {
        Ok(self.get(TOTAL, CLICKS).await?.map_or(0, |item| item.value))
    }

    /// The newest links with their ids.
    pub async fn newest(&self, limit: usize) -> Result<Vec<(String, Link)>, Error> {
        let query = Query::from(format!("SELECT TOP {limit} * FROM c ORDER BY c.id DESC"));
        let places = self.0.query_items::<Item<String>>(query, FeedScope::partition(NEWEST), None).await?;
        let places: Vec<_> = places.try_collect().await?;
        let mut links = Vec::new();
        for place in places {
            if let Some(link) = self.find(&place.value).await? {
                links.push((place.value, link));
            }
        }
        Ok(links)
    }

    /// Counts a click, however often its message is delivered.
    pub async fn count(&self, id: &str, message: &str) -> Result<(), Error> {
        self.count_once(&partition(id), message).await?;
        self.count_once(TOTAL, message).await
    }

    async fn count_once(&self, partition: &str, message: &str) -> Result<(), Error> {
        if !self.create_item(&item(partition, &format!("seen-{message}"), 1, Some(REMEMBERED))).await? {
            return Ok(());
        }
        loop {
            let Some(mut counter) = self.get::<i64>(partition, CLICKS).await? else {
                if self.create_item(&item(partition, CLICKS, 1_i64, None)).await? {
                    return Ok(());
                }
                continue;
            };
            counter.value += 1;
            let read = Precondition::if_match(counter.etag.take().unwrap_or_default());
            let options = ItemWriteOptions::default().with_precondition(read);
            match self.0.replace_item(partition.to_owned(), CLICKS, &counter, Some(options)).await {
                Err(error) if status(&error) == 412 => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }

    /// An item that has not expired: Cosmos DB deletes it some time later.
    async fn get<T: serde::de::DeserializeOwned>(&self, partition: &str, id: &str) -> Result<Option<Item<T>>, Error> {
        match self.0.read_item(partition.to_owned(), id, None).await {
            Ok(found) => {
                let item: Item<T> = found.into_model()?;
                let alive = item.expires_at.is_none_or(|end| end > now().as_secs());
                Ok(alive.then_some(item))
            }
            Err(error) if status(&error) == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it was created, and not there already.
    async fn create_item<T: Serialize>(&self, item: &Item<T>) -> Result<bool, Error> {
        match self.0.create_item(item.p.clone(), &item.id, item, None).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == 409 => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn item<T>(partition: &str, id: &str, value: T, ttl: Option<Duration>) -> Item<T> {
    let expires_at = ttl.map(|ttl| (now() + ttl).as_secs());
    let (id, p, ttl) = (id.to_owned(), partition.to_owned(), ttl.map(|ttl| ttl.as_secs()));
    Item { id, p, value, expires_at, ttl, etag: None }
}

fn status(error: &CosmosError) -> u16 {
    error.status().status_code().into()
}

fn partition(id: &str) -> String {
    format!("link-{id}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
