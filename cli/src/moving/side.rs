//! The sides of a command: which data, and where.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use isobar::driver::{Clock, Environment, Location, Provider, ResourceKind};
use isobar::local::{LocalConfig, LocalProvider, SystemClock};
use isobar::manifest::Manifest;
use isobar::memory::MemoryProvider;
use isobar::{ADAPTERS, EventQueue, selection};
use isobar_moving::Side;
use isobar_moving::backup::Backup;

use super::{SelectArgs, SidesArgs};
use crate::config;
use crate::deploy::{self, FolderArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::package::{CloudTarget, stage_name};
use crate::place::Place;
use crate::project::Project;

/// The memory for pages of the data file of one side.
const CACHE: usize = 4 << 20;

/// The file of the data in a data folder.
const DATA: &str = "isobar.redb";

/// The clock of a side.
pub(super) type SideClock = Arc<dyn Clock>;

/// A side on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SideName {
    Stage(CloudTarget, Option<String>),
    Local(Option<PathBuf>),
    File(PathBuf),
}

impl FromStr for SideName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let rest = rest.filter(|rest| !rest.is_empty());
        let target = match kind {
            "local" => return Ok(Self::Local(rest.map(PathBuf::from))),
            "file" => return rest.map(|path| Self::File(path.into())).ok_or_else(|| "use file:NAME.isobar".to_owned()),
            "aws" => CloudTarget::Aws,
            "azure" => CloudTarget::Azure,
            "gcp" => CloudTarget::Gcp,
            _ => {
                return Err(
                    "use aws, azure or gcp with or without :STAGE, local, local:FOLDER or file:NAME.isobar".to_owned()
                );
            }
        };
        Ok(Self::Stage(target, rest.map(stage_name).transpose()?))
    }
}

impl SideName {
    /// Are both the same data folder, by two names?
    fn is_same_folder(&self, other: &Self) -> Result<bool, Failure> {
        let folder = |side: &Self| {
            Ok::<_, Failure>(match side {
                Self::Local(Some(folder)) => data_folder(folder).canonicalize().ok(),
                Self::Local(None) => Place::here(None)?.config.data.canonicalize().ok(),
                _ => None,
            })
        };
        let (one, other) = (folder(self)?, folder(other)?);
        Ok(one.is_some() && one == other)
    }
}

/// The resources of a command, by kind and name.
type Names = Vec<(ResourceKind, String)>;

/// What a command does with a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It reads the data, which must be there.
    Read,
    /// It writes them.
    Written,
}

/// What a command does with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) role: Role,
    /// Are messages moved too?
    pub(super) with_messages: bool,
}

impl Target {
    pub(super) const READ: Self = Self { role: Role::Read, with_messages: false };
    pub(super) const WRITTEN: Self = Self { role: Role::Written, with_messages: false };
}

/// Both sides, open.
pub(super) struct Sides {
    pub(super) from: Opened,
    pub(super) to: Opened,
}

/// A side that is open.
pub(super) enum Opened {
    Side {
        side: Side,
        clock: SideClock,
        /// A side without data in its place, while nothing is written: the first use makes a data folder.
        empty: Option<Side>,
    },
    /// The place of a backup to write.
    File(PathBuf),
}

impl Opened {
    /// The side as long as nothing is written.
    pub(super) fn planned(&self) -> Result<Side, Failure> {
        match self {
            Self::Side { empty: Some(empty), .. } => Ok(empty.clone()),
            _ => self.side(),
        }
    }

    /// Failures: it is a file that is written.
    pub(super) fn side(&self) -> Result<Side, Failure> {
        match self {
            Self::Side { side, .. } => Ok(side.clone()),
            Self::File(path) => {
                Err(Failure::new(format!("the backup {} is written as a whole", path.display())).hint("isobar backup"))
            }
        }
    }
}

/// A resource with its places on both sides.
type Placed = (ResourceKind, String, String, String);

impl Sides {
    pub(super) async fn open(args: &SidesArgs, target: Target, output: &Output) -> Result<Self, Failure> {
        match (&args.from, &args.to) {
            (Some(from), Some(to)) => Self::open_named(from, to, &args.select, target, output).await,
            _ => Self::open_places(args),
        }
    }

    pub(super) async fn open_named(
        from: &SideName,
        to: &SideName,
        select: &SelectArgs,
        target: Target,
        output: &Output,
    ) -> Result<Self, Failure> {
        if from == to || from.is_same_folder(to)? {
            return Err(Failure::new("both sides are the same"));
        }
        let with_messages = target.with_messages;
        if with_messages && [from, to].iter().any(|side| matches!(side, SideName::File(_))) {
            return Err(Failure::new("messages are not in a backup").hint("leave out --with-messages"));
        }
        let mut app = AppOfSides::new(select, with_messages, output);
        let names = app.names(from, to).await?;
        let names = only(names, &select.only)?;
        if with_messages && app.queues.is_empty() {
            return Err(Failure::new("there is no queue whose messages can be moved")
                .hint("run the command in the folder of an app that has a trigger of messages, objects or writes"));
        }
        let to = match to {
            SideName::File(path) if target.role == Role::Written => Opened::File(path.clone()),
            other => app.open(other, &names, target.role).await?,
        };
        Ok(Self { from: app.open(from, &names, Role::Read).await?, to })
    }

    /// Single resources by their URLs.
    fn open_places(args: &SidesArgs) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        for (kind, values) in [(ResourceKind::Table, &args.tables), (ResourceKind::Bucket, &args.buckets)] {
            for pair in values.chunks_exact(2) {
                let wrong = || {
                    Failure::new(format!("`{}` is not of the form NAME=URL", pair[0]))
                        .hint(format!("use --{kind} links=dynamodb://links cosmos://shop/links"))
                };
                let (name, from) = pair[0].split_once('=').ok_or_else(wrong)?;
                pairs.push((kind, name.to_owned(), from.to_owned(), pair[1].clone()));
            }
        }
        let shell = config::shell();
        let side = |url_of: &dyn Fn(&Placed) -> String| {
            let mut side = Side::new(pairs.iter().map(url_of).collect::<Vec<_>>().join(","));
            let environment = pairs.iter().fold(deploy::without_places(&shell), |environment, pair| {
                environment.with_var(pair.0.variable(&pair.1), url_of(pair))
            });
            for (kind, name, ..) in &pairs {
                side = add(side, &environment, None, *kind, name)?;
            }
            Ok::<_, Failure>(Opened::Side { side, clock: Arc::new(SystemClock), empty: None })
        };
        Ok(Self { from: side(&|pair| pair.2.clone())?, to: side(&|pair| pair.3.clone())? })
    }

    /// The clock of the source.
    pub(super) fn clock(&self) -> SideClock {
        match &self.from {
            Opened::Side { clock, .. } => Arc::clone(clock),
            Opened::File(_) => Arc::new(SystemClock),
        }
    }
}

/// What the sides have in common: the app, which is built once at most.
struct AppOfSides<'a> {
    select: &'a SelectArgs,
    output: &'a Output,
    /// The name of the app, once it is known.
    app: Option<String>,
    /// Are messages moved too?
    with_messages: bool,
    /// Their queues.
    queues: Vec<EventQueue>,
    /// The backup that was opened, which takes time: all of it is checked.
    backup: Option<(PathBuf, Backup)>,
}

impl<'a> AppOfSides<'a> {
    fn new(select: &'a SelectArgs, with_messages: bool, output: &'a Output) -> Self {
        Self { select, output, app: None, with_messages, queues: Vec::new(), backup: None }
    }

    /// The tables and buckets to move: those of the backup, of a stage, of the app, or of the folder, in this order.
    async fn names(&mut self, from: &SideName, to: &SideName) -> Result<Names, Failure> {
        if let SideName::File(path) = from {
            let side = self.backup(path)?.side();
            if let SideName::Stage(..) = to {
                self.manifest_of_stage(to).await?;
            }
            return Ok(side.names().map(|(kind, name)| (kind, name.to_owned())).collect());
        }
        for side in [from, to] {
            if let SideName::Stage(..) = side
                && let Some(names) = self.manifest_of_stage(side).await?
            {
                return Ok(names);
            }
        }
        if let SideName::Local(folder) = from
            && !self.with_messages
            && (folder.is_some() || !Path::new("Cargo.toml").exists())
        {
            let provider = local(folder.as_deref(), Role::Read)?;
            return Ok(provider.stored()?.into_iter().map(|(kind, name, _)| (kind, name)).collect());
        }
        self.manifest_of_app()
    }

    /// Opens a backup, once.
    fn backup(&mut self, path: &Path) -> Result<Backup, Failure> {
        match &self.backup {
            Some((opened, backup)) if opened == path => Ok(backup.clone()),
            _ => {
                self.output.step("Checking", &path.display().to_string());
                let backup = Backup::open(path, Arc::new(SystemClock))?;
                self.backup = Some((path.to_owned(), backup.clone()));
                Ok(backup)
            }
        }
    }

    /// What the app of the working folder declares. A stage needs it: its name begins the names of all that is there.
    fn manifest_of_app(&mut self) -> Result<Names, Failure> {
        let project = Project::find(&self.select.package)?;
        let manifest = project.build(self.output)?.manifest()?;
        Ok(self.names_of(&manifest))
    }

    fn names_of(&mut self, manifest: &Manifest) -> Names {
        self.app = Some(manifest.app.clone());
        self.queues = manifest.queues().map(|(queue, _)| queue).filter(|_| self.with_messages).collect();
        let tables = manifest.tables().map(|table| (ResourceKind::Table, table.name.clone()));
        let buckets = manifest.buckets().map(|bucket| (ResourceKind::Bucket, bucket.name.clone()));
        tables.chain(buckets).collect()
    }

    /// The resources of a stage that was deployed; `None` where there is no folder of it.
    async fn manifest_of_stage(&mut self, side: &SideName) -> Result<Option<Names>, Failure> {
        let Some(args) = self.folder_args(side) else { return Ok(None) };
        let Some(manifest) = deploy::manifest_of(&args)? else { return Ok(None) };
        Ok(Some(self.names_of(&manifest)))
    }

    fn folder_args(&self, side: &SideName) -> Option<FolderArgs> {
        let SideName::Stage(target, stage) = side else { return None };
        let emulator = self.select.emulator.filter(|_| *target == CloudTarget::Aws);
        Some(FolderArgs::new(*target, stage.clone(), self.select.package.clone(), emulator))
    }

    async fn open(&mut self, side: &SideName, names: &Names, role: Role) -> Result<Opened, Failure> {
        match side {
            SideName::File(path) => {
                let side = self.backup(path)?.side().only(names);
                Ok(Opened::Side { side, clock: Arc::new(SystemClock), empty: None })
            }
            SideName::Local(folder) => {
                let provider = local(folder.as_deref(), role)?;
                let name = match folder {
                    Some(folder) => format!("local:{}", folder.display()),
                    None if provider.folder() == Path::new(".isobar") => "local".to_owned(),
                    None => format!("local:{}", provider.folder().display()),
                };
                let names: Vec<_> = names.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
                let is_new = !provider.folder().join(DATA).exists();
                let empty = is_new.then(|| Side::new(&name).with(&MemoryProvider::default(), &names)).transpose()?;
                let mut side = Side::new(name).with(&provider, &names)?;
                for queue in &self.queues {
                    side = side.with_queue(&provider, queue)?;
                }
                Ok(Opened::Side { side, clock: provider.clock(), empty })
            }
            SideName::Stage(..) => self.open_stage(side, names).await,
        }
    }

    async fn open_stage(&mut self, side: &SideName, names: &Names) -> Result<Opened, Failure> {
        let args = self.folder_args(side).ok_or_else(|| Failure::new("bug in isobar: a side without a folder"))?;
        if self.app.is_none() {
            let with_hint =
                |failure: Failure| failure.hint("change to the folder of the app: its name begins those of a stage");
            self.manifest_of_app().map_err(with_hint)?;
        }
        let services = deploy::services(&args, self.app.as_deref().unwrap_or_default(), self.output).await?;
        let mut opened = Side::new(args.name());
        for (kind, name) in names {
            opened = add(opened, &services.environment, Some(&services.provider), *kind, name)?;
        }
        for queue in &self.queues {
            opened = opened.with_queue(&*services.provider, queue)?;
        }
        Ok(Opened::Side { side: opened, clock: services.provider.clock(), empty: None })
    }
}

/// Adds a resource: where its variable places it, or else at the provider.
fn add(
    side: Side,
    environment: &Environment,
    provider: Option<&Arc<dyn Provider>>,
    kind: ResourceKind,
    name: &str,
) -> Result<Side, Failure> {
    let mut opened = HashMap::new();
    if let Some(provider) = provider {
        opened.insert(provider.profile().provider, Arc::clone(provider));
    }
    let routes = selection::routes(environment, ADAPTERS, &mut opened)?;
    let route = routes.iter().find(|route| route.location.kind() == kind && route.location.name() == name);
    match (route, provider) {
        (Some(route), _) => Ok(side.with_at(&*route.provider, &route.location)?),
        (None, Some(provider)) => Ok(side.with_at(&**provider, &Location::new(kind, name))?),
        (None, None) => Err(Failure::new(format!("the {kind} `{name}` has no place"))),
    }
}

/// The data folder of a side: a folder with data, or that of a project.
fn data_folder(folder: &Path) -> PathBuf {
    let inner = folder.join(".isobar");
    let is_project = inner.join(DATA).exists() || folder.join("Cargo.toml").exists();
    if !folder.join(DATA).exists() && is_project { inner } else { folder.to_owned() }
}

/// The provider of a data folder. Failures: there is no data to read.
fn local(folder: Option<&Path>, role: Role) -> Result<LocalProvider, Failure> {
    let mut config = match folder {
        Some(folder) => LocalConfig::new(data_folder(folder)),
        None => Place::here(None)?.config,
    };
    let name = config.data.display().to_string();
    if config.data.exists() && !config.data.is_dir() {
        return Err(Failure::new(format!("{name} is no folder")).hint("a backup is file:NAME.isobar"));
    }
    if role == Role::Read && !config.data.join(DATA).exists() {
        return Err(Failure::new(format!("there is no data in {name}"))
            .hint("run the app first, or name its folder: local:FOLDER"));
    }
    config.cache_bytes = CACHE;
    (config.imitates, config.chaos) = (None, None);
    let provider = LocalProvider::new(config);
    if provider.is_in_use() {
        return Err(Failure::new(format!("a process has the data folder {name} open"))
            .hint("stop the app, then run the command again"));
    }
    Ok(provider)
}

/// Failures: a name that is not there.
fn only(names: Names, selected: &[String]) -> Result<Names, Failure> {
    let known = || names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = selected.iter().find(|name| names.iter().all(|(_, known)| known != *name)) {
        return Err(Failure::new(format!("there is no table and no bucket `{unknown}`"))
            .hint(format!("choose from: {}", known())));
    }
    if names.is_empty() {
        return Err(Failure::new("there is no table and no bucket"));
    }
    Ok(names.into_iter().filter(|(_, name)| selected.is_empty() || selected.contains(name)).collect())
}
