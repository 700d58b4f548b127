use isobar_abstraction::{ErrorKind, Location, ResourceKind, ResourceUrl};

use super::*;

fn of(vars: &[(&str, &str)]) -> Result<AzureConfig> {
    let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
    AzureConfig::from_environment(&vars.iter().fold(Environment::default(), with_var))
}
