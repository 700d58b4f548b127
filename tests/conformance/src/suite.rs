//! The suite: trials to run on a harness.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar::driver::Clock;
use libtest_mimic::{Completion, Failed};
use parking_lot::Mutex;

use crate::target::{run_and_close, run_trial};
use crate::{Absent, Harness, Lacks, Trial, rows, trials};

/// Trials to run on a harness. [`key_value`](crate::key_value), [`blob`](crate::blob), [`pub_sub`](crate::pub_sub),
/// [`function`](crate::function) and [`once`](crate::once) run those of one trait, [`all`](crate::all) those of all traits.
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
        let start = || {
            let (harness, guard) = start()?;
            let harness = Arc::new(harness);
            // A wrong harness has one failure, and not one in many trials.
            match check(&harness, &self.trials) {
                Ok(()) => Ok((harness, guard)),
                Err(mistake) => Err(Absent::failed(match close(harness.as_ref()) {
                    Ok(()) => mistake,
                    Err(unclosed) => format!("{mistake}; {unclosed}"),
                })),
            }
        };
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
    let lacks = run_trial(harness.timeout(), async move {
        let world = harness.open().await.map_err(|error| format!("the world cannot be opened: {error:?}"))?;
        (trial.check)(world).await
    })?;
    match lacks {
        None => Ok(Completion::Completed),
        Some(part) if allowed.is_none_or(|allowed| allowed.contains(&part)) => {
            lacking.add(part);
            Ok(Completion::ignored_with(part.to_string()))
        }
        Some(part) => Err(format!("{part}: implement it, or add it to `Suite::with_allowed_lacks`").into()),
    }
}

/// Whether the gaps name trials or rows, whether a world has no data of another one, and whether its clock is that of its
/// provider.
fn check<H: Harness>(harness: &Arc<H>, suite: &[Trial]) -> Result<(), String> {
    let all = trials::all();
    let known = |name: &str| all.iter().any(|trial| trial.name == name) || rows::find(name).is_some();
    if let Some(gap) = harness.gaps().iter().find(|gap| !known(gap.trial)) {
        return Err(format!("a gap names neither a trial nor a row: `{}`", gap.trial));
    }
    if !suite.iter().any(|trial| trial.row.starts_with("KV-")) {
        return Ok(());
    }
    let mistake = Arc::new(Mutex::new(None));
    let (opened, found) = (Arc::clone(harness), Arc::clone(&mistake));
    let compare = async move {
        let (one, other) = (opened.open().await?, opened.open().await?);
        one.cloud().table::<i64>("items").put("a", &1).await?;
        if other.cloud().table::<i64>("items").get("a").await?.is_some() {
            *found.lock() = Some("two worlds share their data: each trial needs one of its own");
        } else if let Some(clock) = one.clock() {
            clock.advance(Duration::from_secs(1));
            if one.cloud().clock().now() != clock.now() {
                *found.lock() = Some("`World::clock` is not the clock of the provider");
            }
        }
        Ok(())
    };
    // An error, a panic or a store that hangs fails trials too, which say more about it.
    let _ = run_trial(harness.timeout(), compare);
    let mistake = mistake.lock().take();
    mistake.map_or(Ok(()), |mistake| Err(mistake.to_owned()))
}

fn close(harness: &impl Harness) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let closed = runtime.map_err(|error| error.to_string())?.block_on(harness.close());
    closed.map_err(|error| format!("the harness cannot be closed: {error:?}"))
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
            let _ = writeln!(std::io::stderr(), "{name}: {trials} trials ignored: {part}");
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use isobar::clock::ManualClock;
    use isobar::memory::MemoryProvider;
    use isobar::{Cloud, Result};

    use super::*;
    use crate::{Gap, World};

    /// A harness with one mistake, or none.
    #[derive(Default)]
    struct Mistaken {
        shared: Option<MemoryProvider>,
        clock: Option<ManualClock>,
        gaps: &'static [Gap],
    }

    struct MistakenWorld(MemoryProvider, ManualClock);

    #[async_trait]
    impl Harness for Mistaken {
        fn name(&self) -> &'static str {
            "mistaken"
        }

        fn gaps(&self) -> &'static [Gap] {
            self.gaps
        }

        async fn open(&self) -> Result<Box<dyn World>> {
            let provider = self.shared.clone().unwrap_or_default();
            let clock = self.clock.clone().unwrap_or_else(|| provider.manual_clock().clone());
            Ok(Box::new(MistakenWorld(provider, clock)))
        }
    }

    impl World for MistakenWorld {
        fn cloud(&self) -> Cloud {
            Cloud::new(Arc::new(self.0.clone()))
        }

        fn clock(&self) -> Option<&ManualClock> {
            Some(&self.1)
        }
    }

    #[test]
    fn a_mistake_of_a_harness_is_found_before_the_trials() {
        let found = |harness| check(&Arc::new(harness), &trials::key_value::all()).err().unwrap_or_default();
        assert_eq!(found(Mistaken::default()), "");
        let shared = Mistaken { shared: Some(MemoryProvider::default()), ..Mistaken::default() };
        assert!(found(shared).starts_with("two worlds share their data"));
        let other_clock = Mistaken { clock: Some(ManualClock::default()), ..Mistaken::default() };
        assert_eq!(found(other_clock), "`World::clock` is not the clock of the provider");
        let gaps = Mistaken { gaps: &[Gap { trial: "KV-99", reason: "none" }], ..Mistaken::default() };
        assert_eq!(found(gaps), "a gap names neither a trial nor a row: `KV-99`");
    }
}
