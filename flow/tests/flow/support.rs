//! An app with workflows on a cloud in memory.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::key_value::Table;
use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::{App, Cloud, TestClient};
use isobar_flow::{RunId, RunState, Runs, Workflows};
use parking_lot::Mutex;

/// What the workflows of a trial share.
#[derive(Clone)]
pub(crate) struct State {
    notes: Arc<Mutex<Vec<String>>>,
    pub(crate) table: Table<u32>,
    pub(crate) clock: ManualClock,
}

impl State {
    pub(crate) fn of(cloud: &Cloud) -> Self {
        Self { notes: Arc::default(), table: cloud.table("orders"), clock: ManualClock::default() }
    }

    /// Remembers an effect, and returns a value.
    pub(crate) fn note<T>(&self, note: String, value: T) -> T {
        self.notes.lock().push(note);
        value
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().clone()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.notes.lock().iter().filter(|it| *it == note).count()
    }
}

pub(crate) struct Shop {
    provider: MemoryProvider,
    pub(crate) client: TestClient,
    pub(crate) runs: Runs,
    pub(crate) state: State,
}

impl Shop {
    pub(crate) fn new(register: impl FnOnce(Workflows<State>) -> Workflows<State>) -> Self {
        Self::on(MemoryProvider::default(), register)
    }

    fn on(provider: MemoryProvider, register: impl FnOnce(Workflows<State>) -> Workflows<State>) -> Self {
        let clock = provider.manual_clock().clone();
        let state = State { clock, ..State::of(&Cloud::new(Arc::new(provider.clone()))) };
        let app = |cloud: &Cloud| {
            let state = State { table: cloud.table("orders"), ..state.clone() };
            let workflows = Workflows::new(&Runs::new(cloud), state).with_strict_replay();
            App::new("shop").mount("", register(workflows).build())
        };
        let client = TestClient::on(provider.clone(), app).unwrap();
        let runs = Runs::new(&client.cloud());
        Self { provider, client, runs, state }
    }

    /// Another build of the app, with the same data.
    pub(crate) fn redeployed(&self, register: impl FnOnce(Workflows<State>) -> Workflows<State>) -> Self {
        Self::on(self.provider.clone(), register)
    }

    pub(crate) async fn state_of(&self, run: &str) -> RunState {
        self.runs.get(&id(run)).await.unwrap().unwrap().state
    }

    pub(crate) async fn deliver(&self) {
        self.client.deliver_all().await.unwrap();
    }

    /// Moves the clock and delivers, with the schedule as on a platform.
    pub(crate) async fn advance(&self, by: Duration) {
        self.client.advance(by);
        self.deliver().await;
        self.client.tick("runs").await.unwrap();
        self.deliver().await;
    }
}

pub(crate) fn id(text: &str) -> RunId {
    text.parse().unwrap()
}
