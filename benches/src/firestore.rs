//! Firestore for the benchmarks: Google's own emulator, and a double that costs next to nothing.

mod double;
mod protobuf;

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::http1::Connection;
use crate::server::free_port;

/// The project, which an emulator makes by itself.
pub const PROJECT: &str = "isobar-bench";

/// Below the folder of the gcloud command.
const EMULATOR: &str = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar";

const CLASS: &str = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";

/// Where Debian's package puts it; for where the command itself cannot be run.
const GCLOUD: &str = "/usr/lib/google-cloud-sdk";

/// How long it may take until it listens.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A Firestore, which ends with this.
#[derive(Debug)]
pub struct Firestore {
    /// What it is, for the table of results.
    pub name: &'static str,
    /// Where it listens, for REST and for gRPC.
    pub address: SocketAddr,
    requests: Arc<AtomicU32>,
    process: Option<Child>,
}

impl Firestore {
    /// Google's own, on a free port, empty.
    pub fn emulator() -> Self {
        let jar = sdk().join(EMULATOR);
        assert!(jar.exists(), "{} is not there; install gcloud's cloud-firestore-emulator", jar.display());
        let port = free_port();
        let mut log = tempfile::tempfile().unwrap();
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-Duser.language=en", "-cp"]).arg(&jar).args([CLASS, "start", "--host=127.0.0.1"]);
        command.arg(format!("--port={port}")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
        let process = command.spawn().unwrap_or_else(|error| panic!("java, which the emulator needs: {error}"));
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let firestore = Self { name: "Google's emulator", address, requests: Arc::default(), process: Some(process) };
        let started = Instant::now();
        while TcpStream::connect(firestore.address).is_err() {
            assert!(started.elapsed() < TIMEOUT, "Firestore's emulator does not listen:\n{}", written(&mut log));
            std::thread::sleep(Duration::from_millis(50));
        }
        firestore
    }

    /// isobar's double: stores items, and returns them to reads by key.
    pub fn double() -> Self {
        let requests = Arc::<AtomicU32>::default();
        Self { name: "isobar's double", address: double::start(Arc::clone(&requests)), requests, process: None }
    }

    /// How many requests the double answered since the last call.
    pub fn take_requests(&self) -> u32 {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// Creates a document with one text field, as another client would.
    pub fn create(&self, collection: &str, id: &str, field: &str, text: &str) {
        let path = format!("/v1/projects/{PROJECT}/databases/(default)/documents/{collection}?documentId={id}");
        let body = serde_json::json!({ "fields": { field: { "stringValue": text } } }).to_string();
        let (address, length) = (self.address, body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        // Asked to close the connection, the emulator leaves it open.
        let mut connection = Connection::new(TcpStream::connect(address).unwrap()).unwrap();
        let (status, answer) = connection.ask(request.as_bytes()).unwrap();
        assert_eq!(status, 200, "{path} cannot be made: {}", String::from_utf8_lossy(&answer));
    }
}

impl Drop for Firestore {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn sdk() -> PathBuf {
    let output = Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]).output();
    let root = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let root = root.and_then(|root| String::from_utf8(root).ok()).map(|root| root.trim().to_owned());
    root.filter(|root| !root.is_empty()).map_or_else(|| GCLOUD.into(), PathBuf::from)
}

fn written(log: &mut File) -> String {
    let mut text = String::new();
    log.rewind().and_then(|()| log.read_to_string(&mut text)).unwrap();
    text
}
