//! What the benchmarks share: rounds that take turns, medians, and a table.

pub mod bootstrap;
pub mod call;
pub mod cosmos;
pub mod dynamo;
pub mod event;
pub mod firestore;
pub mod handler;
pub mod http1;
pub mod latency;
pub mod load;
pub mod runtime_api;
pub mod server;
pub mod service;

use std::time::{Duration, Instant};

/// Runs each side once a round, in turns, so that a slow moment of the machine hits all of them.
/// Returns the median of each side's rates.
pub fn medians(rounds: usize, sides: &mut [&mut dyn FnMut() -> f64]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); sides.len()];
    for round in 0..=rounds {
        for (side, rates) in sides.iter_mut().zip(&mut rates) {
            let rate = side();
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    rates.into_iter().map(median).collect()
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The operations per second, of `count` operations.
pub fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    count as f64 / started.elapsed().as_secs_f64()
}

/// A duration for people.
pub fn format_duration(duration: Duration) -> String {
    format!("{duration:.2?}")
}

/// A row of the table that goes into `benches/README.md`.
pub fn row(what: &str, ours: &str, peer: &str, ratio: &str, goal: &str) {
    println!("| {what} | {ours} | {peer} | {ratio} | {goal} |");
}

/// The resident memory of this process in MB, as Linux reports it; 0 elsewhere.
pub fn resident_mb() -> f64 {
    resident_mb_of("self")
}

/// The resident memory of a process in MB, as Linux reports it; 0 elsewhere.
pub fn resident_mb_of(process: &str) -> f64 {
    memory_mb_of(process, "VmRSS")
}

/// What `/proc/{process}/status` says of its memory in MB; 0 where there is no such file.
pub fn memory_mb_of(process: &str, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kb = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}

/// A row with what is decided at its end.
pub fn row_with_goal(what: &str, ours: &str, peer: &str, ratio: &str, goal: &str, reached: bool) {
    let reached = if reached { "yes" } else { "**no**" };
    println!("| {what} | {ours} | {peer} | {ratio} | {goal} | {reached} |");
}
