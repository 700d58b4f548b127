//! The apps as their users deploy them to Google Cloud: built with the feature `gcp`, and run as processes to
//! which Google's emulator of Pub/Sub pushes. Items are in Google's emulator of Firestore, objects in fake-gcs-server.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

#[path = "end_to_end/same.rs"]
mod same;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isobar::{EventQueue, TestResponse};
use isobar_conformance::target::Check;
use isobar_conformance::{HarnessResult, RunningApp, TrialResult, World};
use isobar_e2e::backends::gcp::Services;
use isobar_e2e::backends::gcp::deployed::Deployed;
use isobar_e2e::built;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use same::link;

const TRIALS: &[(&str, Check<Deployed>)] = &[
    ("the_shortener_does_the_same", |gcp| Box::pin(same::shortener(gcp))),
    ("the_notes_do_the_same", |gcp| {
        let executable = gcp.executable.map(|shortener| shortener.with_file_name("notes"));
        Box::pin(same::notes(Deployed { executable, ..gcp }))
    }),
    ("the_chatbot_does_the_same", |gcp| {
        let executable = gcp.executable.map(|shortener| shortener.with_file_name("chatbot"));
        Box::pin(same::chatbot(Deployed { executable, environment: same::all_logs(), ..gcp }))
    }),
    ("the_emulator_pushes_straight_to_the_service", |gcp| Box::pin(the_emulator_pushes_straight(gcp))),
    ("a_poison_message_harms_no_other", |gcp| Box::pin(same::poison(gcp))),
    ("a_service_that_is_killed_loses_nothing", |gcp| Box::pin(a_service_that_is_killed_loses_nothing(gcp))),
    ("a_service_that_is_stopped_responds_first_and_exits_with_0", |gcp| {
        Box::pin(a_service_that_is_stopped_responds_first(gcp))
    }),
    ("a_request_that_never_ends_is_not_waited_for", |gcp| Box::pin(a_request_that_never_ends_is_left(gcp))),
];

fn main() -> ExitCode {
    isobar_conformance::target::run_checks("gcp::end-to-end", Duration::from_secs(120), TRIALS, || {
        let (services, guard) = Services::start()?;
        let executable = built::apps("gcp").unwrap().join("shortener");
        Ok((Deployed { services, executable: Some(executable), environment: BTreeMap::new() }, guard))
    })
}

async fn get(app: &dyn RunningApp, path: &str) -> HarnessResult<TestResponse> {
    app.get(path).await
}

async fn clicks(app: &dyn RunningApp, id: &str) -> HarnessResult<i64> {
    let stats: Value = app.get(&format!("/{id}/stats")).await?.json()?;
    Ok(stats["clicks"].as_i64().unwrap())
}

/// Without a proxy of isobar in between, with the subscriptions of `deployment`.
async fn the_emulator_pushes_straight(gcp: Deployed) -> TrialResult {
    let world = gcp.open_world().await?;
    let app = world.run_without_proxy(Box::new(shortener::app)).await?;
    let id = link(&app).await?;
    for _ in 0..5 {
        assert_eq!(get(&app, &format!("/{id}")).await?.status, 307);
    }
    let started = Instant::now();
    while clicks(&app, &id).await? < 5 {
        assert!(started.elapsed() < Duration::from_secs(20), "{} of 5", clicks(&app, &id).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// An instance is removed during its work, and another one continues.
async fn a_service_that_is_killed_loses_nothing(gcp: Deployed) -> TrialResult {
    let world = gcp.open_world().await?;
    let app = world.run(Box::new(shortener::app)).await?;
    let id = link(&app).await?;
    let topic = world.cloud().topic::<Bytes>("clicks");
    let bodies = (0..200).map(|_| Bytes::from(json!({ "id": id }).to_string()));
    for sent in topic.publish_batch(bodies).await {
        sent?;
    }
    let killing = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(70)).await;
            app.process()?.kill().await?;
        }
        Ok::<_, isobar::Error>(())
    };
    let (delivered, killed) = tokio::join!(app.deliver(), killing);
    delivered?;
    killed?;
    assert!(app.most_pushes() > 1, "nothing was being handled when the service was killed");
    let dead = app.dead_letters(&EventQueue::topic("clicks")).await?;
    assert!(dead.is_empty(), "{dead:?}");
    // Each message is marked before it is counted; one whose handler is killed between the two is not counted, as the
    // app's `count_once` documents.
    let marks = world.cloud().table::<i64>("links").query("total").prefix("seen/").all().await?;
    assert_eq!(marks.len(), 200);
    let clicks = clicks(&app, &id).await?;
    assert!((1..=200).contains(&clicks), "{clicks}");
    Ok(())
}

/// Sends the head and half of the body of a request.
async fn send_half(port: u16, body: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: isobar.example\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body.as_bytes()[..body.len() / 2]).await?;
    // A request counts only when the service has read it from the socket.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(stream)
}

async fn wait_until_closed(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const LINK: &str = r#"{"url": "https://example.org/while-stopping"}"#;

/// After SIGTERM, as Cloud Run sends it, the service accepts no new connection, and responds to requests that it has begun.
async fn a_service_that_is_stopped_responds_first(gcp: Deployed) -> TrialResult {
    let world = gcp.open_world().await?;
    let app = world.run(Box::new(shortener::app)).await?;
    let mut stream = send_half(app.process()?.port(), LINK).await?;
    app.process()?.terminate().await?;
    wait_until_closed(app.process()?.port()).await;
    stream.write_all(&LINK.as_bytes()[LINK.len() / 2..]).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    let link: Value = serde_json::from_str(response.split("\r\n\r\n").nth(1).unwrap())?;
    let ended = app.process()?.ended().await?;
    assert!(ended.success(), "{ended}");
    // The link was stored: the next instance finds it.
    app.process()?.start_again().await?;
    let followed = get(&app, &format!("/{}", link["id"].as_str().unwrap())).await?;
    assert_eq!(
        (followed.status.as_u16(), followed.header("location")),
        (307, Some("https://example.org/while-stopping"))
    );
    Ok(())
}

/// Cloud Run kills a service after 10 s; isobar exits before, with 0.
async fn a_request_that_never_ends_is_left(gcp: Deployed) -> TrialResult {
    let world = gcp.open_world().await?;
    let app = world.run(Box::new(shortener::app)).await?;
    let _stream = send_half(app.process()?.port(), LINK).await?;
    let stopped = Instant::now();
    app.process()?.terminate().await?;
    let ended = app.process()?.ended().await?;
    let took = stopped.elapsed();
    assert!(ended.success(), "{ended}");
    assert!((5..=10).contains(&took.as_secs()), "{took:?}");
    Ok(())
}
