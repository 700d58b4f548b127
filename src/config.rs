//! The environment of the process: read once, here, and passed on.

use std::ffi::OsString;

use isobar_abstraction::driver::Environment;
pub use isobar_abstraction::driver::ISOBAR_SECRETS;
use isobar_abstraction::{Error, Result};

/// With `1` the app prints its manifest as JSON and exits.
pub const ISOBAR_MANIFEST: &str = "ISOBAR_MANIFEST";

/// The name of the provider to run on, with priority over the variables of platforms.
pub const ISOBAR_PROVIDER: &str = "ISOBAR_PROVIDER";

/// The filter of log lines, such as `info,isobar=debug`.
pub const RUST_LOG: &str = "RUST_LOG";

/// With `1`, stderr counts as a terminal: the process that reads it, such as `isobar dev`, shows it in one.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";

/// The variables and arguments of the process, without those that are not UTF-8.
pub fn environment() -> Environment {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let args = std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok());
    Environment::new(std::env::vars_os().filter_map(text), args)
}

/// Checks that isobar's variables are UTF-8. Errors: `Config`, without the value, which may be a secret.
pub(crate) fn check_encoding() -> Result<()> {
    check(std::env::vars_os())
}

fn check(mut variables: impl Iterator<Item = (OsString, OsString)>) -> Result<()> {
    let wrong = variables.find_map(|(name, value)| {
        let name = name.into_string().ok()?;
        (name.starts_with("ISOBAR_") && value.to_str().is_none()).then_some(name)
    });
    wrong.map_or(Ok(()), |name| Err(Error::config(format!("{name} is not UTF-8; set it to a text, such as base64"))))
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf8_is_an_error_and_not_a_missing_value() {
        use std::os::unix::ffi::OsStringExt;

        use super::*;

        let variable = |name: &str| (OsString::from(name), OsString::from_vec(vec![0xff]));
        let error = check([variable("OTHER"), variable("ISOBAR_SECRET_TOKEN")].into_iter()).unwrap_err();
        assert!(error.message().starts_with("ISOBAR_SECRET_TOKEN is not UTF-8"), "{error}");
        assert!(check([variable("OTHER")].into_iter()).is_ok());
    }
}
