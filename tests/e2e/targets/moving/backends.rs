//! The backends, each of which opens parts of its own for the trials.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use isobar::clock::ManualClock;
use isobar::driver::Provider;
use isobar::driver::pub_sub::Backlog;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::memory::MemoryProvider;
use isobar::{Error, EventQueue};
use isobar_conformance::Absent;
use isobar_e2e::backends::cloud::{CloudUnderTest, Services};
use isobar_e2e::backends::{aws, azure, gcp};
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Emulator, MOTO, Node, Python};
use isobar_moving::Side;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::RESOURCES;
use crate::data::fill;

/// Opens a part of a backend, with a prefix that no other part has.
pub(crate) type Open = Box<dyn Fn(String) -> BoxFuture<'static, Result<Opened, Error>> + Send + Sync>;

/// Opens the backlog of a queue.
type OpenBacklog = dyn Fn(&EventQueue) -> Result<Arc<dyn Backlog>, Error> + Send + Sync;

/// A part of a backend.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) clock: ManualClock,
    /// The backlog of a queue, which exists then.
    pub(crate) backlog: Arc<OpenBacklog>,
    _keep: Arc<dyn Send + Sync>,
}

impl Opened {
    fn new(provider: impl Provider, clock: &ManualClock, keep: impl Send + Sync + 'static) -> Self {
        let provider: Arc<dyn Provider> = Arc::new(provider);
        let of = Arc::clone(&provider);
        let backlog = Arc::new(move |queue: &EventQueue| of.backlog(queue));
        Self { provider, clock: clock.clone(), backlog, _keep: Arc::new(keep) }
    }

    pub(crate) fn side(&self, name: &str) -> Side {
        Side::new(name).with(&*self.provider, &RESOURCES).unwrap()
    }
}

/// A backend, if this machine has its programs.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) open: Result<Open, Absent>,
    filled: OnceCell<Opened>,
}

impl Backend {
    fn new(name: &'static str, open: Result<Open, Absent>) -> Arc<Self> {
        Arc::new(Self { name, open, filled: OnceCell::new() })
    }

    /// A part of it that no other trial uses.
    pub(crate) async fn fresh(&self) -> Opened {
        static OPENED: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("m{}-", OPENED.fetch_add(1, Ordering::Relaxed));
        let open = self.open.as_ref().map_err(|absent| absent.reason.clone()).unwrap();
        open(prefix).await.unwrap()
    }

    /// A part that has data which are hard to move.
    pub(crate) async fn filled(&self) -> Opened {
        let fill = async || {
            let opened = self.fresh().await;
            fill(&opened).await.unwrap();
            opened
        };
        self.filled.get_or_init(fill).await.clone()
    }
}

/// All backends, and what must live as long as they are used.
pub(crate) fn backends(listed: bool) -> (Vec<Arc<Backend>>, impl Sized) {
    let memory: Open = Box::new(|_| {
        Box::pin(async {
            let provider = MemoryProvider::default();
            let clock = provider.manual_clock().clone();
            Ok(Opened::new(provider, &clock, ()))
        })
    });
    let local: Open = Box::new(|_| {
        Box::pin(async {
            let (folder, clock) = (TempDir::new().unwrap(), ManualClock::default());
            let provider = LocalProvider::with_clock(LocalConfig::new(folder.path()), Arc::new(clock.clone()));
            Ok(Opened::new(provider, &clock, folder))
        })
    });
    let only_listed = || Absent::new("nothing", "only listed");
    let moto = if listed { Err(only_listed()) } else { Python::ready() }
        .map(|python| Emulator::start(&python, MOTO, &[]).unwrap());
    let azurite = if listed { Err(only_listed()) } else { Node::ready() }.map(|node| Azurite::start(&node).unwrap());
    let cosmos = if listed { Err(only_listed()) } else { CosmosProgram::ready() }
        .map(|program| CosmosEmulator::start(&program).unwrap());
    let google = if listed { Err(only_listed()) } else { gcp::Services::start() };
    let storage = azurite.as_ref().map(azure::Services::storage).map_err(Clone::clone);
    let of_moto = moto.as_ref().map(|moto| aws::Services { endpoint: moto.url(), account: "123456789012" });
    let of_cosmos = match (&storage, &cosmos) {
        (Ok(storage), Ok(cosmos)) => Ok(storage.clone().with_cosmos(&cosmos.endpoint)),
        (Err(absent), _) | (_, Err(absent)) => Err(absent.clone()),
    };
    let of_google = google.as_ref().map(|(services, _)| services.clone());
    let backends = vec![
        Backend::new("memory", Ok(memory)),
        Backend::new("local", Ok(local)),
        Backend::new("moto", of_moto.map(opens).map_err(Clone::clone)),
        Backend::new("cosmos", of_cosmos.map(opens)),
        Backend::new("azurite", storage.map(opens)),
        Backend::new("gcp", of_google.map(opens).map_err(Clone::clone)),
    ];
    (backends, (moto, azurite, cosmos, google))
}

fn opens<S: Services + Clone>(services: S) -> Open {
    Box::new(move |prefix| {
        let services = services.clone();
        Box::pin(async move {
            let trial = Arc::new(services.open(&prefix).await?);
            let (provider, clock, of) = (trial.provider(), trial.clock().clone(), Arc::clone(&trial));
            let backlog = Arc::new(move |queue: &EventQueue| of.backlog(queue));
            Ok(Opened { provider, clock, backlog, _keep: trial })
        })
    })
}
