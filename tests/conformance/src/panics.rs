//! What panics in a trial is told if the trial fails, and not else: many trials are about handlers that
//! panic, and what those print would stand between the results of others.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What the threads of trials begin with in their names.
const PREFIX: &str = "trial-";

static INSTALLED: Once = Once::new();
static NEXT: AtomicU64 = AtomicU64::new(1);
static KEPT: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// The panics of the threads that are called like this.
#[derive(Debug)]
pub(crate) struct Panics(String);

impl Panics {
    /// From here on. Panics of all other threads are printed as ever.
    pub(crate) fn keep() -> Self {
        INSTALLED.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let thread = std::thread::current();
                match thread.name().filter(|name| name.starts_with(PREFIX)) {
                    Some(name) => KEPT.lock().entry(name.to_owned()).or_default().push(told(panic)),
                    None => usual(panic),
                }
            }));
        });
        Self(format!("{PREFIX}{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// What the threads must be called.
    pub(crate) fn thread_name(&self) -> &str {
        &self.0
    }

    /// What panicked, and where, the last one last.
    pub(crate) fn told(&self) -> String {
        KEPT.lock().get(&self.0).map(|kept| kept.join("\n")).unwrap_or_default()
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        KEPT.lock().remove(&self.0);
    }
}

fn told(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("{panic}\n{backtrace}"),
        _ => panic.to_string(),
    }
}
