//! A double of Lambda's Runtime API: hands out the events that it was given, and times the answers.
//!
//! The thread that reads a request takes the time, so that no hand-over between the benchmark's threads
//! is measured. <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http1::{self, Answer, Request};

/// How long a function has for all that a round asks of it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One event and its answer.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// From the event's leaving to the whole answer's arrival.
    pub took: Duration,
    /// When the answer had arrived.
    pub replied: Instant,
    /// The answer, or what failed.
    pub reply: Result<String, String>,
}

#[derive(Debug, Default)]
struct Round {
    number: u64,
    events: VecDeque<Vec<u8>>,
    polled: Option<Instant>,
    sent: Option<Instant>,
    done: Vec<Invocation>,
    init_error: Option<String>,
}

/// The double. One round after the other: each with a process of its own.
#[derive(Debug, Clone)]
pub struct RuntimeApi {
    address: SocketAddr,
    round: Arc<(Mutex<Round>, Condvar)>,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub fn start() -> Self {
        let round = Arc::<(Mutex<Round>, Condvar)>::default();
        let served = Arc::clone(&round);
        Self { address: http1::serve(move |request| answer(&served, request)), round }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Clears the state, and returns these events to the next polls.
    pub fn begin(&self, events: impl IntoIterator<Item = Vec<u8>>) {
        let (round, changed) = &*self.round;
        let mut round = round.lock().unwrap();
        *round = Round { number: round.number + 1, events: events.into_iter().collect(), ..Round::default() };
        changed.notify_all();
    }

    /// Waits for this many answers. Returns the first poll's time, and them; or what went wrong.
    pub fn wait(&self, count: usize) -> Result<(Instant, Vec<Invocation>), String> {
        let (round, changed) = &*self.round;
        let unfinished = |round: &mut Round| round.done.len() < count && round.init_error.is_none();
        let (round, waited) = changed.wait_timeout_while(round.lock().unwrap(), TIMEOUT, unfinished).unwrap();
        match (&round.init_error, round.polled) {
            (Some(error), _) => Err(format!("the function did not start: {error}")),
            (None, Some(polled)) if !waited.timed_out() => Ok((polled, round.done.clone())),
            _ => Err(format!("{} of {count} answers in {TIMEOUT:?}", round.done.len())),
        }
    }
}

fn answer((round, changed): &(Mutex<Round>, Condvar), request: Request) -> Option<Answer> {
    let now = Instant::now();
    let mut round = round.lock().unwrap();
    let what = request.path.trim_start_matches("/2018-06-01/runtime/");
    if what == "invocation/next" {
        round.polled.get_or_insert(now);
        let number = round.number;
        let waiting = |round: &mut Round| round.number == number && round.events.is_empty();
        let mut round = changed.wait_while(round, waiting).unwrap();
        // A process of an earlier round, which is dead by now.
        if round.number != number {
            return None;
        }
        let body = round.events.pop_front().unwrap_or_default();
        round.sent = Some(Instant::now());
        return Some(Answer { status: 200, headers: event_headers(round.done.len()), body });
    }
    let text = String::from_utf8_lossy(&request.body).into_owned();
    if what == "init/error" {
        round.init_error = Some(text);
    } else {
        let took = now - round.sent.take().unwrap_or(now);
        let reply = if what.ends_with("/response") { Ok(text) } else { Err(text) };
        round.done.push(Invocation { took, replied: now, reply });
    }
    changed.notify_all();
    Some(Answer { status: 202, headers: Vec::new(), body: b"{\"status\":\"OK\"}\n".to_vec() })
}

fn event_headers(number: usize) -> Vec<(&'static str, String)> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TIMEOUT;
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:shortener";
    vec![
        ("Content-Type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", format!("8476a536-e9f4-11e8-9739-{number:012x}")),
        ("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", arn.to_owned()),
        (
            "Lambda-Runtime-Trace-Id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
        ),
    ]
}
