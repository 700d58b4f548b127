//! The conformance suite of isobar: one set of trials, each named after the guarantee that it
//! checks, for any backend.
//!
//! A backend is a [`Backend`]: some 100 lines that open an empty [`World`] and run an app in it.
//! [`run`] makes a test binary of it:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     isobar_conformance::run(isobar_conformance::memory::Memory)
//! }
//! ```
//!
//! Each trial belongs to a row of `mappings.md`: see [`rows`]. What a backend cannot do is declared
//! as data, a [`Gap`] with its reason; such a trial is ignored and counted, and never passes. One that is of some
//! traits only is run by [`run_some`], which lists no other trial.

mod absent;
pub mod memory;
mod panics;
pub mod rows;
pub mod trials;
mod world;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed};

pub use absent::{Absent, Need, Needs};
pub use world::{Backend, BuildApp, Checked, Gap, RunningApp, Trial, World};

/// `trials!["KV-1" => a_function, …]`: the trials of a module, as `pub fn all() -> Vec<Trial>`.
#[macro_export]
macro_rules! trials {
    ($($row:literal => $check:ident),* $(,)?) => {
        /// The trials of this module.
        pub fn all() -> Vec<$crate::Trial> {
            vec![$($crate::Trial {
                name: stringify!($check),
                row: $row,
                check: |world| Box::pin(async move { $check(world).await }),
            }),*]
        }
    };
}

/// Longest run of a trial. It bounds a trial that hangs; no trial waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs all trials on a backend, as the `main` of a test target with `harness = false`.
///
/// Fails where not one trial ran.
pub fn run(backend: impl Backend) -> ExitCode {
    run_if_present(backend.name(), || Ok((backend, ())))
}

/// Runs all trials on a backend that needs something which not every machine has. `open` starts it, and
/// what comes with it is dropped behind the last trial. Where it is absent all trials are ignored, with the
/// reason; unless `ISOBAR_REQUIRE` names the need, which fails.
pub fn run_if_present<B: Backend, G>(
    name: &str,
    open: impl FnOnce() -> std::result::Result<(B, G), Absent>,
) -> ExitCode {
    run_some(name, |_| true, open)
}

/// The same on a backend that is of some trials only, such as those whose row begins with `KV-`. Others are not listed.
pub fn run_some<B: Backend, G>(
    name: &str,
    covers: fn(&Trial) -> bool,
    open: impl FnOnce() -> std::result::Result<(B, G), Absent>,
) -> ExitCode {
    let trials: Vec<_> = trials::all().into_iter().filter(covers).collect();
    let mut stray = None;
    let open = || {
        let (backend, guard) = open()?;
        let known = |gap: &&Gap| trials.iter().any(|trial| trial.name == gap.trial);
        stray = backend.gaps().iter().find(|gap| !known(gap)).copied();
        Ok((Arc::new(backend), guard))
    };
    let named = trials.iter().map(|trial| (format!("{}::{}", trial.row, trial.name), *trial));
    let code =
        run_all(name, open, named, |backend, trial| match backend.gaps().iter().find(|gap| gap.trial == trial.name) {
            Some(gap) => Ok(Completion::ignored_with(gap.reason)),
            None => run_check(PATIENCE, async move { (trial.check)(backend.open().await?).await })
                .map(|()| Completion::Completed),
        });
    stray.map_or(code, |gap| complain(&format!("{name} declares a gap for no trial: {}", gap.trial)))
}

/// A check other than a trial, on what its target has started.
pub type Check<T> = fn(T) -> BoxFuture<'static, Checked>;

/// Runs checks other than trials, by name, as the `main` of a test target with `harness = false`, and gives each up
/// after this long. What they need is as in [`run_if_present`].
pub fn run_checks<T: Clone + Send + 'static, G>(
    name: &str,
    patience: Duration,
    checks: &[(&str, Check<T>)],
    open: impl FnOnce() -> std::result::Result<(T, G), Absent>,
) -> ExitCode {
    let checks = checks.iter().map(|(name, check)| ((*name).to_owned(), *check));
    run_all(name, open, checks, move |with, check| run_check(patience, check(with)).map(|()| Completion::Completed))
}

/// Runs what `attempt` makes of each item, by name, on what `open` starts.
pub fn run_all<T: Clone + Send + 'static, G, I: Send + 'static>(
    name: &str,
    open: impl FnOnce() -> std::result::Result<(T, G), Absent>,
    items: impl IntoIterator<Item = (String, I)>,
    attempt: impl Fn(T, I) -> std::result::Result<Completion, Failed> + Copy + Send + 'static,
) -> ExitCode {
    let arguments = Arguments::from_args();
    // Asked for a list, it starts nothing.
    let opened = if arguments.list { Err(Absent::new("nothing", "only listed")) } else { open() };
    let (with, guard) = match opened {
        Ok((with, guard)) => (Ok(with), Some(guard)),
        Err(absent) if absent.is_required() => return complain(&format!("{name} cannot run: {}", absent.reason)),
        Err(absent) => (Err(absent.reason), None),
    };
    let trials = items.into_iter().map(|(item, what)| {
        let with = with.clone();
        libtest_mimic::Trial::ignorable_test(format!("{name}::{item}"), move || match with {
            Ok(with) => attempt(with, what),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    });
    let filtered = arguments.filter.is_some() || arguments.list || !arguments.skip.is_empty();
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // An emulator must not outlive the trials, and `exit` would drop nothing.
    drop(guard);
    if conclusion.num_passed + conclusion.num_failed == 0 && !filtered && with.is_ok() {
        return complain(&format!("{name}: not one trial ran"));
    }
    conclusion.exit_code()
}

/// The harness has no other way to speak.
fn complain(what: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{what}");
    ExitCode::FAILURE
}

/// Runs a check on a runtime of its own, and gives it up after this long. What panics is a failure, and is
/// told only then.
pub fn run_check(
    patience: Duration,
    check: impl Future<Output = Checked> + Send + 'static,
) -> std::result::Result<(), Failed> {
    let panics = panics::Panics::keep();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_name(panics.thread_name()).worker_threads(2).enable_all().build()?;
    // A task of its own: one that never yields is given up all the same.
    let ended = runtime.block_on(async { tokio::time::timeout(patience, tokio::spawn(check)).await });
    // What it left running must not keep the process, however it ended.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let what = match ended {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => format!("{error:?}"),
        Ok(Err(_)) => "the trial panicked".to_owned(),
        Err(_) => format!("the trial did not end within {patience:?}"),
    };
    Err(format!("{what}\n{}", panics.told()).trim_end().into())
}
