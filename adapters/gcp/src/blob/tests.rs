//! Cases that emulators do not cover: conditions, lost responses, interrupted uploads.

mod double;
mod signed;

use std::sync::Arc;

use futures_util::TryStreamExt;
use http::{Method, Response};
use isobar_abstraction::driver::blob::WriteCondition;
use isobar_abstraction::driver::{Environment, ResourceKind};
use isobar_abstraction::{Cloud, ErrorKind};
use object_store::path::Path;
use object_store::{
    GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayload, PutResult, UpdateVersion,
};

use super::*;
use crate::{GcpConfig, GcpProvider};
use double::{Fault, StorageDouble};
use isobar_testkit::Double;

/// The double, its server, and its bucket.
async fn bucket() -> (Arc<StorageDouble>, Double, Arc<dyn ObjectStore>) {
    let storage = Arc::new(StorageDouble::default());
    let serving = Arc::clone(&storage);
    let double = Double::new(move |request| serving.answer(request)).await;
    let store = open_bucket(&double.url, "pages").object_store();
    (storage, double, store)
}

fn provider(url: &str) -> GcpProvider {
    let environment = Environment::default().with_var("STORAGE_EMULATOR_HOST", url);
    GcpProvider::new(GcpConfig::from_environment(&environment).unwrap())
}

fn open_bucket(url: &str, name: &str) -> Arc<dyn Blob> {
    open(&provider(url).0, &Location::new(ResourceKind::Bucket, name)).unwrap()
}

fn at(name: &str) -> Path {
    Path::parse(name).unwrap()
}

async fn put(
    store: &Arc<dyn ObjectStore>,
    content: &str,
    mode: object_store::PutMode,
) -> object_store::Result<PutResult> {
    store.put_opts(&at("a"), content.to_owned().into(), mode.into()).await
}

fn update(of: &PutResult) -> object_store::PutMode {
    object_store::PutMode::Update(UpdateVersion { e_tag: of.e_tag.clone(), version: of.version.clone() })
}

fn kind<T>(result: object_store::Result<T>) -> (ErrorKind, bool) {
    let error = Error::from(result.err().unwrap());
    (error.kind(), error.outcome_unknown())
}

use object_store::PutMode::{Create, Overwrite};

#[tokio::test]
async fn a_write_is_one_request_and_respects_its_condition() {
    let (storage, double, store) = bucket().await;
    let first = put(&store, "1", Create).await.unwrap();
    assert_eq!(kind(put(&store, "2", Create).await), (ErrorKind::AlreadyExists, false));
    let second = put(&store, "2", update(&first)).await.unwrap();
    assert_eq!(kind(put(&store, "3", update(&first)).await), (ErrorKind::Conflict, false));
    put(&store, "3", update(&second)).await.unwrap();
    assert_eq!(double.requests().len(), 5);
    assert!(double.requests()[0].contains("uploadType=multipart&name=a&fields=generation%2Csize&ifGenerationMatch=0"));
    assert_eq!(storage.objects()[0].1, "3");
}

#[tokio::test]
async fn a_write_whose_response_was_lost_recognizes_its_object() {
    let (storage, double, store) = bucket().await;
    storage.fail(Method::POST, "uploadType=multipart", Fault::Lost);
    let created = put(&store, "1", Create).await.unwrap();
    // The write, its repetition, and the head.
    assert_eq!(double.requests().len(), 3);
    assert_eq!(created.e_tag, store.head(&at("a")).await.unwrap().e_tag);
    storage.fail(Method::POST, "uploadType=multipart", Fault::Lost);
    let updated = put(&store, "2", update(&created)).await.unwrap();
    assert_eq!(updated.e_tag, store.head(&at("a")).await.unwrap().e_tag);
    let read = store.get(&at("a")).await.unwrap();
    assert!(read.attributes.is_empty(), "{:?}", read.attributes);
    assert_eq!(storage.objects().len(), 1);
}

#[tokio::test]
async fn a_lost_response_does_not_claim_the_write_of_another_client() {
    let (storage, _double, store) = bucket().await;
    put(&store, "another's", Overwrite).await.unwrap();
    storage.fail(Method::POST, "uploadType=multipart", Fault::Lost);
    assert_eq!(kind(put(&store, "1", Create).await), (ErrorKind::AlreadyExists, true));
    assert_eq!(storage.objects()[0].1, "another's");
}

#[tokio::test]
async fn a_conditional_read_returns_the_version_that_meets_the_conditions() {
    let (_storage, _double, store) = bucket().await;
    let first = put(&store, "one", Overwrite).await.unwrap().e_tag.unwrap();
    let get = async |options: GetOptions| store.get_opts(&at("a"), options).await;
    let if_match = |e_tag: &str| GetOptions { if_match: Some(e_tag.to_owned()), ..GetOptions::default() };
    let if_none_match = |e_tag: &str| GetOptions { if_none_match: Some(e_tag.to_owned()), ..GetOptions::default() };
    for good in [first.as_str(), "*", &format!("999, {first}")] {
        assert_eq!(get(if_match(good)).await.unwrap().bytes().await.unwrap(), "one", "{good}");
    }
    for stale in ["999", "x", "998, 999"] {
        assert_eq!(kind(get(if_match(stale)).await).0, ErrorKind::Conflict, "{stale}");
    }
    for same in [first.as_str(), "*"] {
        let same = get(if_none_match(same)).await;
        assert!(matches!(same, Err(object_store::Error::NotModified { .. })), "{same:?}");
    }
    assert_eq!(get(if_none_match("999")).await.unwrap().bytes().await.unwrap(), "one");
    let time = |text: &str| Some(text.parse().unwrap());
    let since = GetOptions { if_modified_since: time("2026-01-01T00:00:00Z"), ..GetOptions::default() };
    assert!(matches!(get(since).await, Err(object_store::Error::NotModified { .. })));
    let since = GetOptions { if_unmodified_since: time("2025-01-01T00:00:00Z"), ..GetOptions::default() };
    assert_eq!(kind(get(since).await).0, ErrorKind::Conflict);
    let head = GetOptions { head: true, ..if_none_match(&first) };
    assert!(matches!(get(head).await, Err(object_store::Error::NotModified { .. })));
    let version = GetOptions { version: Some("x".to_owned()), ..GetOptions::default() };
    assert_eq!(kind(get(version).await).0, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_read_of_a_range_is_one_request() {
    let double = Double::new(|_| Response::builder().status(206).body(String::new()).unwrap()).await;
    let pages = Cloud::new(Arc::new(provider(&double.url))).bucket("pages");
    pages.get_range("a", 2..5).await.unwrap_err();
    pages.get_range("a", 2..u64::MAX).await.unwrap_err();
    assert_eq!(double.requests(), ["GET /pages/a"; 2]);
    let range = |at| double.request(at, |request| request.headers()["range"].clone());
    assert_eq!((range(0), range(1)), ("bytes=2-4".parse().unwrap(), "bytes=2-".parse().unwrap()));
}

#[tokio::test]
async fn a_copy_continues_until_done_and_respects_its_condition() {
    let (storage, double, store) = bucket().await;
    put(&store, "one", Overwrite).await.unwrap();
    store.copy_if_not_exists(&at("a"), &at("b")).await.unwrap();
    assert_eq!(double.requests().len(), 3);
    assert!(double.requests()[2].ends_with("ifGenerationMatch=0&rewriteToken=the%20rest"), "{:?}", double.requests());
    assert_eq!(kind(store.copy_if_not_exists(&at("a"), &at("b")).await), (ErrorKind::AlreadyExists, false));
    assert_eq!(kind(store.copy(&at("none"), &at("b")).await), (ErrorKind::NotFound, false));
    storage.fail(Method::POST, "rewriteToken=", Fault::Lost);
    // The object does not show whose copy it is.
    assert_eq!(kind(store.copy_if_not_exists(&at("a"), &at("c")).await), (ErrorKind::AlreadyExists, true));
    assert_eq!(kind(store.rename_if_not_exists(&at("a"), &at("b")).await).0, ErrorKind::AlreadyExists);
    store.rename(&at("a"), &at("d")).await.unwrap();
    let names: Vec<_> = storage.objects().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["b", "c", "d"]);
}

#[tokio::test]
async fn delete_succeeds_without_an_object_and_fails_without_a_bucket() {
    let (_storage, double, store) = bucket().await;
    store.delete(&at("none")).await.unwrap();
    assert_eq!(double.requests().len(), 1);
    let other = open_bucket(&double.url, "other").object_store();
    let errors = [
        kind(other.delete(&at("a")).await),
        kind(other.put(&at("a"), "x".into()).await),
        kind(other.put_multipart(&at("a")).await),
        kind(other.copy(&at("a"), &at("b")).await),
        kind(other.list(None).try_collect::<Vec<_>>().await),
        kind(other.get(&at("a")).await),
    ];
    assert_eq!(errors, [(ErrorKind::NotFound, false); 6]);
    let silent = Double::new(|_| Response::builder().status(404).body("Not Found".to_owned()).unwrap()).await;
    let error = open_bucket(&silent.url, "pages").object_store().delete(&at("a")).await.unwrap_err();
    assert!(Error::from(error).message().contains("gs://pages"));
    assert_eq!(silent.requests().len(), 2);
}

/// Text of this size without repetitions.
fn content(size: usize) -> String {
    (0..).flat_map(|word: u32| format!("{word:08x}").into_bytes()).map(char::from).take(size).collect()
}

async fn begin(store: &Arc<dyn ObjectStore>, mode: object_store::PutMode) -> Box<dyn MultipartUpload> {
    let mut options = PutMultipartOptions::default();
    options.extensions.insert(WriteCondition(mode));
    store.put_multipart_opts(&at("a"), options).await.unwrap()
}

const QUARTER: usize = 256 * 1024;

#[tokio::test]
async fn parts_of_any_size_and_in_any_order_are_sent_in_order_and_in_full_chunks() {
    for sizes in
        [&[][..], &[0], &[1], &[QUARTER], &[QUARTER + 1, 0, 5], &[1, QUARTER - 1, 1], &[100; 30], &[700_000; 3]]
    {
        let (storage, double, store) = bucket().await;
        let whole = content(sizes.iter().sum());
        let mut upload = begin(&store, Create).await;
        let (mut sent, mut from) = (Vec::new(), 0);
        for size in sizes {
            sent.push(upload.put_part(PutPayload::from(whole[from..from + size].to_owned())));
            from += size;
        }
        sent.reverse();
        for part in sent {
            part.await.unwrap();
        }
        assert!(storage.objects().is_empty());
        let result = upload.complete().await.unwrap();
        assert!(storage.objects()[0].1 == whole, "{sizes:?}");
        assert_eq!(store.head(&at("a")).await.unwrap().e_tag, result.e_tag);
        assert!(upload.complete().await.is_err());
        drop((upload, double));
    }
}

#[tokio::test]
async fn an_upload_checks_its_condition_when_it_completes() {
    let (storage, _double, store) = bucket().await;
    let mut create = begin(&store, Create).await;
    create.put_part(content(QUARTER + 1).into()).await.unwrap();
    let first = put(&store, "first", Overwrite).await.unwrap();
    assert_eq!(kind(create.complete().await), (ErrorKind::AlreadyExists, false));
    create.abort().await.unwrap();
    let mut stale = begin(&store, update(&first)).await;
    put(&store, "concurrent", Overwrite).await.unwrap();
    assert_eq!(kind(stale.complete().await), (ErrorKind::Conflict, false));
    stale.abort().await.unwrap();
    assert_eq!((storage.objects()[0].1.as_str(), storage.open_uploads()), ("concurrent", 0));
}

#[tokio::test]
async fn an_interrupted_upload_continues_from_the_stored_size() {
    let (storage, double, store) = bucket().await;
    let whole = content(4 * QUARTER + 10);
    let mut upload = begin(&store, Create).await;
    storage.fail(Method::PUT, "upload_id", Fault::Partial(QUARTER));
    storage.fail(Method::PUT, "upload_id", Fault::Status(503));
    storage.fail(Method::PUT, "upload_id", Fault::Partial(0));
    upload.put_part(whole.clone().into()).await.unwrap();
    let ranges: Vec<_> = (1..double.requests().len())
        .map(|at| double.request(at, |request| request.headers()["content-range"].to_str().unwrap().to_owned()))
        .collect();
    // A failed request for the status is repeated.
    let (all, rest) = (format!("bytes 0-{}/*", 4 * QUARTER - 1), format!("bytes {QUARTER}-{}/*", 4 * QUARTER - 1));
    assert_eq!(ranges, [&all, "bytes */*", "bytes */*", "bytes */*", &rest]);
    storage.fail(Method::PUT, "upload_id", Fault::Lost);
    upload.complete().await.unwrap();
    assert!(storage.objects()[0].1 == whole);
}

#[tokio::test]
async fn a_lost_response_of_the_last_chunk_is_resolved_by_the_status() {
    for fault in [Fault::Lost, Fault::Partial(3), Fault::Status(503)] {
        let (storage, double, store) = bucket().await;
        let mut upload = begin(&store, Create).await;
        upload.put_part("0123456789".into()).await.unwrap();
        storage.fail(Method::PUT, "upload_id", fault);
        let result = upload.complete().await.unwrap();
        assert_eq!(storage.objects()[0].1, "0123456789");
        assert_eq!(store.head(&at("a")).await.unwrap().e_tag, result.e_tag);
        drop(double);
    }
}

#[tokio::test]
async fn a_failed_last_chunk_has_an_unknown_outcome() {
    let (storage, _double, store) = bucket().await;
    let mut upload = begin(&store, Overwrite).await;
    for _ in 0..20 {
        storage.fail(Method::PUT, "upload_id", Fault::Status(503));
    }
    let large = upload.put_part(content(2 * QUARTER).into()).await;
    assert_eq!(kind(large), (ErrorKind::Unavailable, false), "parts are invisible");
    assert!(upload.complete().await.is_err(), "a part is missing");
    let mut small = begin(&store, Overwrite).await;
    small.put_part("x".into()).await.unwrap();
    assert_eq!(kind(small.complete().await), (ErrorKind::Unavailable, true));
}

#[tokio::test]
async fn complete_fails_if_a_part_was_not_awaited() {
    let (storage, _double, store) = bucket().await;
    let mut upload = begin(&store, Overwrite).await;
    drop(upload.put_part("lost".into()));
    upload.put_part("sent".into()).await.unwrap();
    assert_eq!(kind(upload.complete().await).0, ErrorKind::InvalidInput);
    assert!(storage.objects().is_empty());
}

#[tokio::test]
async fn an_upload_that_is_dropped_is_cancelled() {
    let (storage, _double, store) = bucket().await;
    let mut upload = begin(&store, Overwrite).await;
    upload.put_part(content(QUARTER + 1).into()).await.unwrap();
    assert_eq!(storage.open_uploads(), 1);
    assert!(!format!("{upload:?}").contains("upload_id"), "the URL is a secret");
    drop(upload);
    for _ in 0..500 {
        if storage.open_uploads() == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((storage.open_uploads(), storage.objects().len()), (0, 0));
}
