//! The configuration that Lambda sets in the environment of a function.

use http::Uri;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};

/// The variable with the address of the runtime API; it is set only on Lambda.
pub(super) const AWS_LAMBDA_RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The Lambda function of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LambdaFunction {
    /// The address of the runtime API: `AWS_LAMBDA_RUNTIME_API`.
    pub runtime_api: String,
    /// Whether Lambda takes a snapshot after the start: `AWS_LAMBDA_INITIALIZATION_TYPE` is `snap-start`.
    pub snap_start: bool,
}

impl LambdaFunction {
    /// The function, if the process runs on Lambda. Errors: `Config`, naming the variable.
    pub(super) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        let Some(runtime_api) = environment.var(AWS_LAMBDA_RUNTIME_API) else { return Ok(None) };
        if !runtime_api.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some()) {
            return Err(Error::config(format!("{AWS_LAMBDA_RUNTIME_API} must be of the form host:port")));
        }
        let snap_start = environment.var("AWS_LAMBDA_INITIALIZATION_TYPE") == Some("snap-start");
        Ok(Some(Self { runtime_api: runtime_api.to_owned(), snap_start }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Option<LambdaFunction>> {
        let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
        LambdaFunction::from_environment(&vars.iter().fold(Environment::default(), with_var))
    }

    #[test]
    fn function_needs_only_the_address_of_the_runtime_api() {
        assert_eq!(of(&[]).unwrap(), None);
        assert!(!of(&[(AWS_LAMBDA_RUNTIME_API, "127.0.0.1:9001")]).unwrap().unwrap().snap_start);
        for bad in ["a b", "/x"] {
            assert!(of(&[(AWS_LAMBDA_RUNTIME_API, bad)]).unwrap_err().message().contains(AWS_LAMBDA_RUNTIME_API));
        }
    }
}
