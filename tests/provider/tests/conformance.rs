//! The trials of key-value, and of work that runs once, on this provider.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use heap::HeapProvider;
use isobar::clock::ManualClock;
use isobar::driver::Environment;
use isobar::{Cloud, Result};
use isobar_conformance::{Harness, Suite, World, trials};

struct Heap;

#[async_trait]
impl Harness for Heap {
    fn name(&self) -> &'static str {
        "heap"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let clock = ManualClock::default();
        let provider = HeapProvider::new(&Environment::default())?.with_clock(Arc::new(clock.clone()));
        Ok(Box::new(HeapWorld { clock, provider: Arc::new(provider) }))
    }
}

/// The tables of one trial.
struct HeapWorld {
    clock: ManualClock,
    provider: Arc<HeapProvider>,
}

impl World for HeapWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(self.provider.clone())
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }
}

fn main() -> ExitCode {
    Suite::new([trials::key_value::all(), trials::once::all()].concat()).run(Heap)
}
