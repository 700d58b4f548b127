//! On a full disk, writes fail, no data is lost, and the host ends with the reason; after space is freed, the next start
//! succeeds.
//!
//! The disk is a file system of 16 MB in memory, in new namespaces (`unshare` of util-linux), which needs no root. The trial
//! is ignored with the reason if namespaces are not allowed.
#![allow(clippy::unwrap_used, clippy::panic)] // a target fails by panicking

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::{App, Cloud, Error, ErrorKind};
use isobar_conformance::Absent;
use isobar_e2e::emulators::NEEDS;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The argument with which the trial starts its own binary on the small disk: `full-disk fill FOLDER`, then
/// `full-disk check FOLDER`.
const CHILD: &str = "full-disk";

/// More bytes than the disk has.
const TOO_MUCH: usize = 32 << 20;

const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=16m none \"$1\" && \"$0\" full-disk fill \"$1\" && exec \
                               \"$0\" full-disk check \"$1\"";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, step, folder] = &arguments[..]
        && child == CHILD
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        match step.as_str() {
            "fill" => runtime.block_on(fill(Path::new(folder))),
            _ => runtime.block_on(check(Path::new(folder))),
        }
        return ExitCode::SUCCESS;
    }
    let trial = Trial::ignorable_test("a_full_disk_fails_writes_and_loses_no_data", on_a_small_disk);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn on_a_small_disk() -> Result<Completion, Failed> {
    if let Some(absent) = missing_namespaces() {
        return match absent.is_required() {
            true => Err(absent.reason.into()),
            false => Ok(Completion::ignored_with(absent.reason)),
        };
    }
    let folder = tempfile::tempdir()?;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK])
        .arg(std::env::current_exe()?)
        .arg(folder.path())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(Completion::Completed) } else { Err(format!("{}: {errors}", output.status).into()) }
}

fn missing_namespaces() -> Option<Absent> {
    if let Err(absent) = NEEDS.check("unshare") {
        return Some(absent);
    }
    let mount = ["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"];
    match Command::new("unshare").args(mount).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(NEEDS.absent(
                "unshare",
                format!("cannot mount a file system in a new namespace: allow user namespaces ({why})"),
            ))
        }
        Err(error) => Some(NEEDS.absent("unshare", format!("`unshare` is missing: install util-linux ({error})"))),
    }
}

fn provider(folder: &Path) -> LocalProvider {
    let mut config = LocalConfig::new(folder.join("data"));
    (config.port, config.announce) = (0, false);
    LocalProvider::new(config)
}

fn cloud(folder: &Path) -> Cloud {
    Cloud::new(Arc::new(provider(folder)))
}

/// A start on a full disk fails, and leaves no file that prevents the next start.
async fn start_without_room(folder: &Path) {
    std::fs::write(folder.join("filler"), vec![0; TOO_MUCH]).unwrap_err();
    let error = cloud(folder).table::<u32>("items").put("a", &1).await.unwrap_err();
    assert!(error.message().contains("the disk is full"), "{error}");
    std::fs::remove_file(folder.join("filler")).unwrap();
}

async fn fill(folder: &Path) {
    std::fs::create_dir(folder.join("data")).unwrap();
    start_without_room(folder).await;
    let provider = provider(folder);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let (pages, items) = (cloud.bucket("pages"), cloud.table::<Bytes>("items"));
    let mut app = App::new("nothing");
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let server = provider.bind().await.unwrap();
    let hosted = Hosted::new(app, manifest);
    let running = tokio::spawn(server.run(hosted, std::future::pending()));
    pages.put("a", "old").await.unwrap();
    let error = pages.put("a", vec![7; TOO_MUCH]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "the disk is full; nothing was written");
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "old");
    let contents = std::fs::read_dir(folder.join("data/objects")).unwrap().count();
    assert_eq!(contents, 1, "a failed write uses no space");
    pages.put("b", "still room").await.unwrap();

    std::fs::write(folder.join("filler"), vec![0; TOO_MUCH]).unwrap_err();
    let mut count = 0;
    let error: Error = loop {
        match items.put(count.to_string(), &Bytes::from(vec![7; 20_000])).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
        assert!(count < 2_000, "the disk does not fill");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().starts_with("the disk is full"), "{error}");
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap_err();
    assert!(ended.message().contains("the disk is full; free space, then start the app again"), "{ended}");
    std::fs::remove_file(folder.join("filler")).unwrap();
    std::fs::write(folder.join("count"), count.to_string()).unwrap();
}

/// All acknowledged writes are stored, and further writes succeed.
async fn check(folder: &Path) {
    let cloud = cloud(folder);
    let (pages, items) = (cloud.bucket("pages"), cloud.table::<Bytes>("items"));
    let count: u32 = std::fs::read_to_string(folder.join("count")).unwrap().parse().unwrap();
    for number in 0..count {
        let item = items.get(number.to_string()).await.unwrap();
        assert_eq!(item.map(|item| item.len()), Some(20_000), "item {number} is lost");
    }
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "old");
    assert_eq!(pages.get("b").await.unwrap().bytes().await.unwrap(), "still room");
    pages.put("a", "new").await.unwrap();
    items.put("after", &Bytes::from_static(b"room")).await.unwrap();
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "new");
}
