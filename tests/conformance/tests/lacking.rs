//! A trial is ignored where the harness lacks a part that it uses: it neither passes nor fails.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, EventQueue, TestResponse};
use isobar_conformance::memory::Memory;
use isobar_conformance::target::run_check;
use isobar_conformance::{
    BuildApp, Harness, HarnessError, HarnessResult, Lacks, RunningApp, Trial, TrialResult, World, trials,
};
use libtest_mimic::{Completion, Failed};
use parking_lot::Mutex;

/// The cloud in memory without one part, which records the parts that a trial uses.
#[derive(Clone, Default)]
struct Parts {
    lacking: Option<Lacks>,
    used: Arc<Mutex<BTreeSet<Lacks>>>,
}

impl Parts {
    fn need(&self, part: Lacks) -> Result<(), Lacks> {
        self.used.lock().insert(part);
        if self.lacking == Some(part) { Err(part) } else { Ok(()) }
    }
}

struct PartialWorld(Box<dyn World>, Parts);

#[async_trait]
impl World for PartialWorld {
    fn cloud(&self) -> isobar::Cloud {
        self.0.cloud()
    }

    fn clock(&self) -> Option<&ManualClock> {
        self.1.need(Lacks::Clock).ok()?;
        self.0.clock()
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        self.1.need(Lacks::Host)?;
        Ok(Box::new(PartialApp(self.0.start(app).await?, self.1.clone())))
    }

    async fn set_secret(&self, name: &str, value: Option<&str>) -> HarnessResult<()> {
        self.1.need(Lacks::Secrets)?;
        self.0.set_secret(name, value).await
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        self.1.need(Lacks::Fetch)?;
        self.0.fetch(request).await
    }
}

struct PartialApp(Box<dyn RunningApp>, Parts);

#[async_trait]
impl RunningApp for PartialApp {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        self.1.need(Lacks::Http)?;
        self.0.http(request).await
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        self.1.need(Lacks::Invoke)?;
        self.0.invoke(function, payload).await
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.1.need(Lacks::Tick)?;
        self.0.tick(schedule).await
    }

    async fn deliver(&self) -> HarnessResult<()> {
        self.1.need(Lacks::Deliver)?;
        self.0.deliver().await
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        self.1.need(Lacks::DeadLetters)?;
        self.0.dead_letters(queue).await
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        self.1.need(Lacks::Redrive)?;
        self.0.redrive(queue).await
    }
}

/// How a check ended: with the reason why it is ignored, or `None` where it passed. Errors: where it failed.
fn ending(check: impl Future<Output = TrialResult> + Send + 'static) -> Result<Option<String>, Failed> {
    run_check(Duration::from_secs(60), check).map(|completion| match completion {
        Completion::Completed => None,
        Completion::Ignored { reason } => reason,
    })
}

fn run(trial: &Trial, parts: &Parts) -> Result<Option<String>, Failed> {
    let (check, parts) = (trial.check, parts.clone());
    ending(async move { check(Box::new(PartialWorld(Memory.open().await?, parts))).await })
}

/// Without a part that it uses, a trial is ignored for that part.
fn check(trial: &Trial) {
    let all = Parts::default();
    run(trial, &all).unwrap_or_else(|failed| panic!("{trial:?}: {failed:?}"));
    for part in all.used.lock().clone() {
        let ending = run(trial, &Parts { lacking: Some(part), ..Parts::default() });
        // A trial may only read the time, or run its app in its own process.
        let may_pass = part == Lacks::Clock || part == Lacks::Host && !["PS", "FN"].contains(&&trial.row[..2]);
        match ending {
            Ok(_) if may_pass => {}
            Ok(Some(reason)) if reason == part.to_string() => {}
            ending => panic!("{trial:?} without {part:?}: {ending:?}"),
        }
    }
}

#[test]
fn a_trial_is_ignored_without_each_part_that_it_uses() {
    let (trials, next) = (trials::all(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(trial);
                }
            });
        }
    });
}

#[test]
fn only_the_error_of_a_harness_ignores_a_trial() {
    let source = || Error::internal("the backend failed").with_source(Lacks::Tick);
    let text = Lacks::Tick.to_string();
    assert_eq!(ending(async { Err(Lacks::Tick.into()) }).unwrap(), Some(text.clone()));
    assert_eq!(ending(async { Err(HarnessError::from(Lacks::Tick).into()) }).unwrap(), Some(text.clone()));
    ending(async move { Err(source().into()) }).unwrap_err();
    ending(async move { Err(HarnessError::from(source()).into()) }).unwrap_err();
    ending(async move { Err(Error::internal(text).into()) }).unwrap_err();
    ending(async { panic!("{}", Lacks::Tick) }).unwrap_err();
}
