//! The state that the services and the host of one provider share: configuration, clock, store, queue and signer.

use std::sync::Arc;

use isobar_abstraction::driver::{Clock, Instance, Profile};

use crate::blob::Signer;
use crate::chaos::Chaos;
use crate::config::LocalConfig;
use crate::history::History;
use crate::pub_sub::Queue;
use crate::store::Store;

/// The shared state of one provider.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: LocalConfig,
    /// The provider's own, or with the limits and differences of another one.
    pub(crate) profile: &'static Profile,
    pub(crate) chaos: Option<Arc<Chaos>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) signer: Arc<Signer>,
    pub(crate) history: History,
    /// This process, which alone can open the folder.
    pub(crate) instance: Instance,
}
