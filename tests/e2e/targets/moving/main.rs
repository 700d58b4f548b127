//! Data moves between all pairs of backends: what is hard to move arrives, and nothing is written twice.
//!
//! Each side is filled once, by the portable types. The sides that need programs are ignored with the reason where one is missing.
#![allow(clippy::unwrap_used, clippy::panic)] // a target fails by panicking

mod backends;
mod data;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use isobar::blob::key;
use isobar::driver::key_value::Put;
use isobar::driver::pub_sub::{
    Backlog, BacklogMessage, BacklogPart, DeadLetterDetails, Message, MessageId, dead_letters,
};
use isobar::driver::{Clock, Location, ResourceKind};
use isobar::object_store::{Attribute, Attributes, PutOptions};
use isobar::{Cloud, Error, EventQueue};
use isobar_conformance::TrialResult;
use isobar_conformance::strange::{STRANGE_KEYS, STRANGE_SORTS};
use isobar_moving::backup::Backup;
use isobar_moving::{Difference, Journal, Options, Place, Report, Side, Watch, backup, migrate, move_messages, verify};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use backends::{Backend, Opened, backends};

const RESOURCES: [(ResourceKind, &str); 2] = [(ResourceKind::Table, "items"), (ResourceKind::Bucket, "files")];

/// The longest time of one trial.
const LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let listed = arguments.list;
    let (backends, guard) = backends(listed);
    let mut trials = Vec::new();
    for from in &backends {
        for to in &backends {
            let name = format!("{}_to_{}", from.name, to.name);
            trials.push(trial(&name, from, to, |from, to| Box::pin(moves(from, to))));
        }
        trials.push(trial(&format!("{}_to_file_and_back", from.name), from, from, |from, _| Box::pin(by_file(from))));
    }
    for (from, to) in
        [("memory", "local"), ("local", "moto"), ("moto", "azurite"), ("cosmos", "gcp"), ("gcp", "memory")]
    {
        let of = |name: &str| backends.iter().find(|backend| backend.name == name).unwrap();
        let name = format!("changes_{from}_to_{to}");
        trials.push(trial(&name, of(from), of(to), |from, to| Box::pin(follows_changes(from, to))));
        let name = format!("differences_{from}_to_{to}");
        trials.push(trial(&name, of(from), of(to), |from, to| Box::pin(finds_differences(from, to))));
    }
    for (from, to) in [
        ("memory", "local"),
        ("local", "moto"),
        ("moto", "azurite"),
        ("azurite", "gcp"),
        ("gcp", "cosmos"),
        ("cosmos", "memory"),
    ] {
        let of = |name: &str| backends.iter().find(|backend| backend.name == name).unwrap();
        let name = format!("messages_{from}_to_{to}");
        trials.push(trial(&name, of(from), of(to), |from, to| Box::pin(moves_messages(from, to))));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(guard);
    conclusion.exit_code()
}

/// One for all trials, because the sides that are filled once have tasks on it.
fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    &RUNTIME
}

type Check = fn(Arc<Backend>, Arc<Backend>) -> BoxFuture<'static, TrialResult>;

fn trial(name: &str, from: &Arc<Backend>, to: &Arc<Backend>, check: Check) -> Trial {
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    Trial::ignorable_test(format!("moving::{name}"), move || {
        for backend in [&from, &to] {
            if let Err(absent) = &backend.open {
                return match absent.is_required() {
                    true => Err(Failed::from(&absent.reason)),
                    false => Ok(Completion::ignored_with(&absent.reason)),
                };
            }
        }
        let ended = runtime().block_on(async { tokio::time::timeout(LIMIT, tokio::spawn(check(from, to))).await });
        match ended {
            Ok(Ok(done)) => done.map(|()| Completion::Completed).map_err(|error| format!("{error:?}").into()),
            Ok(Err(panic)) => Err(panic.to_string().into()),
            Err(_) => Err(format!("the trial did not end within {LIMIT:?}").into()),
        }
    })
}

/// What a move reports.
#[derive(Default)]
struct Found {
    differences: Mutex<BTreeMap<String, Difference>>,
    unfit: Mutex<Vec<String>>,
}

impl Watch for Found {
    fn difference(&self, at: &Place, difference: Difference) {
        let key = at.sort.as_ref().map_or(at.key.clone(), |sort| format!("{}/{sort}", at.key));
        self.differences.lock().insert(key, difference);
    }

    fn unfit(&self, at: &Place, why: &str) {
        self.unfit.lock().push(format!("{at}: {why}"));
    }
}

fn written(reports: &[Report]) -> u64 {
    reports.iter().filter_map(|report| report.moved).map(|moved| moved.written).sum()
}

fn equal(reports: &[Report]) -> u64 {
    assert!(reports.iter().all(Report::is_equal), "{reports:?}");
    reports.iter().map(|report| report.compared.equal).sum()
}

/// The number of all items and objects, without the expired item.
fn all() -> u64 {
    let items = STRANGE_SORTS.len() + STRANGE_SORTS.iter().filter(|it| !it.is_empty()).count() + 10;
    let named = STRANGE_KEYS.iter().filter(|key| ["a//b", "dir/", "empty"].contains(key)).count();
    (items + STRANGE_KEYS.len() + 6 - named) as u64
}

async fn moves(from: Arc<Backend>, to: Arc<Backend>) -> TrialResult {
    let (source, target) = (from.filled().await, to.fresh().await);
    target.clock.advance(Duration::from_secs(60));
    let (from, to) = (source.side("from"), target.side("to"));
    let (journal, found) = (Journal::in_memory()?, Found::default());
    let first = migrate(&from, &to, &journal, &Options::default(), &found).await?;
    assert_eq!((written(&first), equal(&first)), (all(), all()), "{:?} {:?}", found.differences, found.unfit);
    let second = migrate(&from, &to, &journal, &Options::default(), &()).await?;
    assert_eq!((written(&second), equal(&second)), (0, all()));
    // Without the journal both sides are read.
    assert_eq!(equal(&verify(&from, &to, false, &Options::default(), &found).await?), all(), "{:?}", found.differences);
    let third = migrate(&from, &to, &Journal::in_memory()?, &Options::default(), &()).await?;
    assert_eq!((written(&third), equal(&third)), (0, all()));
    Ok(())
}

async fn by_file(from: Arc<Backend>) -> TrialResult {
    let (source, target) = (from.filled().await, from.fresh().await);
    target.clock.advance(Duration::from_secs(60));
    let folder = TempDir::new()?;
    let file: PathBuf = folder.path().join("all.isobar");
    let clock: Arc<dyn Clock> = Arc::new(source.clock.clone());
    let made = backup(&source.side("from"), &file, Arc::clone(&clock), &Options::default(), &()).await?;
    assert_eq!((written(&made), equal(&made)), (all(), all()));
    let opened = Backup::open(&file, clock)?;
    let restored =
        migrate(&opened.side(), &target.side("to"), &Journal::in_memory()?, &Options::default(), &()).await?;
    assert_eq!((written(&restored), equal(&restored)), (all(), all()));
    let found = Found::default();
    let compared = verify(&source.side("from"), &target.side("to"), false, &Options::default(), &found).await?;
    assert_eq!(equal(&compared), all(), "{:?}", found.differences);
    let compared = verify(&source.side("from"), &opened.side(), false, &Options::default(), &found).await?;
    assert_eq!(equal(&compared), all(), "{:?}", found.differences);
    Ok(())
}

/// A second run moves what changed, and deletes what an earlier run wrote, and nothing else.
async fn follows_changes(from: Arc<Backend>, to: Arc<Backend>) -> TrialResult {
    let (source, target) = (from.fresh().await, to.fresh().await);
    let cloud = |opened: &Opened| Cloud::new(Arc::clone(&opened.provider));
    let (ours, theirs) = (cloud(&source), cloud(&target));
    let (items, files) = (ours.table::<String>("items"), ours.bucket("files"));
    for n in 0..300 {
        items.put((format!("p{}", n % 7), format!("{n:04}")), &format!("value {n}")).await?;
    }
    for n in 0..30 {
        files.put(&format!("{n:04}"), format!("content {n}")).await?;
    }
    theirs.table::<String>("items").put("theirs", &"was there".to_owned()).await?;
    theirs.bucket("files").put("theirs", "was there").await?;
    let (from, to) = (source.side("from"), target.side("to"));
    let journal = Journal::in_memory()?;
    let found = Found::default();
    let first = migrate(&from, &to, &journal, &Options::default(), &found).await?;
    assert_eq!(written(&first), 330);
    let extra = |reports: &[Report]| reports.iter().map(|report| report.compared.extra).sum::<u64>();
    assert_eq!(extra(&first), 2, "{:?}", found.differences);

    items.put(("p0", "0000"), &"another".to_owned()).await?;
    items.put(("new", ""), &"new".to_owned()).await?;
    items.delete(("p1", "0001")).await?;
    files.put("0000", "another").await?;
    files.put("new", "new").await?;
    files.delete("0001").await?;
    let second = migrate(&from, &to, &journal, &Options::default(), &()).await?;
    assert_eq!((written(&second), extra(&second)), (4, 2));
    assert_eq!(second.iter().filter_map(|report| report.moved).map(|moved| moved.deleted).sum::<u64>(), 2);
    let there = theirs.table::<String>("items");
    assert_eq!(there.get(("p0", "0000")).await?.as_deref(), Some("another"));
    assert_eq!((there.get(("p1", "0001")).await?, there.get("theirs").await?.as_deref()), (None, Some("was there")));
    assert_eq!(theirs.bucket("files").get("theirs").await?.bytes().await?, "was there");

    // What was changed at the target since is not what the first run wrote.
    there.put(("p2", "0002"), &"theirs now".to_owned()).await?;
    items.delete(("p2", "0002")).await?;
    let third = migrate(&from, &to, &journal, &Options::default(), &()).await?;
    assert_eq!((written(&third), extra(&third)), (0, 3));
    let all = Options::default().with_delete_extra(true);
    assert!(migrate(&from, &to, &journal, &all, &()).await?.iter().all(Report::is_equal));
    assert_eq!(there.get("theirs").await?, None);
    Ok(())
}

/// Each difference is found, and repaired.
async fn finds_differences(from: Arc<Backend>, to: Arc<Backend>) -> TrialResult {
    let (source, target) = (from.fresh().await, to.fresh().await);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_000);
    let items = |opened: &Opened| opened.provider.key_value(&Location::new(ResourceKind::Table, "items")).unwrap();
    let store =
        |opened: &Opened| opened.provider.blob(&Location::new(ResourceKind::Bucket, "files")).unwrap().object_store();
    let path = |name: &str| key::to_path(name, 1_024).unwrap();
    let with = |kind: &str, owner: &str| {
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, kind.to_owned()),
            (Attribute::Metadata("owner".into()), owner.to_owned()),
        ]);
        PutOptions { attributes, ..PutOptions::default() }
    };
    for n in 0..200 {
        let put = Put::new(("p", format!("{n:04}").as_str()), format!("value {n}"));
        items(&source).put(put.with_expires_at(now + Duration::from_secs(3_600))).await?;
    }
    for n in 0..10 {
        let content = format!("content {n}");
        store(&source).put_opts(&path(&format!("{n}")), content.into(), with("text/plain", "ada")).await?;
    }
    let (from, to) = (source.side("from"), target.side("to"));
    let journal = Journal::in_memory()?;
    assert_eq!(equal(&migrate(&from, &to, &journal, &Options::default(), &()).await?), 210);

    let there = items(&target);
    there.put(Put::new(("p", "0001"), "Value 1").with_expires_at(now + Duration::from_secs(3_600))).await?;
    there.put(Put::new(("p", "0002"), "value 2").with_expires_at(now + Duration::from_millis(3_600_001))).await?;
    there.put(Put::new(("p", "0003"), "value 3")).await?;
    there.delete(&("p", "0004").into(), None).await?;
    there.put(Put::new("extra", "x")).await?;
    let objects = store(&target);
    objects.put_opts(&path("1"), "Content 1".into(), with("text/plain", "ada")).await?;
    objects.put_opts(&path("2"), "content 2".into(), with("text/css", "ada")).await?;
    objects.put_opts(&path("3"), "content 3".into(), with("text/plain", "eve")).await?;
    theirs(&target).delete("4").await?;
    objects.put_opts(&path("extra"), "x".into(), PutOptions::default()).await?;
    let expected = BTreeMap::from([
        ("p/0001".to_owned(), Difference::Value),
        ("p/0002".to_owned(), Difference::Expiry),
        ("p/0003".to_owned(), Difference::Expiry),
        ("p/0004".to_owned(), Difference::Missing),
        ("extra/".to_owned(), Difference::Extra),
        ("1".to_owned(), Difference::Value),
        ("2".to_owned(), Difference::Type),
        ("3".to_owned(), Difference::Metadata),
        ("4".to_owned(), Difference::Missing),
        ("extra".to_owned(), Difference::Extra),
    ]);
    let found = Found::default();
    let reports = verify(&from, &to, false, &Options::default(), &found).await?;
    assert_eq!(*found.differences.lock(), expected);
    assert_eq!(reports.iter().map(|report| report.compared.equal).sum::<u64>(), 202);

    let found = Found::default();
    let reports = verify(&from, &to, true, &Options::default(), &found).await?;
    assert_eq!(reports.iter().map(|report| report.compared.repaired).sum::<u64>(), 8);
    assert!(found.differences.lock().values().all(|difference| *difference == Difference::Extra));
    let all = Options::default().with_delete_extra(true);
    assert!(verify(&from, &to, true, &all, &()).await?.iter().all(Report::is_equal));
    assert_eq!(equal(&verify(&from, &to, false, &Options::default(), &()).await?), 210);
    Ok(())
}

/// Messages and dead letters arrive with all that they have, and are gone at the source; what waits for its time is left.
async fn moves_messages(from: Arc<Backend>, to: Arc<Backend>) -> TrialResult {
    let queue = EventQueue::topic("jobs");
    let (from, to) = (from.fresh().await, to.fresh().await);
    let (source, target) = ((from.backlog)(&queue)?, (to.backlog)(&queue)?);
    let now = from.provider.clock().now();
    let message = |n: usize| {
        let mut message = Message::new(MessageId::new(format!("m{n}")), Bytes::from(vec![0xff, n as u8]), now);
        message.attributes.insert("lang".to_owned(), "de".to_owned());
        BacklogMessage::new(message)
    };
    let dead = message(100).with_dead(DeadLetterDetails::new(5, "no such page", now, "jobs"));
    for sent in source.send(BacklogPart::Waiting, (0..25).map(message).collect()).await {
        sent?;
    }
    for sent in source.send(BacklogPart::Dead, vec![dead]).await {
        sent?;
    }
    let side = |backlog: &Arc<dyn Backlog>| Side::new("queues").with_backlog(&queue, Arc::clone(backlog));
    let journal = Journal::in_memory()?;
    let move_all = || async {
        let mut reports = move_messages(&side(&source), &side(&target), &journal, &Options::default(), &()).await?;
        Ok::<_, Error>(reports.remove(0))
    };
    let first = move_all().await?;
    assert_eq!((first.waiting, first.dead, first.left), (25, 1, 0));
    let second = move_all().await?;
    assert_eq!((second.waiting, second.dead, second.left), (0, 0, 0));

    let mut bodies = BTreeSet::new();
    loop {
        let leased = target.lease(BacklogPart::Waiting, 10, Duration::from_secs(300)).await?;
        if leased.is_empty() {
            break;
        }
        for it in leased {
            assert_eq!(it.message.message.attributes["lang"], "de");
            bodies.insert(it.message.message.body);
        }
    }
    assert_eq!(bodies, (0..25).map(|n| Bytes::from(vec![0xff, n])).collect());
    let dead = dead_letters(&*target, 10).await?;
    let details = dead[0].details();
    assert_eq!((dead.len(), details.attempts, details.reason.as_str()), (1, 5, "no such page"));
    Ok(())
}

fn theirs(opened: &Opened) -> isobar::blob::Bucket {
    Cloud::new(Arc::clone(&opened.provider)).bucket("files")
}
