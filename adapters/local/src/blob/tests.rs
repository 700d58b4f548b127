mod signatures;

use std::path::Path as FilePath;
use std::time::Duration;

use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::ManualClock;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::*;

struct Place {
    folder: tempfile::TempDir,
    clock: ManualClock,
    store: Store,
    queue: Queue,
}

impl Place {
    fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    fn in_folder(folder: tempfile::TempDir) -> Self {
        let (store, clock) = (Store::new(folder.path(), 8 << 20), ManualClock::default());
        let queue = Queue::new(store.clone(), Arc::new(clock.clone()), None);
        Self { folder, clock, store, queue }
    }

    fn bucket(&self, name: &str) -> LocalBlob {
        let signer = Arc::new(Signer::new(self.store.clone()));
        LocalBlob::new(name, self.store.clone(), Arc::new(self.clock.clone()), self.queue.clone(), signer)
    }

    fn pages(&self) -> Arc<dyn ObjectStore> {
        self.bucket("pages").object_store()
    }

    /// As after the end of the process: the file is closed and opened again.
    fn restart(self) -> Self {
        let Self { folder, clock, store, queue } = self;
        drop((store, queue));
        let place = Self { clock, ..Self::in_folder(folder) };
        // The thread that writes lets go of the file a moment after the last handle is gone.
        let opened = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            place.store.open().is_ok()
        });
        assert!(opened);
        place
    }

    fn files(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path().join("objects"));
        entries.map_or(0, Iterator::count)
    }
}

fn path(stored: &str) -> Path {
    Path::parse(stored).unwrap()
}

async fn put(
    store: &dyn ObjectStore,
    at: &str,
    content: &'static str,
    mode: PutMode,
) -> object_store::Result<PutResult> {
    store
        .put_opts(&path(at), PutPayload::from_static(content.as_bytes()), PutOptions { mode, ..Default::default() })
        .await
}

async fn read(store: &dyn ObjectStore, at: &str) -> object_store::Result<bytes::Bytes> {
    store.get(&path(at)).await?.bytes().await
}

#[tokio::test]
async fn objects_and_attributes_are_there_after_a_restart() {
    let place = Place::new();
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/html"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::ContentDisposition, "attachment"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::ContentLanguage, "de"),
        (Attribute::Metadata("content-type".into()), "mine"),
    ]);
    let options = PutOptions { attributes: attributes.clone(), ..Default::default() };
    let content = bytes::Bytes::from((0..=255).cycle().take(1_000_000).collect::<Vec<u8>>());
    let put = place.pages().put_opts(&path("a/b"), content.clone().into(), options).await.unwrap();
    let (written_at, place) = (place.clock.now(), place.restart());
    let found = place.pages().get(&path("a/b")).await.unwrap();
    assert_eq!(found.attributes, attributes);
    assert_eq!((found.meta.size, found.meta.e_tag.clone()), (1_000_000, put.e_tag));
    assert_eq!(std::time::SystemTime::from(found.meta.last_modified), written_at);
    assert_eq!(found.bytes().await.unwrap(), content);
    let part = place.pages().get_range(&path("a/b"), 262_100..262_200).await.unwrap();
    assert_eq!(part, content.slice(262_100..262_200));
    let head = place.pages().get_opts(&path("a/b"), GetOptions::new().with_head(true)).await.unwrap();
    assert_eq!((head.attributes.len(), head.meta.size), (6, 1_000_000));
    assert_eq!(buckets(&place.store).unwrap(), [("pages".to_owned(), 1)]);
}

#[tokio::test]
async fn an_attribute_that_cannot_be_kept_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let attributes = Attributes::from_iter([(Attribute::StorageClass, "cold")]);
    let options = PutOptions { attributes, ..Default::default() };
    let refused = place.pages().put_opts(&path("a"), "x".into(), options).await.unwrap_err();
    assert_eq!(isobar_abstraction::Error::from(refused).kind(), ErrorKind::Unsupported);
    assert_eq!(place.files(), 0);
    assert!(matches!(read(&*place.pages(), "a").await, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn an_upload_that_is_dropped_or_aborted_removes_its_file() {
    let place = Place::new();
    let pages = place.pages();
    let mut upload = pages.put_multipart(&path("a")).await.unwrap();
    upload.put_part("part".into()).await.unwrap();
    assert_eq!(place.files(), 1);
    drop(upload);
    assert_eq!(place.files(), 0);
    let mut upload = pages.put_multipart(&path("a")).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(place.files(), 0);
    let condition = isobar_abstraction::driver::blob::WriteCondition(PutMode::Create);
    let mut options = PutMultipartOptions::default();
    options.extensions.insert(condition);
    let mut upload = pages.put_multipart_opts(&path("a"), options).await.unwrap();
    upload.put_part("slow".into()).await.unwrap();
    put(&*pages, "a", "quick", PutMode::Overwrite).await.unwrap();
    assert!(matches!(upload.complete().await, Err(object_store::Error::AlreadyExists { .. })));
    drop(upload);
    assert_eq!((read(&*pages, "a").await.unwrap(), place.files()), ("quick".into(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_dropped_at_any_point_leaves_the_old_or_the_new_whole() {
    let place = Place::new();
    let pages = place.pages();
    let of = |byte: u8| bytes::Bytes::from(vec![byte; 200_000]);
    pages.put(&path("a"), of(0).into()).await.unwrap();
    for round in 1..60 {
        let at = path("a");
        let writing = pages.put_opts(&at, of(round).into(), PutOptions::default());
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round) * 50), writing).await;
        let found = read(&*pages, "a").await.unwrap();
        assert!(found.len() == 200_000 && found.iter().all(|byte| *byte == found[0]), "round {round}");
    }
    let settled = async {
        while place.files() != 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.expect("files were left behind");
}

#[tokio::test]
async fn what_a_crash_left_is_collected_and_nothing_else() {
    let place = Place::new();
    assert_eq!(collect_orphans(&place.store).await.unwrap(), 0);
    put(&*place.pages(), "a", "kept", PutMode::Overwrite).await.unwrap();
    put(&*place.bucket("other").object_store(), "a", "kept", PutMode::Overwrite).await.unwrap();
    let objects = place.folder.path().join("objects");
    std::fs::write(objects.join(format!("{:032x}", 7)), "left by a crash").unwrap();
    std::fs::write(objects.join("notes.txt"), "not ours").unwrap();
    let mut upload = place.pages().put_multipart(&path("b")).await.unwrap();
    upload.put_part("being written".into()).await.unwrap();
    assert_eq!(collect_orphans(&place.store).await.unwrap(), 1);
    upload.complete().await.unwrap();
    assert_eq!(read(&*place.pages(), "b").await.unwrap(), "being written");
    assert_eq!(read(&*place.pages(), "a").await.unwrap(), "kept");
    assert_eq!(collect_orphans(&place.store).await.unwrap(), 0);
    assert_eq!(place.files(), 4);
}

#[tokio::test]
async fn refused_writes_and_deletes_leave_no_file() {
    let place = Place::new();
    let pages = place.pages();
    let old = put(&*pages, "a", "old", PutMode::Create).await.unwrap();
    assert!(put(&*pages, "a", "another", PutMode::Create).await.is_err());
    put(&*pages, "a", "new", PutMode::Overwrite).await.unwrap();
    assert!(put(&*pages, "a", "late", PutMode::Update(old.into())).await.is_err());
    assert_eq!((read(&*pages, "a").await.unwrap(), place.files()), ("new".into(), 1));
    pages.delete(&path("a")).await.unwrap();
    assert_eq!(place.files(), 0);
}

#[tokio::test]
async fn damaged_content_is_an_error_and_never_other_bytes() {
    let place = Place::new();
    put(&*place.pages(), "a", "content", PutMode::Overwrite).await.unwrap();
    let only = |folder: &FilePath| std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let file = only(&place.folder.path().join("objects"));
    std::fs::write(&file, "con").unwrap();
    let short = isobar_abstraction::Error::from(read(&*place.pages(), "a").await.unwrap_err());
    assert_eq!(short.kind(), ErrorKind::Internal);
    std::fs::remove_file(&file).unwrap();
    let missing = isobar_abstraction::Error::from(read(&*place.pages(), "a").await.unwrap_err());
    assert!(missing.message().contains("is missing"), "{missing}");
    put(&*place.pages(), "a", "again", PutMode::Overwrite).await.unwrap();
    assert_eq!(read(&*place.pages(), "a").await.unwrap(), "again");
}

#[tokio::test]
async fn no_name_reaches_outside_the_folder_of_content() {
    let place = Place::new();
    let names = ["%2E%2E/%2E%2E/etc/passwd", "con", "A", "a", "x\u{10ffff}", "%5C", &"long/".repeat(200)[..999]];
    for name in names {
        put(&*place.pages(), name, "x", PutMode::Create).await.unwrap();
    }
    assert_eq!(place.files(), names.len());
    let top = std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut top: Vec<_> = top.collect();
    top.sort();
    assert_eq!(top, [".gitignore", "isobar.lock", "isobar.redb", "objects"]);
}

#[tokio::test]
async fn a_delimited_list_looks_at_one_object_of_each_group() {
    let place = Place::new();
    let blob = place.bucket("pages");
    let write = |transaction: &redb::WriteTransaction| {
        let mut rows = records::RECORDS.open_in(transaction, &records::RECORDS.member("pages"))?;
        let names = (0..3_000).map(|number| format!("in/g{}/{number:04}", number % 3));
        for name in names.chain(["in/a".to_owned(), "in/z".to_owned(), "out".to_owned()]) {
            let record = records::Record { id: 1, size: 1, modified_ms: 1 };
            records::put(&mut rows, &name, &PutMode::Create, record, &[])?;
        }
        Ok(())
    };
    place.store.write(write).await.unwrap();
    for limit in [1, 2, 100] {
        let mut request = ListRequest::new("in/", limit).with_delimiter("/");
        let (mut found, mut looks) = (Vec::new(), 0);
        loop {
            let page = blob.list(&request).await.unwrap();
            looks += looks_of(&place, &request);
            found.extend(page.prefixes);
            found.extend(page.objects.into_iter().map(|meta| meta.location.to_string()));
            request.after = page.resume;
            if request.after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, ["in/a", "in/g0/", "in/g1/", "in/g2/", "in/z"], "limit {limit}");
        assert!(looks <= 25, "{looks} looks with limit {limit}");
    }
}

fn looks_of(place: &Place, request: &ListRequest) -> usize {
    let rows = records::RECORDS.open(&place.store.read().unwrap(), &records::RECORDS.member("pages")).unwrap();
    records::Names::new(request, rows.unwrap()).unwrap().count()
}
