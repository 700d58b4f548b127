use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::FutureExt;

/// Tests inputs for `ISOBAR_FUZZ_SECONDS` (3 by default), starting at the seed `ISOBAR_FUZZ_SEED`, and prints the seed of
/// an input that fails. The same seed makes the same input. Returns the number of inputs.
#[allow(clippy::needless_pass_by_value)] // a closure is written where it is passed
pub fn fuzz<I: Debug>(make: impl Fn(&mut Rng) -> I, attempt: impl AsyncFn(&I)) -> u64 {
    let seconds = number("ISOBAR_FUZZ_SECONDS").unwrap_or(3);
    let first = number("ISOBAR_FUZZ_SEED").unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let mut seed = first;
    while began.elapsed() < Duration::from_secs(seconds) {
        let input = make(&mut Rng::with_seed(seed));
        let tried = runtime.block_on(AssertUnwindSafe(attempt(&input)).catch_unwind());
        assert!(tried.is_ok(), "ISOBAR_FUZZ_SEED={seed}: {input:?}");
        seed += 1;
    }
    eprintln!("{} inputs in {:?}", seed - first, began.elapsed());
    seed - first
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`; it must be a number")))
}

/// The names and contents of a crate's fixtures with this extension, in the order of names.
pub fn fixtures(manifest_dir: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(Path::new(manifest_dir).join("fixtures")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == extension));
    files.sort();
    assert!(files.len() > 10, "the fixtures are there");
    let read = |path: &PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap());
    files.iter().map(read).collect()
}
