//! The suite: trials to run on a harness.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed};
use parking_lot::Mutex;

use crate::target::{run_and_close, run_trial};
use crate::{Absent, Harness, Lacks, Trial, rows, trials};

/// Trials to run on a harness. [`key_value`](crate::key_value), [`blob`](crate::blob), [`pub_sub`](crate::pub_sub) and
/// [`function`](crate::function) run those of one trait, [`all`](crate::all) those of all traits.
#[derive(Debug, Clone)]
pub struct Suite {
    trials: Vec<Trial>,
    allowed: Option<&'static [Lacks]>,
}

impl Suite {
    /// A suite of these trials, such as [`trials::all()`](crate::trials::all).
    pub fn new(trials: Vec<Trial>) -> Self {
        Self { trials, allowed: None }
    }

    /// Leaves out the trials for which `is_covered` returns `false`: they are not listed.
    #[must_use]
    pub fn with_filter(mut self, is_covered: impl FnMut(&Trial) -> bool) -> Self {
        self.trials.retain(is_covered);
        self
    }

    /// The parts that the harness may lack. A trial that needs any other part and does not find it fails, so that a complete
    /// harness cannot lose trials. Without this, the harness may lack all of them.
    #[must_use]
    pub fn with_allowed_lacks(mut self, parts: &'static [Lacks]) -> Self {
        self.allowed = Some(parts);
        self
    }

    /// Runs the trials, as the `main` of a test target with `harness = false`. The report ends with what the harness
    /// lacks, and the number of trials that are ignored for it.
    ///
    /// Fails if a trial fails, if not one trial ran, if a [`Gap`](crate::Gap) names neither a trial nor a row, or if
    /// [`Harness::close`] fails.
    pub fn run(self, harness: impl Harness) -> ExitCode {
        self.run_if_present(harness.name(), || Ok((harness, ())))
    }

    /// [`run`](Self::run) on a backend that needs a program which not every machine has. `start` starts it; what it
    /// returns in addition to the harness is dropped after the last trial. If something is absent, all trials are ignored
    /// with the reason; if `ISOBAR_REQUIRE` names the need, the run fails.
    pub fn run_if_present<H: Harness, G>(self, name: &str, start: impl FnOnce() -> Result<(H, G), Absent>) -> ExitCode {
        let named = self.trials.iter().map(|trial| (format!("{}::{}", trial.row, trial.name), *trial));
        let (allowed, lacking) = (self.allowed, Lacking::default());
        let counted = lacking.clone();
        let start = || start().map(|(harness, guard)| (Arc::new(harness), guard));
        run_and_close(
            name,
            start,
            named,
            move |harness, trial| attempt(harness, trial, allowed, &counted),
            |harness| {
                lacking.print(name);
                close(harness.as_ref())
            },
        )
    }
}

fn attempt<H: Harness>(
    harness: Arc<H>,
    trial: Trial,
    allowed: Option<&[Lacks]>,
    lacking: &Lacking,
) -> Result<Completion, Failed> {
    if let Some(gap) = harness.gaps().iter().find(|gap| gap.covers(&trial)) {
        return Ok(Completion::ignored_with(gap.reason));
    }
    let lacks = run_trial(harness.timeout(), async move { (trial.check)(harness.open().await?).await })?;
    match lacks {
        None => Ok(Completion::Completed),
        Some(part) if allowed.is_none_or(|allowed| allowed.contains(&part)) => {
            lacking.add(part);
            Ok(Completion::ignored_with(part.to_string()))
        }
        Some(part) => Err(format!("{part}, and this suite does not allow that").into()),
    }
}

fn close(harness: &impl Harness) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let closed = runtime.block_on(harness.close());
    closed.map_err(|error| format!("the harness cannot be closed: {error:?}"))?;
    let all = trials::all();
    let known = |name: &str| all.iter().any(|trial| trial.name == name) || rows::find(name).is_some();
    match harness.gaps().iter().find(|gap| !known(gap.trial)) {
        Some(gap) => Err(format!("a gap names neither a trial nor a row: `{}`", gap.trial)),
        None => Ok(()),
    }
}

/// The number of trials that were ignored for each part that the harness lacks.
#[derive(Debug, Clone, Default)]
struct Lacking(Arc<Mutex<BTreeMap<Lacks, usize>>>);

impl Lacking {
    fn add(&self, part: Lacks) {
        *self.0.lock().entry(part).or_default() += 1;
    }

    fn print(&self, name: &str) {
        for (part, trials) in &*self.0.lock() {
            let _ = writeln!(std::io::stdout(), "{name}: {trials} trials ignored: {part}");
        }
    }
}
