//! Two stages of the app `cron` at the same time on the same services: each has its own API, token and answers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Response, StatusCode};
use isobar::{App, Body, Cloud, Result};
use isobar_conformance::{HarnessResult, RunningApp, World};
use serde_json::{Value, json};

use super::cloud::{CloudUnderTest, CloudWorld};
use crate::server::{Respond, response_of, start};

/// A host on which several stages of one app run at the same time, on the same services.
#[async_trait]
pub trait Stages: Send + Sync {
    /// The part of one stage.
    type Stage: CloudUnderTest;

    /// The parts whose resources have the prefixes `<app>-<stage>-`. The process of the app has `ISOBAR_STAGE` alone.
    async fn open_stages(&self, app: &str, stages: &[&str]) -> Result<Vec<CloudWorld<Self::Stage>>>;

    /// The values that an app has stored in a partition.
    async fn stored(
        world: &CloudWorld<Self::Stage>,
        _app: &<Self::Stage as CloudUnderTest>::App,
        table: &str,
        partition: &str,
    ) -> Result<Vec<Value>> {
        let page = world.cloud().table::<Value>(table).query(partition).page().await?;
        Ok(page.items.into_iter().map(|item| item.value).collect())
    }
}

/// The variables of a stage, instead of the prefix of a trial.
pub(crate) fn variables_of(stage: &str) -> BTreeMap<String, String> {
    [("ISOBAR_PREFIX", ""), ("ISOBAR_STAGE", stage)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

const STAGES: [&str; 2] = ["blue", "green"];

/// What each stage sent to its API and stored. The store of each contains the values of both, and others without a stage.
pub async fn transcript<H: Stages>(host: &H, app: fn(&Cloud) -> App) -> HarnessResult<Vec<String>> {
    let api = start(|url| Echo { url }).await?;
    let worlds = host.open_stages("cron", &STAGES).await?;
    for world in &worlds {
        for (prefix, of) in [("", "none"), ("cron-blue-", STAGES[0]), ("cron-green-", STAGES[1])] {
            let settings = json!({"api": format!("{}/{of}", api.url)}).to_string();
            world.0.set_secret(&format!("{prefix}settings"), Some(&settings)).await?;
            world.0.set_secret(&format!("{prefix}api-token"), Some(&format!("hunter2-of-{of}"))).await?;
        }
    }
    let mut apps = Vec::new();
    for world in &worlds {
        apps.push(world.run(Box::new(move |cloud| Ok(app(cloud)))).await?);
    }
    for app in &apps {
        app.tick("poll").await?;
    }
    let mut lines = Vec::new();
    for ((stage, world), app) in STAGES.iter().zip(&worlds).zip(&apps) {
        // The schedule itself may have had a tick too.
        let answers: BTreeSet<_> = H::stored(world, app, "seen", "poll").await?.iter().map(Value::to_string).collect();
        lines.extend(answers.iter().map(|answer| format!("{stage}: {answer}")));
    }
    Ok(lines)
}

/// An API that returns the path and the token of a request.
struct Echo {
    url: String,
}

#[async_trait]
impl Respond for Echo {
    async fn respond(&self, parts: Parts, _: Bytes) -> Result<Response<Body>> {
        let token = parts.headers.get(AUTHORIZATION).map(|token| String::from_utf8_lossy(token.as_bytes()));
        Ok(response_of(StatusCode::OK, json!({"path": parts.uri.path(), "token": token}).to_string()))
    }
}
