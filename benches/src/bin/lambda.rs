//! The shortener on Lambda compared with the same one on the official SDKs, and compared with bare `lambda_runtime`.
//!
//! `benches/aws.sh` builds what is compared, and runs this.

use std::path::PathBuf;

use isobar_benches::bootstrap::{Bootstrap, Life};
use isobar_benches::dynamo::Dynamo;
use isobar_benches::runtime_api::RuntimeApi;
use isobar_benches::{event, median, row_with_goal};

/// Processes started of each, after one that warms the disk's cache.
const STARTS: usize = 41;
/// Processes of each that answer many events, and how many.
const WARM_LIVES: usize = 7;
const WARM_EVENTS: usize = 2_000;

fn main() {
    let path = |path: &str| PathBuf::from(path);
    let mut sides = [
        Bootstrap { name: "isobar", path: path("target/lambda/shortener") },
        Bootstrap { name: "official SDKs", path: path("target/peers/aws-sdk/lambda/bootstrap") },
        Bootstrap { name: "bare lambda_runtime", path: path("target/peers/bare-lambda/lambda/bare-lambda") },
    ];
    // Other builds of the same, by their paths.
    for (side, other) in sides.iter_mut().zip(std::env::args().skip(1)) {
        side.path = other.into();
    }
    let api = RuntimeApi::start();
    let double = Dynamo::double();
    check(&sides, &api, &double);
    let lives = starts(&sides, &api, &double);
    first_polls(&lives);
    first_replies(&lives, &double);
    if let Some(dynalite) = Dynamo::dynalite() {
        first_replies(&starts(&sides, &api, &dynalite), &dynalite);
    }
    memory(&lives);
    warm(&sides, &api, &double);
}

/// That the figures are of the same work: one `get` for the one event, and none for the other.
fn check(sides: &[Bootstrap; 3], api: &RuntimeApi, double: &Dynamo) {
    for (side, gets) in sides.iter().zip([1, 1, 0]) {
        let life = side.live(api, double.address, vec![event::unknown_link(), event::rejected_url()]);
        for (invocation, status) in life.invocations.iter().zip(["404", if gets == 0 { "404" } else { "400" }]) {
            let reply = invocation.reply.as_ref().unwrap_or_else(|error| panic!("{}: {error}", side.name));
            assert!(reply.contains(&format!("\"statusCode\":{status}")), "{}: {reply}", side.name);
        }
        assert_eq!(double.take_requests(), vec!["GetItem"; gets], "{}", side.name);
    }
}

/// Takes turns, so that a slow moment of the machine hits all of them.
fn starts(sides: &[Bootstrap; 3], api: &RuntimeApi, dynamo: &Dynamo) -> [Vec<Life>; 3] {
    let mut lives = [const { Vec::new() }; 3];
    for round in 0..=STARTS {
        for (side, lives) in sides.iter().zip(&mut lives) {
            let life = side.live(api, dynamo.address, vec![event::unknown_link()]);
            if round > 0 {
                lives.push(life);
            }
        }
    }
    lives
}

fn medians(lives: &[Vec<Life>; 3], figure: impl Fn(&Life) -> f64) -> [f64; 3] {
    lives.each_ref().map(|lives| median(lives.iter().map(&figure).collect()))
}

fn first_polls(lives: &[Vec<Life>; 3]) {
    let [ours, sdk, bare] = medians(lives, |life| life.to_poll.as_secs_f64() * 1e3);
    let (ratio, more) = (ours / sdk, ours - bare);
    let time = format!("{ours:.2} ms");
    let what = "start to the first poll";
    row_with_goal(what, &time, &format!("{sdk:.2} ms, official SDKs"), &format!("{ratio:.2}"), "≤ 0.3", ratio <= 0.3);
    let peer = format!("{bare:.2} ms, bare `lambda_runtime`");
    row_with_goal(what, &time, &peer, &format!("{more:.2} ms more"), "≤ 1 ms more", more <= 1.0);
}

fn first_replies(lives: &[Vec<Life>; 3], dynamo: &Dynamo) {
    let [ours, sdk, bare] = medians(lives, |life| life.to_reply.as_secs_f64() * 1e3);
    let ratio = ours / sdk;
    row_with_goal(
        &format!("start to the first reply with one `get` ({})", dynamo.name),
        &format!("{ours:.2} ms"),
        &format!("{sdk:.2} ms, official SDKs; bare without the `get`: {bare:.2} ms"),
        &format!("{ratio:.2}"),
        "≤ 0.4",
        ratio <= 0.4,
    );
}

fn memory(lives: &[Vec<Life>; 3]) {
    let [ours, sdk, bare] = medians(lives, |life| life.peak_mb);
    let ratio = ours / sdk;
    let peer = format!("{sdk:.1} MB, official SDKs; bare: {bare:.1} MB");
    row_with_goal("peak memory", &format!("{ours:.1} MB"), &peer, &format!("{ratio:.2}"), "≤ 0.6", ratio <= 0.6);
}

fn warm(sides: &[Bootstrap; 3], api: &RuntimeApi, dynamo: &Dynamo) {
    let mut lives = [const { Vec::new() }; 3];
    for _ in 0..WARM_LIVES {
        for (side, lives) in sides.iter().zip(&mut lives) {
            // The first quarter warms up.
            let events = vec![event::rejected_url(); WARM_EVENTS + WARM_EVENTS / 4];
            lives.push(side.live(api, dynamo.address, events));
        }
    }
    let took = |life: &Life| {
        median(life.invocations[WARM_EVENTS / 4..].iter().map(|one| one.took.as_secs_f64() * 1e6).collect())
    };
    let [ours, sdk, bare] = medians(&lives, took);
    let more = ours - bare;
    let peer = format!("{bare:.0} µs, bare `lambda_runtime`; official SDKs: {sdk:.0} µs");
    let what = format!("warm invocation, an event of {} bytes", event::rejected_url().len());
    row_with_goal(&what, &format!("{ours:.0} µs"), &peer, &format!("{more:.0} µs more"), "≤ 30 µs more", more <= 30.0);
}
