//! Schedules of EventBridge: the name and the due time.

use std::time::SystemTime;

use isobar_abstraction::driver::host::text;
use isobar_abstraction::{Error, Result, Tick, clock};

use super::Incoming;

/// The tick of a `Scheduled Event`. The schedule is the last part of its resource's ARN,
/// `…:rule/NAME`, `…:rule/BUS/NAME` or `…:schedule/GROUP/NAME`, without the configured prefix.
/// Errors: `InvalidInput` for an event without such an ARN.
pub(crate) fn schedule(event: &Incoming<'_>, prefix: &str, now: SystemTime) -> Result<Tick> {
    let resources = event.fields.array("resources").unwrap_or_default();
    let arn = resources.first().and_then(|arn| text(arn));
    let name = arn.as_deref().and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
    let name = name.ok_or_else(|| {
        Error::invalid_input("the scheduled event's `resources` contains no ARN of a rule or schedule")
    })?;
    let due = match event.fields.get("time") {
        Some(time) => {
            clock::sent_at(text(time).and_then(|time| clock::parse(&time)).unwrap_or(SystemTime::UNIX_EPOCH), now)
        }
        None => now,
    };
    Ok(Tick::new(name.strip_prefix(prefix).unwrap_or(name), due))
}
