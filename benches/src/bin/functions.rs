//! The shortener as a custom handler of Azure Functions, compared with bare axum, and compared with the same on the
//! official crates.
//!
//! `benches/azure.sh` builds what is compared, and runs this.

use std::path::PathBuf;
use std::time::Instant;

use isobar_benches::cosmos::Cosmos;
use isobar_benches::server::Program;
use isobar_benches::{call, handler, median, row_with_goal};

/// Processes started of each, after one that warms the disk's cache.
const STARTS: usize = 61;
/// Processes of each that answer many calls, and how many.
const WARM_LIVES: usize = 9;
const WARM_CALLS: usize = 2_000;

/// What one start showed: milliseconds to the answered probe and to the first reply, and the most memory in MB.
struct Start {
    to_probe: f64,
    to_reply: f64,
    peak_mb: f64,
}

fn main() {
    let path = |path: &str| PathBuf::from(path);
    let mut sides = [
        Program { name: "isobar", path: path("target/lambda/shortener-azure") },
        Program { name: "bare axum", path: path("target/peers/bare-axum/lambda/bare-axum") },
        Program { name: "official crates", path: path("target/peers/azure-sdk/lambda/handler") },
    ];
    // Other builds of the same, by their paths.
    for (side, other) in sides.iter_mut().zip(std::env::args().skip(1)) {
        side.path = other.into();
    }
    let [ours, bare, sdk] = &sides;
    let (double, emulator) = (Cosmos::double(), Cosmos::emulator());
    check(&sides, &double);
    first_probes(&starts([ours, bare], &double, false));
    let of_double = starts([ours, sdk], &double, true);
    first_replies(&of_double, &double);
    first_replies(&starts([ours, sdk], &emulator, true), &emulator);
    memory(&of_double);
    for call in calls() {
        warm([ours, bare], &double, &call);
    }
}

/// That the figures are of the same work.
fn check(sides: &[Program], double: &Cosmos) {
    for (side, gets) in sides.iter().zip([1, 0, 1]) {
        let mut running = handler::start(side, double);
        let mut connection = running.answered();
        if gets == 1 {
            let (status, body) = connection.ask(&handler::get(&running, "/bench00")).unwrap();
            assert_eq!(status, 404, "{}: {}", side.name, String::from_utf8_lossy(&body));
        }
        assert_eq!(double.take_requests(), vec!["read"; gets], "{}", side.name);
    }
    // `Outputs` of the one, nothing of the other.
    for (side, ours) in sides.iter().zip([true, false]) {
        let mut running = handler::start(side, double);
        let mut connection = running.answered();
        for (function, body, expected) in calls() {
            let (status, answer) = connection.ask(&handler::call(&running, function, &body)).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let expected = if ours { expected } else { r#""Outputs":{}"# };
            assert!(status == 200 && answer.contains(expected), "{}: {status} {answer}", side.name);
        }
    }
    assert_eq!(double.take_requests(), Vec::<String>::new());
}

/// Calls that reach no service: function, body, and what the answer of isobar has in it.
fn calls() -> [(&'static str, String, &'static str); 3] {
    [
        ("http", call::rejected_url(), r#""statusCode":"400""#),
        ("invoke-stats", call::unknown_stats(), r#""statusCode":"404""#),
        ("topic-clicks", call::message_of_others(), r#""Outputs":{}"#),
    ]
}

/// Takes turns, so that a slow moment of the machine hits all of them.
fn starts<const N: usize>(sides: [&Program; N], cosmos: &Cosmos, asks: bool) -> [Vec<Start>; N] {
    let mut all = [const { Vec::new() }; N];
    for round in 0..=STARTS {
        for (side, starts) in sides.iter().zip(&mut all) {
            let start = start(side, cosmos, asks);
            if round > 0 {
                starts.push(start);
            }
        }
    }
    all
}

fn start(side: &Program, cosmos: &Cosmos, asks: bool) -> Start {
    let mut running = handler::start(side, cosmos);
    let mut connection = running.answered();
    let to_probe = running.elapsed().as_secs_f64() * 1e3;
    if asks {
        let answer = connection.ask(&handler::get(&running, "/bench00")).unwrap();
        assert_eq!(answer.0, 404, "{}", side.name);
    }
    let to_reply = running.elapsed().as_secs_f64() * 1e3;
    Start { to_probe, to_reply, peak_mb: running.peak_mb() }
}

fn medians<const N: usize>(starts: &[Vec<Start>; N], figure: impl Fn(&Start) -> f64) -> [f64; N] {
    starts.each_ref().map(|starts| median(starts.iter().map(&figure).collect()))
}

fn first_probes(starts: &[Vec<Start>; 2]) {
    let [ours, bare] = medians(starts, |start| start.to_probe);
    let ratio = ours / bare;
    row_with_goal(
        "start to the first answered probe",
        &format!("{ours:.2} ms"),
        &format!("{bare:.2} ms, bare axum"),
        &format!("{ratio:.2}"),
        "≤ 1.5",
        ratio <= 1.5,
    );
}

fn first_replies(starts: &[Vec<Start>; 2], cosmos: &Cosmos) {
    let [ours, sdk] = medians(starts, |start| start.to_probe);
    compared(&format!("start to the first answered probe ({})", cosmos.name), ours, sdk, 2, "ms");
    let [ours, sdk] = medians(starts, |start| start.to_reply);
    compared(&format!("start to the first reply with one `get` ({})", cosmos.name), ours, sdk, 2, "ms");
}

fn memory(starts: &[Vec<Start>; 2]) {
    let [ours, sdk] = medians(starts, |start| start.peak_mb);
    compared("peak memory", ours, sdk, 1, "MB");
}

/// For information: there is no goal.
fn compared(what: &str, ours: f64, sdk: f64, digits: usize, unit: &str) {
    let ratio = ours / sdk;
    println!("| {what} | {ours:.digits$} {unit} | {sdk:.digits$} {unit}, official crates | {ratio:.2} | | |");
}

fn warm(sides: [&Program; 2], cosmos: &Cosmos, (function, body, _): &(&str, String, &str)) {
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..WARM_LIVES {
        for (side, took) in sides.iter().zip(&mut all) {
            took.push(median(call_often(side, cosmos, function, body)));
        }
    }
    let [ours, bare] = all.map(median);
    let more = ours - bare;
    row_with_goal(
        &format!("call of `{function}` in JSON mode, {} bytes", body.len()),
        &format!("{ours:.0} µs"),
        &format!("{bare:.0} µs, bare axum that parses it"),
        &format!("{more:.0} µs more"),
        "≤ 50 µs more",
        more <= 50.0,
    );
}

/// What each call took, in microseconds, on one connection.
fn call_often(side: &Program, cosmos: &Cosmos, function: &str, body: &str) -> Vec<f64> {
    let mut running = handler::start(side, cosmos);
    let mut connection = running.answered();
    let call = handler::call(&running, function, body);
    let took = (0..WARM_CALLS + WARM_CALLS / 4).map(|_| {
        let sent = Instant::now();
        let (status, _) = connection.ask(&call).unwrap();
        let took = sent.elapsed().as_secs_f64() * 1e6;
        assert_eq!(status, 200);
        took
    });
    // The first quarter warms up.
    took.skip(WARM_CALLS / 4).collect()
}
