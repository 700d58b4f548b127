//! Any bytes as a call: the host does not panic, and its response is complete.
//!
//! From the root, with `cargo-fuzz` and a nightly toolchain; the fixtures are a good initial corpus:
//! `cargo +nightly fuzz run --fuzz-dir adapters/gcp/fuzz --target-dir target/fuzz call target/corpus adapters/gcp/fixtures`
//!
//! Without either, a C++ compiler is enough: see `adapters/azure/fuzz/fuzz_targets/call.rs`.
#![no_main]

#[path = "../../tests/fuzz_events/app.rs"]
mod app;

use std::sync::LazyLock;

use app::{TRIGGERS, Target};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};

static HOST: LazyLock<(Runtime, Target)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, Target::open())
});

fuzz_target!(|call: &[u8]| {
    let (runtime, target) = &*HOST;
    let call = app::read(call);
    for trigger in TRIGGERS {
        let (status, answer) = runtime.block_on(async {
            let answer = target.handle(trigger, &call).await;
            (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
        });
        match status {
            204 => assert!(answer.is_empty()),
            _ => drop(serde_json::from_slice::<IgnoredAny>(&answer).unwrap()),
        }
        assert!(!String::from_utf8_lossy(&answer).contains("the host panicked"));
    }
});
