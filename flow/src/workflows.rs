//! [`Workflows`]: the programs of an app's runs, as a module of the app.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{App, BoxError, Context, Error, Result, Tick};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::admin::{self, AdminRequest};
use crate::flow::Flow;
use crate::history::History;
use crate::runs::Runs;
use crate::store::{decode, encode};
use crate::worker::{Programs, Worker};

/// The workflows of an app.
#[must_use = "workflows do nothing until `build` makes a module of them"]
pub struct Workflows<S = ()> {
    runs: Runs,
    state: S,
    programs: Programs,
    retention: Duration,
    is_strict: bool,
}

impl<S> std::fmt::Debug for Workflows<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflows").field("programs", &self.programs.keys()).finish_non_exhaustive()
    }
}

const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The deliveries of a message of runs. An event can wait for the start of its run.
const DELIVERIES: u32 = 50;

impl<S: Clone + Send + Sync + 'static> Workflows<S> {
    /// Workflows that receive a clone of `state` in each turn, such as the tables and clients that their steps use.
    pub fn new(runs: &Runs, state: S) -> Self {
        Self { runs: runs.clone(), state, programs: Programs::new(), retention: RETENTION, is_strict: false }
    }

    /// Adds a version of a workflow. A run keeps the version with which it began, and a new run has the highest one: register
    /// an old version until its last run has ended.
    pub fn workflow<I, O, E, F, R>(mut self, name: &str, version: u32, program: F) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
        E: Into<BoxError> + 'static,
        F: Fn(S, Flow, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, E>> + Send + 'static,
    {
        let state = self.state.clone();
        let program = move |flow: Flow, input: Box<serde_json::value::RawValue>| {
            let input = decode::<I>(&input, "the input of a run");
            match input {
                Ok(input) => program(state.clone(), flow, input)
                    .map(|output| output.map_err(own).and_then(|it| encode(&it)))
                    .boxed(),
                Err(error) => std::future::ready(Err(error)).boxed(),
            }
        };
        self.programs.entry(name.to_owned()).or_default().insert(version, Arc::new(program));
        self
    }

    /// How long a run that has ended can be read: 30 days by default.
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// For tests: replays the whole workflow after each commit, so that code that depends on anything but its calls is found.
    pub fn with_strict_replay(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Replays a history with the workflow of its name and version, without an effect: for a test that keeps the histories
    /// of runs that an earlier version of the code has made.
    ///
    /// Errors: `Conflict` with the first [`Difference`](crate::Difference), as its source; `NotFound` if the workflow has no such version;
    /// `Config` for a history of another format.
    pub fn replay_check(&self, history: &History) -> Result<()> {
        let (name, version) = (history.id().workflow(), history.version());
        let program = self.programs.get(name).and_then(|versions| versions.get(&version));
        let program = program.ok_or_else(|| Error::not_found(format!("there is no version {version} of `{name}`")))?;
        let replayed = history.replay(&**program, &self.runs.store)?;
        replayed.map_err(|difference| Error::conflict(difference.to_string()).with_source(difference))
    }

    /// The module: [mount](App::mount) it with an empty prefix.
    ///
    /// It handles the messages and the schedule of the runs, and the function `runs-admin` for people and tools, whose
    /// requests and answers are JSON:
    ///
    /// | request | answer |
    /// |---|---|
    /// | `{"workflows": {}}` | the names of the workflows, and their versions |
    /// | `{"list": {"workflow": "order", "limit": 100, "after": "order/7"}}` | runs, the latest first: 100 at most |
    /// | `{"get": {"run": "order/7"}}` | the state of a run |
    /// | `{"history": {"run": "order/7"}}` | its calls |
    /// | `{"export": {"run": "order/7"}}` | its history, with the values |
    /// | `{"start": {"run": "order/7", "input": …}}` | `"accepted"` or `"existing"` |
    /// | `{"signal": {"run": "order/7", "event": "approval", "id": "1", "body": …}}` | `null` |
    /// | `{"cancel": {"run": "order/7", "reason": "…"}}` | `null` |
    /// | `{"resume": {"run": "order/7"}}` | `null` |
    pub fn build(self) -> App {
        let Self { runs, programs, retention, is_strict, .. } = self;
        let name = runs.name.clone();
        let versions = |(workflow, versions): (&String, &BTreeMap<u32, _>)| {
            (workflow.clone(), versions.keys().copied().collect::<Vec<_>>())
        };
        let workflows = json!(programs.iter().map(versions).collect::<BTreeMap<_, _>>());
        let admin = move |runs: Runs, request: AdminRequest, _: Context| {
            let workflows = workflows.clone();
            async move { admin::answer(&runs, workflows, request).await }
        };
        let store = runs.store.clone();
        let messages = store
            .topic
            .subscription(isobar_abstraction::driver::pub_sub::DEFAULT_SUBSCRIPTION)
            .with_max_attempts(DELIVERIES);
        let worker = Arc::new(Worker { store, programs, retention, is_strict });
        App::new(name.clone())
            .with_state(worker)
            .on_message(
                messages,
                async |worker: Arc<Worker>, message: Message<crate::message::Message>, cx: Context| {
                    worker.handle(message, &cx).await
                },
            )
            .on_schedule(&name, "* * * * *", async |worker: Arc<Worker>, _: Tick, cx: Context| worker.sweep(&cx).await)
            .build()
            .with_state(runs)
            .on_invoke(format!("{name}-admin"), admin)
            .build()
    }
}

/// The isobar error among the sources of an error, or one with its text.
fn own(error: impl Into<BoxError>) -> Error {
    let error = error.into();
    crate::step::found(error.as_ref())
}
