//! The record of a key, and what it means for a caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The stored record of a key. Times are milliseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) state: State,
    /// The digest of the input; absent if the work has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<String>,
    /// Random, and new in each try: a writer whose response was lost recognizes its own record.
    pub(super) token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Working {
        since_ms: u64,
        until_ms: u64,
    },
    Done {
        result: Box<RawValue>,
    },
    /// Done, with a result that could not be stored.
    Unstored,
}

impl State {
    pub(super) fn done(result: Option<Box<RawValue>>) -> Self {
        result.map_or(Self::Unstored, |result| Self::Done { result })
    }
}

/// What a record means for a caller.
pub(super) enum Found {
    /// The caller itself wrote it.
    Own { is_done: bool },
    /// Another input has this key.
    OtherInput,
    /// The work is done: its result, if it was stored.
    Done(Option<Box<RawValue>>),
    /// A try has the key, for the rest of its lease; `None` if the lease is over.
    Working { since_ms: u64, left: Option<Duration> },
}

impl Record {
    /// The one check of a record, on every path that reads one: the input before the state.
    pub(super) fn check(self, own: &Self, now_ms: u64) -> Found {
        if self.token == own.token {
            return Found::Own { is_done: !matches!(self.state, State::Working { .. }) };
        }
        // Without an input on one side there is nothing to compare.
        if self.fingerprint.is_some() && own.fingerprint.is_some() && self.fingerprint != own.fingerprint {
            return Found::OtherInput;
        }
        match self.state {
            State::Done { result } => Found::Done(Some(result)),
            State::Unstored => Found::Done(None),
            State::Working { since_ms, until_ms } => {
                // A clock that has jumped back must not make the wait longer than the lease.
                let left = until_ms.saturating_sub(now_ms).min(until_ms.saturating_sub(since_ms));
                Found::Working { since_ms, left: (left > 0).then(|| Duration::from_millis(left)) }
            }
        }
    }
}
