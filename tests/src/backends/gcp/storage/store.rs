//! What the double holds: buckets and their objects.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::uploads::Uploads;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Store {
    buckets: HashMap<String, BTreeMap<String, Object>>,
    pub(super) uploads: Uploads,
    last: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) generation: i64,
    pub(super) content: Bytes,
    /// As it was given: type, metadata and the like.
    pub(super) description: Value,
    pub(super) updated: SystemTime,
}

/// What a call is refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    NoBucket,
    NoObject,
    Condition,
    Invalid(&'static str),
}

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) prefixes: Vec<String>,
    pub(super) next: Option<String>,
}

/// What a list is asked for.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) prefix: String,
    pub(super) delimiter: String,
    /// The first name.
    pub(super) start: String,
    pub(super) limit: usize,
}

impl Object {
    /// As the JSON API describes it.
    pub(super) fn resource(&self, bucket: &str, name: &str) -> Value {
        let mut resource = self.description.clone();
        let time = DateTime::<Utc>::from(self.updated).to_rfc3339_opts(SecondsFormat::Millis, true);
        resource["kind"] = json!("storage#object");
        resource["bucket"] = json!(bucket);
        resource["name"] = json!(name);
        resource["size"] = json!(self.content.len().to_string());
        resource["generation"] = json!(self.generation.to_string());
        resource["metageneration"] = json!("1");
        resource["updated"] = json!(time);
        resource["timeCreated"] = json!(time);
        if resource["storageClass"].is_null() {
            resource["storageClass"] = json!("STANDARD");
        }
        resource
    }
}

impl Store {
    pub(super) fn create_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    pub(super) fn bucket(&self, bucket: &str) -> Result<&BTreeMap<String, Object>, Refused> {
        self.buckets.get(bucket).ok_or(Refused::NoBucket)
    }

    pub(super) fn object(&self, bucket: &str, name: &str) -> Result<&Object, Refused> {
        self.bucket(bucket)?.get(name).ok_or(Refused::NoObject)
    }

    /// Is this generation there? 0 is no object.
    pub(super) fn holds(&self, bucket: &str, name: &str, wanted: Option<i64>) -> Result<(), Refused> {
        let current = self.bucket(bucket)?.get(name).map_or(0, |object| object.generation);
        if wanted.is_none_or(|wanted| wanted == current) { Ok(()) } else { Err(Refused::Condition) }
    }

    pub(super) fn write(
        &mut self,
        bucket: &str,
        name: &str,
        content: Bytes,
        description: Value,
        wanted: Option<i64>,
    ) -> Result<Value, Refused> {
        self.holds(bucket, name, wanted)?;
        if name.is_empty() || name.len() > 1_024 || name.contains(['\r', '\n']) || [".", ".."].contains(&name) {
            return Err(Refused::Invalid("no name of an object"));
        }
        // A generation is never seen again.
        self.last = self.last.max(Utc::now().timestamp_micros() - 1) + 1;
        let object = Object { generation: self.last, content, description, updated: SystemTime::now() };
        let told = object.resource(bucket, name);
        self.buckets.entry(bucket.to_owned()).or_default().insert(name.to_owned(), object);
        Ok(told)
    }

    pub(super) fn delete(&mut self, bucket: &str, name: &str) -> Result<(), Refused> {
        let objects = self.buckets.get_mut(bucket).ok_or(Refused::NoBucket)?;
        objects.remove(name).map(drop).ok_or(Refused::NoObject)
    }

    /// Takes names and groups alike, until the page is full.
    pub(super) fn list(&self, bucket: &str, wish: &Wish) -> Result<Page, Refused> {
        let Wish { prefix, delimiter, start, limit } = wish;
        let mut page = Page::default();
        let named = self.bucket(bucket)?.range(start.clone()..).filter(|(name, _)| name.starts_with(prefix));
        for (name, object) in named {
            let below = name.get(prefix.len()..).unwrap_or_default();
            let end = (!delimiter.is_empty()).then(|| below.find(delimiter)).flatten();
            let group = end.and_then(|end| name.get(..prefix.len() + end + delimiter.len())).map(str::to_owned);
            if group.is_some() && group.as_ref() == page.prefixes.last() {
                continue;
            }
            if page.items.len() + page.prefixes.len() == *limit {
                page.next = Some(name.clone());
                break;
            }
            match group {
                Some(group) => page.prefixes.push(group),
                None => page.items.push(object.resource(bucket, name)),
            }
        }
        Ok(page)
    }
}
