use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing_subscriber::fmt::format::FmtSpan;

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The log of this thread at every level, with the fields of its spans; the runtime of a test runs all its tasks on one
/// thread.
///
/// The subscriber is global: with subscribers of threads only, a callsite that another thread reaches first may be
/// disabled for all threads.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Starts an empty log of this thread.
    pub fn start() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
                .with_ansi(false)
                .without_time()
                .with_writer(|| Self)
                .init();
        });
        LOGGED.take();
        Self
    }

    /// The log since the start, with the starts and ends of spans.
    pub fn text(&self) -> String {
        LOGGED.with_borrow(|logged| String::from_utf8_lossy(logged).into_owned())
    }

    /// Returns the log and clears it.
    pub fn take(&self) -> String {
        let text = self.text();
        LOGGED.take();
        text
    }

    /// The lines of events, which begin with their level.
    pub fn lines(&self) -> Vec<String> {
        let of_span = |line: &&str| line.ends_with(": new") || line.ends_with(": close");
        self.text().lines().map(str::trim_start).filter(|line| !of_span(line)).map(str::to_owned).collect()
    }

    /// The lines of warnings and errors.
    pub fn failures(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.starts_with("WARN") || line.starts_with("ERROR")).collect()
    }
}
