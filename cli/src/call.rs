//! `isobar invoke`, `publish`, `put-object`, `tick` and `written`: calls of an app that runs on this machine.

pub(crate) mod app;
pub(crate) mod complete;
pub(crate) mod dead_letters;
mod names;
mod payload;

use std::process::ExitCode;

use clap::{Args, ValueHint};
use hyper::Method;
use hyper::body::Bytes;
use isobar::driver::ResourceKind;

use crate::deploy::{self, CloudArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::project::PackageArgs;
use app::{Call, RunningApp};
use payload::Payload;

const QUOTES: &str =
    r#"put single quotes around JSON: '{"id": 7}'; a text is '"seven"'; @FILE and - read it elsewhere"#;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isobar invoke stats\n  isobar invoke reindex '\"note-1\"'\n  isobar invoke import @notes.json\n  echo '{\"id\": 7}' | isobar invoke sync - | jq .count\n  isobar invoke stats --target aws --stage prod"
)]
pub(crate) struct InvokeArgs {
    /// The function
    #[arg(add = complete::functions())]
    function: String,
    /// The request: JSON, @FILE, or - for standard input; null by default
    #[arg(value_name = "JSON|@FILE|-")]
    request: Option<String>,
    #[command(flatten)]
    cloud: CloudArgs,
    /// The stage in the cloud [default: that of ISOBAR_STAGE, else dev]
    #[arg(long, value_name = "NAME", requires = "target")]
    stage: Option<String>,
    #[command(flatten)]
    package: PackageArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isobar publish orders '{\"id\": 7}' --ordering-key ann\n  isobar publish reminders '\"note-1\"' --delay 2m\n  isobar publish lines @lines.txt --text"
)]
pub(crate) struct PublishArgs {
    /// The topic
    #[arg(add = complete::resources(&[ResourceKind::Topic]))]
    topic: String,
    /// The message: JSON, @FILE, or - for standard input; null by default
    #[arg(value_name = "JSON|@FILE|-")]
    message: Option<String>,
    /// Deliver it after the messages with the same key
    #[arg(long, value_name = "KEY")]
    ordering_key: Option<String>,
    /// Deliver it later: 30, 30s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    delay: Option<u64>,
    /// Send the text as it is, for a topic of bytes; it need not be JSON
    #[arg(long, requires = "message")]
    text: bool,
    #[command(flatten)]
    package: PackageArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isobar put-object files images/cat.png cat.png --content-type image/png\n  date | isobar put-object files now.txt -"
)]
pub(crate) struct PutObjectArgs {
    /// The bucket
    #[arg(add = complete::resources(&[ResourceKind::Bucket]))]
    bucket: String,
    /// The key of the object
    key: String,
    /// The content: a file, or - for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    file: String,
    /// The type of the content, such as image/png
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    package: PackageArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isobar tick purge")]
pub(crate) struct TickArgs {
    /// The schedule
    #[arg(add = complete::schedules())]
    schedule: String,
    #[command(flatten)]
    package: PackageArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The item itself is not written.\n\nExamples:\n  isobar written notes note-1\n  isobar written orders ann 2026-01-31"
)]
pub(crate) struct WrittenArgs {
    /// The table
    #[arg(add = complete::written_tables())]
    table: String,
    /// The partition of the item
    partition: String,
    /// Its sort key
    #[arg(default_value = "", hide_default_value = true)]
    sort: String,
    #[command(flatten)]
    package: PackageArgs,
}

pub(crate) async fn invoke(args: &InvokeArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (name, payload) = (args.function.as_str(), Payload::json(args.request.as_deref(), QUOTES)?);
    if let Some(folder) = args.cloud.folder(args.stage.as_deref(), &args.package) {
        output.answer(&deploy::invoke(&folder, name, payload.whole(), output).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let app = RunningApp::find(&args.package).await?;
    app.check_name("function", name, app.manifest.functions())?;
    let call = Call { method: Method::POST, path: &["functions", name], query: &[], payload };
    let answer = app.call(call, &format!("function `{name}` failed")).await?;
    output.answer(&answer);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn publish(args: &PublishArgs, output: &Output) -> Result<ExitCode, Failure> {
    let topic = args.topic.as_str();
    let payload = match &args.message {
        Some(text) if args.text => Payload::text(text)?,
        message => Payload::json(message.as_deref(), &format!("{QUOTES}; --text sends any text"))?,
    };
    let app = RunningApp::find(&args.package).await?;
    app.check_name("topic", topic, app.manifest.topics().map(|topic| topic.name.as_str()))?;
    let delay = args.delay.map(|delay| delay.to_string());
    let key = args.ordering_key.as_deref().map(|key| ("ordering_key", key));
    let query: Vec<_> = key.into_iter().chain(delay.as_deref().map(|delay| ("delay", delay))).collect();
    let call = Call { method: Method::POST, path: &["topics", topic], query: &query, payload };
    let answer = app.call(call, &format!("topic `{topic}` did not accept the message")).await?;
    report(output, &answer, &format!("published to topic `{topic}`"))
}

pub(crate) async fn put_object(args: &PutObjectArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (bucket, key) = (args.bucket.as_str(), args.key.as_str());
    let payload = Payload::file(&args.file)?;
    let app = RunningApp::find(&args.package).await?;
    app.check_name("bucket", bucket, app.manifest.buckets().map(|bucket| bucket.name.as_str()))?;
    let content_type = args.content_type.as_deref().map(|content_type| ("content_type", content_type));
    let query: Vec<_> = [("key", key)].into_iter().chain(content_type).collect();
    let call = Call { method: Method::PUT, path: &["buckets", bucket], query: &query, payload };
    let answer = app.call(call, &format!("bucket `{bucket}` did not accept the object")).await?;
    report(output, &answer, &format!("wrote `{key}` to bucket `{bucket}`"))
}

pub(crate) async fn tick(args: &TickArgs, output: &Output) -> Result<ExitCode, Failure> {
    let name = args.schedule.as_str();
    let app = RunningApp::find(&args.package).await?;
    app.check_name("schedule", name, app.manifest.schedules().map(|schedule| schedule.name.as_str()))?;
    let call = Call { method: Method::POST, path: &["schedules", name], query: &[], payload: Payload::Empty };
    let answer = app.call(call, &format!("schedule `{name}` failed")).await?;
    report(output, &answer, &format!("ran schedule `{name}`"))
}

pub(crate) async fn written(args: &WrittenArgs, output: &Output) -> Result<ExitCode, Failure> {
    let table = args.table.as_str();
    let app = RunningApp::find(&args.package).await?;
    app.check_name("handler of writes of table", table, app.manifest.writes().map(|trigger| trigger.table.as_str()))?;
    let query = [("partition", args.partition.as_str()), ("sort", &args.sort)];
    let call = Call { method: Method::POST, path: &["tables", table], query: &query, payload: Payload::Empty };
    let answer = app.call(call, &format!("the handler of writes of table `{table}` failed")).await?;
    report(output, &answer, &format!("called the handler of writes of table `{table}`"))
}

/// Prints what the app reported, or a line.
fn report(output: &Output, answer: &Bytes, line: &str) -> Result<ExitCode, Failure> {
    match output.json {
        true => output.answer(answer),
        false => output.line(line),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads `30`, `30s`, `5m` or `1h`.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.ok_or_else(|| "use a number of seconds, or 30s, 5m, 1h".to_owned())
}
