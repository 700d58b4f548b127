//! The platforms, and what an app becomes there: the adapters' own code with a made-up environment, without any call.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use isobar::aws::AwsConfig;
use isobar::azure::{AzureConfig, FunctionApp, HttpMode, ISOBAR_TRIGGER_SECRET};
use isobar::config::ISOBAR_SECRETS;
use isobar::driver::{
    Adapter, Environment, ISOBAR_PREFIX, ISOBAR_STAGE, Permission, Place, Provider, ResourceKind, check_prefix,
};
use isobar::gcp::{ApiRequest, DeployedService, GcpConfig};
use isobar::local::LocalConfig;
use isobar::manifest::Manifest;
use isobar::{App, Cloud, Result, selection};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place as Folder;
use crate::project::{PackageArgs, Project, read_manifest};

/// A platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    Local,
    Aws,
    Azure,
    Gcp,
}

/// Which platforms, and which names there.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Only this platform; repeat it for several
    #[arg(short, long, value_name = "NAME", value_enum)]
    target: Vec<Target>,
    /// Use the names and the data of this stage
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    #[command(flatten)]
    package: PackageArgs,
    /// Read what the app declares from this file, the output of `isobar manifest`, and build nothing
    #[arg(long, value_name = "FILE", conflicts_with = "package")]
    manifest: Option<PathBuf>,
}

/// The variables of the process that a deployment has too, and those of the laptop only.
const DEPLOYED: [&str; 2] = [ISOBAR_PREFIX, ISOBAR_STAGE];
const OF_LAPTOP: [&str; 3] = ["ISOBAR_DATA", "ISOBAR_SECRET_", "ISOBAR_CONFIG_"];

/// In place of the storage account, whose name is not known before the deployment.
pub(crate) const NO_ACCOUNT: &str = "account";

/// In place of the vault, which Azure has no default of.
const NO_VAULT: &str = "keyvault://vault";

/// What the name of an app means for its stages, if it leaves no room for one as long as `prod`.
pub(crate) fn stage_limit(app: &str) -> Option<String> {
    let fits = |length: &usize| check_prefix(ISOBAR_STAGE, &format!("{app}-{}-", "a".repeat(*length))).is_ok();
    let most = match (1..="prod".len()).take_while(fits).last() {
        Some(4) => return None,
        Some(1) => "a stage of one character".to_owned(),
        Some(length) => format!("a stage of at most {length} characters"),
        None => "no stage".to_owned(),
    };
    Some(format!(
        "a name of {} characters leaves room for {most}, because `<app>-<stage>-` begins the names of its resources: use a \
         shorter name, or set {ISOBAR_PREFIX} in each deployment",
        app.len()
    ))
}

/// The database of Firestore of a stage.
pub(crate) fn database_of(prefix: &str) -> String {
    format!("{prefix}tables")
}

impl TargetArgs {
    /// The platforms, each once; all of them by default.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let is_chosen = |target: &Target| self.target.is_empty() || self.target.contains(target);
        Target::value_variants().iter().copied().filter(is_chosen).collect()
    }

    /// Is an app or a stage named?
    pub(crate) fn names_app(&self) -> bool {
        self.stage.is_some() || self.manifest.is_some() || self.package.package.is_some()
    }

    /// What the app declares: from the file, or from the program that this builds, whose folder is the working folder then.
    pub(crate) fn manifest(&self, output: &Output) -> Result<Manifest, Failure> {
        let Some(path) = &self.manifest else {
            let project = Project::find(&self.package)?;
            let manifest = project.build(output)?.manifest()?;
            Folder::enter(&project.folder, None)?;
            return Ok(manifest);
        };
        let (name, again) = (path.display(), format!("write it again: isobar manifest > {}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("{name} cannot be read")).because(&error).hint(&again))?;
        read_manifest(text.as_bytes(), &format!("{name} is not a manifest of isobar"), &again)
    }

    /// The configuration of the laptop. Failures: a wrong stage or variable.
    pub(crate) fn local(&self) -> Result<LocalConfig, Failure> {
        let environment = Target::Local.environment(&isobar::config::environment(), self.stage.as_deref());
        let complete = isobar::local::ADAPTER.complete.unwrap_or(Ok);
        Ok(LocalConfig::from_environment(&complete(environment)?)?)
    }

    /// The app on each platform, for the names of the stage. Failures: those of [`Deployed::open`].
    pub(crate) fn deployed(&self, app: &str) -> Result<Vec<Deployed>, Failure> {
        let (process, stage) = (isobar::config::environment(), self.stage.as_deref());
        self.targets().into_iter().map(|target| Deployed::open(target, &process, app, stage)).collect()
    }
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }

    fn adapter(self) -> Option<&'static Adapter> {
        isobar::ADAPTERS.iter().find(|adapter| adapter.name == self.name())
    }

    /// The settings of a platform that only its names and checks need. Nothing has these names.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Local => &[],
            Self::Aws => &[("AWS_REGION", "us-east-1"), ("AWS_ACCOUNT_ID", "000000000000")],
            Self::Azure => &[
                ("AZURE_STORAGE_ACCOUNT", NO_ACCOUNT),
                ("AZURE_COSMOS__accountEndpoint", "https://account.documents.azure.com"),
                ("AZURE_SERVICEBUS__fullyQualifiedNamespace", "namespace.servicebus.windows.net"),
                (ISOBAR_TRIGGER_SECRET, "00000000000000000000000000000000"),
                (ISOBAR_SECRETS, NO_VAULT),
            ],
            Self::Gcp => &[("GOOGLE_CLOUD_PROJECT", "project"), ("K_SERVICE", "service")],
        }
    }

    /// The environment of a deployment: isobar's variables of this process, as far as they are for this platform.
    fn environment(self, process: &Environment, stage: Option<&str>) -> Environment {
        let opens = |url: &str| {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme);
            scheme.zip(self.adapter()).is_some_and(|(scheme, adapter)| adapter.schemes.contains(&scheme))
        };
        let is_url = |name: &str| {
            name == ISOBAR_SECRETS || ResourceKind::OWN.iter().any(|kind| name.starts_with(&kind.variable_prefix()))
        };
        let is_used = |name: &str, value: &str| match name {
            ISOBAR_PREFIX => stage.is_none(),
            _ if is_url(name) => opens(value),
            _ if self == Self::Local && OF_LAPTOP.iter().any(|of_laptop| name.starts_with(of_laptop)) => true,
            _ => DEPLOYED.contains(&name),
        };
        let variables = process.vars_with_prefix("").filter(|(name, value)| is_used(name, value));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::new(variables, []);
        let environment = match stage {
            Some(stage) => environment.with_var(ISOBAR_STAGE, stage),
            None => environment,
        };
        self.settings().iter().fold(environment, |environment, (name, value)| environment.with_default(*name, *value))
    }
}

/// The environment with the database of a stage. Firestore grants by database, so each stage has its own.
pub(crate) fn with_database(target: Target, environment: Environment) -> Result<Environment, Failure> {
    let prefix = environment.prefix()?.get().unwrap_or_default();
    Ok(match target {
        Target::Gcp if !prefix.is_empty() => environment.with_default("FIRESTORE_DATABASE", database_of(&prefix)),
        _ => environment,
    })
}

/// An app on a platform.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) target: Target,
    pub(crate) provider: Arc<dyn Provider>,
    environment: Environment,
}

impl Deployed {
    /// Opens the provider, which connects to nothing. Failures: a wrong stage or variable.
    pub(crate) fn open(target: Target, process: &Environment, app: &str, stage: Option<&str>) -> Result<Self, Failure> {
        let unknown = || Failure::new(format!("this build has no provider `{target:?}`"));
        let adapter = target.adapter().ok_or_else(unknown)?;
        let environment = target.environment(process, stage);
        let environment = match adapter.complete {
            Some(complete) => complete(environment)?,
            None => environment,
        };
        environment.set_app(app);
        let environment = with_database(target, environment)?;
        Ok(Self { target, provider: (adapter.open)(&environment)?, environment })
    }

    pub(crate) fn has_stage(&self) -> bool {
        [ISOBAR_STAGE, ISOBAR_PREFIX].iter().any(|name| self.environment.var(name).is_some())
    }

    /// The resources that a deployment of this manifest needs. Errors: `Config`.
    pub(crate) fn places(&self, manifest: &Manifest) -> Result<Vec<Place>> {
        match self.target {
            Target::Local => isobar::local::places(manifest, &LocalConfig::from_environment(&self.environment)?),
            Target::Aws => isobar::aws::places(manifest, &AwsConfig::from_environment(&self.environment)?),
            Target::Azure => isobar::azure::places(manifest, &AzureConfig::from_environment(&self.environment)?),
            Target::Gcp => isobar::gcp::places(manifest, &GcpConfig::from_environment(&self.environment)?),
        }
    }

    /// What a deployment of this manifest must allow. Errors: `Config`.
    pub(crate) fn permissions(&self, manifest: &Manifest) -> Result<Vec<Permission>> {
        match self.target {
            Target::Local => Ok(Vec::new()),
            Target::Aws => isobar::aws::permissions(manifest, &AwsConfig::from_environment(&self.environment)?),
            Target::Azure => isobar::azure::permissions(manifest, &AzureConfig::from_environment(&self.environment)?),
            Target::Gcp => isobar::gcp::permissions(manifest, &GcpConfig::from_environment(&self.environment)?),
        }
    }

    /// The requests that create the triggers on Google Cloud, for their settings. Errors: `Config`.
    pub(crate) fn google_requests(&self, manifest: &Manifest, service: &DeployedService) -> Result<Vec<ApiRequest>> {
        isobar::gcp::deployment(manifest, &GcpConfig::from_environment(&self.environment)?, service)
    }

    /// The files of a function app, whose functions' names contain this secret. Errors: `Config`.
    pub(crate) fn function_app(&self, manifest: &Manifest, executable: &str, secret: &str) -> Result<FunctionApp> {
        let environment = self.environment.clone().with_var(ISOBAR_TRIGGER_SECRET, secret);
        let config = AzureConfig::from_environment(&environment)?;
        isobar::azure::function_app(manifest, &config, executable, HttpMode::Proxying)
    }

    /// The service that stores secrets and configuration.
    pub(crate) fn secret_service(&self) -> &'static str {
        let scheme =
            self.environment.var(ISOBAR_SECRETS).and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme);
        match (self.target, scheme) {
            (Target::Local, _) => "secrets.json",
            (Target::Aws, Some("secretsmanager")) => "Secrets Manager",
            (Target::Aws, _) => "Parameter Store",
            (Target::Azure, _) => "Key Vault",
            (Target::Gcp, _) => "Secret Manager",
        }
    }

    /// Is the store of secrets made up?
    pub(crate) fn needs_vault(&self) -> bool {
        self.environment.var(ISOBAR_SECRETS) == Some(NO_VAULT)
    }

    /// What the start of an app with these resources and schedules does before its first event. Errors: `Config`, with a list
    /// of all problems.
    pub(crate) fn start(&self, part: &Manifest) -> Result<()> {
        let cloud = self.cloud()?;
        part.tables().for_each(|table| drop(cloud.table::<u8>(&table.name)));
        part.buckets().for_each(|bucket| drop(cloud.bucket(&bucket.name)));
        part.topics().for_each(|topic| drop(cloud.topic::<u8>(&topic.name)));
        let required = |kind: ResourceKind| {
            part.of_kind(kind).filter(|value| value.options.get("required").is_some_and(|it| *it == true))
        };
        required(ResourceKind::Secret).for_each(|secret| drop(cloud.secret(&secret.name)));
        required(ResourceKind::Config).for_each(|config| drop(cloud.config::<serde_json::Value>(&config.name)));
        let mut app = part.schedules().fold(App::new(&part.app), |app, schedule| {
            app.on_schedule(&schedule.name, schedule.cron.as_str(), async |_tick, _cx| {})
        });
        app.start(&cloud).map(drop)
    }

    fn cloud(&self) -> Result<Cloud> {
        let adapter = self.target.adapter().copied();
        let openers = adapter.map_or(&[][..], |adapter| adapter.openers);
        let mut opened = HashMap::from([(self.target.name(), Arc::clone(&self.provider))]);
        let routes = selection::routes(&self.environment, isobar::ADAPTERS, &mut opened)?;
        let cloud = Cloud::with_routes(Arc::clone(&self.provider), routes).with_openers(openers, &self.environment);
        let store = selection::secret_store(&self.environment, isobar::ADAPTERS, &mut opened)?;
        Ok(match store {
            Some((provider, url)) => cloud.with_secret_store(provider, url),
            None => cloud,
        })
    }
}
