#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use isobar_testkit::Double;

use super::*;
use crate::output::Color;
use crate::package::oci::image;

/// The module, and its version: Go checks its content against the public checksum database.
const REGISTRY: &str = "github.com/google/go-containerregistry/cmd/registry@v0.22.1";

fn output() -> Output {
    Output::new(Color::Never, false)
}

fn layout() -> (tempfile::TempDir, String) {
    let (folder, image) = (tempfile::tempdir().unwrap(), image("shop", b"a program").unwrap());
    for (name, content) in image.files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    (folder, image.digest)
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let builder = headers.iter().fold(Response::builder().status(status), |it, (name, value)| it.header(*name, *value));
    builder.body(body.to_owned()).unwrap()
}

/// An empty registry.
fn empty(request: &Request<Bytes>) -> Response<String> {
    match *request.method() {
        Method::POST => answer(202, &[("location", "/upload/1?state=a")], ""),
        Method::PUT => answer(201, &[], ""),
        _ => answer(404, &[], ""),
    }
}

async fn pushed(double: &Double, token: Option<&str>) -> Result<String, Failure> {
    let repository = format!("{}/p/r/app", double.url.trim_start_matches("http://"));
    push(layout().0.path(), &repository, token, &output()).await
}

fn text_of(failure: &Failure) -> String {
    format!("{failure} {:?} {:?}", failure.causes(), failure.next_step())
}

#[tokio::test]
async fn what_is_missing_is_sent_with_the_token() {
    let double = Double::new(empty).await;
    let image = pushed(&double, Some("ya29.t")).await.unwrap();
    let (name, digest) = image.split_once('@').unwrap();
    assert!(name.ends_with("/p/r/app") && digest == layout().1, "{image}");
    let requests = double.requests();
    let count = |start: &str| requests.iter().filter(|request| request.starts_with(start)).count();
    assert_eq!((count("POST /v2/p/r/app/blobs/uploads/"), count("PUT /upload/1?state=a&digest=sha256:")), (2, 2));
    assert!(requests.last().unwrap().starts_with(&format!("PUT /v2/p/r/app/manifests/{digest}")), "{requests:?}");
    for at in 0..requests.len() {
        assert_eq!(double.request(at, |request| request.headers()["authorization"].clone()), "Bearer ya29.t");
    }
}

#[tokio::test]
async fn a_registry_may_ask_for_a_token_of_its_own() {
    let double = Double::new(|request| {
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        match (request.uri().path(), &*header("authorization")) {
            ("/token", "Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS50") => {
                assert_eq!(request.uri().query(), Some("service=reg&scope=repository:p/r/app:pull,push"));
                answer(200, &[], r#"{"token": "own"}"#)
            }
            ("/token", _) => answer(401, &[], ""),
            (_, "Bearer own") => empty(request),
            _ => {
                let challenge = format!("Bearer realm=\"http://{}/token\",service=\"reg\"", header("host"));
                answer(401, &[("www-authenticate", &challenge)], "")
            }
        }
    })
    .await;
    pushed(&double, Some("ya29.t")).await.unwrap();
    let refused = text_of(&pushed(&double, None).await.unwrap_err());
    assert!(refused.contains("401") && refused.contains("gcloud auth login"), "{refused}");
}

#[tokio::test]
async fn another_server_does_not_receive_the_token() {
    let other = Double::new(|_| answer(200, &[], r#"{"token": "own"}"#)).await;
    let realm = format!("Bearer realm=\"{}/token\"", other.url);
    let double = Double::new(move |_| answer(401, &[("www-authenticate", &realm)], "")).await;
    pushed(&double, Some("ya29.t")).await.unwrap_err();
    assert!(other.request(0, |request| request.headers().get("authorization").is_none()));

    let place = format!("{}/upload", other.url);
    let double = Double::new(move |request| match *request.method() {
        Method::POST => answer(202, &[("location", &place)], ""),
        _ => empty(request),
    })
    .await;
    let failure = text_of(&pushed(&double, Some("ya29.t")).await.unwrap_err());
    assert!(failure.contains("another server") && other.requests().len() == 1, "{failure}");
}

#[tokio::test]
async fn a_failed_upload_is_made_again() {
    let uploads = AtomicUsize::new(0);
    let double = Double::new(move |request| match request.uri().path() {
        "/upload/1" if uploads.fetch_add(1, Ordering::Relaxed) == 0 => answer(503, &[], ""),
        _ => empty(request),
    })
    .await;
    pushed(&double, None).await.unwrap();
    let uploads = double.requests().iter().filter(|request| request.starts_with("PUT /upload")).count();
    assert_eq!(uploads, 3);
}

#[tokio::test]
async fn a_failure_names_the_next_step() {
    for (status, step) in [(403, "roles/artifactregistry.writer"), (404, "registry/")] {
        let double = Double::new(move |request| match *request.method() {
            Method::HEAD => answer(404, &[], ""),
            _ => answer(status, &[], r#"{"errors": [{"code": "NAME", "message": "the reason"}]}"#),
        })
        .await;
        let failure = text_of(&pushed(&double, Some("ya29.t")).await.unwrap_err());
        assert!(failure.contains("NAME the reason") && failure.contains(step), "{failure}");
        assert!(!failure.contains("ya29"), "{failure}");
    }
    let failure = push(layout().0.path(), "app", None, &output()).await.unwrap_err();
    assert!(text_of(&failure).contains("HOST/PATH"), "{failure}");
    let failure = push(layout().0.path(), "127.0.0.1:1/p/r/app", None, &output()).await.unwrap_err();
    assert!(text_of(&failure).contains("cannot be reached"), "{failure}");
}

/// A registry that others wrote, which ends with this.
struct Served {
    child: Child,
    log: BufReader<ChildStderr>,
    port: String,
}

impl Served {
    fn start() -> Self {
        let folder = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("tmp/registry-v0.22.1");
        let go = Command::new("go").args(["install", REGISTRY]).env("GOBIN", &folder).env("GOFLAGS", "").output();
        let go = go.unwrap();
        assert!(go.status.success(), "{}", String::from_utf8_lossy(&go.stderr));
        let mut child =
            Command::new(folder.join("registry")).args(["-port", "0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, log, port }
    }

    /// The lines of the log until the one that contains `end`.
    fn requests(&mut self, end: &str) -> Vec<String> {
        let lines = self.log.by_ref().lines().map(Result::unwrap);
        let mut lines: Vec<String> = lines.take_while(|line| !line.contains(end)).collect();
        lines.retain(|line| line.contains("/v2/"));
        lines
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str, need: &str) -> Option<PathBuf> {
    let found = crate::config::program(name);
    let required = env::var("ISOBAR_REQUIRE").unwrap_or_default();
    assert!(found.is_some() || !required.split(',').any(|it| it == need), "{name} is missing");
    found
}

#[tokio::test]
#[ignore = "it needs Go and skopeo: cargo test -p isobar-cli -- --include-ignored"]
async fn a_registry_that_others_wrote_has_the_same_image() {
    let (Some(_), Some(skopeo)) = (program("go", "go"), program("skopeo", "skopeo")) else {
        eprintln!("ignored: Go or skopeo is missing");
        return;
    };
    let (mut served, (folder, digest)) = (Served::start(), layout());
    let repository = format!("127.0.0.1:{}/p/r/app", served.port);
    let image = push(folder.path(), &repository, None, &output()).await.unwrap();
    let inspect = || {
        let mut command = Command::new(&skopeo);
        let ran = command.args(["inspect", "--tls-verify=false", &format!("docker://{image}")]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let inspected = inspect();
    assert_eq!((inspected["Digest"].as_str(), inspected["Os"].as_str()), (Some(&*digest), Some("linux")));
    let end = "/tags/list";
    let first = served.requests(end);
    let sent =
        |requests: &[String]| requests.iter().filter(|line| line.contains("PUT") || line.contains("POST")).count();
    assert_eq!(sent(&first), 5, "{first:?}");
    assert_eq!(push(folder.path(), &repository, None, &output()).await.unwrap(), image);
    inspect();
    let second = served.requests(end);
    assert!(!second.is_empty() && sent(&second) == 0, "{second:?}");
}
