//! The due time of a timer.

use std::time::{Duration, SystemTime};

use isobar_abstraction::clock::later;

use super::Payload;
use super::value::{object, time};

/// How far the host's clock may be ahead of the machine's.
const SKEW: Duration = Duration::from_secs(60);

/// The due time of a tick: `ScheduleStatus.Next`, which the host stores before that run. `now` where it is in the
/// future, as it is when a person runs the timer by hand.
///
/// Source: `TimerListener.cs` in Azure/azure-webjobs-sdk-extensions.
pub(crate) fn due(payload: &Payload<'_>, now: SystemTime) -> SystemTime {
    let timer = payload.only().ok().and_then(object);
    let next = timer.as_ref().and_then(|timer| timer.get("ScheduleStatus")?.get("Next"));
    next.and_then(time).filter(|next| *next <= later(now, SKEW)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn due_of(next: &Value, now: u64) -> SystemTime {
        let call = json!({"Data": {"timer": {"ScheduleStatus": {"Next": next}, "IsPastDue": false}}}).to_string();
        due(&Payload::read(call.as_bytes()).unwrap(), at(now))
    }

    #[test]
    fn a_tick_is_due_at_the_host_s_time() {
        let noon = 1_767_268_800;
        for next in [
            "2026-01-01T12:00:00+00:00",
            "2026-01-01T12:00:00",
            "2026-01-01T13:00:00.000+01:00",
            "1/1/2026 12:00:00 PM +00:00",
            "01/01/2026 12:00:00 PM",
        ] {
            assert_eq!(due_of(&json!(next), noon + 5), at(noon), "{next}");
        }
        assert_eq!(due_of(&json!("2026-01-01T12:00:00Z"), noon - 1), at(noon), "clocks differ");
    }

    #[test]
    fn a_tick_with_an_implausible_time_is_due_now() {
        for next in ["2026-01-01T12:00:00Z", "0001-01-01T00:00:00", "+262142-12-31T23:59:59Z", "x", ""] {
            assert_eq!(due_of(&json!(next), 1_000_000_000), at(1_000_000_000), "{next}");
        }
        assert_eq!(due_of(&json!(null), 7), at(7));
    }
}
