//! [`History`]: the journal of a run as a file, to check that other code still replays it.

use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::difference::{Difference, Stop};
use crate::flow::Inner;
use crate::replay::Calls;
use crate::row::{CallKind, ChildEnd, Entry, Record, RunId, RunState, Stored};
use crate::running::{Program, Running};
use crate::runs::Runs;
use crate::store::{Store, decode, encode};

/// The input and the journal of a run. It contains the values of the run, which may be secrets.
///
/// [`Runs::export`] makes it and serde writes it; a test reads it and calls
/// [`Workflows::replay_check`](crate::Workflows::replay_check).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// The version of this format: 1.
    format: u32,
    run: RunId,
    version: u32,
    state: RunState,
    created: u64,
    incarnation: String,
    input: Box<RawValue>,
    entries: Vec<Entry>,
}

const FORMAT: u32 = 1;

impl History {
    /// The run.
    pub fn id(&self) -> &RunId {
        &self.run
    }

    /// The version of the workflow that the run has.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Replays the history with a program. Errors: `Config` for a format that this crate does not know.
    pub(crate) fn replay(&self, program: &Program, store: &Store) -> Result<std::result::Result<(), Difference>> {
        if self.format != FORMAT {
            let message =
                format!("the history has the format {}, this isobar reads {FORMAT}: update isobar", self.format);
            return Err(Error::config(message));
        }
        let inner = Inner {
            run: self.run.clone(),
            incarnation: self.incarnation.clone(),
            calls: Calls::new(&self.entries, &[], self.created),
            store: store.clone(),
            deadline: None,
        };
        let mut running = Running::new(program, inner, self.input.clone());
        running.poll();
        for entry in &self.entries {
            running.deliver(entry);
        }
        Ok(match running.state(|state| state.stop.clone()) {
            Some(Stop::Difference(difference)) => Err(difference),
            Some(Stop::Other(reason)) => return Err(Error::conflict(reason)),
            None if self.state.is_final() && running.output.is_none() => Err(running.state(|state| state.unended())),
            None => Ok(()),
        })
    }
}

impl Runs {
    /// The input and the journal of a run; `None` if it does not exist.
    pub async fn export(&self, run: &RunId) -> Result<Option<History>> {
        let Some(held) = self.store.head(run).await? else { return Ok(None) };
        let head = held.head;
        let input = self.store.input(run, &head).await?;
        let mut entries = self.store.journal(run, &head).await?;
        for entry in &mut entries {
            if let Record::Value(stored) = &mut entry.record {
                self.inline(entry.kind, stored).await?;
            }
        }
        let (run, version, state) = (run.clone(), head.version, head.state);
        let (created, incarnation) = (head.created, head.incarnation);
        Ok(Some(History { format: FORMAT, run, version, state, created, incarnation, input, entries }))
    }

    /// Replaces an object by its value, also that of the output of a child.
    async fn inline(&self, kind: CallKind, stored: &mut Stored) -> Result<()> {
        let mut json = self.store.load(stored).await?;
        if kind == CallKind::Call
            && let ChildEnd::Output(output) = decode(&json, "the end of a child")?
        {
            let output = Stored::Json(self.store.load(&output).await?);
            json = encode(&ChildEnd::Output(output))?;
        }
        *stored = Stored::Json(json);
        Ok(())
    }
}
