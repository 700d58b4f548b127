//! DynamoDB for the benchmarks: an emulator that others wrote, and a double that costs next to nothing.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http1::{self, Answer, Request};

/// Where `benches/aws.sh build` puts dynalite.
const DYNALITE: &str = "target/emulators/node_modules/dynalite/cli.js";

/// A DynamoDB with the table `bench-links` in it.
#[derive(Debug)]
pub struct Dynamo {
    /// What it is, for the table of results.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    process: Option<Child>,
}

impl Dynamo {
    /// dynalite, a DynamoDB on LevelDB in JavaScript; `None` where it or node is not installed.
    pub fn dynalite() -> Option<Self> {
        if !Path::new(DYNALITE).exists() {
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let port = address.port().to_string();
        let process = Command::new("node")
            .args([DYNALITE, "--host", "127.0.0.1", "--port", &port, "--createTableMs", "0"])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let dynamo = Self { name: "dynalite", address, requests: Arc::default(), process: Some(process) };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "dynalite does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        create_table(address);
        Some(dynamo)
    }

    /// isobar's double: stores the items of `PutItem`, and returns them to `GetItem`.
    pub fn double() -> Self {
        let (items, requests) = (Mutex::new(HashMap::new()), Arc::<Mutex<Vec<String>>>::default());
        let heard = Arc::clone(&requests);
        let address = http1::serve(move |request| Some(answer(&items, &heard, &request)));
        Self { name: "isobar's double", address, requests, process: None }
    }

    /// The operations that the double received since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for Dynamo {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn create_table(address: SocketAddr) {
    let body = r#"{"TableName":"bench-links","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]}"#;
    // It requires a signature, and does not check it.
    let credential =
        "AWS4-HMAC-SHA256 Credential=a/20261124/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.CreateTable"),
        ("x-amz-date", "20261124T000000Z"),
        ("authorization", credential),
    ];
    let response = http1::post(address, "/", &headers, body).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "the table cannot be made: {response}");
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(rename = "Key", borrow)]
    key: Option<&'a RawValue>,
    #[serde(rename = "Item", borrow)]
    item: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    pk: &'a RawValue,
    #[serde(borrow)]
    sk: &'a RawValue,
}

fn answer(items: &Mutex<HashMap<String, String>>, heard: &Mutex<Vec<String>>, request: &Request) -> Answer {
    let operation = request.header("x-amz-target").rsplit('.').next().unwrap_or_default();
    heard.lock().unwrap().push(operation.to_owned());
    let input: Input<'_> = serde_json::from_slice(&request.body).unwrap();
    let mut items = items.lock().unwrap();
    let body = match (operation, input.key, input.item) {
        ("PutItem", _, Some(item)) => {
            items.insert(identity(item), item.get().to_owned());
            "{}".to_owned()
        }
        ("GetItem", Some(key), _) => match items.get(&identity(key)) {
            Some(item) => format!("{{\"Item\":{item}}}"),
            None => "{}".to_owned(),
        },
        _ => panic!("the double does not know {operation}"),
    };
    let headers = vec![
        ("content-type", "application/x-amz-json-1.0".to_owned()),
        ("x-amzn-requestid", "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF01".to_owned()),
    ];
    Answer { status: 200, headers, body: body.into_bytes() }
}

fn identity(item: &RawValue) -> String {
    let keys: Keys<'_> = serde_json::from_str(item.get()).unwrap();
    format!("{}{}", keys.pk.get(), keys.sk.get())
}
