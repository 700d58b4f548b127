//! isobar's service and Google's functions framework receive the same requests, and their handlers the same events.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

mod events;
mod google_framework;
mod http_functions;
mod isobar_service;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar_conformance::TrialResult;
use isobar_conformance::target::{run, run_check};
use isobar_e2e::emulators::{Framework, Node};

use events::{DEVIATIONS, EVENTS, Event, Expected};

fn main() -> ExitCode {
    assert!(
        DEVIATIONS.iter().all(|(name, ..)| EVENTS.iter().any(|event| event.name == *name)),
        "a deviation of an event that does not exist"
    );
    let events = EVENTS.iter().map(|event| (event.name.to_owned(), Some(event)));
    let all = events.chain([("requests_of_users_are_passed_on_alike".to_owned(), None)]);
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

/// isobar returns the expected result in both ways of calling it. So does the framework, unless a deviation is declared, which
/// must exist.
async fn same(framework: &Framework, event: &Event) -> TrialResult {
    let expected = event.expected();
    for way in [isobar_service::Way::Path, isobar_service::Way::Contract] {
        assert_eq!(isobar_service::sent(event, way).await?, expected, "isobar, by {way:?}");
    }
    for signature in ["cloudevent", "event"] {
        let found = google_framework::sent(framework, signature, event).await?;
        match DEVIATIONS.iter().find(|(name, of, _)| *name == event.name && of.contains(&signature)) {
            Some((.., why)) => assert_ne!(found, expected, "{signature}: no deviation any more: {why}"),
            None => assert_eq!(found, expected, "framework, as {signature}"),
        }
    }
    Ok(())
}

impl Event {
    /// With times as isobar writes them.
    fn expected(&self) -> Result<serde_json::Value, u16> {
        match self.expected {
            Expected::Seen(text) => Ok(serde_json::from_str(text).unwrap()),
            Expected::Refused(status) => Err(status),
        }
    }
}
