//! How fast data move: tables between folders and into emulators, and objects from S3 to Azure next to `rclone sync`.
//!
//! ```text
//! cargo run --release -p isobar-benches --bin moving -- tables FOLDER [ITEMS]
//! cargo run --release -p isobar-benches --bin moving -- emulators
//! cargo run --release -p isobar-benches --bin moving -- objects
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::driver::key_value::{KeyValue, Put, ScanSegment};
use isobar::driver::{Environment, Location, Provider, ResourceKind};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::memory::MemoryProvider;
use isobar::object_store::{Attribute, Attributes, ObjectStore, PutOptions, WriteMultipart, path};
use isobar_azure::{AzureConfig, AzureProvider};
use isobar_e2e::backends::cloud::{CloudUnderTest, Services};
use isobar_e2e::backends::{aws, azure, gcp};
use isobar_e2e::emulators::{
    ACCOUNT, ACCOUNT_KEY, Azurite, CosmosEmulator, CosmosProgram, Emulator, MOTO, Node, Python,
};
use isobar_moving::{Difference, Journal, Options, Place, Report, Side, Watch, migrate};
use ring::hmac;

const TABLE: (ResourceKind, &str) = (ResourceKind::Table, "items");
const BUCKET: (ResourceKind, &str) = (ResourceKind::Bucket, "files");

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("tables") => {
            let items = args.get(2).map_or(200_000, |text| text.parse().unwrap());
            tables(Path::new(&args[1]), items).await;
        }
        Some("emulators") => emulators().await,
        Some("objects") => objects().await,
        _ => println!("moving tables FOLDER [ITEMS] | emulators | objects"),
    }
}

fn puts(from: usize, to: usize) -> Vec<Put> {
    let put = |n: usize| {
        let mut value = vec![b'x'; 1_000];
        value[..8].copy_from_slice(format!("{n:08}").as_bytes());
        Put::new((format!("partition-{}", n % 1_000), format!("{n:010}")), value)
    };
    (from..to).map(put).collect()
}

async fn fill(table: &dyn KeyValue, items: usize) {
    for from in (0..items).step_by(5_000) {
        table.put_many(puts(from, items.min(from + 5_000))).await.into_iter().for_each(|done| drop(done.unwrap()));
    }
}

fn table_of(provider: &dyn Provider) -> Arc<dyn KeyValue> {
    provider.key_value(&Location::new(TABLE.0, TABLE.1)).unwrap()
}

/// Moves, and returns the seconds.
async fn moved(from: &Side, to: &Side, journal: &Journal) -> f64 {
    let began = Instant::now();
    let reports = migrate(from, to, journal, &Options::default(), &()).await.unwrap();
    assert!(reports.iter().all(Report::is_equal), "{reports:?}");
    began.elapsed().as_secs_f64()
}

/// Between two folders: the first run, and a second one without a change. The memory is that of this process at most.
async fn tables(folder: &Path, items: usize) {
    let open = |name: &str| {
        let mut config = LocalConfig::new(folder.join(name));
        config.cache_bytes = 4 << 20;
        LocalProvider::new(config)
    };
    let (from, to) = (open("from"), open("to"));
    if !folder.join("from/isobar.redb").exists() {
        fill(&*table_of(&from), items).await;
        println!("filled; run it again to measure");
        return;
    }
    let (from, to) = (Side::new("from").with(&from, &[TABLE]).unwrap(), Side::new("to").with(&to, &[TABLE]).unwrap());
    let journal = Journal::open(&folder.join("journal"), "from", "to").unwrap();
    let first = moved(&from, &to, &journal).await;
    let second = moved(&from, &to, &journal).await;
    println!("first run: {first:.2} s, {:.0} items/s", items as f64 / first);
    println!("second run: {second:.2} s, {:.2} of the first", second / first);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}

/// From memory into each emulator and back, next to what the emulator does with the same requests alone.
async fn emulators() {
    let moto = Emulator::start(&Python::ready().unwrap(), MOTO, &[]).unwrap();
    let azurite = Azurite::start(&Node::ready().unwrap()).unwrap();
    let cosmos = CosmosEmulator::start(&CosmosProgram::ready().unwrap()).unwrap();
    let (google, _google) = gcp::Services::start().unwrap();
    let amazon = aws::Services { endpoint: moto.url(), account: "123456789012" };
    let storage = azure::Services::storage(&azurite);
    emulator("DynamoDB (moto)", &amazon).await;
    emulator("Tables (Azurite)", &storage).await;
    emulator("Cosmos DB (Azure's own driver)", &storage.clone().with_cosmos(&cosmos.endpoint)).await;
    emulator("Firestore (Google's emulator)", &google).await;
}

async fn emulator<S: Services>(name: &str, services: &S) {
    const ITEMS: usize = 5_000;
    let trial = services.open("direct-").await.unwrap();
    let direct = table_of(&*trial.provider());
    let began = Instant::now();
    fill(&*direct, ITEMS).await;
    let written = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let segments = (0..8).map(|segment| {
        let direct = Arc::clone(&direct);
        async move {
            let mut request = ScanSegment::new(segment, 8, 1_000);
            while let Some(after) = direct.scan(&request).await.unwrap().resume {
                request = request.with_after(after);
            }
        }
    });
    futures_util::future::join_all(segments).await;
    let read = began.elapsed().as_secs_f64();

    let other = services.open("moved-").await.unwrap();
    let memory = MemoryProvider::default();
    fill(&*table_of(&memory), ITEMS).await;
    let near = Side::new("memory").with(&memory, &[TABLE]).unwrap();
    let far = Side::new("far").with(&*other.provider(), &[TABLE]).unwrap();
    let to = moved(&near, &far, &Journal::in_memory().unwrap()).await;
    let back = Side::new("back").with(&MemoryProvider::default(), &[TABLE]).unwrap();
    let from = moved(&far, &back, &Journal::in_memory().unwrap()).await;
    let rate = |seconds: f64| ITEMS as f64 / seconds;
    println!(
        "{name}: into {:.0} items/s (put_many alone {:.0}, with a scan {:.0}), out of {:.0} items/s (scan alone {:.0})",
        rate(to),
        rate(written),
        rate(written + read),
        rate(from),
        rate(read)
    );
}

/// 1,000 objects of 64 KB and 20 of 64 MB, and what is hard to move, from moto to Azurite.
async fn objects() {
    let moto = Emulator::start(&Python::ready().unwrap(), MOTO, &[]).unwrap();
    let azurite = Azurite::start(&Node::ready().unwrap()).unwrap();
    let rclone = Rclone { moto: moto.url(), sas: sas(&azurite.blob) };
    rclone.run(&["mkdir", "moto:bench-files"]);
    let from = amazon(&moto.url());
    let store = from.blob(&Location::new(BUCKET.0, BUCKET.1)).unwrap().object_store();
    fill_bucket(&*store).await;
    // The peak of memory begins again: filling is not moving.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let from = Side::new("moto").with(&from, &[BUCKET]).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=3 {
        let container = format!("r{round}-files");
        rclone.run(&["mkdir", &format!("az:{container}")]);
        let began = Instant::now();
        rclone.run(&["sync", "moto:bench-files", &format!("az:{container}"), "--transfers", "8", "--checkers", "16"]);
        theirs.push(began.elapsed().as_secs_f64());
        if round == 1 {
            let found = after_peer(&from, &microsoft(&azurite, "r1-")).await;
            println!("after rclone: {found}");
        }
        rclone.run(&["purge", &format!("az:{container}")]);
        rclone.run(&["mkdir", &format!("az:m{round}-files")]);
        let to = Side::new("azurite").with(&microsoft(&azurite, &format!("m{round}-")), &[BUCKET]).unwrap();
        ours.push(moved(&from, &to, &Journal::in_memory().unwrap()).await);
        rclone.run(&["purge", &format!("az:m{round}-files")]);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "isobar {ours:.2} s, with the comparison at its end; rclone {theirs:.2} s; {:.2} times as fast",
        theirs / ours
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}

/// What differs after the peer, as `verify` finds it.
async fn after_peer(from: &Side, to: &AzureProvider) -> String {
    let to = Side::new("azurite").with(to, &[BUCKET]).unwrap();
    let found = Found::default();
    let reports = isobar_moving::verify(from, &to, false, &Options::default(), &found).await.unwrap();
    let counts: Vec<String> =
        found.0.lock().unwrap().iter().map(|(what, count)| format!("{count} with {what}")).collect();
    format!("{} equal, {}", reports[0].compared.equal, counts.join(", "))
}

/// How many objects differ, by what differs.
#[derive(Default)]
struct Found(Mutex<BTreeMap<String, usize>>);

impl Watch for Found {
    fn difference(&self, _: &Place, difference: Difference) {
        *self.0.lock().unwrap().entry(difference.to_string()).or_default() += 1;
    }
}

async fn fill_bucket(store: &dyn ObjectStore) {
    let at = |name: &str| path::Path::parse(name).unwrap();
    let small: Vec<u8> = (0..64 << 10).map(|n: usize| (n % 251) as u8).collect();
    let put = |n: usize| {
        let (small, at) = (small.clone(), at(&format!("small/{n:04}")));
        async move { store.put_opts(&at, small.into(), PutOptions::default()).await }
    };
    stream::iter((0..1_000).map(put)).buffer_unordered(16).try_for_each(|_| std::future::ready(Ok(()))).await.unwrap();
    for n in 0..20 {
        let upload = store.put_multipart_opts(&at(&format!("large/{n:02}")), Default::default()).await.unwrap();
        let mut upload = WriteMultipart::new_with_chunk_size(upload, 8 << 20);
        for _ in 0..1_024 {
            upload.write(&small);
        }
        upload.finish().await.unwrap();
    }
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/css"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::Metadata("owner".into()), "ada"),
    ]);
    let options = PutOptions { attributes, ..PutOptions::default() };
    store.put_opts(&at("style.css.gz"), b"\x1f\x8b no gzip".to_vec().into(), options).await.unwrap();
}

fn amazon(endpoint: &str) -> AwsProvider {
    let vars = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("ISOBAR_PREFIX", "bench-"),
    ];
    let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
    AwsProvider::new(AwsConfig::from_environment(&environment).unwrap())
}

fn microsoft(azurite: &Azurite, prefix: &str) -> AzureProvider {
    let storage = format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={}/{ACCOUNT}",
        azurite.blob
    );
    let environment =
        Environment::default().with_var("AZURE_STORAGE_CONNECTION_STRING", storage).with_var("ISOBAR_PREFIX", prefix);
    AzureProvider::new(AzureConfig::from_environment(&environment).unwrap())
}

/// The URL of the account with a signature for all that is in it.
/// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>
fn sas(endpoint: &str) -> String {
    let (permissions, expiry, version) = ("rwdlac", "2100-01-01T00:00:00Z", "2018-03-28");
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\n\n{version}\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(ACCOUNT_KEY).unwrap());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("{endpoint}/{ACCOUNT}?sv={version}&ss=b&srt=sco&sp={permissions}&se={expiry}&sig={signature}")
}

/// Debian's rclone.
struct Rclone {
    moto: String,
    sas: String,
}

impl Rclone {
    fn run(&self, args: &[&str]) {
        let status = Command::new("rclone")
            .args(args)
            .args(["--config", "/dev/null", "--quiet"])
            .env_remove("AWS_CA_BUNDLE")
            .envs([
                ("RCLONE_CONFIG_MOTO_TYPE", "s3"),
                ("RCLONE_CONFIG_MOTO_PROVIDER", "Other"),
                ("RCLONE_CONFIG_MOTO_ACCESS_KEY_ID", "test"),
                ("RCLONE_CONFIG_MOTO_SECRET_ACCESS_KEY", "test"),
                ("RCLONE_CONFIG_MOTO_REGION", "us-east-1"),
                ("RCLONE_CONFIG_MOTO_ENDPOINT", &self.moto),
                ("RCLONE_CONFIG_AZ_TYPE", "azureblob"),
                ("RCLONE_CONFIG_AZ_SAS_URL", &self.sas),
            ])
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "rclone {args:?}: {status}");
    }
}
