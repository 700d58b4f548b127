//! Completions of names, from the manifest of the app that runs in the working folder.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use isobar::driver::ResourceKind;

use super::app::RunningApp;

/// A key that waits longer seems broken.
const LIMIT: Duration = Duration::from_millis(500);

pub(crate) fn functions() -> ArgValueCompleter {
    names(|app| app.manifest.functions().map(str::to_owned).collect())
}

pub(crate) fn schedules() -> ArgValueCompleter {
    names(|app| app.manifest.schedules().map(|schedule| schedule.name.clone()).collect())
}

pub(crate) fn written_tables() -> ArgValueCompleter {
    names(|app| app.manifest.writes().map(|trigger| trigger.table.clone()).collect())
}

pub(crate) fn queues() -> ArgValueCompleter {
    names(|app| app.queues.iter().map(|queue| queue.label()).collect())
}

/// The resources of these kinds.
pub(crate) fn resources(kinds: &'static [ResourceKind]) -> ArgValueCompleter {
    names(|app| {
        kinds.iter().flat_map(|kind| app.manifest.of_kind(*kind)).map(|resource| resource.name.clone()).collect()
    })
}

fn names(of: impl Fn(&RunningApp) -> Vec<String> + Send + Sync + 'static) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let (app, current) = (running_app(), current.to_string_lossy());
        let names = app.as_ref().map(&of).unwrap_or_default().into_iter();
        names.filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
    })
}

fn running_app() -> Option<RunningApp> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(LIMIT, RunningApp::here()).await.ok()? })
}
