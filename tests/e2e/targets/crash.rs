//! A child that writes and consumes is killed with SIGKILL at random points, again and again. No acknowledged write is
//! missing afterwards, and each acknowledged message, object and item has called every handler of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, Request};
use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::{Body, Cloud, TestResponse};
use isobar_e2e::backends::send;
use isobar_e2e::backends::service::Service;
use isobar_e2e::built;
use serde_json::Value;

const KILLS: u64 = 50;

/// The writes that the children reported as acknowledged.
#[derive(Default)]
struct Acknowledged {
    items: Vec<u64>,
    messages: Vec<u64>,
    objects: Vec<u64>,
    added: i64,
}

impl Acknowledged {
    fn read(&mut self, output: &str) {
        // The last line may be cut off by the kill.
        for line in output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
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

    fn is_enough(&self) -> bool {
        [&self.items, &self.messages, &self.objects].iter().all(|numbers| numbers.len() > 100)
    }

    fn next(&self) -> u64 {
        self.items.iter().max().map_or(0, |last| last + 10)
    }
}

/// Runs a child for a while, kills it, and returns its output.
fn run_and_kill(folder: &Path, first: u64, life: Duration) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crash-child"))
        .arg(folder)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut output = String::new();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    output.push_str(std::str::from_utf8(&ready).unwrap());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    output.push_str(&String::from_utf8(rest).unwrap());
    assert!(output.starts_with("ready\n"), "the child did not start: {output}");
    assert!(!output.contains("\nerror"), "the child failed: {output}");
    output
}

/// No file may become larger than 2 MB: the process observes the same errors as on a full disk.
#[test]
#[cfg_attr(not(unix), ignore = "the limit is that of a Unix shell")]
fn a_full_disk_is_reported_and_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$1\" 0";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_crash-child")])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let error = printed.lines().find(|line| line.starts_with("error")).unwrap();
    assert!(!output.status.success() && error.contains("disk"), "{error}");
    let mut acknowledged = Acknowledged::default();
    acknowledged.read(&printed);
    assert!(acknowledged.items.len() > 100, "the limit was reached too early: {printed}");
    tokio::runtime::Runtime::new().unwrap().block_on(check(folder.path(), &acknowledged, 1));
}

#[test]
fn fifty_kills_lose_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut random = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {random}");
    let mut kills = 0;
    // On a busy machine the children do less before they are killed, and some more are needed.
    while kills < KILLS || (kills < 10 * KILLS && !acknowledged.is_enough()) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_micros((random >> 33) % 100_000);
        let output = run_and_kill(folder.path(), acknowledged.next(), life);
        acknowledged.read(&output);
        kills += 1;
    }
    let Acknowledged { items, messages, objects, added } = &acknowledged;
    let (items, messages, objects) = (items.len(), messages.len(), objects.len());
    println!("{kills} kills, {items} items, {messages} messages, {objects} objects, {added} additions");
    assert!(acknowledged.is_enough(), "the children did too little");
    tokio::runtime::Runtime::new().unwrap().block_on(check(folder.path(), &acknowledged, kills));
}

async fn check(folder: &Path, acknowledged: &Acknowledged, children: u64) {
    let mut config = LocalConfig::new(folder);
    (config.port, config.announce) = (0, false);
    let provider = LocalProvider::new(config);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let (items, bucket) = (cloud.table::<u64>("items"), cloud.bucket("files"));
    for number in &acknowledged.items {
        assert_eq!(items.get(number.to_string()).await.unwrap(), Some(*number), "item {number} is lost");
    }
    // Each writer of each child may have made one addition that it did not report.
    let total = cloud.table::<i64>("items").get("total").await.unwrap().unwrap();
    assert!((acknowledged.added..=acknowledged.added + 4 * children as i64).contains(&total), "{total}");
    for number in &acknowledged.objects {
        let content = bucket.get(format!("n/{number}")).await.unwrap().bytes().await.unwrap();
        assert_eq!(content, number.to_string().repeat(50), "object {number} is not complete");
    }
    check_deliveries(&provider, acknowledged).await;
}

/// Starts the app once more, and waits until it has received everything.
async fn check_deliveries(provider: &LocalProvider, acknowledged: &Acknowledged) {
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = isobar_e2e::crash::app(&cloud);
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let server = provider.bind().await.unwrap();
    let hosted = Hosted::new(app, manifest);
    let serving = tokio::spawn(server.run(hosted, std::future::pending()));
    let [messages, objects, items] = [&acknowledged.messages, &acknowledged.objects, &acknowledged.items];
    let expected = isobar_e2e::crash::SEEN.into_iter().zip([messages, messages, objects, objects, items]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut missing = usize::MAX;
    while missing > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        missing = 0;
        for (name, numbers) in expected.clone() {
            let prefix = if std::ptr::eq(numbers, objects) { "n/" } else { "" };
            let keys = numbers.iter().map(|number| format!("{prefix}{number}"));
            let seen = cloud.table::<u32>(name).get_many(keys).await.unwrap();
            missing += seen.iter().filter(|seen| seen.is_none()).count();
        }
    }
    serving.abort();
    assert_eq!(missing, 0, "events were not delivered");
}

/// The responses of the shortener, and the requests to it, since a response may be lost.
#[derive(Default)]
struct Clicks {
    /// For each link: the number of redirects, and of requests.
    links: BTreeMap<String, (i64, i64)>,
    /// The newest link.
    newest: Option<String>,
    /// The newest link when the last acknowledged page of links was written.
    on_page: Option<String>,
    /// The number of responses 503, which only chaos causes.
    refused: u64,
}

impl Clicks {
    fn is_enough(&self) -> bool {
        let answered: i64 = self.links.values().map(|(answered, _)| answered).sum();
        self.links.len() > 40 && answered > 150 && self.on_page.is_some()
    }

    fn is_refused(clicks: &Mutex<Self>, response: &TestResponse) -> bool {
        let is_refused = response.status == 503;
        clicks.lock().unwrap().refused += u64::from(is_refused);
        is_refused
    }
}

/// Clients make links and follow them while the app is killed, again and again.
///
/// Each acknowledged link exists, each acknowledged click is counted once, and the acknowledged page exists and is
/// complete.
#[test]
fn fifty_kills_of_the_shortener_lose_no_click_and_count_none_twice() {
    assert_eq!(kill_shortener(KILLS, Vec::new()).refused, 0);
}

/// The same with chaos, and the limits of a cloud: messages are late, arrive twice and are handled again, and calls fail.
#[test]
fn kills_and_chaos_of_the_shortener_lose_no_click_and_count_none_twice() {
    let profile = serde_json::to_string(&isobar_aws::profile::PROFILE).unwrap();
    let clicks = kill_shortener(KILLS / 5, vec![("ISOBAR_CHAOS", "18".to_owned()), ("ISOBAR_AS", profile)]);
    assert!(clicks.refused > 0, "no call failed");
}

/// Runs the app with these further variables.
fn kill_shortener(kills: u64, further: Vec<(&str, String)>) -> Clicks {
    let binary = built::one_binary("shortener", &["aws", "azure", "gcp", "local"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let variables = [("ISOBAR_DATA", folder.path().display().to_string()), ("ISOBAR_PROVIDER", "local".to_owned())];
        let variables = variables.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value)).collect();
        let service = Arc::new(Service::start(binary, variables).await.unwrap());
        let clicks = Arc::new(Mutex::new(Clicks::default()));
        let client = |_| tokio::spawn(visit(service.url(), Arc::clone(&clicks)));
        let mut clients: Vec<_> = (0..4).map(client).collect();
        clients.push(tokio::spawn(make_pages(folder.path().to_owned(), Arc::clone(&clicks))));
        for kill in 0..10 * KILLS {
            if kill >= kills && clicks.lock().unwrap().is_enough() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50 + 37 * kill % 250)).await;
            service.kill().await.unwrap();
        }
        clients.iter().for_each(tokio::task::JoinHandle::abort);
        let clicks = std::mem::take(&mut *clicks.lock().unwrap());
        check_clicks(&service, folder.path(), &clicks).await;
        clicks
    })
}

/// Makes links, and follows each of them five times.
async fn visit(url: String, clicks: Arc<Mutex<Clicks>>) {
    loop {
        let Ok(made) = send_request(Method::POST, &url, r#"{"url":"https://example.org/"}"#).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        if Clicks::is_refused(&clicks, &made) {
            continue;
        }
        assert_eq!(made.status, 201, "a link is rejected");
        let id = made.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned();
        clicks.lock().unwrap().links.insert(id.clone(), (0, 0));
        clicks.lock().unwrap().newest = Some(id.clone());
        for _ in 0..5 {
            clicks.lock().unwrap().links.entry(id.clone()).or_default().1 += 1;
            let Ok(followed) = send_request(Method::GET, &format!("{url}/{id}"), "").await else { continue };
            if Clicks::is_refused(&clicks, &followed) {
                continue;
            }
            assert_eq!(followed.status, 307, "an acknowledged link is lost");
            clicks.lock().unwrap().links.entry(id.clone()).or_default().0 += 1;
        }
    }
}

/// Fires the schedule that writes the page, through the inspector.
async fn make_pages(folder: PathBuf, clicks: Arc<Mutex<Clicks>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let Some(sweep) = inspector(&folder, "schedules/sweep") else { continue };
        let newest = clicks.lock().unwrap().newest.clone();
        // Between a kill and the next start another process may use the port.
        if send_request(Method::POST, &sweep, "").await.is_ok_and(|swept| swept.status == 200) {
            clicks.lock().unwrap().on_page = newest;
        }
    }
}

/// The URL of an endpoint of the inspector, if it has written its file.
fn inspector(folder: &Path, path: &str) -> Option<String> {
    let entry = std::fs::read(folder.join("inspector.json")).ok()?;
    let entry: Value = serde_json::from_slice(&entry).unwrap();
    Some(format!("http://127.0.0.1:{}/{path}?token={}", entry["port"], entry["token"].as_str().unwrap()))
}

async fn send_request(method: Method, url: &str, body: &'static str) -> isobar::Result<TestResponse> {
    send(Request::builder().method(method).uri(url).body(Body::from(body)).unwrap()).await
}

/// Reads, again after a 503.
async fn get(url: &str) -> TestResponse {
    loop {
        let response = send_request(Method::GET, url, "").await.unwrap();
        if response.status != 503 {
            return response;
        }
    }
}

/// Waits until all acknowledged clicks are counted, stops the app, and compares the counts with the stored ones.
async fn check_clicks(service: &Service, folder: &Path, clicks: &Clicks) {
    let (answered, requested) =
        clicks.links.values().fold((0, 0), |(answered, requested), link| (answered + link.0, requested + link.1));
    let links = clicks.links.len();
    assert!(clicks.is_enough(), "too little: {links} links, {answered} of {requested} clicks answered");
    let deadline = Instant::now() + Duration::from_secs(60);
    for (id, (answered, requested)) in &clicks.links {
        loop {
            let stats = get(&format!("{}/{id}/stats", service.url())).await;
            let counted = stats.json::<Value>().unwrap()["clicks"].as_i64().unwrap();
            assert!(counted <= *requested, "{id}: {counted} of {requested} clicks were counted: one of them twice");
            if counted >= *answered {
                break;
            }
            assert!(Instant::now() < deadline, "{id}: {counted} of {answered} acknowledged clicks were counted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // The total is counted after the link.
    loop {
        let overview: Value = get(&inspector(folder, "").unwrap()).await.json().unwrap();
        let queues = overview["queues"].as_array().unwrap();
        if queues.iter().all(|queue| queue["waiting"] == 0 && queue["running"] == 0) {
            break;
        }
        assert!(Instant::now() < deadline, "clicks wait: {overview}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let page = get(&format!("{}/index.html", service.url())).await;
    let (page, listed) = (String::from_utf8(page.body.to_vec()).unwrap(), clicks.on_page.as_ref().unwrap());
    assert!(page.ends_with("</html>\n") && page.contains(listed), "{listed} is not on the page: {page}");
    service.terminate().await.unwrap();
    assert!(service.ended().await.unwrap().success());
    let cloud = Cloud::new(Arc::new(LocalProvider::new(LocalConfig::new(folder))));
    let counts = cloud.table::<i64>("links");
    let keys = clicks.links.keys().map(|id| (format!("link/{id}"), "clicks"));
    let counted: i64 = counts.get_many(keys).await.unwrap().into_iter().flatten().sum();
    // No client follows a link whose response was lost.
    assert_eq!(counts.get(("total", "clicks")).await.unwrap(), Some(counted));
    assert!((answered..=requested).contains(&counted), "{counted} of {answered} to {requested}");
}
