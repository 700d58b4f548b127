//! The whole loop, in a process of its own: `lambda_runtime` reads the process's variables.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isobar_abstraction::{App, Cloud, Environment, Hosted};

use super::*;
use crate::{AwsConfig, AwsProvider};

const CHILD: &str = "host::runtime::tests::process::the_process_that_the_other_test_starts";

/// Told to stop while it has something to do.
fn app() -> App {
    App::new("stopped").on_invoke("stop", |_: Value, cx: isobar_abstraction::Context| async move {
        let id = std::process::id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, Error>(json!({"invocation": cx.invocation_id(), "left": cx.remaining().unwrap().as_secs()}))
    })
}

#[tokio::test]
#[ignore = "started by the test below"]
async fn the_process_that_the_other_test_starts() {
    let environment = Environment::new(std::env::vars(), []);
    let provider = AwsProvider::new(AwsConfig::from_environment(&environment).unwrap());
    let mut app = app();
    let manifest = Arc::new(app.start(&Cloud::new(Arc::new(provider.clone()))).unwrap());
    run(provider.lambda(Hosted { function: Arc::new(app), manifest })).await.unwrap();
}

fn next(request: &Request<Bytes>) -> Response<String> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let builder = Response::builder().status(if request.uri().path().ends_with("/next") { 200 } else { 202 });
    builder
        .header("lambda-runtime-aws-request-id", "req-1")
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", ARN)
        .body(call("stop").to_string())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_answers_first_and_then_ends_well() {
    let api = Double::new(next).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", CHILD, "--ignored"]).env_clear();
    child.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_LAMBDA_RUNTIME_API", api.url.trim_start_matches("http://")),
        ("AWS_LAMBDA_FUNCTION_NAME", "shop"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
    ] {
        child.env(name, value);
    }
    let ended = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && told.contains("1 passed"), "{told}");
    let answers: Vec<usize> = (0..api.asked().len()).filter(|at| api.asked()[*at].starts_with("POST")).collect();
    assert_eq!(answers.len(), 1, "{:?}", api.asked());
    api.request(answers[0], |request| {
        assert_eq!(request.uri().path(), "/2018-06-01/runtime/invocation/req-1/response");
        let answer: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(answer["invocation"], "req-1");
        assert!((30..60).contains(&answer["left"].as_u64().unwrap()), "{answer}");
    });
}
