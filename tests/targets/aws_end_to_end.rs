//! The apps as their users deploy them to AWS: built with the feature `aws`, zipped, and run by
//! ministack behind its own HTTP API, queues and Lambda runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

use std::collections::BTreeMap;
use std::process::ExitCode;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use isobar::{Body, ResourceKind};
use isobar_conformance::backends::aws::Aws;
use isobar_conformance::backends::deployed::Deployed;
use isobar_conformance::backends::memory::Memory;
use isobar_conformance::emulators::{Emulator, MINISTACK, Python};
use isobar_conformance::telegram::Telegram;
use isobar_conformance::{Backend, Checked, built, run_check, transcript};
use libtest_mimic::{Arguments, Completion};
use serde_json::{Value, json};

type Check = fn(Deployed) -> BoxFuture<'static, Checked>;

const TRIALS: &[(&str, Check)] = &[
    ("the_shortener_does_the_same_on_aws", |aws| Box::pin(the_shortener_does_the_same_on_aws(aws))),
    ("a_poison_message_harms_no_other", |aws| Box::pin(a_poison_message_harms_no_other(aws))),
    ("the_chatbot_does_the_same_on_aws", |aws| Box::pin(the_chatbot_does_the_same_on_aws(aws))),
    ("the_same_binary_runs_under_cargo_lambda_watch", |aws| {
        Box::pin(the_same_binary_runs_under_cargo_lambda_watch(aws))
    }),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Asked for a list, it starts nothing.
    let aws = if arguments.list { Err("not started".to_owned()) } else { deploy() };
    let trials = TRIALS.iter().map(|(name, check)| {
        let aws = aws.as_ref().map(|(_, aws)| aws.clone()).map_err(Clone::clone);
        libtest_mimic::Trial::ignorable_test(format!("aws::end-to-end::{name}"), move || match aws {
            Ok(aws) => run_check(PATIENCE, check(aws)).map(|()| Completion::Completed),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // An emulator must not outlive the trials, and `exit` would drop nothing.
    drop(aws);
    conclusion.exit_code()
}

/// Ministack, and the apps. An `Err` says what this machine lacks.
fn deploy() -> Result<(Emulator, Deployed), String> {
    let python = match Python::ready() {
        Ok(python) => python,
        Err(absent) if absent.is_required() => panic!("{} is required: {}", absent.need, absent.reason),
        Err(absent) => return Err(absent.reason),
    };
    let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();
    let deployed = Deployed {
        endpoint: emulator.url(),
        python: python.interpreter().to_owned(),
        bootstrap: built::apps("aws").unwrap().join("shortener"),
        environment: BTreeMap::new(),
    };
    Ok((emulator, deployed))
}

/// Longest run of a trial. It bounds a trial that hangs; no trial waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// The shortener on AWS does line by line what it does in memory.
async fn the_shortener_does_the_same_on_aws(aws: Deployed) -> Checked {
    let expected = transcript::shortener(&Memory, shortener::app).await?;
    let found = transcript::shortener(&aws, shortener::app).await?;
    transcript::assert_same(&expected, &found, "aws");
    Ok(())
}

/// One that no handler can read among others: it alone becomes a dead letter, with its reason, and
/// the others are counted once.
async fn a_poison_message_harms_no_other(aws: Deployed) -> Checked {
    let world = aws.open().await?;
    let app = world.run(shortener::app).await?;
    let request = Request::post("/").body(Body::from(r#"{"url": "https://example.org/"}"#))?;
    let made: Value = app.http(request).await?.json()?;
    let id = made["id"].as_str().unwrap().to_owned();
    let click = || Bytes::from(json!({ "id": id }).to_string());
    let clicks = world.cloud().topic::<Bytes>("clicks");
    for body in [click(), click(), Bytes::from_static(b"{not json"), click(), click()] {
        clicks.publish(body).await?;
    }
    app.deliver().await?;
    let stats = app.invoke("stats", Bytes::from(json!({ "id": id }).to_string())).await?;
    assert_eq!(stats, r#"{"clicks":4}"#);
    let dead = app.dead_letters(ResourceKind::Topic, "clicks").await?;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].attempts, dead[0].body.as_ref()), (1, b"{not json".as_slice()));
    assert!(dead[0].reason.contains("line 1 column 2"), "{}", dead[0].reason);
    Ok(())
}

/// The Lambda of cargo-lambda, on its own port, and the binary that ministack was given too.
async fn the_same_binary_runs_under_cargo_lambda_watch(aws: Deployed) -> Checked {
    let services = Aws { name: "ministack", endpoint: aws.endpoint.clone(), account: "000000000000", gaps: &[] };
    let world = services.open_as("cl-").await?;
    drop(world.run(shortener::app).await?);
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut watch = tokio::process::Command::new(aws.python.with_file_name("cargo-lambda"))
        .args(["lambda", "watch", "--quiet", "--only-lambda-apis", "--invoke-address", "127.0.0.1"])
        .args(["--invoke-port", &port.to_string()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let api = format!("127.0.0.1:{port}");
    while tokio::net::TcpStream::connect(&api).await.is_err() {
        assert_eq!(watch.try_wait()?, None, "cargo-lambda has ended, without listening on {api}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let variables = [
        ("AWS_LAMBDA_RUNTIME_API", format!("http://{api}/.rt")),
        ("AWS_LAMBDA_FUNCTION_NAME", "_".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "-".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "-".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCOUNT_ID", "000000000000".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_ENDPOINT_URL", aws.endpoint.clone()),
        ("ISOBAR_PREFIX", "cl-".to_owned()),
    ];
    let _function = tokio::process::Command::new(&aws.bootstrap).envs(variables).kill_on_drop(true).spawn()?;
    let post = Request::post(format!("http://{api}/lambda-url/_/")).header("content-type", "application/json");
    let made = world.fetch(post.body(Bytes::from_static(br#"{"url": "https://example.org/"}"#))?).await?;
    assert_eq!(made.status, 201, "{}", made.text());
    let made: Value = made.json()?;
    let link = format!("http://{api}/lambda-url/_/{}", made["id"].as_str().unwrap());
    let followed = world.fetch(Request::get(link).body(Bytes::new())?).await?;
    assert_eq!((followed.status.as_u16(), followed.header("location")), (307, Some("https://example.org/")));
    Ok(())
}

/// A webhook is answered at once and replied to once, in order, through a FIFO topic.
async fn the_chatbot_does_the_same_on_aws(mut aws: Deployed) -> Checked {
    let here = Telegram::start().await?;
    let vars = here.environment();
    let config = chatbot::Config::from_vars(|name| vars.get(name).cloned());
    let expected = transcript::chatbot(&Memory, &here, |cloud| chatbot::app_with(cloud, config)).await?;
    let telegram = Telegram::start().await?;
    aws.bootstrap = aws.bootstrap.with_file_name("chatbot");
    aws.environment = telegram.environment();
    let found = transcript::chatbot(&aws, &telegram, chatbot::app).await?;
    transcript::assert_same(&expected, &found, "aws");
    Ok(())
}
