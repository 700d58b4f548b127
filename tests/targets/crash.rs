//! A child that writes and consumes is killed with SIGKILL at random points, again and again; then
//! nothing that was acknowledged is missing, and nothing that was not is forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::local::{LocalConfig, LocalProvider};
use isobar::{Cloud, Hosted};

const KILLS: u64 = 50;

/// What the children said was acknowledged.
#[derive(Default)]
struct Acknowledged {
    items: Vec<u64>,
    messages: Vec<u64>,
    objects: Vec<u64>,
    added: i64,
}

impl Acknowledged {
    fn read(&mut self, told: &str) {
        // The last line may be cut off by the kill.
        for line in told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let Some((what, number)) = line.split_once(' ').filter(|(what, _)| *what != "error") else { continue };
            let number = number.parse().unwrap();
            match what {
                "item" => self.items.push(number),
                "message" => self.messages.push(number),
                "object" => self.objects.push(number),
                _ => self.added += 1,
            }
        }
    }

    fn next(&self) -> u64 {
        self.items.iter().max().map_or(0, |last| last + 10)
    }
}

/// Runs a child for a while, kills it, and reads what it said.
fn run_and_kill(folder: &Path, first: u64, life: Duration) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crash-child"))
        .arg(folder)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut told = String::new();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    told.push_str(std::str::from_utf8(&ready).unwrap());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    told.push_str(&String::from_utf8(rest).unwrap());
    assert!(told.starts_with("ready\n"), "the child did not start: {told}");
    assert!(!told.contains("\nerror"), "the child failed: {told}");
    told
}

/// No file may grow past a few megabytes, which is what a full disk looks like from inside.
#[test]
#[cfg_attr(not(unix), ignore = "the limit is that of a Unix shell")]
fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$1\" 0";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_crash-child")])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let error = told.lines().find(|line| line.starts_with("error")).unwrap();
    assert!(!output.status.success() && error.contains("disk"), "{error}");
    let mut acknowledged = Acknowledged::default();
    acknowledged.read(&told);
    assert!(acknowledged.items.len() > 100, "the limit came too early: {told}");
    tokio::runtime::Runtime::new().unwrap().block_on(check(folder.path(), &acknowledged));
}

#[test]
fn fifty_kills_lose_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut random = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {random}");
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_micros((random >> 33) % 100_000);
        let told = run_and_kill(folder.path(), acknowledged.next(), life);
        acknowledged.read(&told);
    }
    let Acknowledged { items, messages, objects, added } = &acknowledged;
    println!("{} items, {} messages, {} objects, {added} additions", items.len(), messages.len(), objects.len());
    assert!(items.len() > 100 && messages.len() > 100 && objects.len() > 100, "the children did too little");
    tokio::runtime::Runtime::new().unwrap().block_on(check(folder.path(), &acknowledged));
}

async fn check(folder: &Path, acknowledged: &Acknowledged) {
    let mut config = LocalConfig::new(folder);
    (config.port, config.announce) = (0, false);
    let provider = LocalProvider::new(config);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let (items, bucket) = (cloud.table::<u64>("items"), cloud.bucket("files"));
    for number in &acknowledged.items {
        assert_eq!(items.get(number.to_string()).await.unwrap(), Some(*number), "item {number} is lost");
    }
    // One addition may have been made for each writer of each child without being told.
    let total = cloud.table::<i64>("items").get("total").await.unwrap().unwrap();
    assert!((acknowledged.added..=acknowledged.added + 4 * KILLS as i64).contains(&total), "{total}");
    for number in &acknowledged.objects {
        let content = bucket.get(format!("n/{number}")).await.unwrap().bytes().await.unwrap();
        assert_eq!(content, number.to_string().repeat(50), "object {number} is not whole");
    }
    check_deliveries(&provider, acknowledged).await;
}

/// Starts the app once more, and waits until it has seen everything.
async fn check_deliveries(provider: &LocalProvider, acknowledged: &Acknowledged) {
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = isobar_conformance::crash::app(&cloud);
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let server = provider.bind().await.unwrap();
    let hosted = Hosted { function: Arc::new(app), manifest };
    let serving = tokio::spawn(server.run(hosted, std::future::pending()));
    let (seen, seen_files) = (cloud.table::<u32>("seen"), cloud.table::<u32>("seen-files"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut missing = usize::MAX;
    while missing > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let messages = seen.get_many(acknowledged.messages.iter().map(u64::to_string)).await.unwrap();
        let files = acknowledged.objects.iter().map(|number| format!("n/{number}"));
        let files = seen_files.get_many(files).await.unwrap();
        missing = messages.iter().chain(&files).filter(|seen| seen.is_none()).count();
    }
    serving.abort();
    assert_eq!(missing, 0, "messages or object events were forgotten");
}
