//! Calls that somebody makes on purpose: an envelope of ours says what is meant.
//!
//! | event | what it does | answer |
//! |---|---|---|
//! | `{"isobar":"invoke","function":"stats","payload":…}` | calls a function | the function's own JSON |
//! | `{"isobar":"schedule","schedule":"sweep","due":"2026-01-01T03:00:00Z"}` | runs a schedule; `due` is now if it is left out | `null` |
//! | `{"isobar":"ping"}` | keeps the function warm | `{"isobar":"pong"}` |

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::host::Fields;
use isobar_abstraction::{Error, Invocation, Result, Tick};

use super::time;

/// An envelope, not yet opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Direct<'a> {
    /// Calls a function.
    Invoke { function: Option<String>, payload: &'a str },
    /// Runs a schedule.
    Schedule { schedule: Option<String>, due: Option<String> },
    /// Nothing but a ping.
    Ping,
    /// An envelope of a later version, or a misspelt one.
    Unknown,
    /// An envelope whose field of this name is not a string.
    Malformed(&'static str),
}

impl<'a> Direct<'a> {
    pub(super) fn of(fields: &Fields<'a>) -> Option<Self> {
        fields.get("isobar")?;
        let wrong = |name: &&str| fields.has(name) && fields.text(name).is_none();
        if let Some(name) = ["function", "schedule", "due"].into_iter().find(wrong) {
            return Some(Self::Malformed(name));
        }
        let owned = |name| fields.text(name).map(std::borrow::Cow::into_owned);
        Some(match fields.text("isobar").as_deref() {
            Some("invoke") => {
                let payload = fields.get("payload").map_or("null", |payload| payload.get());
                Self::Invoke { function: owned("function"), payload }
            }
            Some("schedule") => Self::Schedule { schedule: owned("schedule"), due: owned("due") },
            Some("ping") => Self::Ping,
            _ => Self::Unknown,
        })
    }

    /// Of an envelope that cannot be opened.
    pub(crate) fn unknown() -> Error {
        Error::invalid("the envelope's `isobar` is none of `invoke`, `schedule` and `ping`")
    }

    /// Of an envelope with this field.
    pub(crate) fn malformed(name: &str) -> Error {
        let example = if name == "due" { ", such as 2026-01-01T03:00:00Z" } else { "" };
        Error::invalid(format!("the envelope's `{name}` must be a string{example}"))
    }
}

/// The call of a function. Errors: `InvalidInput` where it is not named.
pub(crate) fn invocation(function: Option<String>, payload: &str) -> Result<Invocation> {
    let function = function.ok_or_else(|| Error::invalid("the envelope's `function` must name a function"))?;
    Ok(Invocation::new(function, Bytes::copy_from_slice(payload.as_bytes())))
}

/// The tick of a schedule. Errors: `InvalidInput` where it is not named, or `due` is no time.
pub(crate) fn tick(schedule: Option<String>, due: Option<&str>, now: SystemTime) -> Result<Tick> {
    let schedule = schedule.ok_or_else(|| Error::invalid("the envelope's `schedule` must name a schedule"))?;
    let wrong = || Error::invalid("the envelope's `due` must be a time such as 2026-01-01T03:00:00Z");
    let due = due.map_or(Ok(now), |due| time::parse(due).ok_or_else(wrong))?;
    Ok(Tick::new(schedule, due))
}
