//! What the deployment makes on Google Cloud: buckets, topics, subscriptions. Here it is made when it is opened
//! first, since a trial does not declare before.

use std::collections::BTreeSet;

use async_trait::async_trait;
use http::Method;
use isobar::driver::{Derived, Environment, ResourceKind};
use isobar::manifest::Manifest;
use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::copies::Copies;
use super::notices::Notices;
use super::pub_sub::{PubSubApi, Waiting, ask};
use super::{Services, signed};
use crate::backends::provisioned::Deployment;

/// A project of the emulators, whose id stands before the names of its resources.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) pub_sub: PubSubApi,
    pub(super) notices: Notices,
    /// Messages that were received and are not settled, by subscription, in their order.
    pub(super) waiting: tokio::sync::Mutex<Vec<(String, Waiting)>>,
    /// Dead letters that were read, with their topic: reading must not lose them.
    pub(super) dead: Mutex<Vec<(String, Value)>>,
    services: Services,
    /// fake-gcs-server, as the provider knows it.
    storage: String,
    files: tempfile::TempDir,
    made: tokio::sync::Mutex<BTreeSet<String>>,
}

impl Project {
    pub(super) async fn open(services: &Services, id: &str) -> Result<Self> {
        let unwritable = |error| Error::internal("no folder for a trial's files").with_source(error);
        let files = tempfile::tempdir().map_err(unwritable)?;
        std::fs::write(files.path().join("credentials.json"), signed::account()).map_err(unwritable)?;
        let pub_sub = PubSubApi { endpoint: services.pub_sub.clone(), project: id.to_owned() };
        let notices = Notices::new(&services.storage, &pub_sub);
        let storage = Copies::start(&services.storage).await?;
        let (waiting, dead, made) = Default::default();
        let (id, services) = (id.to_owned(), services.clone());
        Ok(Self { id, pub_sub, notices, waiting, dead, services, storage, files, made })
    }

    pub(super) fn environment(&self) -> Environment {
        // To emulators nothing is shown, but URLs are signed for them too.
        let credentials = self.files.path().join("credentials.json");
        Environment::default()
            .with_var("GOOGLE_CLOUD_PROJECT", &*self.id)
            .with_var("ISOBAR_PREFIX", format!("{}-", self.id))
            .with_var("GOOGLE_APPLICATION_CREDENTIALS", credentials.display().to_string())
            .with_var("FIRESTORE_EMULATOR_HOST", &*self.services.firestore)
            .with_var("PUBSUB_EMULATOR_HOST", &*self.services.pub_sub)
            .with_var("STORAGE_EMULATOR_HOST", &*self.storage)
    }

    /// What URLs are signed for.
    pub(super) fn storage_host(&self) -> &str {
        self.storage.trim_start_matches("http://")
    }

    pub(super) fn physical(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }
}

#[async_trait]
impl Deployment for Project {
    async fn make(&self, kind: ResourceKind, name: &str) -> Result<()> {
        let name = self.physical(name);
        let mut made = self.made.lock().await;
        if kind == ResourceKind::Table || !made.insert(format!("{kind} {name}")) {
            return Ok(());
        }
        if kind == ResourceKind::Topic {
            return self.pub_sub.make_topic(&name).await;
        }
        let url = format!("{}/storage/v1/b?project={}", self.services.storage, self.id);
        ask(Method::POST, &url, &json!({"name": name})).await.map(drop)
    }
}

impl Project {
    /// Makes what an app's triggers come from, and leads the events of buckets to their topics.
    pub(super) async fn subscribe(&self, manifest: &Manifest) -> Result<()> {
        for trigger in manifest.messages() {
            self.make(ResourceKind::Topic, &trigger.topic).await?;
        }
        for trigger in manifest.objects() {
            self.make(ResourceKind::Bucket, &trigger.bucket).await?;
            self.make(ResourceKind::Topic, &Derived::Events.of(&trigger.bucket)).await?;
            let bucket = self.physical(&trigger.bucket);
            self.notices.lead(&bucket, &Derived::Events.of(&bucket)).await?;
        }
        Ok(())
    }

    /// Subscriptions of an app, and where what comes by them is pushed to.
    pub(super) fn subscriptions(&self, manifest: &Manifest) -> Vec<(String, String)> {
        let topics = manifest.messages();
        let topics = topics.map(|it| (self.physical(&it.topic), format!("/.isobar/topics/{}", it.topic)));
        let buckets = manifest
            .objects()
            .map(|it| (self.physical(&Derived::Events.of(&it.bucket)), format!("/.isobar/buckets/{}", it.bucket)));
        topics.chain(buckets).collect()
    }
}
