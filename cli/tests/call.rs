//! The commands that call an app, with an app that runs in this process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use isobar::clock::ManualClock;
use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use support::Transcript;

fn app(cloud: &Cloud) -> App {
    let (orders, scans, mail) = (cloud.table::<Value>("orders"), cloud.bucket("scans"), cloud.topic::<Value>("mail"));
    let stored = scans.clone();
    App::new("shop")
        .on_invoke("total", async |request: Value, _| match request["prices"].as_array() {
            Some(prices) => Ok(json!({"total": prices.iter().filter_map(Value::as_u64).sum::<u64>()})),
            None => Err(Error::invalid_input("`prices` is no list")),
        })
        .on_invoke("scan", move |key: String, _| {
            let scans = stored.clone();
            async move { scans.get(&key).await?.bytes().await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) }
        })
        .on_message(mail.subscription("send"), async |mail: Message<Value>, _| match mail.body["to"].as_str() {
            Some(_) => Outcome::Ack,
            None => Outcome::reject("the mail has no `to`"),
        })
        .on_message(mail.subscription("log"), async |_, _| {})
        .on_object(scans.events("new"), async |_, _| {})
        .on_write(&orders, async |write: WriteEvent, _| match write.key.sort.as_str() {
            "broken" => Err(Error::invalid_input("the order is broken")),
            _ => Ok(()),
        })
        .on_schedule("close", "0 18 * * *", async |_: Tick, _| {})
        .on_schedule("fail", "0 18 * * *", async |_: Tick, _| Outcome::retry("the till is open"))
}

/// The app `shop`, with its data in `.isobar` of a folder.
struct Shop {
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shop {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalConfig::new(folder.path().join(".isobar"));
        (config.port, config.announce) = (0, false);
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let provider = LocalProvider::with_clock(config, Arc::new(clock));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let cloud = Cloud::new(Arc::new(provider.clone()));
                let mut app = app(&cloud);
                let manifest = Arc::new(app.start(&cloud).unwrap());
                let server = provider.bind().await.unwrap();
                server.run(Hosted::new(app, manifest), async { drop(stopped.await) }).await.unwrap();
            });
        });
        let shop = Self { folder, stop: Some(stop), thread: Some(thread) };
        wait(|| shop.entry().exists());
        shop
    }

    fn entry(&self) -> std::path::PathBuf {
        self.folder.path().join(".isobar/inspector.json")
    }

    fn port(&self) -> u64 {
        serde_json::from_slice::<Value>(&std::fs::read(self.entry()).unwrap()).unwrap()["port"].as_u64().unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

fn wait(mut condition: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not happen within 10 s");
}

#[test]
fn functions_are_called_with_json_from_anywhere() {
    let shop = Shop::start();
    let mut transcript = Transcript::of(shop.folder.path());
    std::fs::write(shop.folder.path().join("order.json"), r#"{"prices": [1, 2]}"#).unwrap();
    transcript.run(&["invoke", "total", r#"{"prices": [40, 2]}"#]);
    transcript.run(&["invoke", "total", "@order.json"]);
    transcript.run_with(&["--json", "invoke", "total", "-"], r#"{"prices": []}"#);
    for wrong in [&["total"][..], &["total", "{prices: 1}"], &["total", "@nope.json"], &["totl"], &["nothing"]] {
        assert_eq!(transcript.run(&[&["invoke"], wrong].concat()), 1);
    }
    transcript.run_with(&["invoke", "total", "-"], "[1,");
    transcript.compare("invoke");
}

#[test]
fn messages_and_their_dead_letters() {
    let shop = Shop::start();
    let mut transcript = Transcript::of(shop.folder.path());
    transcript.run(&["dead-letters", "list"]);
    transcript.run(&["publish", "mail", r#"{"to": "ann"}"#, "--ordering-key", "ann", "--delay", "5m"]);
    transcript.run(&["publish", "mail", r#"{"subject": "hi"}"#]);
    transcript.run(&["--json", "publish", "mail", "[1, 2]"]);
    let dead = || {
        let mut list = Transcript::of(shop.folder.path());
        list.run(&["dead-letters", "list"]);
        list.text().matches("the mail has no `to`").count()
    };
    wait(|| dead() == 2);
    transcript.run(&["dead-letters", "list"]);
    transcript.run(&["dead-letters", "list", "mail/log"]);
    transcript.run(&["--json", "dead-letters", "list", "mail"]);
    transcript.run(&["dead-letters", "redrive", "mail"]);
    wait(|| dead() == 2);
    transcript.run(&["dead-letters", "drop", "mail/send", "--id", "1", "--id", "99"]);
    transcript.run(&["dead-letters", "drop", "mail", "--id", "3"]);
    transcript.run(&["dead-letters", "drop"]);
    transcript.run(&["dead-letters", "drop", "mails"]);
    transcript.run(&["--json", "dead-letters", "drop", "--all"]);
    transcript.run(&["publish", "male", "1"]);
    transcript.run(&["publish", "mail", "hello"]);
    transcript.run(&["publish", "mail", "hello", "--text", "--delay", "5m"]);
    transcript.run(&["publish", "mail", "1", "--delay", "1d"]);
    transcript.run(&["publish", "mail", "1", "--delay", "1h"]);
    transcript.compare("messages");
}

#[test]
fn objects_schedules_and_writes() {
    let shop = Shop::start();
    let mut transcript = Transcript::of(shop.folder.path());
    std::fs::write(shop.folder.path().join("page.html"), "<h1>page</h1>").unwrap();
    transcript.run(&["put-object", "scans", "2026/page 1.html", "page.html", "--content-type", "text/html"]);
    transcript.run(&["invoke", "scan", r#""2026/page 1.html""#]);
    transcript.run_with(&["put-object", "scans", "now.txt", "-"], "noon");
    transcript.run(&["invoke", "scan", r#""now.txt""#]);
    transcript.run(&["put-object", "scan", "a", "page.html"]);
    transcript.run(&["put-object", "scans", "a", "nope.html"]);
    transcript.run(&["put-object", "scans", "a", "."]);
    transcript.run(&["put-object", "scans", "", "page.html"]);
    transcript.run(&["tick", "close"]);
    transcript.run(&["--json", "tick", "close"]);
    transcript.run(&["tick", "fail"]);
    transcript.run(&["tick", "clos"]);
    transcript.run(&["written", "orders", "ann", "1"]);
    transcript.run(&["--json", "written", "orders", "ann"]);
    transcript.run(&["written", "orders", "ann", "broken"]);
    transcript.run(&["written", "order", "ann"]);
    transcript.compare("objects");
}

#[test]
fn an_app_that_does_not_run_is_an_error_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::of(folder.path());
    transcript.run(&["tick", "close"]);
    let cargo = support::fake_cargo(folder.path(), "{}");
    transcript.set("CARGO", cargo.display().to_string());
    transcript.run(&["tick", "close"]);

    let entry = |port: u64, token: &str| {
        std::fs::create_dir_all(folder.path().join(".isobar")).unwrap();
        let text = json!({"url": format!("http://127.0.0.1:{port}/"), "port": port, "token": token}).to_string();
        std::fs::write(folder.path().join(".isobar/inspector.json"), text).unwrap();
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    transcript.hide(format!("127.0.0.1:{closed}"), "127.0.0.1:PORT");
    entry(closed.into(), "token");
    transcript.run(&["tick", "close"]);

    let other = Shop::start();
    transcript.hide(format!("127.0.0.1:{}", other.port()), "127.0.0.1:OTHER");
    entry(other.port(), "wrong");
    transcript.run(&["tick", "close"]);

    let stranger = answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    transcript.hide(format!("127.0.0.1:{stranger}"), "127.0.0.1:STRANGER");
    entry(stranger.into(), "token");
    transcript.run(&["tick", "close"]);

    let silent = answer("");
    transcript.hide(format!("127.0.0.1:{silent}"), "127.0.0.1:SILENT");
    entry(silent.into(), "token");
    transcript.run(&["tick", "close"]);

    std::fs::write(folder.path().join(".isobar/inspector.json"), "{").unwrap();
    transcript.run(&["tick", "close"]);
    transcript.compare("not_running");
}

/// The port of a server that sends this to its first client.
fn answer(response: &'static str) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(response.as_bytes());
    });
    port
}

const MANIFEST: &str = r#"{"version": 1, "app": "shop", "triggers": [], "resources": [
    {"kind": "secret", "name": "api-token", "access": "read", "options": {"required": true}},
    {"kind": "secret", "name": "webhook", "access": "read", "options": {}},
    {"kind": "config", "name": "prices", "access": "read", "options": {"required": true}}]}"#;

fn project() -> (TempDir, Transcript) {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::of(folder.path());
    let cargo = support::fake_cargo(&folder.path().canonicalize().unwrap(), MANIFEST);
    transcript.set("CARGO", cargo.display().to_string());
    (folder, transcript)
}

fn secrets(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(".isobar/secrets.json")).unwrap()
}

#[test]
fn secrets_are_stored_for_their_owner_and_never_printed() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, mut transcript) = project();
    transcript.run(&["secrets", "list"]);
    transcript.run_with(&["secrets", "set", "api-token"], "hunter2\n");
    transcript.run(&["secrets", "set", "prices", r#"{"tea": 3}"#]);
    transcript.run(&["secrets", "set", "prices", "{tea: hunter2}"]);
    transcript.run_with(&["secrets", "set", "webhook", "-"], "");
    transcript.run(&["--json", "secrets", "set", "api-tokne", "hunter2"]);
    transcript.run(&["secrets", "set", "Api_Token", "hunter2"]);
    let file = folder.path().join(".isobar/secrets.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(folder.path().join(".isobar/.gitignore")).unwrap(), "*\n");
    let stored: Value = serde_json::from_str(&secrets(folder.path())).unwrap();
    assert_eq!(stored, json!({"api-token": "hunter2", "api-tokne": "hunter2", "prices": {"tea": 3}}));

    std::fs::write(folder.path().join(".env"), "ISOBAR_SECRET_WEBHOOK=hunter2\n").unwrap();
    transcript.set("ISOBAR_CONFIG_PRICES", r#"{"tea": "hunter2"}"#);
    transcript.run(&["secrets", "list"]);
    transcript.run(&["--json", "secrets", "list"]);
    transcript.run(&["secrets", "set", "webhook", "hunter2"]);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    transcript.run(&["secrets", "set", "webhook", "hunter2"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "[hunter2").unwrap();
    transcript.run(&["secrets", "list"]);
    let printed = transcript.text().lines().filter(|line| !line.starts_with("$ "));
    assert!(printed.into_iter().all(|line| !line.contains("hunter2")));
    transcript.compare("secrets");
}

#[test]
fn secrets_of_a_stage_and_of_another_store() {
    let (folder, mut transcript) = project();
    transcript.set("ISOBAR_STAGE", "dev");
    transcript.run(&["secrets", "set", "api-token", "s3cret"]);
    transcript.run(&["secrets", "list"]);
    assert!(secrets(folder.path()).contains("\"shop-dev-api-token\""));
    transcript.run(&["secrets", "set", "api-token", "s3cret", "--stage", "prod"]);
    assert!(secrets(folder.path()).contains("\"shop-prod-api-token\""));
    transcript.set("ISOBAR_SECRETS", "keyvault://vault");
    transcript.run(&["secrets", "set", "api-token", "s3cret"]);
    transcript.run(&["secrets", "list"]);
    transcript.set("ISOBAR_SECRETS", "file://own.json");
    transcript.run(&["secrets", "set", "api-token", "s3cret"]);
    assert!(folder.path().join("own.json").exists());
    transcript.compare("secrets_of_a_stage");
}
