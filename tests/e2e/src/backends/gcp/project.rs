//! What a deployment makes on Google Cloud: buckets, topics and subscriptions. Here each is made when it is first
//! opened, since a trial does not declare resources before.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use isobar::driver::{Derived, Environment, ResourceKind, ResourceUrl};
use isobar::{Error, EventQueue, Result};
use serde_json::json;

use super::copies::Copies;
use super::eventarc::DocumentTriggers;
use super::notifications::Notifications;
use super::pub_sub::{PubSubApi, Waiting, call};
use super::secret_manager::SecretManager;
use super::{Services, signed};
use crate::backends::provisioned::{Deployment, Made};

/// A project of the emulators.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    /// The prefix of the resources of one trial.
    prefix: String,
    pub(super) pub_sub: PubSubApi,
    pub(super) notifications: Notifications,
    pub(super) documents: DocumentTriggers,
    /// Messages that were received and are not acknowledged, each with its subscription, in their order.
    pub(super) waiting: tokio::sync::Mutex<Vec<(String, Waiting)>>,
    pub(super) secrets: SecretManager,
    services: Services,
    /// The way of the provider to fake-gcs-server.
    copies: Arc<Copies>,
    files: tempfile::TempDir,
    made: Made,
}

impl Project {
    pub(super) async fn open(services: &Services, id: &str, prefix: &str) -> Result<Self> {
        let unwritable = |error| Error::internal("no folder for a trial's files").with_source(error);
        let files = tempfile::tempdir().map_err(unwritable)?;
        std::fs::write(files.path().join("credentials.json"), signed::account()).map_err(unwritable)?;
        let pub_sub = PubSubApi { endpoint: services.pub_sub.clone(), project: id.to_owned() };
        let notifications = Notifications::new(&services.storage, &pub_sub);
        let documents = DocumentTriggers::new(&services.firestore, id);
        let (copies, secrets) = (Copies::start(&services.storage).await?, SecretManager::start().await?);
        let (waiting, made) = Default::default();
        let (id, prefix, services) = (id.to_owned(), prefix.to_owned(), services.clone());
        Ok(Self { id, prefix, pub_sub, notifications, documents, waiting, secrets, services, copies, files, made })
    }

    pub(super) fn environment(&self) -> Environment {
        // No emulator checks credentials, but URLs are signed for them too.
        let credentials = self.files.path().join("credentials.json");
        Environment::default()
            .with_var("GOOGLE_CLOUD_PROJECT", &*self.id)
            .with_var("ISOBAR_PREFIX", &*self.prefix)
            .with_var("ISOBAR_SECRETS", self.secrets.secrets())
            .with_var("GOOGLE_APPLICATION_CREDENTIALS", credentials.display().to_string())
            .with_var("FIRESTORE_EMULATOR_HOST", &*self.services.firestore)
            .with_var("PUBSUB_EMULATOR_HOST", &*self.services.pub_sub)
            .with_var("STORAGE_EMULATOR_HOST", &*self.copies.url)
    }

    /// The host of signed URLs.
    pub(super) fn storage_host(&self) -> &str {
        self.copies.url.trim_start_matches("http://")
    }

    pub(super) fn names(&self, queue: &EventQueue) -> QueueNames {
        let source = self.physical(queue.source());
        let topic = match queue.kind() {
            ResourceKind::Bucket => Derived::Events.of(&source),
            ResourceKind::Table => Derived::Writes.of(&source),
            _ => source,
        };
        QueueNames { subscription: queue.physical(&topic), topic }
    }
}

/// The topic and the subscription of a trigger.
#[derive(Debug)]
pub(super) struct QueueNames {
    pub(super) topic: String,
    pub(super) subscription: String,
}

/// The path to which the events of a trigger are pushed.
pub(super) fn path_of(queue: &EventQueue) -> String {
    let (source, kind) = (queue.source(), queue.kind());
    let path = match kind {
        ResourceKind::Bucket => format!("/.isobar/buckets/{source}"),
        ResourceKind::Table => format!("/.isobar/writes/{source}"),
        _ => format!("/.isobar/topics/{source}"),
    };
    if queue.is_default() { path } else { format!("{path}/{}", queue.name()) }
}

#[async_trait]
impl Deployment for Project {
    fn made(&self) -> &Made {
        &self.made
    }

    fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn secrets(&self) -> Result<Option<ResourceUrl>> {
        ResourceUrl::parse_store(&self.secrets.secrets()).map(Some)
    }

    async fn create(&self, kind: ResourceKind, name: &str) -> Result<()> {
        match kind {
            // A collection of Firestore exists when it is written to.
            ResourceKind::Table => Ok(()),
            ResourceKind::Topic => self.pub_sub.create_queue(name, name).await,
            _ => {
                let url = format!("{}/storage/v1/b?project={}", self.services.storage, self.id);
                call(Method::POST, &url, &json!({"name": name})).await.map(drop)
            }
        }
    }

    async fn route(&self, queue: &EventQueue, source: &str) -> Result<()> {
        let QueueNames { topic, subscription } = self.names(queue);
        self.pub_sub.create_queue(&topic, &subscription).await?;
        match queue.kind() {
            ResourceKind::Bucket => self.notifications.route(source, &topic).await,
            ResourceKind::Table => self.documents.watch(source).await,
            _ => Ok(()),
        }
    }
}
