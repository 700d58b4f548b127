//! Tests of the host: access to the inspector, missed ticks, and the stop.

mod chaos;
mod logged;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{Request, StatusCode};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::driver::{Clock, Function, Hosted, Location, Provider, ResourceKind, ResourceUrl, Route};
use isobar_abstraction::{App, Cloud, Context, ErrorKind, Event, ObjectEvent, Outcome, Reply, Tick, WriteEvent};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tower_service::Service;

use super::Stop;
use super::inspect::{Inspector, admit, router};
use crate::clock::SetClock;
use crate::config::Token;
use crate::{LocalConfig, LocalProvider};

fn provider(folder: &TempDir, clock: &(impl Clock + Clone)) -> LocalProvider {
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.grace) = (0, false, Duration::from_secs(10));
    LocalProvider::with_clock(config, Arc::new(clock.clone()))
}

fn hosted(provider: &LocalProvider, app: impl FnOnce(&Cloud) -> App) -> Hosted {
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = app(&cloud);
    let manifest = Arc::new(app.start(&cloud).unwrap());
    Hosted::new(app, manifest)
}

fn token() -> Token {
    Token::of("s3cret").unwrap()
}

fn inspector(provider: &LocalProvider, app: &Hosted) -> axum::Router {
    // Without its sender, the signal to stop is there.
    let (_, stopped) = tokio::sync::watch::channel(false);
    router(Inspector {
        state: Arc::clone(&provider.0),
        provider: Arc::new(provider.clone()),
        app: app.clone(),
        token: token(),
        url: "http://127.0.0.1:3000".to_owned(),
        since: 0,
        stop: Stop(stopped),
    })
}

/// Asks the inspector at a path with headers, and answers with its status.
async fn ask(uri: &str, headers: &[(&str, &str)]) -> StatusCode {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let app = hosted(&provider, |_| App::new("nothing"));
    let mut router = inspector(&provider, &app);
    let with = |request: http::request::Builder, (name, value): &(&str, &str)| request.header(*name, *value);
    let request = headers.iter().fold(Request::get(uri), with).body(Body::empty()).unwrap();
    let response = router.call(admit(&token(), request)).await.unwrap();
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    response.status()
}

#[tokio::test]
async fn the_inspector_takes_its_token_from_tools_of_this_machine_only() {
    let (host, bearer) = (("host", "localhost:3001"), ("authorization", "Bearer s3cret"));
    assert_eq!(ask("/", &[host, bearer]).await, StatusCode::OK);
    assert_eq!(ask("/?limit=1&token=s3cret", &[host]).await, StatusCode::OK);
    // The dashboard has it in its path.
    assert_eq!(ask("/s3cret/", &[host]).await, StatusCode::OK);
    assert_eq!(ask("/s3cret/tables/links?limit=1", &[host]).await, StatusCode::OK);
    assert_eq!(ask("/?token=s3cret", &[host, ("accept", "text/html")]).await, StatusCode::SEE_OTHER);
    for wrong in ["/index.html", "/s3cret", "/s3cre/", "/s3cret2/", "//s3cret/", "/x/s3cret/", "/%733cret/"] {
        assert_eq!(ask(wrong, &[host]).await, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    assert_eq!(ask("/s3cret/", &[("host", "evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(ask("/s3cret/", &[host, ("origin", "http://localhost:3000")]).await, StatusCode::FORBIDDEN);
    for wrong in ["/", "/?token=", "/?token=s3creT", "/?token=s3cre", "/?token=s3cret2", "/?to=token=s3cret"] {
        assert_eq!(ask(wrong, &[host, ("authorization", "Bearer s3cre")]).await, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    assert_eq!(ask("/", &[("host", "evil.example"), bearer]).await, StatusCode::FORBIDDEN);
    for foreign in [
        ("x-forwarded-for", "192.0.2.1"),
        ("via", "1.1 proxy"),
        ("origin", "http://localhost:9999"),
        ("sec-fetch-site", "cross-site"),
    ] {
        assert_eq!(ask("/", &[host, bearer, foreign]).await, StatusCode::FORBIDDEN, "{foreign:?}");
    }
}

#[tokio::test]
async fn the_inspector_names_what_it_has_for_a_queue_a_topic_or_a_parameter_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let app = hosted(&provider, |cloud| {
        cloud.bucket("files");
        let written = async |write: WriteEvent, _| match write.key.sort.as_str() {
            "x" => Outcome::reject("no x"),
            _ => Outcome::Ack,
        };
        App::new("app")
            .on_message(cloud.topic::<u32>("jobs").subscription("mail"), async |_, _| {})
            .on_write(&cloud.table::<u32>("users"), written)
    });
    super::prepare(&provider.0, &app).await.unwrap();
    let mut router = inspector(&provider, &app);
    for (method, path, status, text) in [
        ("GET", "dead-letters/topics/jobs", 404, "no queue `default`; it has `mail`"),
        ("GET", "topics/jobs?queue=nope", 404, "no queue `nope`; it has `mail`"),
        ("POST", "dead-letters/topics/nope", 404, "no topic `nope`; it has `jobs`"),
        ("GET", "dead-letters/tables/nope", 404, "no table `nope`; it has `users`"),
        ("GET", "dead-letters/queues/jobs", 404, "`queues` has no dead letters"),
        ("POST", "topics/nope", 404, "no topic `nope`; it has `jobs`"),
        ("POST", "topics/jobs?delay=2s", 400, "delay"),
        ("POST", "topics/jobs?dealy=2", 400, "dealy"),
        ("POST", "topics/jobs?delay=901", 400, "900 s"),
        ("POST", "topics/jobs?delay=900", 200, "id"),
        ("POST", "topics/jobs?attributes=1", 400, "must be a JSON object of texts"),
        ("GET", "queues/topics/jobs?queue=mail", 200, "\"due\": \"2026-01-01T00:15:00.000Z\""),
        ("GET", "dead-letters/topics/jobs?queue=mail&after=x", 400, "not the id of a dead letter"),
        ("GET", "topics/jobs?queue=mail", 200, "\"waiting\": 1"),
        ("PUT", "buckets/nope?key=a", 404, "no bucket `nope`; it has `files`"),
        ("PUT", "buckets/files", 400, "add `?key=`"),
        ("PUT", "buckets/files?key=a%2Fb.txt&content_type=text%2Fplain", 200, "\"key\": \"a/b.txt\""),
        ("GET", "buckets/files", 200, "\"size\": 1"),
        ("GET", "buckets/files?delimiter=/", 200, "\"a/\""),
        ("GET", "buckets/files?delimiter=b", 400, "must be `/`"),
        ("GET", "buckets/files/about?key=a%2Fb.txt", 200, "\"content_type\": \"text/plain\""),
        ("GET", "buckets/files/about?key=b", 404, "b"),
        ("DELETE", "buckets/files/object?key=a%2Fb.txt", 200, "{}"),
        ("PUT", "tables/nope/item?partition=ann", 404, "no table `nope`; it has `users`"),
        ("PUT", "tables/users/item", 400, "add `?partition=`"),
        ("PUT", "tables/users/item?partition=ann&expires_at=soon", 400, "`expires_at` is `soon`"),
        ("PUT", "tables/users/item?partition=ann&expires_at=2025-01-01T00:00:00Z", 400, "a later time"),
        ("PUT", "tables/users/item?partition=ann&create=1", 200, "version"),
        ("PUT", "tables/users/item?partition=ann&create=1", 409, "already-exists"),
        ("PUT", "tables/users/item?partition=ann&version=x", 409, "conflict"),
        ("GET", "tables/users/item?partition=ann", 200, "\"text\": \"7\""),
        ("GET", "tables/users?brief=1", 200, "\"preview\": \"7\""),
        ("GET", "tables/users/item?partition=bob", 404, "no item bob"),
        ("DELETE", "tables/users/item?partition=ann&version=x", 409, "conflict"),
        ("GET", "requests/1", 404, "no longer kept"),
        ("POST", "requests/1", 404, "no longer kept"),
        ("GET", "events?after=x", 400, "use the `id` of the last event"),
        ("GET", "settings", 200, "\"settings\": []"),
        ("POST", "tables/users", 400, "add `?partition=`"),
        ("POST", "tables/users?partition=ann", 200, "\"outcome\": \"ack\""),
        ("POST", "tables/users?partition=ann&sort=x", 500, "no x"),
        ("POST", "tables/nope?partition=ann", 404, "no handler for"),
        ("DELETE", "dead-letters/topics/nope", 404, "no topic `nope`; it has `jobs`"),
        ("DELETE", "dead-letters/topics/jobs?queue=mail&ids=1,x", 400, "contains `x`"),
        ("DELETE", "dead-letters/topics/jobs?queue=mail&ids=1,2", 200, "\"dropped\": 0"),
        ("POST", "tables/users?partition=", 400, "partition"),
        ("GET", "requests/x", 400, "Cannot parse `x`"),
        ("GET", "nope/x", 404, "no such endpoint"),
        ("PATCH", "schedules", 405, "not allowed"),
    ] {
        let request = Request::builder().method(method).uri(format!("/{path}")).header("host", "localhost");
        let request = request.header("authorization", "Bearer s3cret").body(Body::from("7")).unwrap();
        let response = router.call(request).await.unwrap();
        let found = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(found == status && body.contains(text) && body.starts_with('{'), "{method} {path}: {found} {body}");
    }
}

#[tokio::test]
async fn two_topics_with_one_name_are_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = LocalConfig::new(folder.path());
    let url = ResourceUrl::parse("queue://work").unwrap();
    config.placed = ["jobs", "tasks"].map(|name| Location::new(ResourceKind::Topic, name).with_url(url.clone())).into();
    let provider = LocalProvider::new(config);
    let app = hosted(&provider, |cloud| {
        let on = |app: App, name| app.on_message(&cloud.topic::<u32>(name), async |_, _| {});
        on(on(App::new("app"), "jobs"), "tasks")
    });
    let error = super::prepare(&provider.0, &app).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("topic `jobs` and topic `tasks`"), "{error}");
    let slash = Location::new(ResourceKind::Topic, "jobs").with_url(ResourceUrl::parse("queue://a/b").unwrap());
    assert_eq!(Provider::pub_sub(&provider, &slash).unwrap_err().kind(), ErrorKind::Config);
}

/// Sends a request without a change, and returns the whole response.
async fn exchange(address: &str, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_port_of_the_app_has_signed_urls_only_and_the_inspector_a_port_and_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = LocalConfig::new(folder.path());
    (config.host, config.port, config.announce) = (std::net::Ipv4Addr::UNSPECIFIED.into(), 0, false);
    let provider = LocalProvider::new(config);
    let route = axum::Router::new().route("/.isobar/mine", axum::routing::get(async || "mine"));
    let app = hosted(&provider, |_| App::new("app").http(route));
    let server = provider.bind().await.unwrap();
    let (app_address, url) = (format!("127.0.0.1:{}", server.address().port()), server.inspector().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(app, async { drop(stopped.await) }));

    for path in ["/.isobar", "/.isobar/", "/.isobar/mine", "/.isobar/tables/a"] {
        let answer = exchange(&app_address, &format!("GET {path}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("reserved for isobar"), "{path}: {answer}");
    }
    let (inspector, query) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    assert!(inspector.starts_with("127.0.0.1:"), "{inspector}");
    assert!(exchange(inspector, &format!("GET /{query}"), "").await.contains("\"app\": \"app\""));
    assert!(exchange(inspector, "GET /", "").await.starts_with("HTTP/1.1 401"));

    let file = folder.path().join("inspector.json");
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(format!("{}?token={}", written["url"].as_str().unwrap(), written["token"].as_str().unwrap()), url);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);

    let pages = Cloud::new(Arc::new(provider.clone())).bucket("pages");
    let html = isobar_abstraction::blob::PutOptions::default().with_content_type("text/html");
    pages.put_with("page", "<script>", html).await.unwrap();
    let signed = pages.signed_get("page", Duration::from_secs(60)).await.unwrap().url;
    let path = signed.split_once(&format!(":{}", app_address.split_once(':').unwrap().1)).unwrap().1;
    let forwarded = "x-forwarded-for: 192.0.2.1\r\n";
    let (good, bad) = (format!("GET {path}"), format!("GET {path}0"));
    for (line, status) in [(&good, "200"), (&bad, "403")] {
        let answer = exchange(&app_address, line, forwarded).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let is_guarded = answer.contains("content-security-policy: sandbox") && answer.contains("nosniff");
        assert_eq!(is_guarded, status == "200", "{answer}");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(!file.exists());
}

/// A function that is no [`App`], which would catch its panic.
struct Panics;

#[async_trait::async_trait]
impl Function for Panics {
    async fn call(&self, _: Event, _: Context) -> isobar_abstraction::Result<Reply> {
        panic!("as on a time that no calendar has")
    }
}

#[tokio::test]
async fn a_panic_behind_the_inspector_is_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let app = Hosted::new(Panics, hosted(&provider, |_| App::new("nothing")).manifest);
    let server = provider.bind().await.unwrap();
    let url = server.inspector().unwrap();
    let running = tokio::spawn(server.run(app, std::future::pending()));
    let (inspector, query) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    for (line, status) in [("POST /functions/stats", 500), ("POST /schedules/sweep", 500), ("GET /", 200)] {
        let answer = exchange(inspector, &format!("{line}{query}"), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    running.abort();
}

#[tokio::test]
async fn the_inspector_takes_the_port_it_is_given_and_none_for_zero() {
    let folder = tempfile::tempdir().unwrap();
    let bound = async |port: Option<u16>| {
        let mut config = LocalConfig::new(folder.path());
        (config.port, config.inspect_port) = (0, port);
        LocalProvider::new(config).bind().await.map(|server| server.inspector())
    };
    assert_eq!(bound(Some(0)).await.unwrap(), None);
    let used = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _listener = tokio::net::TcpListener::bind(used).await.unwrap();
    let error = bound(Some(used.port())).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("--inspect-port"), "{error}");
    assert!(bound(None).await.unwrap().is_some());
}

/// Runs an app with a schedule until it has been called, or for a moment in which it is not.
async fn ticks(folder: &TempDir, clock: &ManualClock, advance: Duration) -> Vec<SystemTime> {
    ticks_on(folder, clock, || clock.advance(advance)).await
}

async fn ticks_on(folder: &TempDir, clock: &(impl Clock + Clone), change: impl FnOnce()) -> Vec<SystemTime> {
    let provider = provider(folder, clock);
    let (seen, called) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (sink, bell) = (Arc::clone(&seen), Arc::clone(&called));
    let app = hosted(&provider, move |_| {
        App::new("clockwork").on_schedule("hourly", "0 * * * *", move |tick: Tick, _| {
            sink.lock().push(tick.due);
            bell.notify_one();
            async {}
        })
    });
    let server = provider.bind().await.unwrap();
    let running = tokio::spawn(server.run(app, std::future::pending()));
    let quiet = Duration::from_millis(300);
    let _ = tokio::time::timeout(quiet, called.notified()).await;
    change();
    let _ = tokio::time::timeout(quiet, called.notified()).await;
    // A second call that must not come has its moment too.
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.abort();
    let _ = running.await;
    std::mem::take(&mut *seen.lock())
}

#[tokio::test]
async fn a_tick_that_was_missed_runs_once_at_start_and_a_new_schedule_has_missed_none() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let hour = Duration::from_secs(3600);
    let midnight = clock.now();
    assert_eq!(ticks(&folder, &clock, Duration::ZERO).await, [], "a new schedule has missed nothing");
    assert_eq!(ticks(&folder, &clock, hour).await, [midnight + hour], "it runs when it is due");
    clock.advance(hour * 5);
    let seen = ticks(&folder, &clock, Duration::ZERO).await;
    assert_eq!(seen, [midnight + hour * 2], "what was missed comes once, as of the first that was missed");
    assert_eq!(ticks(&folder, &clock, Duration::ZERO).await, [], "and not again");
}

/// The clock is a day ahead while the schedule runs, then it is set back by two days.
#[tokio::test]
async fn a_clock_that_is_set_back_silences_no_schedule() {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    for restart in [false, true] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), SetClock::default());
        ticks_on(&folder, &clock, || {}).await;
        let ahead = ticks_on(&folder, &clock, || clock.advance(day)).await;
        assert_eq!(ahead.len(), 1);
        if restart {
            clock.set_back(day * 2);
        }
        let seen = ticks_on(&folder, &clock, || {
            if !restart {
                clock.set_back(day * 2);
            }
            // What sleeps wakes and looks at the clock, as it does every half minute.
            clock.advance(Duration::from_secs(30));
        });
        assert_eq!(seen.await, []);
        let now = clock.now();
        let seen = ticks_on(&folder, &clock, || clock.advance(hour)).await;
        assert!(matches!(seen[..], [due] if due <= now + hour && due > now), "{seen:?}");
    }
}

#[tokio::test]
async fn stopping_lets_what_runs_end() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(&folder, &ManualClock::default());
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (bell, gate) = (Arc::clone(&entered), Arc::clone(&release));
    let app = hosted(&provider, move |_| {
        let handler = move || {
            let (bell, gate) = (Arc::clone(&bell), Arc::clone(&gate));
            async move {
                bell.notify_one();
                gate.notified().await;
                "done"
            }
        };
        App::new("slow").http(axum::Router::new().route("/", axum::routing::get(handler)))
    });
    let server = provider.bind().await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(app, async { drop(stopped.await) }));
    let response = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    entered.notified().await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "it ended before the request");
    release.notify_one();
    assert!(response.await.unwrap().ends_with("done"));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_whose_folder_or_store_is_gone_ends_with_the_reason() {
    for panics in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalConfig::new(folder.path().join("data"));
        (config.port, config.announce) = (0, false);
        let clock = ManualClock::default();
        let provider = LocalProvider::with_clock(config, Arc::new(clock.clone()));
        let app = hosted(&provider, |_| App::new("nothing"));
        let server = provider.bind().await.unwrap();
        let running = tokio::spawn(server.run(app, std::future::pending()));
        let visits = Cloud::new(Arc::new(provider.clone())).table::<u32>("visits");
        visits.put("a", &1).await.unwrap();
        while !folder.path().join("data/inspector.json").exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        match panics {
            true => drop(provider.0.store.write::<()>(|_| panic!("on a damaged page")).await),
            false => {
                std::fs::remove_dir_all(folder.path().join("data")).unwrap();
                // Nothing is written: the host looks by itself.
                clock.advance(Duration::from_secs(5));
            }
        }
        let ended = tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap_err();
        let why = if panics { "--check" } else { "removed or replaced" };
        assert!(ended.message().contains(why), "{ended}");
        assert!(visits.put("b", &2).await.is_err(), "nothing is acknowledged after it");
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let first = provider(&folder, &ManualClock::default()).bind().await.unwrap();
    let mut config = LocalConfig::new(folder.path());
    config.port = first.address().port();
    let error = LocalProvider::new(config).bind().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("--port"), "{error}");
}

#[tokio::test]
async fn the_events_of_a_resource_with_a_url_reach_the_handlers_by_its_logical_name() {
    let folder = tempfile::tempdir().unwrap();
    let urls = [(ResourceKind::Topic, "queue"), (ResourceKind::Bucket, "file"), (ResourceKind::Table, "redb")];
    let placed = urls.map(|(kind, scheme)| {
        Location::new(kind, "stock").with_url(ResourceUrl::parse(&format!("{scheme}://stock-2")).unwrap())
    });
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.placed) = (0, false, placed.to_vec());
    let provider = Arc::new(LocalProvider::new(config));
    let routes = placed.map(|at| Route::new(provider.clone(), at, &[]));
    let cloud = Cloud::with_routes(provider.clone(), routes.to_vec());
    let (seen, mut received) = tokio::sync::mpsc::unbounded_channel();
    let mut app = App::new("shop")
        .with_state(seen)
        .on_message(&cloud.topic::<u32>("stock"), async |seen, message: Message<u32>, _| {
            drop(seen.send(format!("message {}", message.body)));
        })
        .on_object(&cloud.bucket("stock"), async |seen, event: ObjectEvent, _| {
            drop(seen.send(format!("{} {}", event.bucket, event.key)));
        })
        .on_write(&cloud.table::<u32>("stock"), async |seen, write: WriteEvent, _| {
            drop(seen.send(format!("{} {}", write.table, write.key)));
        })
        .build();
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let running = tokio::spawn(provider.bind().await.unwrap().run(Hosted::new(app, manifest), std::future::pending()));
    // The handlers receive what is written after the start.
    while provider.0.queue.sources().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    cloud.topic("stock").publish(7_u32).await.unwrap();
    cloud.bucket("stock").put("a.txt", "x").await.unwrap();
    cloud.table("stock").put("b", &7_u32).await.unwrap();
    let mut all = [received.recv().await, received.recv().await, received.recv().await].map(Option::unwrap);
    all.sort_unstable();
    assert_eq!(all, ["message 7", "stock a.txt", "stock b"]);
    running.abort();
}
