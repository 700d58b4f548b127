//! What Lambda says of the function in its environment.

use http::Uri;
use isobar_abstraction::{Environment, Error, Result};

/// The mark of Lambda: where its runtime API is.
pub(super) const AWS_LAMBDA_RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The function that this process is.
///
/// `lambda_runtime` reads these variables itself, and panics where one is missing or malformed:
/// that they are here says that it will not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LambdaFunction {
    /// Where the runtime API is: `AWS_LAMBDA_RUNTIME_API`.
    pub runtime_api: String,
    /// Its name: `AWS_LAMBDA_FUNCTION_NAME`.
    pub name: String,
    /// Its version: `AWS_LAMBDA_FUNCTION_VERSION`.
    pub version: String,
    /// Its memory in MB: `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`.
    pub memory: i32,
    /// Its log group, empty where Lambda does not say: `AWS_LAMBDA_LOG_GROUP_NAME`.
    pub log_group: String,
    /// Its log stream, empty where Lambda does not say: `AWS_LAMBDA_LOG_STREAM_NAME`.
    pub log_stream: String,
}

impl LambdaFunction {
    /// The function, if this is Lambda. Errors: `Config`, naming the variable.
    pub(super) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        let Some(runtime_api) = environment.var(AWS_LAMBDA_RUNTIME_API) else { return Ok(None) };
        if !runtime_api.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some()) {
            return Err(Error::config(format!("{AWS_LAMBDA_RUNTIME_API} must be of the form host:port")));
        }
        let optional = |name: &str| environment.var(name).unwrap_or_default().to_owned();
        let memory = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
        Ok(Some(Self {
            runtime_api: runtime_api.to_owned(),
            name: required(environment, "AWS_LAMBDA_FUNCTION_NAME")?,
            version: required(environment, "AWS_LAMBDA_FUNCTION_VERSION")?,
            memory: environment.parse(memory, "a number of megabytes")?.ok_or_else(|| missing(memory))?,
            log_group: optional("AWS_LAMBDA_LOG_GROUP_NAME"),
            log_stream: optional("AWS_LAMBDA_LOG_STREAM_NAME"),
        }))
    }
}

fn required(environment: &Environment, name: &str) -> Result<String> {
    environment.var(name).map(str::to_owned).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::config(format!("{AWS_LAMBDA_RUNTIME_API} is set, but {name} is not; Lambda sets both"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARS: [(&str, &str); 4] = [
        (AWS_LAMBDA_RUNTIME_API, "127.0.0.1:9001"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ];

    fn of(vars: &[(&str, &str)]) -> Result<Option<LambdaFunction>> {
        let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
        LambdaFunction::from_environment(&vars.iter().fold(Environment::default(), with_var))
    }

    #[test]
    fn every_variable_that_lambda_runtime_would_panic_on_is_a_config_error() {
        assert_eq!(of(&VARS).unwrap().unwrap().memory, 128);
        assert!(of(&VARS[1..]).unwrap().is_none());
        for (missing, (name, _)) in VARS.iter().enumerate().skip(1) {
            let rest: Vec<_> = VARS.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, var)| *var).collect();
            assert!(of(&rest).unwrap_err().message().contains(name));
        }
        for bad in [(VARS[3].0, "big"), (VARS[3].0, "99999999999"), (VARS[0].0, "a b"), (VARS[0].0, "/x")] {
            let vars: Vec<_> = VARS.iter().copied().chain([bad]).collect();
            assert!(of(&vars).unwrap_err().message().contains(bad.0));
        }
    }
}
