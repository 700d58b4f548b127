//! The shortener as a Cloud Run service, compared with bare hyper, and compared with its way from an id to a link on the
//! firestore crate; and requests per second through the host, compared with bare hyper with the same router.
//!
//! `benches/gcp.sh` builds what is compared, and runs this.

use std::net::SocketAddr;
use std::path::PathBuf;

use isobar_benches::firestore::Firestore;
use isobar_benches::http1::Connection;
use isobar_benches::server::{Program, Running};
use isobar_benches::service::{self, UNUSED_ADDRESS};
use isobar_benches::{load, median, medians, row_with_goal};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Processes started of each, after one that warms the disk's cache.
const STARTS: usize = 61;
/// Rounds of requests, after one that warms up.
const ROUNDS: usize = 11;

/// What one start showed: milliseconds to the first answer and to the first reply, and the most memory in MB.
struct Start {
    to_answer: f64,
    to_reply: f64,
    peak_mb: f64,
}

fn main() {
    let program = |name, path: &str| Program { name, path: PathBuf::from(path) };
    let mut sides = [
        program("isobar", "target/lambda/shortener-gcp"),
        program("isobar, hello", "target/lambda/hello-gcp"),
        program("bare hyper", "target/peers/bare-hyper/lambda/constant"),
        program("firestore crate", "target/peers/firestore/lambda/handler"),
        // Requests per second are no matter of size.
        program("isobar, hello for speed", "target/release/hello-gcp"),
        program("bare hyper with a router", "target/peers/bare-hyper/release/routed"),
    ];
    // Other builds of the same, by their paths.
    for (side, other) in sides.iter_mut().zip(std::env::args().skip(1)) {
        side.path = other.into();
    }
    let [ours, hello, bare, by_hand, quick, routed] = &sides;
    let [with_isobar, of_hello, of_bare] = starts([ours, hello, bare], UNUSED_ADDRESS, false);
    first_answers("the shortener", &with_isobar, &of_bare);
    first_answers("`apps/hello`", &of_hello, &of_bare);
    compared("peak memory after it", "bare hyper", [&with_isobar, &of_bare], |it| it.peak_mb, 1, "MB");
    throughput(quick, routed);

    let emulator = Firestore::emulator();
    check(ours, by_hand, &emulator);
    let [with_isobar, by_hand] = starts([ours, by_hand], emulator.address, true);
    let (both, peer) = ([&with_isobar, &by_hand], "firestore crate");
    compared("start to the first answered request (Google's emulator)", peer, both, |it| it.to_answer, 2, "ms");
    compared("start to the first reply with one `get` (Google's emulator)", peer, both, |it| it.to_reply, 2, "ms");
    compared("peak memory after that reply", peer, both, |it| it.peak_mb, 1, "MB");
}

/// That both read Firestore: they know a link that is there, and do not know another.
fn check(ours: &Program, by_hand: &Program, emulator: &Firestore) {
    let mut running = service::start(ours, emulator.address);
    let mut connection = running.answered();
    let made = service::post(&running, "/", r#"{"url":"https://example.org/"}"#);
    let (status, body) = connection.ask(&made).unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    let made: Value = serde_json::from_slice(&body).unwrap();
    let stats = format!("/{}/stats", made["id"].as_str().unwrap());
    let (status, body) = connection.ask(&service::get(&running, &stats)).unwrap();
    assert_eq!((status, &*body), (200, &br#"{"clicks":0}"#[..]), "{}", String::from_utf8_lossy(&body));
    unknown(&running, &mut connection);

    emulator.create("bench-links", "link-bench01", "url", "https://example.org/");
    let mut running = service::start(by_hand, emulator.address);
    let mut connection = running.answered();
    assert_eq!(connection.ask(&service::get(&running, "/bench01")).unwrap().0, 307);
    unknown(&running, &mut connection);
}

fn unknown(running: &Running, connection: &mut Connection) {
    let (status, body) = connection.ask(&service::get(running, "/bench00")).unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(status == 404 && body.contains("no such link; it may have expired"), "{status} {body}");
}

/// Takes turns, so that a slow moment of the machine hits all of them.
fn starts<const N: usize>(sides: [&Program; N], firestore: SocketAddr, asks: bool) -> [Vec<Start>; N] {
    let mut all = [const { Vec::new() }; N];
    for round in 0..=STARTS {
        for (side, starts) in sides.iter().zip(&mut all) {
            let start = start(side, firestore, asks);
            if round > 0 {
                starts.push(start);
            }
        }
    }
    all
}

fn start(side: &Program, firestore: SocketAddr, asks: bool) -> Start {
    let mut running = service::start(side, firestore);
    let mut connection = running.answered();
    let to_answer = running.elapsed().as_secs_f64() * 1e3;
    if asks {
        unknown(&running, &mut connection);
    }
    let to_reply = running.elapsed().as_secs_f64() * 1e3;
    Start { to_answer, to_reply, peak_mb: running.peak_mb() }
}

fn middle(starts: &[Start], figure: impl Fn(&Start) -> f64) -> f64 {
    median(starts.iter().map(figure).collect())
}

fn first_answers(what: &str, ours: &[Start], bare: &[Start]) {
    let [ours, bare] = [ours, bare].map(|starts| middle(starts, |start| start.to_answer));
    let ratio = ours / bare;
    row_with_goal(
        &format!("start to the first answered request, {what}"),
        &format!("{ours:.2} ms"),
        &format!("{bare:.2} ms, bare hyper"),
        &format!("{ratio:.2}"),
        "≤ 1.5",
        ratio <= 1.5,
    );
}

/// For information: there is no goal.
fn compared(what: &str, peer: &str, sides: [&Vec<Start>; 2], figure: fn(&Start) -> f64, digits: usize, unit: &str) {
    let [ours, theirs] = sides.map(|starts| middle(starts, figure));
    let ratio = ours / theirs;
    println!("| {what} | {ours:.digits$} {unit} | {theirs:.digits$} {unit}, {peer} | {ratio:.2} | | |");
}

fn throughput(hello: &Program, routed: &Program) {
    let client = Runtime::new().unwrap();
    let mut running = [hello, routed].map(|side| service::start(side, UNUSED_ADDRESS));
    for running in &mut running {
        let mut connection = running.answered();
        let (status, body) = connection.ask(&service::get(running, "/world")).unwrap();
        assert_eq!((status, &*body), (200, &b"Hello, world!"[..]));
    }
    let load = |running: &Running| load::rate(&client, running.address(), "/world", "Hello, world!");
    let rates = medians(ROUNDS, &mut [&mut || load(&running[0]), &mut || load(&running[1])]);
    let ratio = rates[0] / rates[1];
    row_with_goal(
        "HTTP through the host, `apps/hello`",
        &format!("{:.0}/s", rates[0]),
        &format!("{:.0}/s, bare hyper with its router", rates[1]),
        &format!("{ratio:.2}"),
        "≥ 0.90",
        ratio >= 0.9,
    );
    let [ours, bare] = running.each_ref().map(Running::peak_mb);
    let ratio = ours / bare;
    println!(
        "| peak memory under that load | {ours:.1} MB | {bare:.1} MB, bare hyper with its router | {ratio:.2} | | |"
    );
}
