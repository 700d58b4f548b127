//! The environment of the process: read here, once, and passed on.

use isobar_abstraction::driver::Environment;

/// `1` makes the app print its manifest as JSON and exit.
pub const ISOBAR_MANIFEST: &str = "ISOBAR_MANIFEST";

/// Which provider to run on, whatever the platform's own marks say.
pub const ISOBAR_PROVIDER: &str = "ISOBAR_PROVIDER";

/// What to log, such as `info,isobar=debug`.
pub const RUST_LOG: &str = "RUST_LOG";

/// The process's variables and arguments. What is not UTF-8 is left out.
pub fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let args = std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok());
    Environment::new(std::env::vars_os().filter_map(text), args)
}
