//! The messages of the topic of runs. A message that carries an input or an event is delivered until that is stored; a hint
//! may be lost, because a timer row holds the run.

use serde::{Deserialize, Serialize};

use crate::row::{Parent, RunId, Stored, Timer};

/// A message of the topic of runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Message {
    Start {
        run: RunId,
        input: Stored,
        digest: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    Event {
        run: RunId,
        name: String,
        id: String,
        body: Stored,
    },
    /// Look at a run whose turn had this number. A hint of the sweep has the timer.
    Hint {
        run: RunId,
        turn: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timer: Option<Timer>,
    },
}

/// The event that cancels a run. The events of an app have names without a dot at their beginning.
pub(crate) const CANCEL: &str = ".cancel";
