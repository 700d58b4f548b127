//! The environment of the process: read once, here, and passed on.

use isobar_abstraction::driver::Environment;

/// With `1` the app prints its manifest as JSON and exits.
pub const ISOBAR_MANIFEST: &str = "ISOBAR_MANIFEST";

/// The name of the provider to run on, with priority over the variables of platforms.
pub const ISOBAR_PROVIDER: &str = "ISOBAR_PROVIDER";

/// The URL of the store of secrets and configuration, such as `keyvault://VAULT`.
pub const ISOBAR_SECRETS: &str = "ISOBAR_SECRETS";

/// The filter of log lines, such as `info,isobar=debug`.
pub const RUST_LOG: &str = "RUST_LOG";

/// The variables and arguments of the process, without those that are not UTF-8.
pub fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let args = std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok());
    Environment::new(std::env::vars_os().filter_map(text), args)
}
