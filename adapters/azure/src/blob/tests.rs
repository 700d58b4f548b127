//! Cases that emulators do not have: rejected tokens, conflicts, slow copies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use isobar_abstraction::driver::blob::{ListRequest, SignRequest, SignedAccess, WriteCondition};
use isobar_abstraction::driver::{Environment, ResourceKind};
use isobar_abstraction::{Cloud, ErrorKind};
use object_store::path::Path;
use object_store::{
    Attribute, GetOptions, GetRange, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutResult, UpdateVersion,
};

use super::*;
use crate::{AzureConfig, AzureProvider};
use isobar_testkit::Double;

type AzureBlob = Arc<dyn Blob>;

mod identity;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let answer = Response::builder().status(status).header("etag", "\"0x1\"");
    let answer = answer.header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
    let answer = headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value));
    answer.body(body.to_owned()).unwrap()
}

fn service_error(status: u16, code: &str) -> Response<String> {
    answer(status, &[("x-ms-error-code", code)], "")
}

/// The container `pages` of the account `acc` at this URL, with these credentials.
fn at(url: &str, by: &str) -> AzureBlob {
    pages(&at_account(url, by).state)
}

fn pages(state: &Arc<State>) -> AzureBlob {
    open(state, &Location::new(ResourceKind::Bucket, "pages")).unwrap()
}

const KEY: &str = "AccountKey=aHVzaA==";

/// The account `acc` at this URL, with these credentials.
fn at_account(url: &str, by: &str) -> AzureProvider {
    let connection = format!("AccountName=acc;{by};BlobEndpoint={url}/acc");
    let environment = Environment::default().with_var("AZURE_STORAGE_CONNECTION_STRING", connection);
    let mut config = AzureConfig::from_environment(&environment).unwrap();
    config.client.min_backoff = Duration::ZERO;
    AzureProvider::new(config)
}

async fn always(answer: impl Fn() -> Response<String> + Send + Sync + 'static) -> (Double, AzureBlob) {
    let double = Double::new(move |_| answer()).await;
    let blob = at(&double.url, KEY);
    (double, blob)
}

async fn put(blob: &AzureBlob, mode: PutMode) -> Result<PutResult> {
    Ok(blob.object_store().put_opts(&Path::from("a b"), "abc".into(), PutOptions::from(mode)).await?)
}

async fn upload(blob: &AzureBlob, mode: PutMode) -> Result<PutResult> {
    let mut options = PutMultipartOptions::default();
    options.extensions.insert(WriteCondition(mode));
    let mut upload = blob.object_store().put_multipart_opts(&Path::from("a"), options).await?;
    let parts = [upload.put_part("one".into()), upload.put_part("two".into())];
    for part in parts.into_iter().rev() {
        part.await?;
    }
    Ok(upload.complete().await?)
}

fn of_version(e_tag: &str) -> PutMode {
    PutMode::Update(UpdateVersion { e_tag: Some(e_tag.to_owned()), version: None })
}

#[tokio::test]
async fn a_copy_that_another_write_has_replaced_is_a_success() {
    let double = Double::new(|request| match request.method().as_str() {
        "PUT" => answer(202, &[("x-ms-copy-status", "pending"), ("x-ms-copy-id", "1")], ""),
        _ => answer(200, &[("x-ms-copy-status", "failed"), ("x-ms-copy-id", "2")], ""),
    })
    .await;
    at(&double.url, KEY).object_store().copy(&Path::from("a"), &Path::from("b")).await.unwrap();
}

#[tokio::test]
async fn two_uploads_of_one_object_do_not_use_each_other_s_parts() {
    let (double, blob) = always(|| answer(201, &[], "")).await;
    for _ in 0..2 {
        upload(&blob, PutMode::Overwrite).await.unwrap();
    }
    let requests = double.requests();
    assert!(requests[0] != requests[3] && requests[1] != requests[4], "{requests:?}");
    assert_eq!(requests[0].len(), requests[3].len(), "all ids have the same length");
}

#[tokio::test]
async fn the_completion_of_a_conditional_upload_is_not_retried() {
    let double = Double::new(|request| match request.uri().query() {
        Some("comp=blocklist") => service_error(500, "InternalError"),
        _ => answer(201, &[], ""),
    })
    .await;
    let error = upload(&at(&double.url, KEY), PutMode::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true));
    assert_eq!(double.requests().len(), 3);
}

#[tokio::test]
async fn a_throttled_write_is_retried_and_a_failed_conditional_write_has_an_unknown_outcome() {
    let (double, busy) = always(|| service_error(503, "ServerBusy")).await;
    for mode in [PutMode::Overwrite, PutMode::Create] {
        let error = put(&busy, mode).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Throttled && !error.outcome_unknown(), "{error:?}");
    }
    assert_eq!(double.requests(), ["PUT /acc/pages/a%20b"; 10]);
    let (double, failing) = always(|| service_error(500, "InternalError")).await;
    let error = put(&failing, PutMode::Create).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.outcome_unknown(), "{error:?}");
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn a_condition_that_no_header_can_contain_is_rejected_without_a_request() {
    let (double, blob) = always(|| answer(201, &[], "")).await;
    for wrong in ["*", "", "\"ä\"", "\"a\nb\""] {
        assert_eq!(put(&blob, of_version(wrong)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(upload(&blob, of_version(wrong)).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    let options = GetOptions { if_none_match: Some("ä".to_owned()), ..GetOptions::default() };
    assert!(blob.object_store().get_opts(&Path::from("a"), options).await.is_err());
    assert!(double.requests().is_empty());
}

#[tokio::test]
async fn a_delete_of_a_missing_object_is_ok_but_not_in_a_missing_container() {
    let (double, blob) = always(|| service_error(404, "BlobNotFound")).await;
    blob.object_store().delete(&Path::from("a")).await.unwrap();
    assert_eq!(double.request(0, |request| request.headers()["x-ms-delete-snapshots"].clone()), "include");
    let (_double, blob) = always(|| service_error(404, "ContainerNotFound")).await;
    let error = Error::from(blob.object_store().delete(&Path::from("a")).await.unwrap_err());
    assert!(error.kind() == ErrorKind::NotFound && error.message().contains("create it"), "{error}");
}

#[tokio::test]
async fn a_copy_returns_when_it_is_complete() {
    let checks = AtomicUsize::new(0);
    let double = Double::new(move |request| match request.method().as_str() {
        "PUT" => answer(202, &[("x-ms-copy-status", "pending"), ("x-ms-copy-id", "1")], ""),
        _ if checks.fetch_add(1, Ordering::SeqCst) == 0 => {
            answer(200, &[("x-ms-copy-status", "pending"), ("x-ms-copy-id", "1")], "")
        }
        _ => answer(200, &[("x-ms-copy-status", "success"), ("x-ms-copy-id", "1")], ""),
    })
    .await;
    let blob = at(&double.url, KEY);
    blob.object_store().copy(&Path::from("a b"), &Path::from("b")).await.unwrap();
    assert_eq!(double.requests(), ["PUT /acc/pages/b", "HEAD /acc/pages/b", "HEAD /acc/pages/b"]);
    let source = double.request(0, |request| request.headers()["x-ms-copy-source"].clone());
    assert_eq!(source, format!("{}/acc/pages/a%20b", double.url));
    let failed = [("x-ms-copy-status", "failed"), ("x-ms-copy-status-description", "404 gone")];
    let (_double, blob) = always(move || answer(202, &failed, "")).await;
    let error = Error::from(blob.object_store().copy(&Path::from("a"), &Path::from("b")).await.unwrap_err());
    assert!(error.message().contains("404 gone") && error.outcome_unknown(), "{error}");
}

#[tokio::test]
async fn a_read_of_a_range_is_one_request() {
    let (double, _) = always(|| answer(206, &[("content-range", "bytes 2-4/8")], "cde")).await;
    let pages = Cloud::new(Arc::new(at_account(&double.url, KEY))).bucket("pages");
    assert_eq!(pages.get_range("a", 2..5).await.unwrap(), "cde");
    assert_eq!(double.requests(), ["GET /acc/pages/a"]);
    assert_eq!(double.request(0, |request| request.headers()["range"].clone()), "bytes=2-4");
}

#[tokio::test]
async fn a_range_from_the_end_is_requested_from_the_start() {
    let double = Double::new(|request| match request.method().as_str() {
        "HEAD" => answer(200, &[("content-length", "8")], ""),
        _ => answer(206, &[("content-range", "bytes 5-7/8")], "fgh"),
    })
    .await;
    let none = GetOptions { range: Some(GetRange::Suffix(0)), ..GetOptions::default() };
    assert!(at(&double.url, KEY).object_store().get_opts(&Path::from("a"), none).await.is_err());
    let options = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    let read = at(&double.url, KEY).object_store().get_opts(&Path::from("a"), options).await.unwrap();
    assert_eq!((read.range.clone(), read.bytes().await.unwrap().as_ref()), (5..8, b"fgh".as_ref()));
    let headers = double.request(1, |request| request.headers().clone());
    assert!(headers["range"] == "bytes=5-7" && headers["if-match"] == "\"0x1\"");
}

#[tokio::test]
async fn the_end_of_an_empty_object_is_empty() {
    let (double, blob) = always(|| answer(200, &[("content-length", "0")], "")).await;
    let options = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    let read = blob.object_store().get_opts(&Path::from("a"), options).await.unwrap();
    assert_eq!((read.range.clone(), read.bytes().await.unwrap().len()), (0..0, 0));
    assert!(double.request(1, |request| request.headers().get("range").is_none()));
}

#[tokio::test]
async fn a_shared_access_signature_is_sent_and_never_shown() {
    let (double, _) = always(|| service_error(403, "AuthorizationPermissionMismatch")).await;
    let sas = "SharedAccessSignature=sv=2021-12-02&sp=r&sig=hush%2Bhush%3D";
    let blob = at(&double.url, sas);
    let store = blob.object_store();
    let list = ListRequest::new("", 1);
    let errors = [
        Error::from(store.head(&Path::from("a")).await.unwrap_err()),
        Error::from(store.delete(&Path::from("a")).await.unwrap_err()),
        Error::from(store.copy(&Path::from("a"), &Path::from("b")).await.unwrap_err()),
        blob.list(&list).await.unwrap_err(),
    ];
    for (at, error) in errors.iter().enumerate() {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(!format!("{error} {error:?} {blob:?} {store}").contains("hush"), "{error:?}");
        assert!(double.requests()[at].contains("sig=hush%2Bhush%3D"), "{:?}", double.requests());
    }
    assert!(double.request(2, |request| request.headers()["x-ms-copy-source"].to_str().unwrap().contains("sig=hush")));
    let sign = SignRequest::new("a", SignedAccess::Get, Duration::from_secs(60));
    assert_eq!(blob.sign(&sign).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_read_sends_its_version_and_its_conditions() {
    let (double, blob) = always(|| answer(200, &[("x-ms-meta-kind", "note"), ("x-ms-version-id", "7")], "")).await;
    let options = GetOptions {
        version: Some("2026-01-01T00:00:00Z".to_owned()),
        if_match: Some("\"0x1\"".to_owned()),
        ..GetOptions::default()
    };
    let read = blob.object_store().get_opts(&Path::from("a b"), options).await.unwrap();
    assert_eq!(read.meta.version, None);
    assert_eq!(read.attributes.get(&Attribute::Metadata("kind".into())).unwrap().as_ref(), "note");
    assert_eq!(double.requests(), ["GET /acc/pages/a%20b?versionid=2026-01-01T00%3A00%3A00Z"]);
    assert_eq!(double.request(0, |request| request.headers()["if-match"].clone()), "\"0x1\"");
}

#[tokio::test]
async fn a_folder_of_a_hierarchical_account_is_not_an_object() {
    let (_double, blob) = always(|| answer(200, &[("x-ms-resource-type", "directory")], "")).await;
    let store = blob.object_store();
    for error in [store.get(&Path::from("a")).await.unwrap_err(), store.head(&Path::from("a")).await.unwrap_err()] {
        assert_eq!(Error::from(error).kind(), ErrorKind::NotFound);
    }
    let (_double, blob) = always(|| answer(200, &[("x-ms-resource-type", "file")], "")).await;
    blob.object_store().head(&Path::from("a")).await.unwrap();
}
