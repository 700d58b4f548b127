//! The services of a stage, opened on this machine with the credentials of its user.

use std::sync::Arc;

use isobar::ADAPTERS;
use isobar::driver::{Environment, ISOBAR_PREFIX, ISOBAR_STAGE, Provider, ResourceKind};

use super::stage::FolderArgs;
use crate::config;
use crate::failure::Failure;
use crate::output::Output;
use crate::target::with_database;

/// The services of a stage.
pub(crate) struct StageServices {
    pub(crate) provider: Arc<dyn Provider>,
    /// With the variables that place resources elsewhere.
    #[cfg_attr(not(feature = "moving"), expect(dead_code, reason = "a queue has one place only"))]
    pub(crate) environment: Environment,
}

/// Opens the services of a stage of an app: by the outputs of its deployment, or without a folder of it by the variables of the
/// shell, as the app itself would. Nothing is called but Terraform. Failures: a wrong or missing variable.
pub(crate) async fn services(args: &FolderArgs, app: &str, output: &Output) -> Result<StageServices, Failure> {
    let target = args.stage.target;
    let environment = match super::data_of(args, output).await? {
        Some(data) => {
            let shell = without_places(&config::shell());
            let environment =
                data.into_iter().fold(shell, |environment, (name, value)| environment.with_var(name, value));
            environment.set_app(app);
            with_database(target.target(), environment)?
        }
        None => {
            let text = format!("the variables of the shell for {}: there is no folder of the stage", args.name());
            output.step("Using", &text);
            config::shell().with_var(ISOBAR_STAGE, args.stage.name())
        }
    };
    environment.set_app(app);
    let unknown = || Failure::new(format!("this build has no provider `{}`", target.name()));
    let adapter = ADAPTERS.iter().find(|adapter| adapter.name == target.name()).ok_or_else(unknown)?;
    Ok(StageServices { provider: (adapter.open)(&environment)?, environment })
}

/// The variables of the shell without those that place resources and name stages: they are those of this machine.
pub(crate) fn without_places(shell: &Environment) -> Environment {
    let is_other = |name: &str| {
        let places = ResourceKind::OWN.iter().any(|kind| name.starts_with(&kind.variable_prefix()));
        !places && name != ISOBAR_PREFIX && name != ISOBAR_STAGE
    };
    let variables = shell.vars_with_prefix("").filter(|(name, _)| is_other(name));
    Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())), [])
}
