//! The apps as their users deploy them to AWS: built with the feature `aws`, zipped, and run by
//! ministack behind its own HTTP API, queues and Lambda runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

#[path = "end_to_end/same.rs"]
mod same;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use isobar::EventQueue;
use isobar::driver::pub_sub::BacklogPart;
use isobar_conformance::target::Check;
use isobar_conformance::{Harness, TrialResult};
use isobar_e2e::backends::aws::deployed::Deployed;
use isobar_e2e::backends::aws::{Aws, Services};
use isobar_e2e::built;
use isobar_e2e::emulators::{Emulator, MINISTACK, Python};
use serde_json::Value;

const TRIALS: &[(&str, Check<Deployed>)] = &[
    ("the_shortener_does_the_same_on_aws", |aws| Box::pin(same::shortener(aws))),
    ("the_notes_do_the_same_on_aws", |aws| {
        Box::pin(same::notes(Deployed { bootstrap: aws.bootstrap.with_file_name("notes"), ..aws }))
    }),
    ("a_poison_message_harms_no_other", |aws| Box::pin(same::poison(aws))),
    ("a_paused_queue_is_leased_and_not_delivered", |aws| Box::pin(a_paused_queue_is_leased_and_not_delivered(aws))),
    ("the_chatbot_does_the_same_on_aws", |aws| {
        let bootstrap = aws.bootstrap.with_file_name("chatbot");
        Box::pin(same::chatbot(Deployed { bootstrap, environment: same::all_logs(), ..aws }))
    }),
    ("the_same_binary_runs_under_cargo_lambda_watch", |aws| {
        Box::pin(the_same_binary_runs_under_cargo_lambda_watch(aws))
    }),
];

fn main() -> ExitCode {
    isobar_conformance::target::run_checks("aws::end-to-end", Duration::from_secs(120), TRIALS, || {
        let python = Python::ready()?;
        let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();
        let deployed = Deployed {
            endpoint: emulator.url(),
            python: python.interpreter().to_owned(),
            bootstrap: built::apps("aws").unwrap().join("shortener"),
            environment: BTreeMap::new(),
            isobar: None,
        };
        Ok((deployed, emulator))
    })
}

async fn a_paused_queue_is_leased_and_not_delivered(aws: Deployed) -> TrialResult {
    let world = aws.open().await?;
    let app = world.run(shortener::app).await?;
    let id = same::link(app.as_ref()).await?;
    let backlog = world.backlog(&EventQueue::topic("clicks")).await?;
    let paused = backlog.pause().await?;
    assert_eq!(paused.split(',').count(), 2, "of the queue and of the FIFO queue: {paused}");
    assert_eq!(backlog.pause().await?, "", "paused twice");
    // ministack ends a poll that it has begun.
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.cloud().topic::<Bytes>("clicks").publish(Bytes::from(format!(r#"{{"id":"{id}"}}"#))).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let leased = backlog.lease(BacklogPart::Waiting, 10, Duration::from_secs(60)).await?;
    assert_eq!(leased.len(), 1);
    let receipts = leased.into_iter().map(|leased| leased.receipt).collect();
    backlog.release(BacklogPart::Waiting, receipts).await.into_iter().collect::<isobar::Result<()>>()?;
    backlog.resume(&paused).await?;
    app.deliver().await?;
    let stats = app.invoke("stats", Bytes::from(format!(r#"{{"id":"{id}"}}"#))).await?;
    assert_eq!(stats, r#"{"clicks":1}"#);
    Ok(())
}

/// The Lambda emulator of cargo-lambda, on its own port, runs the same binary as ministack.
async fn the_same_binary_runs_under_cargo_lambda_watch(aws: Deployed) -> TrialResult {
    let services = Services { endpoint: aws.endpoint.clone(), account: "000000000000" };
    let world = Aws { name: "ministack", services, gaps: &[] }.open_as("cl-").await?;
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
        tokio::time::sleep(Duration::from_millis(20)).await;
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
