//! What this command reads of the environment of its process.

use std::ffi::OsString;
use std::path::PathBuf;

use isobar::driver::Environment;

/// The variables of the shell that are text.
pub(crate) fn shell() -> Environment {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    Environment::new(std::env::vars_os().filter_map(text), [])
}

/// The columns of the terminal, where the shell states them.
pub(crate) fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// The cargo of the toolchain that runs this command.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A program in the folders of PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// The flags of the compiler, which replace those of the configuration of cargo.
pub(crate) fn rust_flags() -> Option<String> {
    std::env::var("RUSTFLAGS").ok().filter(|flags| !flags.is_empty())
}
