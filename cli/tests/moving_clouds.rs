//! An app and its data move from a laptop through the emulators of all clouds and back, by the commands of a user.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::Request;
use isobar::driver::Environment;
use isobar::{Body, TestResponse};
use isobar_conformance::{Absent, RunningApp};
use isobar_e2e::backends::cloud::CloudWorld;
use isobar_e2e::backends::service::Service;
use isobar_e2e::backends::stages::Stages;
use isobar_e2e::backends::{aws, azure, gcp, send_to};
use isobar_e2e::built;
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Emulator, MINISTACK, Node, Python};
use serde_json::{Value, json};

use support::Transcript;

/// The longest time until a click is counted.
const COUNTED: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it builds an app, and needs the emulators of all clouds: cargo test -p isobar-cli -- --include-ignored"]
async fn links_are_followed_on_a_laptop_and_in_each_cloud() {
    let needs = || {
        let (python, node, cosmos) = (Python::ready()?, Node::ready()?, CosmosProgram::ready()?);
        Ok::<_, Absent>((python, node, cosmos, gcp::Services::start()?))
    };
    let Some((python, node, cosmos, (google, _google))) = support::found(needs()) else { return };
    let binary = built::one_binary("shortener", &["aws", "azure", "gcp", "local"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut user = User::new(folder.path(), &binary);

    let data = folder.path().join(".isobar");
    let laptop = Service::start(binary.clone(), vec![("ISOBAR_DATA".to_owned(), data.display().to_string())]);
    let laptop = laptop.await.unwrap();
    let on_laptop = async |request| send_to(&laptop.url(), request).await.unwrap();
    user.visit(on_laptop).await;
    user.run(&["tick", "sweep"]);
    user.page = on_laptop(get("/index.html")).await.text();
    assert!(user.page.contains(&user.links[0].id), "{}", user.page);
    stop(&laptop).await;

    let ministack = Emulator::start(&python, MINISTACK, &[]).unwrap();
    let amazon = aws::deployed::Deployed {
        endpoint: ministack.url(),
        python: python.interpreter().to_owned(),
        bootstrap: binary.clone(),
        environment: BTreeMap::new(),
        isobar: None,
    };
    let _aws = user.move_to(&amazon, aws::deployed::DeployedTrial::environment, "local", "aws:tour").await;

    let (cosmos, azurite) = (CosmosEmulator::start(&cosmos).unwrap(), Azurite::start(&node).unwrap());
    let microsoft = azure::deployed::Deployed {
        services: azure::Services::storage(&azurite).with_cosmos(&cosmos.endpoint),
        executable: binary.clone(),
        http: isobar::azure::HttpMode::Proxying,
        environment: BTreeMap::new(),
    };
    let _azure = user.move_to(&microsoft, azure::deployed::DeployedTrial::environment, "aws:tour", "azure:tour").await;

    let google = gcp::deployed::Deployed { services: google, executable: Some(binary), environment: BTreeMap::new() };
    // The emulator has one database for all stages.
    user.shell.set("FIRESTORE_DATABASE", "(default)");
    let _gcp = user.move_to(&google, gcp::deployed::DeployedTrial::environment, "azure:tour", "gcp:tour").await;

    user.copy("gcp:tour", "local");
    laptop.start_again().await.unwrap();
    user.visit(on_laptop).await;
    stop(&laptop).await;

    user.run(&["backup", "links.isobar"]);
    fs::remove_dir_all(&data).unwrap();
    user.run(&["restore", "links.isobar", "--yes"]);
    user.run(&["verify", "--from", "file:links.isobar", "--to", "local"]);
    laptop.start_again().await.unwrap();
    user.visit(on_laptop).await;
    let clicks: Vec<i64> = user.links.iter().map(|link| link.clicks).collect();
    assert_eq!(clicks, [6, 5, 4, 3, 2, 1]);
}

/// Ends the app as Ctrl-C does: what it handles is finished.
async fn stop(laptop: &Service) {
    laptop.terminate().await.unwrap();
    assert!(laptop.ended().await.unwrap().success());
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// A link, and how often it was followed.
struct Link {
    id: String,
    url: String,
    clicks: i64,
}

/// A user of the shortener, with the command in the folder of its project.
struct User {
    shell: Transcript,
    links: Vec<Link>,
    /// The page of the newest links, once there is one.
    page: String,
}

impl User {
    fn new(folder: &Path, binary: &Path) -> Self {
        let manifest = Command::new(binary).env("ISOBAR_MANIFEST", "1").output().unwrap().stdout;
        let cargo = support::fake_cargo(folder, &String::from_utf8(manifest).unwrap());
        fs::write(folder.join("Cargo.toml"), "").unwrap();
        let mut shell = Transcript::of(folder);
        shell.set("CARGO", cargo.display().to_string());
        Self { shell, links: Vec::new(), page: String::new() }
    }

    fn run(&mut self, args: &[&str]) {
        assert_eq!(self.shell.run(args), 0, "{}", self.shell.text());
    }

    /// Moves the data, and compares the sides.
    fn copy(&mut self, from: &str, to: &str) {
        self.run(&["migrate", "--from", from, "--to", to, "--yes"]);
        self.run(&["verify", "--from", from, "--to", to]);
    }

    /// Deploys the app to a cloud, moves the data there and uses the app. The data stay for as long as the world.
    async fn move_to<H: Stages>(
        &mut self,
        host: &H,
        environment: fn(&H::Stage) -> Environment,
        from: &str,
        to: &str,
    ) -> CloudWorld<H::Stage> {
        let world = host.open_stages("shortener", &["tour"]).await.unwrap().remove(0);
        for (name, value) in environment(&world.0).vars_with_prefix("") {
            // The side has the name of the stage.
            if !name.starts_with("ISOBAR_") {
                self.shell.set(name, value);
            }
        }
        let app = world.run(Box::new(shortener::app)).await.unwrap();
        self.copy(from, to);
        self.visit(async |request| {
            app.deliver().await.unwrap();
            app.http(request).await.unwrap()
        })
        .await;
        app.deliver().await.unwrap();
        world
    }

    /// Follows all links of earlier visits and a new one, and waits until each click is counted.
    async fn visit(&mut self, http: impl AsyncFn(Request<Body>) -> TestResponse) {
        let url = format!("https://example.org/{}", self.links.len());
        let wish = json!({"url": url, "ttl_seconds": 86_400}).to_string();
        let made: Value = http(Request::post("/").body(Body::from(wish)).unwrap()).await.json().unwrap();
        self.links.push(Link { id: made["id"].as_str().unwrap().to_owned(), url, clicks: 0 });
        for link in &mut self.links {
            let followed = http(get(&format!("/{}", link.id))).await;
            assert_eq!((followed.status.as_u16(), followed.header("location")), (307, Some(&*link.url)));
            link.clicks += 1;
        }
        for link in &self.links {
            let expected = json!({"clicks": link.clicks});
            let stats = async || http(get(&format!("/{}/stats", link.id))).await.json::<Value>().unwrap();
            let counted = async {
                while stats().await != expected {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let is_counted = tokio::time::timeout(COUNTED, counted).await.is_ok();
            assert!(is_counted, "{} and not {expected}\n{}", stats().await, self.shell.text());
        }
        if !self.page.is_empty() {
            let found = http(get("/index.html")).await;
            assert_eq!((found.header("content-type"), found.text()), (Some("text/html"), self.page.clone()));
        }
    }
}
