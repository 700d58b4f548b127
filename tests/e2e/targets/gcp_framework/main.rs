//! Our service and Google's functions framework are sent the same, and see the same.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

mod events;
mod http_functions;
mod ours;
mod theirs;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar_conformance::TrialResult;
use isobar_conformance::target::{run, run_check};
use isobar_e2e::emulators::{Framework, Node};

use events::{DEVIATIONS, EVENTS, Event, Wanted};

fn main() -> ExitCode {
    assert!(DEVIATIONS.iter().all(|(name, ..)| EVENTS.iter().any(|event| event.name == *name)), "of no event");
    let events = EVENTS.iter().map(|event| (event.name.to_owned(), Some(event)));
    let all = events.chain([("requests_of_users_are_handed_over_alike".to_owned(), None)]);
    let start = || Ok((Arc::new(Framework::start(&Node::ready()?).unwrap()), ()));
    run("gcp::framework", start, all, |framework, event| {
        let check = async move {
            match event {
                Some(event) => same(&framework, event).await,
                None => http_functions::same(&framework).await,
            }
        };
        run_check(Duration::from_secs(60), check)
    })
}

/// Ours does what is wanted, by both ways to call it. So does theirs, unless it is declared to do something else;
/// and then it does.
async fn same(framework: &Framework, event: &Event) -> TrialResult {
    let wanted = event.wanted();
    for way in [ours::Way::Path, ours::Way::Contract] {
        assert_eq!(ours::sent(event, way).await?, wanted, "ours, by {way:?}");
    }
    for signature in ["cloudevent", "event"] {
        let theirs = theirs::sent(framework, signature, event).await?;
        match DEVIATIONS.iter().find(|(name, of, _)| *name == event.name && of.contains(&signature)) {
            Some((.., why)) => assert_ne!(theirs, wanted, "{signature}: no longer so: {why}"),
            None => assert_eq!(theirs, wanted, "theirs, as {signature}"),
        }
    }
    Ok(())
}

impl Event {
    /// With times as isobar writes them.
    fn wanted(&self) -> Result<serde_json::Value, u16> {
        match self.wanted {
            Wanted::Seen(text) => Ok(serde_json::from_str(text).unwrap()),
            Wanted::Refused(status) => Err(status),
        }
    }
}
