//! Sends any bytes as a call: no panic, and a response in JSON.
//!
//! From the root, with `cargo-fuzz` and a nightly toolchain, and the fixtures as the initial corpus:
//! `cargo +nightly fuzz run --fuzz-dir adapters/azure/fuzz --target-dir target/fuzz call target/corpus adapters/azure/fixtures`
//!
//! Without either, a C++ compiler is enough (tested with Rust 1.95):
//!
//! ```sh
//! export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
//!   -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
//!   -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
//! target=$(rustc --print host-tuple) && mkdir -p target/corpus
//! cargo build --release --manifest-path adapters/azure/fuzz/Cargo.toml --target-dir target/fuzz --target $target
//! target/fuzz/$target/release/call -max_total_time=120 target/corpus adapters/azure/fixtures
//! ```
#![no_main]

#[path = "../../tests/fuzz_events/app.rs"]
mod app;

use std::sync::LazyLock;

use app::{FUNCTIONS, Target};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};

static HOST: LazyLock<(Runtime, [Target; 2])> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, [Target::new("azqueue://clicks"), Target::new("servicebus://clicks")])
});

fuzz_target!(|call: &[u8]| {
    let (runtime, targets) = &*HOST;
    for (target, function) in targets.iter().flat_map(|target| FUNCTIONS.map(|function| (target, function))) {
        let answer = runtime.block_on(async { target.handle(function, call).await.into_body().collect().await.unwrap() });
        serde_json::from_slice::<IgnoredAny>(&answer.to_bytes()).unwrap();
    }
});
