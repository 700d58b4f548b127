//! The data file on bad days: damage, a full or missing place, other users of the machine.

use std::fs;

use futures_util::FutureExt;
use redb::TableDefinition;
use tempfile::TempDir;

use super::*;

const NUMBERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("numbers");

async fn put(store: &Store, number: u64) -> Result<()> {
    let write = move |transaction: &WriteTransaction| {
        let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
        numbers.insert(number, &[7; 500][..]).map_err(failed)?;
        Ok(())
    };
    store.write(write).await
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("isobar.redb")
}

/// The file of a store of many numbers: as a kill leaves it, and as the end of the process does.
async fn files() -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), 8 << 20);
    for number in 0..200 {
        put(&store, number).await.unwrap();
    }
    let killed = fs::read(file(&folder)).unwrap();
    drop(store);
    (killed, fs::read(file(&folder)).unwrap())
}

fn names(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_repaired_on_a_copy_and_what_cannot_be_is_left_as_it_was() {
    let (killed, closed) = files().await;
    let mut damages = vec![Vec::new()];
    for whole in [&killed, &closed] {
        damages.push(whole.clone());
        // redb takes a file for whole that ends with a page.
        damages.extend((1..16).map(|part| whole[..whole.len() * part / 16 / 4_096 * 4_096].to_vec()));
        damages.extend((0..16).map(|part| {
            let mut damaged = whole.clone();
            (0..12).for_each(|byte| damaged[whole.len() * part / 32 + byte * 7] ^= 0xA5);
            damaged
        }));
    }
    let (mut repaired, mut refused) = (0, 0);
    for (number, damaged) in damages.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(file(&folder), damaged).unwrap();
        let opened = Store::new(folder.path(), 8 << 20).open();
        let copies = ["isobar.redb.before-repair", "isobar.redb.damaged-1"].map(|name| folder.path().join(name));
        match (opened, copies.iter().find(|copy| copy.exists())) {
            (Ok(()), Some(copy)) => {
                assert_eq!(&fs::read(copy).unwrap(), damaged, "damage {number}: the copy is another");
                repaired += 1;
            }
            (Ok(()), None) => assert_eq!(damaged[..32], closed[..32], "damage {number}: repaired without a copy"),
            (Err(error), _) => {
                assert_eq!(error.kind(), ErrorKind::Internal, "damage {number}: {error}");
                assert!(&fs::read(file(&folder)).unwrap() == damaged, "damage {number} was changed");
                assert_eq!(names(&folder), ["isobar.lock", "isobar.redb"], "damage {number}");
                refused += 1;
            }
        }
    }
    assert!(repaired > 0 && refused > 10, "{repaired} repaired, {refused} refused");
}

#[tokio::test]
async fn after_a_kill_nothing_is_missing_and_the_file_as_it_was_is_kept() {
    let (killed, _) = files().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(file(&folder), &killed).unwrap();
    let store = Store::new(folder.path(), 8 << 20);
    let numbers = store.read().unwrap().open_table(NUMBERS).unwrap();
    assert_eq!(redb::ReadableTableMetadata::len(&numbers).unwrap(), 200);
    assert_eq!(fs::read(folder.path().join("isobar.redb.before-repair")).unwrap(), killed);
}

#[tokio::test]
async fn a_panic_is_an_error_of_all_waiting_callers_and_ends_the_store_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), 8 << 20);
    put(&store, 1).await.unwrap();
    let before = put(&store, 2);
    let panics = store.write::<()>(|_| panic!("as redb does on a damaged page"));
    let (_, broken, after) = tokio::join!(before, panics, put(&store, 3));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Unavailable);
    let end = store.ended().now_or_never().unwrap();
    assert!(end.message().contains("--check") && end.resource() == file(&folder).to_str(), "{end}");
    for refused in [after, put(&store, 4).await, store.read().map(drop)] {
        assert_eq!(refused.unwrap_err().message(), end.message());
    }
    drop(store);
    let store = Store::new(folder.path(), 8 << 20);
    assert!(put(&store, 5).await.is_ok());
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_takes_no_write() {
    for replaced in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let store = Store::new(&data, 8 << 20);
        put(&store, 1).await.unwrap();
        fs::remove_dir_all(&data).unwrap();
        let other = replaced.then(|| {
            let other = Store::new(&data, 8 << 20);
            other.open().unwrap();
            other
        });
        let error = put(&store, 2).await.unwrap_err();
        assert!(error.message().contains("removed or replaced") && error.outcome_unknown(), "{error:?}");
        assert!(store.ended().now_or_never().is_some() && store.check_place().await.is_err());
        assert_eq!(data.exists(), replaced, "nothing makes the folder again");
        assert!(store.read().is_err());
        drop(other);
    }
}

#[tokio::test]
async fn a_missing_file_is_not_replaced_where_content_of_objects_is_left() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("objects")).unwrap();
    Store::new(folder.path(), 8 << 20).open().unwrap();
    fs::remove_file(file(&folder)).unwrap();
    fs::write(folder.path().join("objects/1"), "content").unwrap();
    let error = Store::new(folder.path(), 8 << 20).open().unwrap_err();
    assert!(error.message().contains("missing") && !file(&folder).exists(), "{error}");
}

#[test]
fn what_an_aborted_start_left_does_not_hinder_the_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("isobar.redb.new"), "half").unwrap();
    fs::write(folder.path().join("isobar.redb.repair"), "half").unwrap();
    Store::new(folder.path(), 8 << 20).open().unwrap();
    assert!(!folder.path().join("isobar.redb.new").exists());
}

#[test]
fn secrets_above_the_folder_of_a_stage_are_not_for_a_repository() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(".isobar");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("secrets.json"), "{}").unwrap();
    Store::new(data.join("stages/dev"), 8 << 20).open().unwrap();
    assert_eq!(fs::read_to_string(data.join(".gitignore")).unwrap(), "*\n");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let wide = folder.path().join("wide");
    fs::create_dir(&wide).unwrap();
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o755)).unwrap();
    let made = folder.path().join("made/deep");
    for data in [&wide, &made] {
        let store = Store::new(data, 8 << 20);
        put(&store, 1).await.unwrap();
        crate::store::folder::write_whole(&data.join("signing.key"), b"secret").unwrap();
        drop(store);
        // As an earlier version left it, and as a kill leaves it.
        fs::set_permissions(data.join("isobar.redb"), fs::Permissions::from_mode(0o644)).unwrap();
        let store = Store::new(data, 8 << 20);
        put(&store, 2).await.unwrap();
        let killed = fs::read(data.join("isobar.redb")).unwrap();
        drop(store);
        fs::write(data.join("isobar.redb"), killed).unwrap();
        Store::new(data, 8 << 20).open().unwrap();
        for entry in fs::read_dir(data).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(fs::read_to_string(data.join(".gitignore")).unwrap(), "*\n");
    }
    assert_eq!((mode(&wide), mode(&made)), (0o755, 0o700));
}

#[tokio::test]
async fn a_check_reads_all_and_changes_nothing() {
    let (killed, closed) = files().await;
    let mut damaged = closed.clone();
    (1..40).for_each(|page| damaged[page * 4_096 + 100] ^= 0xA5);
    for (content, whole) in [(&killed, true), (&closed, true), (&damaged, false), (&Vec::new(), false)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(file(&folder), content).unwrap();
        let checked = Store::new(folder.path(), 8 << 20).check();
        assert_eq!(checked.is_ok(), whole, "{checked:?}");
        assert!(&fs::read(file(&folder)).unwrap() == content, "the check changed the file");
        assert_eq!(names(&folder), ["isobar.redb"]);
    }
    let folder = tempfile::tempdir().unwrap();
    Store::new(folder.path(), 8 << 20).open().unwrap();
    assert!(Store::new(folder.path(), 8 << 20).check().is_ok());
}

#[test]
fn a_check_makes_no_folder_and_a_store_that_is_open_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("data");
    assert_eq!(Store::new(&missing, 8 << 20).check().unwrap(), "there is no data file yet");
    assert!(!missing.exists());
    let open = Store::new(folder.path(), 8 << 20);
    open.open().unwrap();
    let refused = Store::new(folder.path(), 8 << 20).check().unwrap_err();
    assert!(refused.message().contains("another process"), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_check_leaves_the_rights_of_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_, closed) = files().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(file(&folder), closed).unwrap();
    fs::set_permissions(file(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    Store::new(folder.path(), 8 << 20).check().unwrap();
    assert_eq!(file(&folder).metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[tokio::test]
async fn a_check_that_cannot_copy_a_closed_file_does_not_say_that_it_was_not_closed() {
    let (_, closed) = files().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(file(&folder), closed).unwrap();
    // The copy finds its name taken.
    fs::create_dir(folder.path().join("isobar.redb.check")).unwrap();
    let refused = Store::new(folder.path(), 8 << 20).check().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.message().contains("the check reads a copy"), "{refused}");
}

#[test]
fn a_full_disk_says_whether_it_is_known_that_nothing_was_written() {
    let full = || redb::Error::Io(io::ErrorKind::StorageFull.into());
    let (before, at_commit) = (failed(full()), commit_failed(full()));
    assert_eq!((before.message(), before.outcome_unknown()), ("the disk is full; nothing was written", false));
    assert!(at_commit.outcome_unknown());
    let message = "the disk is full; the outcome of the last writes is known at the next start";
    assert_eq!(at_commit.message(), message);
    for error in [before, at_commit] {
        let last = writer::last_word(&error, Path::new("isobar.redb"));
        assert!(last.message().contains("free space, then start the app again"), "{last}");
    }
}

#[tokio::test]
async fn an_answer_that_panics_ends_the_store_and_keeps_no_other_from_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), 8 << 20);
    put(&store, 1).await.unwrap();
    let job: Job = Box::new(|_| {
        let finish: Finish = Box::new(|_| panic!("as a value can when it is dropped"));
        (None, finish)
    });
    store.opened().unwrap().writer.send(job).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), store.ended()).await.unwrap();
    let refused = put(&store, 2).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Unavailable, ended.message()));
}
