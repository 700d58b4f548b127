//! Our service and Google's functions framework are sent the same, and see the same.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

mod events;
mod http_functions;
mod ours;
mod theirs;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar_conformance::emulators::{Absent, Framework, Node};
use isobar_conformance::{Checked, run_check};
use libtest_mimic::{Arguments, Completion, Trial};

use events::{DEVIATIONS, EVENTS, Event, Wanted};

/// Longest run of a trial. It bounds a trial that hangs; no trial waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let framework = if arguments.list { Err(Absent::new("nothing", "only listed")) } else { start() };
    if let Err(absent) = &framework
        && absent.is_required()
    {
        panic!("{} is required: {}", absent.need, absent.reason);
    }
    let trial = |name: String, check: Box<dyn FnOnce(Arc<Framework>) -> Result<(), libtest_mimic::Failed> + Send>| {
        let framework = framework.as_ref().map(Arc::clone).map_err(|absent| absent.reason.clone());
        Trial::ignorable_test(format!("gcp::framework::{name}"), move || match framework {
            Ok(framework) => check(framework).map(|()| Completion::Completed),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    };
    let mut trials: Vec<_> = EVENTS
        .iter()
        .map(|event| {
            trial(event.name.to_owned(), Box::new(move |it| run_check(PATIENCE, async move { same(&it, event).await })))
        })
        .collect();
    trials.push(trial(
        "requests_of_users_are_handed_over_alike".to_owned(),
        Box::new(|it| run_check(PATIENCE, async move { http_functions::same(&it).await })),
    ));
    assert!(DEVIATIONS.iter().all(|(name, ..)| EVENTS.iter().any(|event| event.name == *name)), "of no event");
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The framework must not outlive the trials, and `exit` would drop nothing.
    drop(framework);
    conclusion.exit_code()
}

fn start() -> Result<Arc<Framework>, Absent> {
    Ok(Arc::new(Framework::start(&Node::ready()?).unwrap()))
}

/// Ours does what is wanted, by both ways to call it. So does theirs, unless it is declared to do something else;
/// and then it does.
async fn same(framework: &Framework, event: &Event) -> Checked {
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
