//! `isobar dead-letters`: messages that failed for good.

mod stage;

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::app::{Call, QueueState, RunningApp};
use super::complete;
use super::names::unknown;
use super::payload::Payload;
use crate::deploy::{CloudArgs, FolderArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::project::PackageArgs;

/// The characters of a body in the table.
const EXCERPT: usize = 40;

#[derive(Debug, Args)]
#[command(
    after_help = "A queue is a topic, a bucket or a table, such as `orders`, or one of its subscriptions, such as `orders/mail`.\n\nExamples:\n  isobar dead-letters list\n  isobar dead-letters redrive orders\n  isobar dead-letters drop orders/mail --id 17 --id 19\n  isobar dead-letters list --target aws --stage prod"
)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print them, the oldest first, at most 1,000 of each queue
    List(QueueArgs),
    /// Put them back into their queues, to be delivered again
    Redrive(ChangeArgs),
    /// Delete them
    Drop(ChangeArgs),
}

#[derive(Debug, Args)]
struct QueueArgs {
    /// The queue; all by default
    #[arg(add = complete::queues())]
    queue: Option<String>,
    #[command(flatten)]
    at: PlaceArgs,
}

/// Whose dead letters: those of the app that runs on this machine, or those of a stage.
#[derive(Debug, Args)]
struct PlaceArgs {
    #[command(flatten)]
    cloud: CloudArgs,
    /// The stage in the cloud [default: that of ISOBAR_STAGE, else dev]
    #[arg(long, value_name = "NAME", requires = "target")]
    stage: Option<String>,
    #[command(flatten)]
    package: PackageArgs,
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("which").required(true)))]
struct ChangeArgs {
    /// The queue; --all for all
    #[arg(group = "which", add = complete::queues())]
    queue: Option<String>,
    /// The id of one, as `list` prints it; can be repeated
    #[arg(long = "id", value_name = "ID", requires = "queue")]
    ids: Vec<String>,
    /// Those of all queues
    #[arg(long, group = "which")]
    all: bool,
    #[command(flatten)]
    at: PlaceArgs,
}

pub(crate) async fn run(args: &DeadLettersArgs, output: &Output) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::List(args) => list(args, output).await,
        Action::Redrive(args) => change(args, Change::Redrive, output).await,
        Action::Drop(args) => change(args, Change::Drop, output).await,
    }
}

/// What is done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Redrive,
    Drop,
}

impl Change {
    fn did(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Drop => "dropped",
        }
    }
}

/// A dead letter of a queue, as JSON.
type Found = (String, Value);

async fn list(args: &QueueArgs, output: &Output) -> Result<ExitCode, Failure> {
    let found = match args.at.folder() {
        Some(folder) => stage::list(&folder, args.queue.as_deref(), output).await?,
        None => list_local(args).await?,
    };
    if output.json {
        let named = |(queue, mut dead_letter): Found| {
            dead_letter["queue"] = queue.into();
            dead_letter
        };
        output.document(&found.into_iter().map(named).collect::<Vec<_>>())?;
    } else if found.is_empty() {
        output.line("no dead letters");
    } else {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let row = |(queue, it): &Found| {
            let [reason, body] = [&it["reason"], &it["body"]].map(|value| one_line(&text(value)));
            // Without the milliseconds.
            let since = text(&it["died_at"]).chars().take(19).chain(['Z']).collect();
            [queue.clone(), text(&it["id"]), text(&it["attempts"]), since, reason, excerpt(body)]
        };
        output
            .table(["QUEUE", "ID", "ATTEMPTS", "SINCE", "REASON", "BODY"], &found.iter().map(row).collect::<Vec<_>>());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_local(args: &QueueArgs) -> Result<Vec<Found>, Failure> {
    let app = RunningApp::find(&args.at.package).await?;
    let mut found = Vec::new();
    for queue in select(&app, args.queue.as_deref())?.into_iter().filter(|queue| queue.dead > 0) {
        let answer = ask(&app, queue, Method::GET, &[("limit", "1000")]).await?;
        let dead_letters = answer["dead_letters"].as_array().cloned().unwrap_or_default();
        found.extend(dead_letters.into_iter().map(|dead_letter| (queue.label(), dead_letter)));
    }
    Ok(found)
}

async fn change(args: &ChangeArgs, change: Change, output: &Output) -> Result<ExitCode, Failure> {
    let counts = match args.at.folder() {
        Some(folder) => stage::change(&folder, args.queue.as_deref(), &args.ids, change, output).await?,
        None => change_local(args, change).await?,
    };
    let (count, did): (u64, _) = (counts.iter().map(|(_, count)| count).sum(), change.did());
    if output.json {
        output
            .document(&counts.iter().map(|(queue, count)| json!({"queue": queue, did: count})).collect::<Vec<_>>())?;
    } else {
        output.line(&format!("{did}: {count}"));
    }
    let expected = args.ids.len();
    if count < expected as u64 {
        return Err(
            Failure::new(format!("{count} of {expected} ids had a dead letter")).hint("isobar dead-letters list")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Failures: an id of one of several queues.
fn check_one(name: Option<&str>, ids: &[String], queues: &[String]) -> Result<(), Failure> {
    match (ids.is_empty(), queues) {
        (false, [_, _, ..]) => {
            let name = name.unwrap_or_default();
            Err(Failure::new(format!("`{name}` has several queues, which may have one id twice"))
                .hint(format!("name one: {}", queues.join(", "))))
        }
        _ => Ok(()),
    }
}

async fn change_local(args: &ChangeArgs, change: Change) -> Result<Vec<(String, u64)>, Failure> {
    let app = RunningApp::find(&args.at.package).await?;
    let queues = select(&app, args.queue.as_deref())?;
    let labels: Vec<String> = queues.iter().map(|queue| queue.label()).collect();
    check_one(args.queue.as_deref(), &args.ids, &labels)?;
    let method = if change == Change::Redrive { Method::POST } else { Method::DELETE };
    let (ids, mut counts) = (args.ids.join(","), Vec::new());
    let query: Vec<_> = (!ids.is_empty()).then_some(("ids", ids.as_str())).into_iter().collect();
    for queue in queues {
        let answer = ask(&app, queue, method.clone(), &query).await?;
        counts.push((queue.label(), answer[change.did()].as_u64().unwrap_or_default()));
    }
    Ok(counts)
}

impl PlaceArgs {
    fn folder(&self) -> Option<FolderArgs> {
        self.cloud.folder(self.stage.as_deref(), &self.package)
    }
}

/// Sends a request about the dead letters of a queue.
async fn ask(
    app: &RunningApp,
    queue: &QueueState,
    method: Method,
    parameters: &[(&str, &str)],
) -> Result<Value, Failure> {
    let kind = match queue.kind.as_str() {
        "bucket" => "buckets",
        "table" => "tables",
        _ => "topics",
    };
    let query = [&[("queue", queue.queue.as_str())], parameters].concat();
    let path = ["dead-letters", kind, &queue.name];
    let call = Call { method, path: &path, query: &query, payload: Payload::Empty };
    let answer = app.call(call, &format!("the dead letters of `{}`", queue.label())).await?;
    serde_json::from_slice(&answer).map_err(|error| Failure::new("the answer of the app is no JSON").because(&error))
}

/// The queues of a name: one, or all those of a topic, a bucket or a table.
fn select<'a>(app: &'a RunningApp, name: Option<&str>) -> Result<Vec<&'a QueueState>, Failure> {
    let Some(name) = name else { return Ok(app.queues.iter().collect()) };
    let queues = app.queues.iter();
    let found: Vec<_> = queues.filter(|queue| queue.name == name || queue.label() == name).collect();
    if found.is_empty() {
        let known: Vec<_> = app.queues.iter().map(QueueState::label).collect();
        return Err(unknown(&app.manifest.app, "queue", name, &known.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    Ok(found)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text.
fn excerpt(text: String) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
