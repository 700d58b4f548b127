//! On a disk that is really full, writes are refused, nothing is lost, the host ends and says why, and all is well
//! at the next start that has room.
//!
//! The disk is one of 16 MB in memory, in namespaces of the trial's own (`unshare` of util-linux), so that
//! nobody must be root. Where that is not allowed the trial is ignored, and says so.
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

/// What the trial starts itself as, on the small disk: `full-disk fill FOLDER`, then `full-disk check FOLDER`.
const CHILD: &str = "full-disk";

/// More than the disk has.
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
    let trial = Trial::ignorable_test("a_full_disk_refuses_writes_and_keeps_what_is_there", on_a_small_disk);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn on_a_small_disk() -> Result<Completion, Failed> {
    if let Some(absent) = without_namespaces() {
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
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(Completion::Completed) } else { Err(format!("{}: {told}", output.status).into()) }
}

fn without_namespaces() -> Option<Absent> {
    if let Err(absent) = NEEDS.check("unshare") {
        return Some(absent);
    }
    let mount = ["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"];
    match Command::new("unshare").args(mount).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(NEEDS.absent("unshare", format!("no small disk may be mounted here: {why}")))
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

/// A start that finds no room leaves nothing behind in which the next one stumbles.
async fn start_without_room(folder: &Path) {
    std::fs::write(folder.join("filler"), vec![0; TOO_MUCH]).unwrap_err();
    let refused = cloud(folder).table::<u32>("items").put("a", &1).await.unwrap_err();
    assert!(refused.message().contains("the disk is full"), "{refused}");
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
    let refused = pages.put("a", vec![7; TOO_MUCH]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(refused.message(), "the disk is full; nothing was written");
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "old");
    let contents = std::fs::read_dir(folder.join("data/objects")).unwrap().count();
    assert_eq!(contents, 1, "what was not written takes no room");
    pages.put("b", "still room").await.unwrap();

    std::fs::write(folder.join("filler"), vec![0; TOO_MUCH]).unwrap_err();
    let mut kept = 0;
    let refused: Error = loop {
        match items.put(kept.to_string(), &Bytes::from(vec![7; 20_000])).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 2_000, "the disk does not fill");
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().starts_with("the disk is full"), "{refused}");
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap_err();
    assert!(ended.message().contains("the disk is full; free space, then start the app again"), "{ended}");
    std::fs::remove_file(folder.join("filler")).unwrap();
    std::fs::write(folder.join("kept"), kept.to_string()).unwrap();
}

/// What was acknowledged is there, and there is room for more.
async fn check(folder: &Path) {
    let cloud = cloud(folder);
    let (pages, items) = (cloud.bucket("pages"), cloud.table::<Bytes>("items"));
    let kept: u32 = std::fs::read_to_string(folder.join("kept")).unwrap().parse().unwrap();
    for number in 0..kept {
        let item = items.get(number.to_string()).await.unwrap();
        assert_eq!(item.map(|item| item.len()), Some(20_000), "item {number} is lost");
    }
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "old");
    assert_eq!(pages.get("b").await.unwrap().bytes().await.unwrap(), "still room");
    pages.put("a", "new").await.unwrap();
    items.put("after", &Bytes::from_static(b"room")).await.unwrap();
    assert_eq!(pages.get("a").await.unwrap().bytes().await.unwrap(), "new");
}
