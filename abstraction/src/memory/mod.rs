//! The cloud in memory: the executable specification of the contracts, and the provider of tests.
//!
//! It implements each contract with ordered maps and without special cases, so that its code can be read next to the text
//! of a driver trait. The conformance suite runs on it like on every provider.
//!
//! It creates tables, buckets and topics at first use, and its data ends with the last handle. Its clock does not move until
//! it is advanced. It has no server: [`TestClient`](crate::TestClient) runs an app on it.

mod blob;
mod key_value;
mod profile;
mod pub_sub;
mod secret;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::blob::Blob;
use crate::clock::{Clock, ManualClock};
use crate::event_queue::EventQueue;
use crate::key_value::KeyValue;
use crate::profile::Profile;
use crate::provider::{Hosted, Opener, Provider};
use crate::pub_sub::PubSub;
use crate::pub_sub::backlog::Backlog;
use crate::resource::{Location, ResourceUrl};
use crate::secret::driver::SecretStore;
use crate::{Error, Result};

pub use profile::PROFILE;

use blob::MemoryBlob;
pub(crate) use blob::{Signed, SignedObject};
use key_value::MemoryKeyValue;
pub(crate) use pub_sub::{Leased, Queues};
use pub_sub::{MemoryBacklog, MemoryPubSub};
use secret::MemorySecrets;

/// The provider of [`Cloud::memory`](crate::Cloud::memory). Clones share data and clock.
///
/// Its limits are the portable ones, except that a message with an ordering key can wait 6 hours. Its URLs are
/// `memory://name`, without parameters.
#[derive(Debug, Default, Clone)]
pub struct MemoryProvider(Arc<State>);

#[derive(Debug, Default)]
struct State {
    clock: ManualClock,
    tables: Mutex<HashMap<String, Arc<MemoryKeyValue>>>,
    buckets: Mutex<HashMap<String, Arc<MemoryBlob>>>,
    queues: Arc<Queues>,
    signed: Arc<Signed>,
    openers: Mutex<Vec<Opener>>,
    secrets: MemorySecrets,
}

impl MemoryProvider {
    /// A provider without data, with its clock at `time`. The clock of `default` is at 2026-01-01T00:00:00Z.
    pub fn starting_at(time: SystemTime) -> Self {
        Self(Arc::new(State { clock: ManualClock::new(time), ..State::default() }))
    }

    /// Adds openers, so that [`TestClient::on`](crate::TestClient::on) can run apps with other kinds of resources.
    #[must_use]
    pub fn with_openers(self, openers: &[Opener]) -> Self {
        self.0.openers.lock().extend_from_slice(openers);
        self
    }

    /// Sets the value of a secret. An app that has read the secret notices it after 5 minutes.
    pub fn set_secret(&self, name: &str, value: &str) {
        self.0.secrets.set(name, value);
    }

    /// Sets the JSON of a configuration. An app that has read it notices it after 5 minutes.
    pub fn set_config(&self, name: &str, json: &str) {
        self.0.secrets.set(name, json);
    }

    /// Removes the value of a secret or a configuration.
    pub fn remove_secret(&self, name: &str) {
        self.0.secrets.remove(name);
    }

    pub(crate) fn openers(&self) -> Vec<Opener> {
        self.0.openers.lock().clone()
    }

    /// The clock, to advance it and to read it.
    pub fn manual_clock(&self) -> &ManualClock {
        &self.0.clock
    }

    pub(crate) fn queues(&self) -> &Arc<Queues> {
        &self.0.queues
    }

    pub(crate) fn signed(&self) -> &Arc<Signed> {
        &self.0.signed
    }

    pub(crate) fn bucket(&self, name: &str) -> Arc<MemoryBlob> {
        let mut buckets = self.0.buckets.lock();
        let bucket = buckets.entry(name.to_owned()).or_insert_with(|| {
            let (queues, signed) = (Arc::clone(&self.0.queues), Arc::clone(&self.0.signed));
            Arc::new(MemoryBlob::new(name, self.0.clock.clone(), queues, signed))
        });
        Arc::clone(bucket)
    }
}

/// The name in `memory://name`, or the logical name. Errors: `Config` for a URL with parameters.
fn physical_name(at: &Location) -> Result<&str> {
    if let Some(url) = at.url() {
        url.check_parameters(&[])?;
    }
    Ok(at.physical_name())
}

#[async_trait]
impl Provider for MemoryProvider {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.0.clock.clone())
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        let name = physical_name(at)?.to_owned();
        let mut tables = self.0.tables.lock();
        let new = || Arc::new(MemoryKeyValue::new(&name, self.0.clock.clone(), Arc::clone(&self.0.queues)));
        let table = tables.entry(name.clone()).or_insert_with(new);
        Ok(Arc::<MemoryKeyValue>::clone(table))
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        Ok(self.bucket(physical_name(at)?))
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        Ok(Arc::new(MemoryPubSub::new(physical_name(at)?, self.0.clock.clone(), Arc::clone(&self.0.queues))))
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        Ok(Arc::new(MemoryBacklog::new(queue, self.0.clock.clone(), Arc::clone(&self.0.queues))))
    }

    fn secrets(&self, _: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        Ok(Arc::new(self.0.secrets.clone()))
    }

    async fn host(&self, _: Hosted) -> Result<()> {
        Err(Error::unsupported("host", "memory", "run the app with `TestClient`, or with the feature `local`"))
    }
}
