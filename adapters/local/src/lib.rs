//! The embedded provider of isobar: everything on one machine, in one folder, with nothing to
//! install.
//!
//! | trait | implementation |
//! |---|---|
//! | function | an HTTP server, workers, and a clock for schedules |
//! | key-value | redb |
//! | blob | files, and redb for all but their content |
//! | pub/sub | a durable queue in redb |
//! | secrets, configuration | variables, also from `.env`; the file `secrets.json` of the data folder |
//!
//! It is for one machine and one process at a time. The same app runs on the services of a cloud when
//! that is too little.

mod blob;
mod chaos;
#[cfg(test)]
mod clock;
pub mod config;
mod deployment;
mod event;
mod family;
mod history;
mod host;
mod key_value;
pub mod profile;
mod pub_sub;
mod secret;
mod state;
mod store;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::blob::Blob;
use isobar_abstraction::driver::key_value::KeyValue;
use isobar_abstraction::driver::pub_sub::{Backlog, PubSub};
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{
    Adapter, Clock, Hosted, Instance, Limits, Location, Prefix, Profile, Provider, ResourceKind, ResourceUrl,
};
use isobar_abstraction::{Error, EventQueue, Result};

pub use config::{LocalConfig, Token};
pub use deployment::{Excess, places};
pub use history::HistoryLayer;
pub use host::{EntryFile, Server};
pub use isobar_serve::SystemClock;
pub use secret::set_secret;

use blob::{LocalBlob, Signer};
use chaos::{Calls, Chaos, FaultyBlob, FaultyKeyValue, FaultyPubSub};
use config::physical_name;
use history::History;
use key_value::LocalKeyValue;
use profile::{PROFILE, imitating};
use pub_sub::{LocalBacklog, LocalPubSub, Queue};
use secret::SecretFile;
use state::State;
use store::Store;

/// The row of the local provider in the facade's table.
pub const ADAPTER: Adapter = Adapter::new("local", &["redb", "file", "queue"], |environment| {
    Ok(Arc::new(LocalProvider::new(LocalConfig::from_environment(environment)?)))
})
.with_environment(config::with_dot_env);

/// The embedded provider. Cheap to clone; it opens its files at first use.
///
/// The second field is the chaos of the calls through this handle.
#[derive(Debug, Clone)]
pub struct LocalProvider(Arc<State>, Option<Arc<Chaos>>);

impl LocalProvider {
    /// A provider on the machine's clock.
    pub fn new(config: LocalConfig) -> Self {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// A provider on another clock, for tests.
    pub fn with_clock(config: LocalConfig, clock: Arc<dyn Clock>) -> Self {
        let store = Store::new(&config.data, config.cache_bytes);
        let profile = config.imitates.as_ref().map_or(&PROFILE, |target| Box::leak(Box::new(imitating(target))));
        let faulty = config.chaos.map(Chaos::new);
        let chaos = faulty.clone().or_else(|| profile.loose_delivery.then(|| Chaos::loose(to_millis(clock.now()))));
        let queue = Queue::new(store.clone(), Arc::clone(&clock), chaos.clone());
        let signer = Arc::new(Signer::new(store.clone()));
        let history = if config.inspect_port == Some(0) { History::default() } else { History::of_subscriber() };
        let instance = Instance::alone();
        Self(Arc::new(State { config, profile, chaos, clock, store, queue, signer, history, instance }), faulty)
    }

    /// Reads the whole data file, and returns the result as a sentence. It changes nothing.
    ///
    /// Errors: `Config` where another process uses the folder, `Internal` where the file is damaged.
    pub fn check_data(&self) -> Result<&'static str> {
        self.0.store.check()
    }

    /// Has another process the data folder open?
    pub fn is_in_use(&self) -> bool {
        self.0.store.is_in_use()
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.0.store.folder()
    }

    /// The tables and the buckets of the folder, each with its number of items or objects. Expired items count until they are
    /// deleted.
    ///
    /// Errors: as of the first use of a table.
    pub fn stored(&self) -> Result<Vec<(ResourceKind, String, u64)>> {
        let tables =
            key_value::tables(&self.0.store)?.into_iter().map(|(name, count)| (ResourceKind::Table, name, count));
        let buckets = blob::buckets(&self.0.store)?.into_iter();
        Ok(tables.chain(buckets.map(|(name, count)| (ResourceKind::Bucket, name, count))).collect())
    }

    /// Reads all data of the folder, and calls `found` with each stored value beyond one of these limits. It changes nothing.
    ///
    /// Errors: `Config` where another process uses the folder or it cannot be read, `Internal` where the file is damaged or
    /// was not closed.
    pub fn beyond(&self, limits: &Limits, found: &mut dyn FnMut(Excess)) -> Result<()> {
        deployment::beyond(&self.0, limits, found)
    }

    /// The calls of a resource, where some of them fail.
    fn calls(&self, at: &Location) -> Option<Calls> {
        self.1.as_ref().map(|chaos| Calls::new(chaos, at.kind(), at.name()))
    }

    /// Binds the port. Errors: `Config` where it is in use.
    pub async fn bind(&self) -> Result<Server> {
        // The calls of the inspector and of signed URLs have no faults.
        Server::bind(Arc::clone(&self.0), Arc::new(Self(Arc::clone(&self.0), None))).await
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn profile(&self) -> &'static Profile {
        self.0.profile
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        let State { clock, store, queue, .. } = &*self.0;
        let table = LocalKeyValue::new(physical_name(at)?, store.clone(), Arc::clone(clock), queue.enqueuer());
        Ok(match self.calls(at) {
            Some(calls) => Arc::new(FaultyKeyValue::new(table, calls)),
            None => Arc::new(table),
        })
    }

    fn blob(&self, at: &Location) -> Result<Arc<dyn Blob>> {
        let State { clock, store, queue, signer, .. } = &*self.0;
        let (clock, signer) = (Arc::clone(clock), Arc::clone(signer));
        let bucket = LocalBlob::new(physical_name(at)?, store.clone(), clock, queue.clone(), signer);
        let objects = bucket.objects();
        Ok(match self.calls(at) {
            Some(calls) => Arc::new(FaultyBlob::new(bucket, objects, calls)),
            None => Arc::new(bucket),
        })
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        let topic = LocalPubSub::new(physical_name(at)?, self.0.queue.clone());
        Ok(match self.calls(at) {
            Some(calls) => Arc::new(FaultyPubSub::new(topic, calls)),
            None => Arc::new(topic),
        })
    }

    fn prefix(&self) -> Prefix {
        self.0.config.prefix.clone()
    }

    fn instance(&self) -> Instance {
        self.0.instance.clone()
    }

    fn backlog(&self, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
        Ok(Arc::new(LocalBacklog::new(self.0.queue.clone(), self.0.config.physical(queue))))
    }

    fn secrets(&self, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
        let file = |path: &Path| Arc::new(SecretFile::new(path, self.prefix()));
        let Some(url) = url else { return Ok(file(&self.0.config.secrets)) };
        url.check_store(&["file"], &[])?;
        match url.name() {
            "" => Err(Error::config("`file://` names no file: use file://PATH, the path of a JSON file")),
            path => Ok(file(Path::new(path))),
        }
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        if self.0.config.check {
            let found = self.check_data()?;
            // A closed stdout is no error: the exit status reports the result.
            let _ = writeln!(std::io::stdout(), "{}: {found}", self.0.store.folder().display());
            return Ok(());
        }
        self.bind().await?.run(app, host::signal(&self.0.config)).await
    }
}
