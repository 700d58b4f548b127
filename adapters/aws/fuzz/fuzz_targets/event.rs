//! Any bytes as an event: no panic, and a response in JSON or an error.
//!
//! From the root, with `cargo-fuzz` and a nightly toolchain; the fixtures are a good initial corpus:
//! `cargo +nightly fuzz run --fuzz-dir adapters/aws/fuzz --target-dir target/fuzz event target/corpus adapters/aws/fixtures`
#![no_main]

#[path = "../../tests/fuzz_events/app.rs"]
mod app;

use std::sync::LazyLock;

use app::Target;
use isobar_aws::LambdaReply;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};

static HOST: LazyLock<(Runtime, [Target; 2])> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, [Target::new("BUFFERED"), Target::new("RESPONSE_STREAM")])
});

fuzz_target!(|event: &[u8]| {
    let (runtime, targets) = &*HOST;
    for target in targets {
        if let Ok(LambdaReply::Json(answer)) = runtime.block_on(target.handle(event)) {
            serde_json::from_slice::<IgnoredAny>(&answer).unwrap();
        }
    }
});
