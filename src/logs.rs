//! Logs: for people on a terminal, JSON lines elsewhere. Always on stderr: stdout is for data.

use std::io::IsTerminal;

use isobar_abstraction::Environment;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::config::RUST_LOG;

/// Starts logging, unless the app has done so by itself.
pub(crate) fn start(environment: &Environment) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, wrong) = filter(environment.var(RUST_LOG), terminal);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    // The app may have set a subscriber of its own; it knows better.
    let _ = match terminal {
        true => registry.with(lines.with_target(false).with_filter(filter)).try_init(),
        false => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    };
    if let Some(wrong) = wrong {
        tracing::warn!("{RUST_LOG} is not understood and left aside: {wrong}");
    }
}

/// A line for each request helps a person who tries things out; a platform has its own.
fn filter(wanted: Option<&str>, terminal: bool) -> (Targets, Option<String>) {
    let default = || {
        let requests = if terminal { tracing::Level::INFO } else { tracing::Level::WARN };
        Targets::new().with_default(tracing::Level::INFO).with_target("isobar::request", requests)
    };
    match wanted.map(str::parse::<Targets>) {
        None => (default(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_is_respected_and_a_wrong_one_is_told() {
        let (targets, wrong) = filter(Some("warn,isobar=debug"), false);
        assert!(wrong.is_none() && targets.would_enable("isobar::x", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("hyper", &tracing::Level::INFO));
        let (targets, wrong) = filter(Some("isobar=loud"), false);
        assert!(wrong.is_some() && targets.would_enable("x", &tracing::Level::INFO));
        assert!(!targets.would_enable("isobar::request", &tracing::Level::INFO));
    }
}
