//! A function's `bootstrap`, started as Lambda starts it.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::memory_mb_of;
use crate::runtime_api::{Invocation, RuntimeApi};

/// The prefix of what the functions use; `bench-links` is their table.
pub const PREFIX: &str = "bench-";

/// An executable to compare.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// Its implementation.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

/// What one life of a process showed.
#[derive(Debug)]
pub struct Life {
    /// From before the process's start to its first poll.
    pub to_poll: Duration,
    /// From before the process's start to its first answer.
    pub to_reply: Duration,
    /// The most memory that it ever held, in MB.
    pub peak_mb: f64,
    /// All events in order.
    pub invocations: Vec<Invocation>,
}

impl Bootstrap {
    /// Starts it, has it answer these events one by one, and ends it.
    pub fn live(&self, api: &RuntimeApi, services: SocketAddr, events: Vec<Vec<u8>>) -> Life {
        let count = events.len();
        api.begin(events);
        let mut log = tempfile::tempfile().unwrap();
        let started = Instant::now();
        let mut process = self.spawn(api.address(), services, log.try_clone().unwrap());
        let done = api.wait(count);
        let peak_mb = memory_mb_of(&process.id().to_string(), "VmHWM");
        process.kill().unwrap();
        process.wait().unwrap();
        let (polled, invocations) = done.unwrap_or_else(|error| {
            let mut text = String::new();
            log.rewind().and_then(|()| log.read_to_string(&mut text)).unwrap();
            panic!("{}: {error}\n{text}", self.name)
        });
        Life { to_poll: polled - started, to_reply: invocations[0].replied - started, peak_mb, invocations }
    }

    fn spawn(&self, runtime_api: SocketAddr, services: SocketAddr, log: File) -> Child {
        let mut command = Command::new(&self.path);
        command.env_clear().envs(environment(services)).env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().unwrap_or_else(|error| panic!("{}: {error}; run `benches/aws.sh build`", self.path.display()))
    }
}

/// What Lambda sets (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>), and
/// what the functions are configured by.
pub fn environment(services: SocketAddr) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&str, String)> = vec![("AWS_ENDPOINT_URL", format!("http://{services}"))];
    let fixed = [
        ("_HANDLER", "bootstrap"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_rust"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_FUNCTION_NAME", "shortener"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/shortener"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/24/[$LATEST]0123456789abcdef"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("AWS_SESSION_TOKEN", "AQoDYXdzEJr-not-a-token"),
        ("CLICKS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:bench-clicks"),
        ("ISOBAR_PREFIX", PREFIX),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "en_US.UTF-8"),
        ("LINKS_TABLE", "bench-links"),
        ("PAGES_BUCKET", "bench-pages"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TZ", ":UTC"),
    ];
    all.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    all
}
