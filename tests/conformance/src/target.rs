//! A test target of named checks on something that is started once, such as an emulator: the base of
//! [`Suite`](crate::Suite), and of targets whose checks are no trials.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed};

use crate::panics::Panics;
use crate::{Absent, Lacks, TrialResult};

/// A check other than a trial, on what its target has started.
pub type Check<T> = fn(T) -> BoxFuture<'static, TrialResult>;

/// Runs checks by name, as the `main` of a test target with `harness = false`. Each is ended after `timeout`.
/// [`run`] describes `start`.
pub fn run_checks<T: Clone + Send + 'static, G>(
    name: &str,
    timeout: Duration,
    checks: &[(&str, Check<T>)],
    start: impl FnOnce() -> Result<(T, G), Absent>,
) -> ExitCode {
    let checks = checks.iter().map(|(name, check)| ((*name).to_owned(), *check));
    run(name, start, checks, move |with, check| run_check(timeout, check(with)))
}

/// Runs `attempt` for each item, by name, on what `start` returns; what `start` returns in addition is dropped after the last
/// item. If something is absent that `start` needs, all items are ignored with the reason; if `ISOBAR_REQUIRE` names the
/// need, the run fails.
///
/// Fails if not one item ran, unless the arguments filter.
pub fn run<T: Clone + Send + 'static, G, I: Send + 'static>(
    name: &str,
    start: impl FnOnce() -> Result<(T, G), Absent>,
    items: impl IntoIterator<Item = (String, I)>,
    attempt: impl Fn(T, I) -> Result<Completion, Failed> + Clone + Send + 'static,
) -> ExitCode {
    run_and_close(name, start, items, attempt, |_| Ok(()))
}

/// [`run`], and `close` after the last item, before what `start` returned in addition is dropped.
pub(crate) fn run_and_close<T: Clone + Send + 'static, G, I: Send + 'static>(
    name: &str,
    start: impl FnOnce() -> Result<(T, G), Absent>,
    items: impl IntoIterator<Item = (String, I)>,
    attempt: impl Fn(T, I) -> Result<Completion, Failed> + Clone + Send + 'static,
    close: impl FnOnce(T) -> Result<(), String>,
) -> ExitCode {
    let arguments = Arguments::from_args();
    // A list needs nothing that runs.
    let started = if arguments.list { Err(Absent::new("nothing", "only listed")) } else { start() };
    let (with, guard) = match started {
        Ok((with, guard)) => (Ok(with), Some(guard)),
        Err(absent) if absent.is_required() => return fail(&format!("{name} cannot run: {}", absent.reason)),
        Err(absent) => (Err(absent.reason), None),
    };
    let trials = items.into_iter().map(|(item, data)| {
        let (with, attempt) = (with.clone(), attempt.clone());
        libtest_mimic::Trial::ignorable_test(format!("{name}::{item}"), move || match with {
            Ok(with) => attempt(with, data),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    });
    let filtered = arguments.filter.is_some() || arguments.list || arguments.ignored || !arguments.skip.is_empty();
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let started = with.is_ok();
    let closed = with.map_or(Ok(()), close);
    // An emulator must not outlive the trials, and `exit` drops nothing.
    drop(guard);
    match closed {
        Err(message) => fail(&format!("{name}: {message}")),
        Ok(()) if conclusion.num_passed + conclusion.num_failed == 0 && !filtered && started => {
            fail(&format!("{name}: not one trial ran"))
        }
        Ok(()) => conclusion.exit_code(),
    }
}

/// Reports the failure of a whole run.
pub(crate) fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "FAILED: {message}");
    ExitCode::FAILURE
}

/// Runs a check on its own runtime, and ends it after `timeout`. A panic fails it; panics are printed only then.
pub fn run_check(
    timeout: Duration,
    check: impl Future<Output = TrialResult> + Send + 'static,
) -> Result<Completion, Failed> {
    Ok(run_trial(timeout, check)?.map_or(Completion::Completed, |part| Completion::ignored_with(part.to_string())))
}

/// [`run_check`], which returns the part that the trial needed and the harness lacks.
pub(crate) fn run_trial(
    timeout: Duration,
    check: impl Future<Output = TrialResult> + Send + 'static,
) -> Result<Option<Lacks>, Failed> {
    let panics = Panics::record();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_name(panics.thread_name()).worker_threads(2).enable_all().build()?;
    // A spawned task, since one that never yields must be ended too.
    let ended = runtime.block_on(async { tokio::time::timeout(timeout, tokio::spawn(check)).await });
    // Tasks that are still running must not keep the process, however the trial ended.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let failure = match ended {
        Ok(Ok(Ok(()))) => return Ok(None),
        Ok(Ok(Err(error))) => match Lacks::of(&*error) {
            Some(part) => return Ok(Some(part)),
            None => format!("{error:?}"),
        },
        Ok(Err(_)) => "the trial panicked".to_owned(),
        Err(_) => format!("the trial did not end within {timeout:?}"),
    };
    Err(format!("{failure}\n{}", panics.text()).trim_end().into())
}
