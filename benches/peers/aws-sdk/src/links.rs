//! Links and their counters in one DynamoDB table with the string keys `pk` and `sk`.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

/// A short link.
#[derive(Serialize, Deserialize)]
pub struct Link {
    pub url: String,
}

type Item = HashMap<String, AttributeValue>;

const NEWEST: &str = "newest";
const TOTAL: &str = "total";
const CLICKS: &str = "clicks";
const LINK: &str = "link";
const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);

#[derive(Clone)]
pub struct Links {
    client: Client,
    table: String,
}

impl Links {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a link under a new id: its counter, its place in the index, itself.
    pub async fn create(&self, link: &Link, ttl: Option<Duration>) -> Result<String, Error> {
        let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(7).collect();
        let counter = item(&partition(&id), CLICKS, ttl.map(|ttl| ttl + REMEMBERED));
        self.create_item(with(counter, "n", AttributeValue::N("0".to_owned()))).await?;
        let place = format!("{:013}/{id}", now().as_millis());
        self.put(with(item(NEWEST, &place, ttl), "value", AttributeValue::S(id.clone()))).await?;
        let value = AttributeValue::S(serde_json::to_string(link)?);
        self.put(with(item(&partition(&id), LINK, ttl), "value", value)).await?;
        Ok(id)
    }

    pub async fn find(&self, id: &str) -> Result<Option<Link>, Error> {
        match self.get(&partition(id), LINK).await? {
            Some(item) => Ok(Some(serde_json::from_str(text(&item, "value")?)?)),
            None => Ok(None),
        }
    }

    pub async fn clicks(&self, id: &str) -> Result<Option<i64>, Error> {
        match self.find(id).await? {
            Some(_) => Ok(Some(number(self.get(&partition(id), CLICKS).await?)?)),
            None => Ok(None),
        }
    }

    pub async fn all_clicks(&self) -> Result<i64, Error> {
        number(self.get(TOTAL, CLICKS).await?)
    }

    /// The newest links with their ids.
    pub async fn newest(&self, limit: i32) -> Result<Vec<(String, Link)>, Error> {
        let query = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", string(NEWEST));
        let places = query.limit(limit).send().await?.items.unwrap_or_default();
        let ids: Vec<&str> = places.iter().map(|place| text(place, "value")).collect::<Result<_, _>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ids.iter().map(|id| item(&partition(id), LINK, None)).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
        let found = self.client.batch_get_item().request_items(&self.table, wanted).send().await?;
        let mut links = HashMap::new();
        for link in found.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
            links.insert(text(&link, "pk")?.to_owned(), serde_json::from_str(text(&link, "value")?)?);
        }
        Ok(ids.iter().filter_map(|id| Some(((*id).to_owned(), links.remove(&partition(id))?))).collect())
    }

    /// Counts a click, however often its message is delivered.
    pub async fn count(&self, id: &str, message: &str) -> Result<(), Error> {
        self.count_once(&partition(id), message).await?;
        self.count_once(TOTAL, message).await
    }

    async fn count_once(&self, partition: &str, message: &str) -> Result<(), Error> {
        if !self.create_item(item(partition, &format!("seen/{message}"), Some(REMEMBERED))).await? {
            return Ok(());
        }
        let update = self.client.update_item().table_name(&self.table).update_expression("ADD n :one");
        let update = update.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        update.key("pk", string(partition)).key("sk", string(CLICKS)).send().await?;
        Ok(())
    }

    /// An item that has not expired: DynamoDB deletes it days later.
    async fn get(&self, partition: &str, sort: &str) -> Result<Option<Item>, Error> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let item = get.key("pk", string(partition)).key("sk", string(sort)).send().await?.item;
        Ok(item.filter(|item| match item.get("ttl") {
            Some(AttributeValue::N(ttl)) => ttl.parse::<u64>().is_ok_and(|ttl| ttl > now().as_secs()),
            _ => true,
        }))
    }

    async fn put(&self, item: Item) -> Result<(), Error> {
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Whether it was created, and not there already.
    async fn create_item(&self, item: Item) -> Result<bool, Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn item(partition: &str, sort: &str, ttl: Option<Duration>) -> Item {
    let mut item = Item::from([("pk".to_owned(), string(partition)), ("sk".to_owned(), string(sort))]);
    if let Some(ttl) = ttl {
        let end = (now() + ttl).as_secs();
        item.insert("ttl".to_owned(), AttributeValue::N(end.to_string()));
    }
    item
}

fn with(mut item: Item, name: &str, value: AttributeValue) -> Item {
    item.insert(name.to_owned(), value);
    item
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, Error> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    Ok(value.ok_or_else(|| format!("an item without `{name}`"))?)
}

fn number(item: Option<Item>) -> Result<i64, Error> {
    let Some(item) = item else { return Ok(0) };
    let value = item.get("n").and_then(|value| value.as_n().ok());
    Ok(value.ok_or("a counter without `n`")?.parse()?)
}

fn partition(id: &str) -> String {
    format!("link/{id}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
