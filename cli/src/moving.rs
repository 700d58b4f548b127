//! `isobar migrate`, `verify`, `backup` and `restore`: the data of an app, moved and compared.

mod show;
mod side;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use isobar::ErrorKind;
use isobar::driver::ResourceKind;
use isobar_moving::{Journal, Options, Rates, Report, Stop};
use sha2::{Digest, Sha256};

use crate::deploy::EmulatorName;
use crate::failure::Failure;
use crate::output::Output;
use crate::project::PackageArgs;
use crate::prompt;
use show::Show;
use side::{Opened, Role, SideName, Sides, Target};

const MIGRATE: &str = "A side is a stage in a cloud (aws, azure:prod), the data of this machine (local, or local:FOLDER), or a backup \
                       (file:NAME.isobar).\n\nThe target becomes equal to the source. The app may run meanwhile in a cloud, but not on a local folder. A second run moves what changed since, and deletes what an earlier run \
                       wrote and the source does not have any more. So an app moves with little downtime: migrate while it runs, stop it, \
                       migrate again, start it on the other side. Ctrl-C finishes what is in flight; the same command goes \
                       on.\n\nExamples:\n  isobar migrate --from local --to aws --plan\n  isobar migrate --from aws:prod --to gcp:prod\n  isobar migrate --from azure --to file:links.isobar --only links\n  isobar migrate --table links='dynamodb://links?region=eu-west-1' 'cosmos://shop/links'\n\nExit codes:\n  0    both sides are equal\n  1    they are not, or a failure\n  130  Ctrl-C";

const VERIFY: &str = "Both sides are read completely, and each difference is printed: missing at the target, only at the target, another value, \
                      expiry, content type or other metadata.\n\nExamples:\n  isobar verify --from local --to aws\n  isobar verify --from aws:prod --to gcp:prod --json\n\nExit codes:\n  0    both sides are equal\n  1    they are not, or a failure";

#[derive(Debug, Args)]
#[command(after_help = MIGRATE)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    sides: SidesArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Count what would move, and change nothing
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete at the target everything that the source does not have, also what no earlier run wrote
    #[arg(long)]
    delete_extra: bool,
    /// Leave out what the target cannot have, and list it; the exit code is 1 then
    #[arg(long)]
    skip_unfit: bool,
    /// Move the waiting messages and the dead letters too; it stops their delivery at the source
    #[arg(long, conflicts_with_all = ["tables", "buckets", "plan"])]
    with_messages: bool,
    /// With --with-messages: what consumes the messages was stopped already, as on Azure with `az functionapp stop`
    #[arg(long, requires = "with_messages")]
    consumers_stopped: bool,
}

#[derive(Debug, Args)]
#[command(after_help = VERIFY)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    sides: SidesArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Write to the target what is missing or different there
    #[arg(long)]
    repair: bool,
    /// With --repair: delete at the target what the source does not have
    #[arg(long, requires = "repair")]
    delete_extra: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The file is a tar archive with checksums; docs/moving.md describes it. One with its name is replaced when the new one is \
                  complete.\n\nExamples:\n  isobar backup links.isobar\n  isobar backup prod.isobar --from aws:prod\n  tar -tf prod.isobar"
)]
pub(crate) struct BackupArgs {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The side whose data are stored
    #[arg(long, value_name = "SIDE", default_value = "local")]
    from: SideName,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    pace: PaceArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The whole file is checked before anything is written.\n\nExamples:\n  isobar restore links.isobar\n  isobar restore prod.isobar --to gcp:prod --only links"
)]
pub(crate) struct RestoreArgs {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The side that gets the data
    #[arg(long, value_name = "SIDE", default_value = "local")]
    to: SideName,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete what the backup does not have
    #[arg(long)]
    delete_extra: bool,
}

/// The two sides of a command.
#[derive(Debug, Args)]
struct SidesArgs {
    /// The side that has the data
    #[arg(long, value_name = "SIDE", required_unless_present_any = ["tables", "buckets"])]
    from: Option<SideName>,
    /// The side that gets the data
    #[arg(long, value_name = "SIDE", required_unless_present_any = ["tables", "buckets"])]
    to: Option<SideName>,
    /// One table by its places in place of sides, such as links=dynamodb://links cosmos://shop/links; can be repeated
    #[arg(long = "table", num_args = 2, value_names = ["NAME=URL", "URL"], conflicts_with_all = ["from", "to"])]
    tables: Vec<String>,
    /// One bucket by its places, such as pages=s3://pages az://pages; can be repeated
    #[arg(long = "bucket", num_args = 2, value_names = ["NAME=URL", "URL"], conflicts_with_all = ["from", "to"])]
    buckets: Vec<String>,
    #[command(flatten)]
    select: SelectArgs,
}

/// Which data.
#[derive(Debug, Clone, Args)]
struct SelectArgs {
    /// Only the table or the bucket of this name; can be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// A stage in `aws` is in this emulator
    #[arg(long, value_name = "NAME", value_enum)]
    emulator: Option<EmulatorName>,
    #[command(flatten)]
    package: PackageArgs,
}

/// How fast.
#[derive(Debug, Clone, Args)]
struct PaceArgs {
    /// At most so many requests per second to each side
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    max_rps: Option<f64>,
    /// At most so many millions of bytes per second from and to each side
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    max_mbps: Option<f64>,
}

impl PaceArgs {
    fn options(&self, stop: &Stop) -> Options {
        let mut rates = Rates::default();
        (rates.requests, rates.megabytes) = (self.max_rps, self.max_mbps);
        Options::default().with_rates(rates).with_stop(stop.clone())
    }
}

pub(crate) async fn migrate(args: &MigrateArgs, output: &Output) -> Result<ExitCode, Failure> {
    let sides =
        Sides::open(&args.sides, Target { role: Role::Written, with_messages: args.with_messages }, output).await?;
    if let Opened::File(path) = &sides.to {
        if args.plan {
            return Err(Failure::new("a backup has no limits, so there is no plan of it")
                .hint(format!("write it: isobar backup {} --from SIDE", path.display())));
        }
        if path.exists() && !args.yes && !agree(&format!("Replace {}?", path.display()), "add --yes", output).await? {
            return Ok(ExitCode::FAILURE);
        }
        let (from, clock) = (&sides.from, sides.clock());
        return write_backup(from, path, clock, &args.pace, output).await;
    }
    let stop = Stop::default();
    let options = args.pace.options(&stop).with_delete_extra(args.delete_extra).with_skip_unfit(args.skip_unfit);
    let consent = Consent { yes: args.yes, plan: args.plan };
    let messages = args.with_messages.then_some(Messages { are_stopped: args.consumers_stopped });
    move_data(&sides, &options, &consent, messages, &stop, output).await
}

pub(crate) async fn restore(args: &RestoreArgs, output: &Output) -> Result<ExitCode, Failure> {
    let from = SideName::File(args.file.clone());
    let sides = Sides::open_named(&from, &args.to, &args.select, Target::WRITTEN, output).await?;
    let stop = Stop::default();
    let options = args.pace.options(&stop).with_delete_extra(args.delete_extra);
    move_data(&sides, &options, &Consent { yes: args.yes, plan: false }, None, &stop, output).await
}

pub(crate) async fn backup(args: &BackupArgs, output: &Output) -> Result<ExitCode, Failure> {
    let to = SideName::File(args.file.clone());
    let sides = Sides::open_named(&args.from, &to, &args.select, Target::WRITTEN, output).await?;
    write_backup(&sides.from, &args.file, sides.clock(), &args.pace, output).await
}

pub(crate) async fn verify(args: &VerifyArgs, output: &Output) -> Result<ExitCode, Failure> {
    let sides = Sides::open(&args.sides, if args.repair { Target::WRITTEN } else { Target::READ }, output).await?;
    let stop = Stop::default();
    let options = args.pace.options(&stop).with_delete_extra(args.delete_extra);
    let show = Show::new(output);
    let (from, to) = (sides.from.side()?, sides.to.side()?);
    let run = isobar_moving::verify(&from, &to, args.repair, &options, &show);
    let reports = interruptible(run, &stop, &show).await;
    show.end();
    ended(reports, &show, Work::Verify, output)
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Migrate,
    Verify,
    Backup,
}

/// How messages are moved.
#[derive(Debug, Clone, Copy)]
struct Messages {
    /// Has the user stopped their delivery?
    are_stopped: bool,
}

/// What the user agrees to.
struct Consent {
    yes: bool,
    plan: bool,
}

async fn move_data(
    sides: &Sides,
    options: &Options,
    consent: &Consent,
    messages: Option<Messages>,
    stop: &Stop,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (from, to) = (sides.from.side()?, sides.to.side()?);
    let show = Show::new(output);
    if !consent.yes {
        let planned = sides.to.planned()?;
        let plan = interruptible(isobar_moving::plan(&from, &planned, options, &show), stop, &show).await;
        show.end();
        let plan = plan.map_err(|error| failure(error, &show))?;
        show.plan(&plan, &from, &to, output)?;
        let has_unfit = plan.iter().any(|planned| planned.unfit > 0);
        if consent.plan {
            return Ok(if has_unfit { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        if has_unfit && !options.skip_unfit {
            return Err(Failure::new("the target cannot have what is listed above; nothing was moved")
                .hint("change it at the source, or leave it out with --skip-unfit"));
        }
        let question = format!("Make {} equal to {}?", to.name(), from.name());
        if !agree(&question, prompt::SEE_PLAN, output).await? {
            return Ok(ExitCode::FAILURE);
        }
    }
    let journal = Journal::open(&journal_file(from.name(), to.name())?, from.name(), to.name())?;
    show.begin();
    if messages.is_some_and(|messages| !messages.are_stopped) {
        let paused = interruptible(isobar_moving::pause(&from, &journal), stop, &show).await;
        for queue in paused.map_err(|error| failure(error, &show))? {
            show.note(&format!(
                "stopped the delivery of {queue} at {}; the next deployment there starts it again",
                from.name()
            ));
        }
    }
    let run = isobar_moving::migrate(&from, &to, &journal, options, &show);
    let reports = interruptible(run, stop, &show).await;
    show.end();
    let code = ended(reports, &show, Work::Migrate, output)?;
    if messages.is_none() {
        return Ok(code);
    }
    let run = isobar_moving::move_messages(&from, &to, &journal, options, &show);
    let queues = interruptible(run, stop, &show).await.map_err(|error| failure(error, &show))?;
    show.queues(&queues, output)?;
    let is_left = queues.iter().any(|queue| queue.left > 0);
    Ok(if is_left { ExitCode::FAILURE } else { code })
}

async fn write_backup(
    from: &Opened,
    file: &Path,
    clock: side::SideClock,
    pace: &PaceArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (stop, show) = (Stop::default(), Show::new(output));
    let (from, options) = (from.side()?, pace.options(&stop));
    let run = isobar_moving::backup(&from, file, clock, &options, &show);
    let reports = interruptible(run, &stop, &show).await;
    show.end();
    let code = ended(reports, &show, Work::Backup, output)?;
    let size = std::fs::metadata(file).map_or(0, |found| found.len());
    output.step("Stored", &format!("{}, {}", file.display(), show::size(size)));
    Ok(code)
}

/// Runs a move. The first Ctrl-C stops it, and the second one ends the process.
async fn interruptible<T>(
    run: impl Future<Output = isobar::Result<T>>,
    stop: &Stop,
    show: &Show<'_>,
) -> isobar::Result<T> {
    let mut run = std::pin::pin!(run);
    loop {
        tokio::select! {
            done = &mut run => return done,
            _ = tokio::signal::ctrl_c() => {
                if stop.is_set() {
                    std::process::exit(130);
                }
                show.note("finishing what is in flight; Ctrl-C again ends the command now");
                stop.set();
            }
            () = tokio::time::sleep(show::TICK) => show.tick(),
        }
    }
}

/// The end of a command: the report, and its exit code.
fn ended(
    reports: isobar::Result<Vec<Report>>,
    show: &Show<'_>,
    work: Work,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let reports = reports.map_err(|error| failure(error, show))?;
    show.report(&reports, output)?;
    let is_equal = reports.iter().all(Report::is_equal);
    if !is_equal && !output.json {
        output.note(match work {
            Work::Migrate if reports.iter().any(|it| it.compared.extra > 0) => {
                "what only the target has was not written by an earlier run; --delete-extra deletes it"
            }
            Work::Migrate => {
                "the source was written meanwhile, or something was left out; stop the app, and run the command again"
            }
            Work::Verify => "--repair writes to the target what is missing or different there",
            Work::Backup => "the source was written meanwhile; stop the app, and make the backup again",
        });
    }
    Ok(if is_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn failure(error: isobar::Error, show: &Show<'_>) -> Failure {
    let is_stopped = isobar_moving::is_stopped(&error);
    let can_go_on =
        error.is_retryable() || matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::PermissionDenied);
    let failure = if is_stopped { Failure::interrupted() } else { Failure::from(error) };
    let command: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    match show.has_begun() && can_go_on {
        true => failure.hint(format!("to go on: isobar {}", command.join(" "))),
        false => failure,
    }
}

/// An argument as a shell reads it.
fn quoted(argument: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument,
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

async fn agree(question: &str, hint: &str, output: &Output) -> Result<bool, Failure> {
    prompt::check_terminal(hint)?;
    prompt::consent(question, output).await
}

/// The journal of a pair of sides, in the working folder.
fn journal_file(from: &str, to: &str) -> Result<PathBuf, Failure> {
    let folder = Path::new(".isobar").join("moves");
    let failed = |error: std::io::Error| Failure::new(format!("{} cannot be made", folder.display())).because(&error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(failed)?;
    }
    let hash = Sha256::digest(format!("{from}\n{to}"));
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(folder.join(format!("{name}.journal")))
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "use a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("use a number above 0".to_owned()) }
}

/// The names of kinds, for people.
fn plural(kind: ResourceKind) -> &'static str {
    if kind == ResourceKind::Bucket { "objects" } else { "items" }
}
