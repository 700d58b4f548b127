//! `isobar dev` on a project of `isobar new`: clients, changes of files, and signals.

#![cfg(target_os = "linux")] // processes are read from `/proc`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::project::{cargo, command, isobar, project, root, text};

const APP: &str = include_str!("dev/lib.rs");
const DEPENDENCIES: &str = r#"
futures-util = { version = "0.3", default-features = false, features = ["std"] }
tokio = { version = "1", features = ["sync"] }
"#;

/// What a slow machine needs for a build.
const LIMIT: Duration = Duration::from_secs(60);

/// One after the other, because they share a project and its folder of cargo's output.
#[test]
#[ignore = "it builds a project, for minutes: cargo test -p isobar-cli -- --include-ignored"]
fn dev_serves_reloads_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut trial = Trial::start(&folder.path().canonicalize().unwrap());
    trial.requests_pass_through_unchanged();
    trial.an_open_stream_ends_at_a_reload();
    trial.the_commands_call_the_app();
    trial.no_request_fails_while_builds_change();
    trial.a_build_that_fails_is_reported_and_the_one_before_serves();
    trial.saves_cause_few_builds_and_other_files_none();
    trial.a_path_dependency_is_followed();
    trial.an_app_that_ends_is_reported();
    trial.no_process_is_left();
}

/// An HTTP client with one connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, and reads the head of the response.
    fn send(&mut self, path: &str, headers: &str) -> String {
        let host = self.0.get_ref().peer_addr().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "the connection ended: {head}");
        }
        head
    }

    fn get(&mut self, path: &str, headers: &str) -> (u16, String) {
        let head = self.send(path, headers);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), text(&body))
    }

    fn read_until(&mut self, expected: &str) {
        let mut line = String::new();
        while line.trim_end() != expected {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the response ended before `{expected}`");
        }
    }
}

/// A process of `isobar dev`.
struct Dev {
    process: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(project: &Path) -> Self {
        let mut command = command(env!("CARGO_BIN_EXE_isobar"), project, &["dev", "--port", "0"]);
        command.env("RUST_LOG", "info,isobar::request=off").process_group(0);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    /// Waits for a line that contains this text, and returns what was printed until then.
    fn expect(&self, text: &str) -> String {
        let (end, mut printed) = (Instant::now() + LIMIT, String::new());
        while !printed.lines().next_back().is_some_and(|line| line.contains(text)) {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => printed += &format!("{line}\n"),
                Err(_) => panic!("`{text}` is not printed:\n{printed}"),
            }
        }
        printed
    }

    /// Waits until it serves a new child, and returns its port and what was printed.
    fn ready(&self) -> (u16, String) {
        let printed = self.expect(" Ready http://127.0.0.1:");
        let (_, port) = printed.split_once(" Ready http://127.0.0.1:").unwrap();
        (port.split_once('/').unwrap().0.parse().unwrap(), printed)
    }

    /// Sends a signal, and waits for the exit code.
    fn stop(&mut self, signal: &str) -> Option<i32> {
        // The terminal sends that of Ctrl-C to a process group, others send to one process.
        let group = if signal == "INT" { "-" } else { "" };
        let kill = format!("kill -s {signal} -- {group}{}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        wait(|| self.process.try_wait().unwrap().is_some(), || format!("it continues after SIG{signal}"));
        self.process.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait(mut condition: impl FnMut() -> bool, failure: impl Fn() -> String) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "{}", failure());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names of the processes whose working folder is this one.
fn processes(folder: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let here = all.filter(|it| fs::read_link(it.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)));
    let names = here.filter_map(|it| fs::read_to_string(it.path().join("comm")).ok());
    let mut names: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// Clients that send requests until they are stopped.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    sent: AtomicUsize,
}

impl Load {
    const REQUESTS: usize = 10_000;

    fn start(self: &Arc<Self>, port: u16, keeps_connection: bool) -> JoinHandle<()> {
        let load = Arc::clone(self);
        std::thread::spawn(move || {
            let (mut client, mut newest) = (Client::connect(port), 0);
            while !load.is_over.load(Relaxed) || load.sent.load(Relaxed) < Self::REQUESTS {
                if !keeps_connection {
                    client = Client::connect(port);
                }
                let (status, body) = client.get("/", "");
                assert_eq!(status, 200, "{body}");
                let build: u64 = body.parse().unwrap();
                assert!(build >= newest, "{build} after {newest}");
                newest = build;
                load.sent.fetch_add(1, Relaxed);
                // The compiler needs the processors too.
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    }
}

struct Trial {
    project: PathBuf,
    dev: Dev,
    port: u16,
    /// The newest build.
    build: u64,
}

impl Trial {
    /// Starts the command where the port is in use, without a value that the app requires, and then with it.
    fn start(folder: &Path) -> Self {
        let project = project(folder, "trial-dev", &["--isobar-path", root().to_str().unwrap()]);
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        let manifest = manifest.replacen("\n\n[dev-dependencies]", &format!("{DEPENDENCIES}\n[dev-dependencies]"), 1);
        fs::write(project.join("Cargo.toml"), manifest).unwrap();
        fs::write(project.join("src/lib.rs"), APP).unwrap();
        fs::write(project.join(".gitignore"), "/target\n.isobar\n.env\n/ignored\n").unwrap();
        cargo(&project, &["build", "--quiet"]);

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let failed = isobar(&project, &["dev", "--port", &port]);
        let message = text(&failed.stderr);
        let holder = format!("(process {})", std::process::id());
        assert!(failed.status.code() == Some(1) && message.contains(&port) && message.contains(&holder), "{message}");
        assert!(message.contains("isobar dev --port"), "{message}");

        let dev = Dev::start(&project);
        let printed = dev.expect("Waiting for a change: the app ended (exit status: 1)");
        assert!(printed.contains("secret `token`: it has no value"), "{printed}");
        fs::write(project.join(".env"), "ISOBAR_SECRET_TOKEN=hunter2\n").unwrap();
        let (port, printed) = dev.ready();
        assert!(printed.contains("Changed .env"), "{printed}");
        Self { project, dev, port, build: 0 }
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Saves the next build of the app.
    fn save(&mut self) {
        self.build += 1;
        self.write(&self.app());
    }

    fn app(&self) -> String {
        APP.replace("BUILD: u64 = 0", &format!("BUILD: u64 = {}", self.build))
    }

    fn write(&self, text: &str) {
        fs::write(self.project.join("src/lib.rs"), text).unwrap();
    }

    /// Waits until the newest build answers, and returns what was printed.
    fn is_served(&self) -> String {
        let mut printed = String::new();
        loop {
            printed += &self.dev.ready().1;
            if self.client().get("/", "") == (200, self.build.to_string()) {
                return printed;
            }
        }
    }

    fn requests_pass_through_unchanged(&mut self) {
        let mut client = self.client();
        assert_eq!(client.get("/", ""), (200, "0".to_owned()));
        assert_eq!(client.get("/token", "").1, "hunter2");
        let host = format!("host: 127.0.0.1:{}\n", self.port);
        assert_eq!(client.get("/headers", "").1, host);
        let (_, received) = client.get("/headers", "x-forwarded-for: 203.0.113.7\r\nforwarded: for=_it\r\n");
        assert_eq!(received, format!("{host}x-forwarded-for: 203.0.113.7\nforwarded: for=_it\n"));
        let (status, message) = client.get("/headers", "connection: upgrade\r\nupgrade: websocket\r\n");
        assert!(status == 426 && message.contains("isobar has no WebSockets"), "{status} {message}");

        let mut malformed = self.client();
        let request = b"POST /body HTTP/1.1\r\nhost: it\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n";
        malformed.0.get_mut().write_all(request).unwrap();
        malformed.read_until("isobar dev: the body of the request is malformed");

        assert!(client.send("/stream", "").starts_with("HTTP/1.1 200"));
        client.read_until("first");
        assert_eq!(self.client().get("/last", "").0, 200);
        client.read_until("last");
    }

    /// It ends; and the child closes its data, so that the next one repairs nothing.
    fn an_open_stream_ends_at_a_reload(&mut self) {
        let mut client = self.client();
        client.send("/stream", "");
        client.read_until("first");
        self.save();
        let printed = self.is_served();
        assert!(!printed.contains("repaired"), "{printed}");
        assert!(!self.project.join(".isobar/isobar.redb.before-repair").exists());
        let mut rest = Vec::new();
        let _ = client.0.read_to_end(&mut rest);
        assert!(!text(&rest).contains("last"));
    }

    fn the_commands_call_the_app(&mut self) {
        let entry = fs::read(self.project.join(".isobar/inspector.json")).unwrap();
        let entry: Value = serde_json::from_slice(&entry).unwrap();
        let port = entry["port"].as_u64().unwrap().try_into().unwrap();
        assert_ne!(port, self.port);
        let token = format!("authorization: Bearer {}\r\n", entry["token"].as_str().unwrap());
        assert!(Client::connect(port).send("/", &token).starts_with("HTTP/1.1 200"));
        assert_eq!(Client::connect(port).get("/", "").0, 401);

        assert_eq!(self.isobar(&["invoke", "count", "1"]), "1\n");
        self.isobar(&["tick", "report"]);
        self.dev.expect("the report");
        self.isobar(&["put-object", "uploads", "a.txt", "Cargo.toml"]);
        self.dev.expect("object a.txt");
        self.isobar(&["publish", "mail", "\"broken\""]);
        wait(|| self.isobar(&["dead-letters", "list"]).contains("broken"), || "there is no dead letter".to_owned());
        assert_eq!(self.isobar(&["dead-letters", "drop", "mail"]), "dropped: 1\n");

        let second = isobar(&self.project, &["dev", "--port", "0"]);
        let (message, first) = (text(&second.stderr), format!("http://127.0.0.1:{}", self.port));
        assert_eq!(second.status.code(), Some(1), "{message}");
        assert!(message.contains("already runs for `trial-dev`") && message.contains(&first), "{message}");
    }

    /// The standard output of a command that succeeds.
    fn isobar(&self, args: &[&str]) -> String {
        let output = isobar(&self.project, args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn no_request_fails_while_builds_change(&mut self) {
        let load = Arc::new(Load::default());
        let clients = [true, false, true, false].map(|keeps| load.start(self.port, keeps));
        for _ in 0..20 {
            self.save();
            self.is_served();
        }
        load.is_over.store(true, Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(processes(&self.project), ["isobar", "trial-dev"]);
    }

    fn a_build_that_fails_is_reported_and_the_one_before_serves(&mut self) {
        self.write(&APP.replace("BUILD: u64 = 0", "BUILD: u64 = absent"));
        self.dev.expect("cannot find value `absent`");
        self.dev.expect("Waiting for a change: the build failed, and the one before it serves");
        assert_eq!(self.client().get("/", "").1, self.build.to_string());
        self.save();
        self.is_served();
        fs::remove_file(self.project.join("src/lib.rs")).unwrap();
        self.dev.expect("Waiting for a change");
        assert_eq!(self.client().get("/", "").1, self.build.to_string());
        self.save();
        self.is_served();
    }

    fn saves_cause_few_builds_and_other_files_none(&mut self) {
        self.save();
        self.save();
        let builds = self.is_served().matches(" Building ").count();
        assert!(builds <= 2, "{builds} builds");

        let path = |name: &str| self.project.join(name);
        fs::set_permissions(path("src/main.rs"), fs::Permissions::from_mode(0o640)).unwrap();
        for folder in ["target", ".isobar", "ignored"] {
            fs::create_dir_all(path(folder)).unwrap();
            fs::write(path(folder).join("new.rs"), "").unwrap();
        }
        self.build += 1;
        // An editor writes another file, and renames it.
        fs::write(self.project.join("src/.lib.rs.swp"), self.app()).unwrap();
        fs::rename(self.project.join("src/.lib.rs.swp"), self.project.join("src/lib.rs")).unwrap();
        let printed = self.is_served();
        let causes: Vec<_> = printed.lines().filter(|line| line.contains(" Changed ")).map(str::trim).collect();
        assert!(causes.iter().all(|cause| *cause == "Changed src/lib.rs"), "{causes:?}");
    }

    /// Also where it does not build at first.
    fn a_path_dependency_is_followed(&mut self) {
        let part = self.project.with_file_name("part");
        fs::create_dir_all(part.join("src")).unwrap();
        fs::write(part.join("Cargo.toml"), "[package]\nname = \"part\"\nedition = \"2024\"\n").unwrap();
        fs::write(part.join("src/lib.rs"), "pub const PART: u64 = absent;").unwrap();
        let manifest = self.project.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(manifest, text.replace(DEPENDENCIES, &format!("{DEPENDENCIES}part = {{ path = \"../part\" }}\n")))
            .unwrap();
        self.dev.expect("cannot find value `absent`");
        self.dev.expect("Waiting for a change");
        self.write(&APP.replace("BUILD: u64 = 0", "BUILD: u64 = part::PART"));
        self.dev.expect("Waiting for a change");
        for _ in 0..2 {
            self.build += 1;
            fs::write(part.join("src/lib.rs"), format!("pub const PART: u64 = {};", self.build)).unwrap();
            self.is_served();
        }
    }

    fn an_app_that_ends_is_reported(&mut self) {
        self.write(&APP.replace("    let token", "    panic!(\"no luck\");\n    let token"));
        self.dev.expect("Waiting for a change: the app ended");
        let (status, message) = self.client().get("/", "");
        assert!(status == 503 && message.contains("no luck"), "{status} {message}");
        self.save();
        self.is_served();
        let ended = "isobar dev: the app ended the connection before it had answered\n";
        assert_eq!(self.client().get("/exit", ""), (502, ended.to_owned()));
        self.dev.expect("Waiting for a change: the app ended (exit status: 3)");
        assert_eq!(self.client().get("/", "").0, 503);
        let tick = isobar(&self.project, &["tick", "report"]);
        let message = text(&tick.stderr);
        assert!(message.lines().count() == 2 && message.contains("start isobar dev again"), "{message}");
        self.save();
        self.is_served();
    }

    /// Neither of the app nor of cargo, while cargo builds; and the data stay.
    fn no_process_is_left(&mut self) {
        let endless = "#[allow(long_running_const_eval)]\nconst ENDLESS: () = loop {};";
        for (count, (signal, code)) in (2..).zip([("INT", Some(130)), ("TERM", Some(0)), ("KILL", None)]) {
            self.write(&format!("{}\n{endless}", self.app()));
            let compiles = || processes(&self.project).iter().any(|name| name == "rustc");
            self.dev.expect("Building");
            wait(compiles, || "no compiler runs".to_owned());
            assert_eq!(self.dev.stop(signal), code, "SIG{signal}");
            let left = || processes(&self.project);
            wait(|| left().is_empty(), || format!("after SIG{signal}: {:?}", left()));
            self.build += 1;
            self.write(&self.app());
            self.dev = Dev::start(&self.project);
            (self.port, _) = self.dev.ready();
            assert_eq!(self.client().get("/", "").1, self.build.to_string());
            assert_eq!(self.isobar(&["invoke", "count", "1"]), format!("{count}\n"));
        }
        fs::remove_file(self.project.join(".env")).unwrap();
        self.dev.expect("Waiting for a change: the app ended");
        for value in ["first", "second"] {
            self.isobar(&["secrets", "set", "token", value]);
            self.dev.ready();
            assert_eq!(self.client().get("/token", "").1, value);
        }
        // Under `nohup` the signal of a closed terminal stays ignored.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let is_ignored = u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1;
        assert_eq!(self.dev.stop(if is_ignored { "TERM" } else { "HUP" }), Some(0));
        self.dev.expect("Stopped trial-dev");
        assert_eq!(processes(&self.project), [""; 0]);
    }
}
