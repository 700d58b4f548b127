//! **A double** of Service Bus, made by us: there is no emulator of it that runs here.
//!
//! It follows the REST documentation (<https://learn.microsoft.com/rest/api/servicebus/>) as strictly as
//! that goes, and checks what the service checks: signature, end, audience and rights of each token, of a policy
//! or of an identity; the size of messages; the form of a batch. What it cannot show is what the documentation does not say.
//!
//! | request | answer |
//! |---|---|
//! | `POST /{queue or topic}/messages` | 201; a batch where the type is `application/vnd.microsoft.servicebus.json` |
//! | `POST /{queue}/messages/head`, `/{topic}/subscriptions/{name}/messages/head` | 201 with a lock, 204 |
//! | `DELETE …/messages/head` | 200 and gone, 204 |
//! | `DELETE …/messages/{id}/{lock}` | 200, completed |
//! | `PUT …/messages/{id}/{lock}` | 200, unlocked |
//!
//! HTTP/1.1 on loopback. Every subscription has the filter that isobar's deployment gives it:
//! `"isobar-for" IS NULL OR "isobar-for" = '<subscription>'`. Sessions cannot be received over REST;
//! what speaks AMQP to the service, as the Functions host does, takes [`ServiceBus::receive`].

mod auth;
mod request;
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use isobar::driver::Clock;
use isobar::{Body, Result};
use parking_lot::Mutex;

pub use store::{Delivery, Sessions};

use crate::front::{Front, listen, serve};
use store::Store;

/// The policy that may do everything.
pub const POLICY: &str = "RootManageSharedAccessKey";

/// The policy that may receive, and not send.
pub const LISTENER: &str = "ListenOnly";

/// A double that runs as long as the trial's runtime lives.
#[derive(Debug)]
pub struct ServiceBus {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the paths of tokens begin with.
    host: String,
    key: String,
    store: Mutex<Store>,
    clock: Arc<dyn Clock>,
}

impl ServiceBus {
    /// Starts one on a port of its own. Schedules and locks go by `clock`, tokens by the machine's time.
    pub async fn start(clock: Arc<dyn Clock>) -> Result<Self> {
        let (listener, url) = listen().await?;
        let host = url.trim_start_matches("http://").to_owned();
        let key = "a key of the double=+/".to_owned();
        let shared = Arc::new(Shared { host, key, store: Mutex::default(), clock });
        serve(listener, Arc::clone(&shared));
        Ok(Self { url, shared })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `AZURE_SERVICEBUS_CONNECTION_STRING` says of it.
    pub fn connection_string(&self) -> String {
        let Shared { host, key, .. } = &*self.shared;
        format!("Endpoint=sb://{host}/;SharedAccessKeyName={POLICY};SharedAccessKey={key};UseDevelopmentEmulator=true")
    }

    /// Makes a queue, which has no sessions. One that is there already stays.
    pub fn create_queue(&self, name: &str) {
        self.shared.store.lock().create_queue(name);
    }

    /// Makes a topic. One that is there already stays.
    pub fn create_topic(&self, name: &str) {
        self.shared.store.lock().create_topic(name);
    }

    /// Makes a topic and a subscription of it. One that is there already stays.
    pub fn create_subscription(&self, topic: &str, name: &str, sessions: Sessions) {
        self.shared.store.lock().create_subscription(topic, name, sessions);
    }

    /// Takes a message under lock, as AMQP would: of a session only where none of it is taken or put off.
    /// `path` is a queue, or `topic/subscriptions/name`, each with `/$deadletterqueue` or without.
    pub fn receive(&self, path: &str) -> Option<Delivery> {
        let now = self.shared.clock.now();
        self.shared.store.lock().receive(path, now)
    }

    /// Completes a message that was received. Returns whether the lock was good.
    pub fn complete(&self, delivery: &Delivery) -> bool {
        let now = self.shared.clock.now();
        self.shared.store.lock().complete(&delivery.path, &delivery.lock, now)
    }

    /// Gives a message back, to be delivered again after `after`. The service knows no such wait: it is
    /// that of a receiver which keeps the lock meanwhile.
    pub fn abandon(&self, delivery: &Delivery, after: Duration) -> bool {
        let now = self.shared.clock.now();
        self.shared.store.lock().unlock(&delivery.path, &delivery.lock, now, after)
    }

    /// All messages of a queue or a subscription, whatever state they are in.
    pub fn peek(&self, path: &str) -> Vec<Delivery> {
        self.shared.store.lock().peek(path)
    }
}

#[async_trait]
impl Front for Shared {
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        Ok(request::handle(self, &parts, &body))
    }
}

#[cfg(test)]
mod tests;
