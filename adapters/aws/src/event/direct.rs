//! Direct calls of the function with isobar's envelope.
//!
//! | event | action | response |
//! |---|---|---|
//! | `{"isobar":"invoke","function":"stats","payload":…}` | calls a function | the function's JSON |
//! | `{"isobar":"schedule","schedule":"sweep","due":"2026-01-01T03:00:00Z"}` | runs a schedule; without `due` it is due now | `null` |
//! | `{"isobar":"ping"}` | keeps the function warm | `{"isobar":"pong"}` |

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::driver::host::{Fields, text};
use isobar_abstraction::{Error, Invocation, Result, Tick, clock};
use serde_json::value::RawValue;

/// The content of an envelope.
#[derive(Debug)]
pub(crate) enum Direct {
    /// Calls a function.
    Invoke(Invocation),
    /// Runs a schedule.
    Schedule(Tick),
    /// Keeps the function warm.
    Ping,
}

impl Direct {
    /// Reads an envelope. Errors: `InvalidInput`, naming the missing or malformed field.
    pub(crate) fn read(fields: &Fields<'_>, now: SystemTime) -> Result<Self> {
        let optional = |name: &str, example: &str| {
            let wrong = || Error::invalid_input(format!("the envelope's `{name}` must be a string{example}"));
            fields.get(name).map(|value| text(value).ok_or_else(wrong)).transpose()
        };
        let (function, schedule) = (optional("function", "")?, optional("schedule", "")?);
        let due = optional("due", ", such as 2026-01-01T03:00:00Z")?;
        let missing =
            |name: &str, what: &str| Error::invalid_input(format!("the envelope's `{name}` must name a {what}"));
        match fields.text("isobar").as_deref() {
            Some("invoke") => {
                let function = function.ok_or_else(|| missing("function", "function"))?;
                let payload = fields.get("payload").map_or("null", RawValue::get);
                Ok(Self::Invoke(Invocation::new(function, Bytes::copy_from_slice(payload.as_bytes()))))
            }
            Some("schedule") => {
                let schedule = schedule.ok_or_else(|| missing("schedule", "schedule"))?;
                let wrong = || Error::invalid_input("the envelope's `due` must be a time such as 2026-01-01T03:00:00Z");
                let due = due.map_or(Ok(now), |due| clock::parse(&due).ok_or_else(wrong))?;
                Ok(Self::Schedule(Tick::new(schedule, due)))
            }
            Some("ping") => Ok(Self::Ping),
            _ => Err(Error::invalid_input("the envelope's `isobar` must be `invoke`, `schedule` or `ping`")),
        }
    }
}
