//! The log of an app in a test.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::filter;
use crate::config::{self, RUST_LOG};

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The log of an app in a test. The lines are those of `cargo run` on a terminal, without colours, at the levels of
/// `RUST_LOG`; `cargo test` shows those of a test that fails.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar::prelude::*;
///
/// async fn hello(Path(name): Path<String>) -> String {
///     tracing::info!("{name} is here");
///     format!("Hello, {name}!")
/// }
///
/// let logs = TestLogs::start();
/// let client = TestClient::new(|_: &Cloud| App::new("hello").http(Router::new().route("/{name}", get(hello))))?;
/// client.get("/ada").await?;
/// assert!(logs.text().contains("ada is here"), "{}", logs.text());
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TestLogs;

impl TestLogs {
    /// Starts the log of this thread, which is empty. `#[tokio::test]` runs all tasks of a test on one thread.
    ///
    /// If the process has another subscriber already, that one remains, and this log is empty.
    pub fn start() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let (filter, _) = filter(config::environment().var(RUST_LOG), true);
            let lines = fmt::layer().with_target(false).with_ansi(false).with_writer(|| Self);
            // A subscriber of the test has priority.
            let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
        });
        LOGGED.take();
        Self
    }

    /// The lines that this thread has logged since the start.
    pub fn text(&self) -> String {
        LOGGED.with_borrow(|logged| String::from_utf8_lossy(logged).into_owned())
    }
}

/// Writes to the log, and to the output of the test that the harness captures.
impl io::Write for TestLogs {
    #[allow(clippy::print_stderr)] // The harness captures `eprint!`, and not writes to stderr.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(text));
        eprint!("{}", String::from_utf8_lossy(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
