//! The panics of a trial, which are printed only if the trial fails: many trials are about handlers that panic, and their
//! panics must not be printed between the results of other trials.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The prefix of the names of the threads of trials.
const PREFIX: &str = "trial-";

static INSTALLED: Once = Once::new();
static NEXT: AtomicU64 = AtomicU64::new(1);
/// By name of the thread.
static RECORDED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// The panics of the threads of one trial.
#[derive(Debug)]
pub(crate) struct Panics(String);

impl Panics {
    /// Starts to record. Panics of all other threads are printed as usual.
    pub(crate) fn record() -> Self {
        INSTALLED.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let thread = std::thread::current();
                match thread.name().filter(|name| name.starts_with(PREFIX)) {
                    Some(name) => RECORDED.lock().entry(name.to_owned()).or_default().push(text(panic)),
                    None => usual(panic),
                }
            }));
        });
        Self(format!("{PREFIX}{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The name that the threads of the trial must have.
    pub(crate) fn thread_name(&self) -> &str {
        &self.0
    }

    /// The messages and places of the panics, the last one last.
    pub(crate) fn text(&self) -> String {
        RECORDED.lock().get(&self.0).map(|panics| panics.join("\n")).unwrap_or_default()
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        RECORDED.lock().remove(&self.0);
    }
}

fn text(panic: &PanicHookInfo<'_>) -> String {
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("{panic}\n{backtrace}"),
        _ => panic.to_string(),
    }
}
