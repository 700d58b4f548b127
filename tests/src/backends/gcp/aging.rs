//! What a deployed app stored, made older: its clock is the machine's, and a trial's is moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::Method;
use isobar::clock::to_millis;
use isobar::{Clock, ManualClock, Result};
use serde_json::{Value, json};

use super::project::ask;

/// Moves the expiry of items back by what a manual clock was moved on.
#[derive(Debug)]
pub(super) struct Aging {
    clock: ManualClock,
    /// Of all documents of the project, in the emulator.
    documents: String,
    tables: Vec<String>,
    /// Up to when, in milliseconds of the manual clock, that is done.
    moved: AtomicU64,
}

impl Aging {
    pub(super) fn new(firestore: &str, project: &str, tables: Vec<String>, clock: &ManualClock) -> Self {
        let documents = format!("{firestore}/v1/projects/{project}/databases/(default)/documents");
        let (clock, moved) = (clock.clone(), AtomicU64::new(to_millis(clock.now())));
        Self { clock, documents, tables, moved }
    }

    pub(super) async fn catch_up(&self) -> Result<()> {
        let now = to_millis(self.clock.now());
        let by = now.saturating_sub(self.moved.swap(now, Ordering::Relaxed));
        if by == 0 {
            return Ok(());
        }
        for table in &self.tables {
            self.move_expiry_back(table, by).await?;
        }
        Ok(())
    }

    async fn move_expiry_back(&self, table: &str, by: u64) -> Result<()> {
        let query = json!({"structuredQuery": {"from": [{"collectionId": table, "allDescendants": true}]}});
        let found = ask(Method::POST, &format!("{}:runQuery", self.documents), &query).await?;
        for found in found.as_array().into_iter().flatten() {
            let document = &found["document"];
            let (name, expires) = (document["name"].as_str(), &document["fields"]["expireAt"]["timestampValue"]);
            let time = expires.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            let (Some((_, path)), Some(time)) = (name.and_then(|name| name.split_once("/documents/")), time) else {
                continue;
            };
            let earlier = time.to_utc() - TimeDelta::milliseconds(i64::try_from(by).unwrap_or(i64::MAX));
            self.expire_at(path, earlier).await?;
        }
        Ok(())
    }

    async fn expire_at(&self, path: &str, time: DateTime<Utc>) -> Result<()> {
        let path = path.split('/').map(percent_encoded).collect::<Vec<_>>().join("/");
        let url = format!("{}/{path}?updateMask.fieldPaths=expireAt", self.documents);
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let fields: Value = json!({"fields": {"expireAt": {"timestampValue": time}}});
        ask(Method::PATCH, &url, &fields).await.map(drop)
    }
}

fn percent_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
