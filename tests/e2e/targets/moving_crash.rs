//! A process that moves data is killed with SIGKILL at random moments and started again with the same journal, while the source
//! changes between the runs. At the end both sides are equal, nothing is lost, nothing that was deleted is there, and what the
//! target had by itself is untouched.
#![allow(clippy::unwrap_used, clippy::panic)] // a target fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use isobar::aws::{AwsConfig, AwsProvider};
use isobar::driver::key_value::{KeyValue, Put};
use isobar::driver::{Environment, Location, Provider, ResourceKind, ResourceUrl};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::memory::MemoryProvider;
use isobar::{BoxError, Cloud, Result};
use isobar_azure::{AzureConfig, AzureProvider};
use isobar_conformance::Absent;
use isobar_e2e::backends::cloud::{CloudUnderTest, Services};
use isobar_e2e::backends::{aws, azure};
use isobar_e2e::emulators::{ACCOUNT, ACCOUNT_KEY, Azurite, Emulator, MOTO, Node, Python};
use isobar_moving::backup::Backup;
use isobar_moving::{Difference, Journal, Options, Place, Report, Side, Watch, backup, migrate, verify};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// The argument with which a trial starts its own binary as the process that moves: `move-child FROM TO JOURNAL`.
const CHILD: &str = "move-child";

/// The prefix of the resources in the emulators. The names of Azure's tables have letters and digits only.
const PREFIX: &str = "crash";

/// The prefix of what the target has by itself.
const OWN: &str = "own";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, from, to, journal] = &arguments[..]
        && child == CHILD
    {
        return match runtime().block_on(move_all(from, to, Path::new(journal))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln_line(&format!("{error:?}"));
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    let emulators = if arguments.list { Err(Absent::new("nothing", "only listed")) } else { start_emulators() };
    let clouds = emulators.as_ref().map(|(moto, azurite)| Clouds {
        aws: format!("aws:{}", moto.url()),
        azure: format!("azure:{},{}", azurite.blob, azurite.table),
        services: (aws::Services { endpoint: moto.url(), account: "123456789012" }, azure::Services::storage(azurite)),
    });
    let of_clouds = clouds.map_err(Clone::clone);
    let trials = vec![
        Trial::test("moving_crash::from_folder_to_folder", || {
            let folder = tempfile::tempdir()?;
            let side = |name: &str| format!("local:{}", folder.path().join(name).display());
            runtime().block_on(survives(&side("from"), &side("to"), folder.path(), &LARGE));
            Ok(())
        }),
        Trial::test("moving_crash::to_backup", || {
            runtime().block_on(backup_survives());
            Ok(())
        }),
        with_clouds("from_aws_to_azure_and_back", of_clouds.clone(), |clouds| runtime().block_on(clouds.survive())),
        with_clouds("on_a_bad_network", of_clouds, |clouds| runtime().block_on(clouds.survive_network())),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(emulators);
    conclusion.exit_code()
}

fn with_clouds(name: &str, clouds: Result<Clouds, Absent>, check: fn(Clouds)) -> Trial {
    Trial::ignorable_test(format!("moving_crash::{name}"), move || match clouds {
        Err(absent) if absent.is_required() => Err(Failed::from(absent.reason)),
        Err(absent) => Ok(Completion::ignored_with(absent.reason)),
        Ok(clouds) => {
            check(clouds);
            Ok(Completion::Completed)
        }
    })
}

fn start_emulators() -> Result<(Emulator, Azurite), Absent> {
    let (python, node) = (Python::ready()?, Node::ready()?);
    Ok((Emulator::start(&python, MOTO, &[]).unwrap(), Azurite::start(&node).unwrap()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[expect(clippy::print_stderr, reason = "the parent shows it")]
fn eprintln_line(line: &str) {
    eprintln!("{line}");
}

/// A side by its text: `local:FOLDER`, `aws:URL` or `azure:URL,URL`.
fn open(side: &str) -> Result<Arc<dyn Provider>> {
    let (kind, place) = side.split_once(':').unwrap();
    Ok(match kind {
        "local" => Arc::new(LocalProvider::new(LocalConfig::new(place))),
        "aws" => {
            let environment = [
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", place),
                ("ISOBAR_PREFIX", PREFIX),
            ];
            let environment =
                environment.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
            Arc::new(AwsProvider::new(AwsConfig::from_environment(&environment)?))
        }
        _ => {
            let (blob, table) = place.split_once(',').unwrap();
            let storage = format!(
                "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={blob}/{ACCOUNT};\
                 TableEndpoint={table}/{ACCOUNT}"
            );
            let environment = Environment::default()
                .with_var("AZURE_STORAGE_CONNECTION_STRING", storage)
                .with_var("ISOBAR_PREFIX", PREFIX);
            Arc::new(AzureProvider::new(AzureConfig::from_environment(&environment)?))
        }
    })
}

fn table_at(side: &str) -> Location {
    let items = Location::new(ResourceKind::Table, "items");
    match side.starts_with("azure") {
        true => items.with_url(ResourceUrl::parse(&format!("aztable://{PREFIX}items")).unwrap()),
        false => items,
    }
}

fn side(name: &str) -> Result<Side> {
    let provider = open(name)?;
    let side = Side::new(name).with_at(&*provider, &table_at(name))?;
    side.with_at(&*provider, &Location::new(ResourceKind::Bucket, "files"))
}

/// What the process does that is killed.
async fn move_all(from: &str, to: &str, journal: &Path) -> Result<(), BoxError> {
    let source = side(from)?;
    let reports = match to.strip_prefix("file:") {
        Some(file) => backup(&source, Path::new(file), open(from)?.clock(), &Options::default(), &()).await?,
        None => {
            let journal = Journal::open(journal, from, to)?;
            migrate(&source, &side(to)?, &journal, &Options::default(), &()).await?
        }
    };
    match reports.iter().all(|report| report.compared.missing == 0 && report.compared.different == 0) {
        true => Ok(()),
        false => Err(format!("the sides differ: {reports:?}").into()),
    }
}

/// How much is moved, and how often its process is killed.
struct Load {
    items: u64,
    objects: u64,
    large: usize,
    moves: u32,
    kills: u32,
}

const LARGE: Load = Load { items: 3_000, objects: 40, large: 20 << 20, moves: 3, kills: 10 };
const BACKED: Load = Load { large: 9 << 20, ..LARGE };
const SMALL: Load = Load { items: 200, objects: 12, large: (17 << 20) + 1, moves: 2, kills: 5 };

struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        eprintln_line(&format!("seed {seed}"));
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The app at the source. The folder of a local side is used by one process, so it is opened for each call.
struct Source<'a> {
    side: &'a str,
    load: &'a Load,
}

impl Source<'_> {
    fn open(&self) -> (Arc<dyn KeyValue>, isobar::blob::Bucket) {
        let provider = open(self.side).unwrap();
        (provider.key_value(&table_at(self.side)).unwrap(), Cloud::new(provider).bucket("files"))
    }

    async fn fill(&self) {
        let (table, files) = self.open();
        let now = SystemTime::now();
        let put = |n| {
            let put = Put::new(key(n), format!("value {n} {}", "x".repeat(200)));
            match n % 10 {
                0 => put.with_expires_at(now + Duration::from_millis(3_000 + 10 * n)),
                1 => put.with_expires_at(now + Duration::from_millis(86_400_123 + n)),
                _ => put,
            }
        };
        for done in table.put_many((0..self.load.items).map(put).collect()).await {
            done.unwrap();
        }
        for n in 0..self.load.objects {
            files.put(object(n), format!("content {n}").repeat(500)).await.unwrap();
        }
        for n in 0..2 {
            files.put(format!("large{n}"), large(self.load.large >> n, n)).await.unwrap();
        }
    }

    /// Deletes, rewrites and adds some, also a large object.
    async fn change(&self, random: &mut Random, share: u64) {
        let (table, files) = self.open();
        for _ in 0..self.load.items / share {
            table.delete(&key(random.below(self.load.items)), None).await.unwrap();
        }
        let puts: BTreeMap<u64, u64> = (0..self.load.items / share)
            .map(|_| (random.below(self.load.items * 5 / 4), random.below(1 << 30)))
            .collect();
        for done in table.put_many(puts.iter().map(|(n, value)| Put::new(key(*n), format!("{value}"))).collect()).await
        {
            done.unwrap();
        }
        for _ in 0..self.load.objects / share {
            let _ = files.delete(object(random.below(self.load.objects))).await;
            files.put(object(random.below(self.load.objects)), format!("{}", random.below(1 << 30))).await.unwrap();
        }
        match random.below(4) {
            0 => drop(files.delete("large0").await),
            1 => drop(files.put("large1", large(self.load.large >> 1, random.below(200))).await.unwrap()),
            _ => {}
        }
    }
}

fn key(n: u64) -> isobar::key_value::Key {
    (format!("p{}", n % 97), format!("{n:06}")).into()
}

fn object(n: u64) -> String {
    format!("o/{n:04}")
}

fn large(size: usize, mark: u64) -> Vec<u8> {
    (0..size).map(|at| ((at as u64 + mark) % 251) as u8).collect()
}

fn start(from: &str, to: &str, journal: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([CHILD, from, to])
        .arg(journal)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Runs the process to its end, and returns its time.
fn run(from: &str, to: &str, journal: &Path) -> Duration {
    let began = Instant::now();
    let status = start(from, to, journal).wait().unwrap();
    assert!(status.success(), "the process failed after {:?}", began.elapsed());
    began.elapsed()
}

/// Kills the process within a time; `false` if it ended before.
fn run_and_kill(from: &str, to: &str, journal: &Path, within: Duration, random: &mut Random) -> bool {
    let mut child = start(from, to, journal);
    std::thread::sleep(Duration::from_micros(random.below(within.as_micros() as u64 + 1)));
    let ended = child.try_wait().unwrap();
    assert!(ended.is_none_or(|status| status.success()), "the process failed");
    child.kill().unwrap();
    child.wait().unwrap();
    ended.is_none()
}

#[derive(Default)]
struct Found(Mutex<Vec<(String, Difference)>>);

impl Watch for Found {
    fn difference(&self, at: &Place, difference: Difference) {
        self.0.lock().push((at.key.clone(), difference));
    }
}

/// Both sides are equal, but for what the target had by itself.
async fn check(from: &str, to: &str) {
    let (source, target, found) = (side(from).unwrap(), side(to).unwrap(), Found::default());
    let reports = verify(&source, &target, false, &Options::default(), &found).await.unwrap();
    let mut differences = found.0.into_inner();
    differences.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(
        differences.iter().all(|(key, difference)| key.starts_with(OWN) && *difference == Difference::Extra),
        "{differences:?}"
    );
    assert_eq!(differences.len(), 2, "what the target had by itself is gone: {reports:?}");
}

async fn survives(from: &str, to: &str, folder: &Path, load: &Load) {
    let (mut random, source, journal) = (Random::new(), Source { side: from, load }, folder.join("journal"));
    source.fill().await;
    {
        let (table, files) = Source { side: to, load }.open();
        table.put(Put::new((OWN, "item"), "was there")).await.unwrap();
        files.put(OWN, "was there").await.unwrap();
    }
    let began = Instant::now();
    let (mut kills, mut ended, mut within) = (0, 0, Duration::from_millis(1_200));
    for number in 1..=load.moves {
        while kills < number * load.kills && ended < 100 {
            match run_and_kill(from, to, &journal, within, &mut random) {
                true => kills += 1,
                false => ended += 1,
            }
            if random.below(3) == 0 {
                source.change(&mut random, 20).await;
            }
        }
        within = run(from, to, &journal);
        check(from, to).await;
        source.change(&mut random, 5).await;
    }
    run(from, to, &journal);
    check(from, to).await;
    eprintln_line(&format!("{from} to {to}: {kills} kills in {:?}; {ended} runs ended before", began.elapsed()));
    assert_eq!(kills, load.moves * load.kills);
}

/// The file is always a whole backup, of this run or of an earlier one.
async fn backup_survives() {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), Random::new());
    let (from, file) = (format!("local:{}", folder.path().join("from").display()), folder.path().join("all.isobar"));
    let to = format!("file:{}", file.display());
    let source = Source { side: &from, load: &BACKED };
    source.fill().await;
    let mut within = run(&from, &to, folder.path());
    let (mut kills, mut runs) = (0, 0);
    while kills < 8 && runs < 30 {
        runs += 1;
        source.change(&mut random, 20).await;
        let began = Instant::now();
        match run_and_kill(&from, &to, folder.path(), within, &mut random) {
            true => kills += 1,
            false => within = within.min(began.elapsed()).mul_f32(0.7),
        }
        Backup::open(&file, open(&from).unwrap().clock()).unwrap();
    }
    run(&from, &to, folder.path());
    let opened = Backup::open(&file, open(&from).unwrap().clock()).unwrap();
    let reports = verify(&side(&from).unwrap(), &opened.side(), false, &Options::default(), &()).await.unwrap();
    assert!(reports.iter().all(Report::is_equal), "{reports:?}");
    eprintln_line(&format!("{kills} of {runs} backups were killed, each within {within:?}"));
    assert_eq!(kills, 8);
}

#[derive(Clone)]
struct Clouds {
    aws: String,
    azure: String,
    services: (aws::Services, azure::Services),
}

impl Clouds {
    async fn survive(&self) {
        let folder = tempfile::tempdir().unwrap();
        let (amazon, microsoft) =
            (self.services.0.open(PREFIX).await.unwrap(), self.services.1.open(PREFIX).await.unwrap());
        // Opening makes them.
        for provider in [amazon.provider(), microsoft.provider()] {
            provider.key_value(&Location::new(ResourceKind::Table, "items")).unwrap();
            provider.blob(&Location::new(ResourceKind::Bucket, "files")).unwrap();
        }
        survives(&self.aws, &self.azure, folder.path(), &SMALL).await;
        // Back, to a bucket and a table that have other data: parts of uploads are left there by each kill.
        let load = Load { moves: 1, kills: 3, ..SMALL };
        std::fs::remove_file(folder.path().join("journal")).unwrap();
        let source = Source { side: &self.azure, load: &load };
        source.change(&mut Random::new(), 2).await;
        let journal = folder.path().join("journal");
        let mut random = Random::new();
        for _ in 0..load.kills {
            run_and_kill(&self.azure, &self.aws, &journal, Duration::from_millis(1_500), &mut random);
        }
        run(&self.azure, &self.aws, &journal);
        let (from, to) = (side(&self.azure).unwrap(), side(&self.aws).unwrap());
        let reports = verify(&from, &to, false, &Options::default(), &()).await.unwrap();
        assert!(reports.iter().all(|it| it.compared.missing == 0 && it.compared.different == 0), "{reports:?}");
    }

    /// Connections break off, and requests are rejected, to the target first and then to the source.
    async fn survive_network(&self) {
        let moto = self.services.0.endpoint.trim_start_matches("http://").to_owned();
        let network = bad_network(moto, Random::new()).await;
        let services = aws::Services { endpoint: network, ..self.services.0.clone() };
        let amazon = services.open("network-").await.unwrap();
        let items = Location::new(ResourceKind::Table, "items");
        let [from, back] = [MemoryProvider::default(), MemoryProvider::default()];
        let (table, bucket) = (from.key_value(&items).unwrap(), Cloud::new(Arc::new(from.clone())).bucket("files"));
        for done in table.put_many((0..1_500).map(|n| Put::new(key(n), format!("value {n}"))).collect()).await {
            done.unwrap();
        }
        for n in 0..60 {
            bucket.put(object(n), format!("content {n}").repeat(2_000)).await.unwrap();
        }
        bucket.put("large", large(17 << 20, 1)).await.unwrap();
        let resources = [(ResourceKind::Table, "items"), (ResourceKind::Bucket, "files")];
        let side = |provider: &dyn Provider| Side::new("side").with(provider, &resources).unwrap();
        // Opening makes the table and the bucket.
        let cloud = Side::new("aws").with(&*amazon.provider(), &resources).unwrap();
        for (from, to) in [(&side(&from), &cloud), (&cloud, &side(&back))] {
            let began = Instant::now();
            let moved = migrate(from, to, &Journal::in_memory().unwrap(), &Options::default(), &()).await.unwrap();
            eprintln_line(&format!("{:?} on a bad network", began.elapsed()));
            assert!(moved.iter().all(Report::is_equal), "{moved:?}");
        }
    }
}

/// A proxy whose connections carry some bytes and break off then, in the middle of a request or a response. Some reject their
/// first request.
async fn bad_network(target: String, mut random: Random) -> String {
    const REJECTED: [&str; 4] =
        ["503 Slow Down\r\nretry-after: 1", "503 Slow Down", "429 Too Many Requests", "500 Internal Server Error"];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (target, rejected) = (target.clone(), REJECTED.get(random.below(40) as usize));
            let (sent, received) = (1_000 + random.below(12 << 20), 1_000 + random.below(12 << 20));
            tokio::spawn(async move {
                let (mut read, mut write) = client.split();
                if let Some(status) = rejected {
                    // The connection closes, so the rest of the request is of no use.
                    let _ = read.read(&mut [0; 65_536]).await;
                    let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = write.write_all(response.as_bytes()).await;
                    return;
                }
                let mut server = TcpStream::connect(target).await.unwrap();
                let (response, mut request) = server.split();
                let (mut from_client, mut from_server) = (read.take(sent), response.take(received));
                tokio::select! {
                    _ = copy(&mut from_client, &mut request) => {}
                    _ = copy(&mut from_server, &mut write) => {}
                }
            });
        }
    });
    url
}
