//! **A double** of Service Bus, made by isobar: no emulator of it runs here.
//!
//! It follows the REST documentation (<https://learn.microsoft.com/rest/api/servicebus/>) strictly, and checks what the
//! service checks: signature, expiry, audience and rights of each token, of a policy or of an identity; the size of
//! messages; the form of a batch. It cannot show what is not documented.
//!
//! | request | response |
//! |---|---|
//! | `POST /{queue or topic}/messages` | 201; a batch where the type is `application/vnd.microsoft.servicebus.json` |
//! | `POST /{queue}/messages/head`, `/{topic}/subscriptions/{name}/messages/head` | 201 with a lock, 204 |
//! | `DELETE …/messages/head` | 200 and deleted, 204 |
//! | `DELETE …/messages/{id}/{lock}` | 200, completed |
//! | `PUT …/messages/{id}/{lock}` | 200, unlocked |
//! | `GET /{queue}`, `/{topic}/subscriptions/{name}` | 200 with the counts of its description |
//!
//! HTTP/1.1 on loopback. Every subscription has the filter of isobar's deployment:
//! `"isobar-for" IS NULL OR "isobar-for" = '<subscription>'`. Sessions cannot be received over REST: a client of AMQP,
//! such as the Functions host, is here [`ServiceBus::receive`].

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

use crate::server::{Respond, start};
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
    /// Host and port, with which the resource of a token begins.
    host: String,
    key: String,
    store: Mutex<Store>,
    clock: Arc<dyn Clock>,
}

impl ServiceBus {
    /// Starts one on a free port. Schedules and locks are measured by `clock`, tokens by the machine's time.
    pub async fn start(clock: Arc<dyn Clock>) -> Result<Self> {
        let key = "a key of the double=+/".to_owned();
        let host = |url: &str| url.trim_start_matches("http://").to_owned();
        let shared = start(|url| Shared { host: host(&url), key, store: Mutex::default(), clock }).await?;
        Ok(Self { url: format!("http://{}", shared.host), shared })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value of `AZURE_SERVICEBUS_CONNECTION_STRING`.
    pub fn connection_string(&self) -> String {
        let Shared { host, key, .. } = &*self.shared;
        format!("Endpoint=sb://{host}/;SharedAccessKeyName={POLICY};SharedAccessKey={key};UseDevelopmentEmulator=true")
    }

    /// Makes a queue without sessions, if it does not exist.
    pub fn create_queue(&self, name: &str) {
        self.shared.store.lock().create_queue(name);
    }

    /// Makes a topic and a subscription of it, if they do not exist.
    pub fn create_subscription(&self, topic: &str, name: &str, sessions: Sessions) {
        self.shared.store.lock().create_subscription(topic, name, sessions);
    }

    /// Receives a message under a lock, as a client of AMQP does: of a session only where none of it is locked or
    /// delayed. `path` is a queue, or `topic/subscriptions/name`, each with `/$deadletterqueue` or without.
    pub fn receive(&self, path: &str) -> Option<Delivery> {
        let now = self.shared.clock.now();
        self.shared.store.lock().receive(path, now)
    }

    /// Completes a message that was received. Returns whether the lock was valid.
    pub fn complete(&self, delivery: &Delivery) -> bool {
        let now = self.shared.clock.now();
        self.shared.store.lock().complete(&delivery.path, &delivery.lock, now)
    }

    /// Abandons a message, which is delivered again after `after`. The service has no such wait: here it is the time for
    /// which a receiver keeps the lock.
    pub fn abandon(&self, delivery: &Delivery, after: Duration) -> bool {
        let now = self.shared.clock.now();
        self.shared.store.lock().unlock(&delivery.path, &delivery.lock, now, after)
    }

    /// All messages of a queue or a subscription, in any state.
    pub fn peek(&self, path: &str) -> Vec<Delivery> {
        self.shared.store.lock().peek(path)
    }
}

#[async_trait]
impl Respond for Shared {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        Ok(request::handle(self, &parts, &body))
    }
}

#[cfg(test)]
mod tests;
