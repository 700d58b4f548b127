//! Logs: text on a terminal, otherwise JSON lines. Always on stderr: stdout is for data.

mod fields;
mod test;

use std::io::IsTerminal;

use isobar_abstraction::driver::Environment;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, format};
use tracing_subscriber::prelude::*;

use crate::adapters;
use crate::config::{CLICOLOR_FORCE, RUST_LOG};
use fields::SpanFields;
pub use test::TestLogs;

/// Starts logging, unless the app has set a subscriber.
///
/// `has_dashboard` is whether the host is the one whose dashboard shows the log.
pub(crate) fn start(environment: &Environment, local: bool, has_dashboard: bool) {
    let terminal = std::io::stderr().is_terminal() || environment.var(CLICOLOR_FORCE) == Some("1");
    let (filter, wrong) = filter(environment.var(RUST_LOG), local);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let history = has_dashboard.then(|| adapters::history(&filter)).flatten();
    let registry = tracing_subscriber::registry().with(history);
    // A subscriber of the app has priority.
    let _ = match terminal {
        true => registry.with(lines.with_target(false).with_filter(filter)).try_init(),
        false => registry.with(json(lines).with_filter(filter)).try_init(),
    };
    if let Some(wrong) = wrong {
        tracing::warn!("{RUST_LOG} is invalid and ignored: {wrong}");
    }
}

/// Lines of JSON. The innermost span is the last of `spans`, and is not written twice.
fn json<S, W>(lines: fmt::Layer<S, format::DefaultFields, format::Format, W>) -> JsonLayer<S, W> {
    lines.json().flatten_event(true).with_current_span(false).fmt_fields(SpanFields)
}

type JsonLayer<S, W> = fmt::Layer<S, SpanFields, format::Format<format::Json>, W>;

/// The filter of `RUST_LOG`, or the default with the error. On a laptop, where no platform logs requests, the default has a line
/// for each request.
fn filter(setting: Option<&str>, local: bool) -> (Targets, Option<String>) {
    let default = || {
        let requests = if local { tracing::Level::INFO } else { tracing::Level::WARN };
        Targets::new().with_default(tracing::Level::INFO).with_target("isobar::request", requests)
    };
    match setting.map(str::parse::<Targets>) {
        None => (default(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_its_fields_and_each_span_once() {
        #[derive(Clone, Default)]
        struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Written {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(json(fmt::layer().with_writer(move || writer.clone())));
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer", invocation = "i-1").entered();
            let _inner = tracing::info_span!("inner", resource = "clicks").entered();
            tracing::warn!(reason = "late", "it failed");
            drop(outer);
        });
        let line = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(line.contains(r#""message":"it failed","reason":"late""#), "{line}");
        assert_eq!((line.matches("i-1").count(), line.matches("clicks").count()), (1, 1), "{line}");
    }

    #[test]
    fn rust_log_is_respected_and_an_invalid_one_is_reported() {
        let (targets, wrong) = filter(Some("warn,isobar=debug"), false);
        assert!(wrong.is_none() && targets.would_enable("isobar::x", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("hyper", &tracing::Level::INFO));
        let (targets, wrong) = filter(Some("isobar=loud"), false);
        assert!(wrong.is_some() && targets.would_enable("x", &tracing::Level::INFO));
        assert!(!targets.would_enable("isobar::request", &tracing::Level::INFO));
        assert!(filter(None, true).0.would_enable("isobar::request", &tracing::Level::INFO));
    }
}
