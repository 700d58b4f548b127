//! Cases that emulators do not produce: conflicts and incomplete responses.

use http::Response;
use isobar_abstraction::driver::blob::WriteCondition;
use isobar_abstraction::driver::{Environment, ResourceKind};
use isobar_abstraction::{Cloud, Error, ErrorKind};
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutResult};

use super::*;
use crate::{AwsConfig, AwsProvider};
use isobar_testkit::Double;

type Bucket = Arc<dyn ObjectStore>;

/// A bucket in an S3 that always returns this response.
async fn bucket(status: u16, body: &'static str) -> (Double, Bucket) {
    let double = Double::new(move |_| {
        let answer = Response::builder().status(status).header("etag", "\"1\"");
        answer.header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT").body(body.to_owned()).unwrap()
    })
    .await;
    let bucket = placed(&double, None);
    (double, bucket)
}

fn provider(double: &Double, largest_copy: Option<u64>) -> AwsProvider {
    let environment = Environment::default()
        .with_var("AWS_REGION", "eu-west-1")
        .with_var("AWS_ENDPOINT_URL", &double.url)
        .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with_var("AWS_SECRET_ACCESS_KEY", "hush-secret");
    AwsProvider::new(AwsConfig { largest_copy, ..AwsConfig::from_environment(&environment).unwrap() })
}

fn placed(double: &Double, largest_copy: Option<u64>) -> Bucket {
    open(&provider(double, largest_copy).0, &Location::new(ResourceKind::Bucket, "pages")).unwrap().object_store()
}

const STARTED: &str = "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";

/// The result of an upload of one part with this response to the completion.
async fn upload_result(status: u16, completion: &'static str) -> (Double, Result<PutResult>) {
    let double = Double::new(move |request| match (request.method().as_str(), request.uri().query()) {
        ("POST", Some("uploads=")) => Response::new(STARTED.to_owned()),
        ("POST", _) => Response::builder().status(status).body(completion.to_owned()).unwrap(),
        _ => Response::builder().header("etag", "\"1\"").body(String::new()).unwrap(),
    })
    .await;
    let mut options = PutMultipartOptions::default();
    options.extensions.insert(WriteCondition(PutMode::Create));
    let mut upload = placed(&double, None).put_multipart_opts(&Path::from("a"), options).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    let result = upload.complete().await.map_err(Error::from);
    assert_eq!(double.request(2, |request| request.headers()["if-none-match"].clone()), "*");
    (double, result)
}

#[tokio::test]
async fn get_range_is_one_request() {
    let (double, _) = bucket(206, "").await;
    let pages = Cloud::new(Arc::new(provider(&double, None))).bucket("pages");
    pages.get_range("a", 2..5).await.unwrap_err();
    assert_eq!(double.requests(), ["GET /pages/a"]);
    assert_eq!(double.request(0, |request| request.headers()["range"].clone()), "bytes=2-4");
}

#[tokio::test]
async fn completion_is_read_after_keep_alive_blanks() {
    let body = "  \n <?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult><ETag>&quot;2&quot;</ETag>\
                </CompleteMultipartUploadResult>";
    let (_double, result) = upload_result(200, body).await;
    assert_eq!(result.unwrap().e_tag.as_deref(), Some("\"2\""));
}

#[tokio::test]
async fn completion_with_empty_success_is_outcome_unknown() {
    let (_double, result) = upload_result(200, "  ").await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Internal, true));
}

#[tokio::test]
async fn completion_with_conflict_is_not_repeated() {
    let (double, result) = upload_result(409, "<Error><Code>ConditionalRequestConflict</Code></Error>").await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Conflict, false));
    assert_eq!(double.requests().iter().filter(|request| *request == "POST /pages/a?uploadId=id").count(), 1);
}

#[tokio::test]
async fn a_stream_whose_condition_fails_at_its_completion_is_aborted() {
    for (status, code, kind) in [
        (412, "PreconditionFailed", ErrorKind::AlreadyExists),
        (409, "ConditionalRequestConflict", ErrorKind::Conflict),
    ] {
        let double = Double::new(move |request| match (request.method().as_str(), request.uri().query()) {
            ("POST", Some("uploads=")) => Response::new(STARTED.to_owned()),
            ("POST", _) => {
                Response::builder().status(status).body(format!("<Error><Code>{code}</Code></Error>")).unwrap()
            }
            _ => Response::builder().header("etag", "\"1\"").body(String::new()).unwrap(),
        })
        .await;
        let pages = Cloud::new(Arc::new(provider(&double, None))).bucket("pages");
        let content = futures_util::stream::iter([Ok::<_, Error>(vec![7; 9 << 20])]);
        let error = pages.put_stream("a", content, isobar_abstraction::blob::PutMode::Create).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false));
        assert_eq!(double.requests().last().map(String::as_str), Some("DELETE /pages/a?uploadId=id"));
    }
}

#[tokio::test]
async fn copy_with_error_after_status_200_is_an_error() {
    let (_double, bucket) = bucket(200, "  <Error><Code>InternalError</Code></Error>").await;
    let error = bucket.copy(&Path::from("a"), &Path::from("b")).await.unwrap_err();
    let error = Error::from(error);
    assert!(error.kind() == ErrorKind::Unavailable && error.outcome_unknown(), "{error:?}");
}

/// S3 with an object of 12,000,000 bytes with one tag; it rejects copies of the part `rejected`.
async fn copying(rejected: Option<&'static str>) -> (Double, Bucket) {
    let double = with_object(12_000_000, Some("1"), rejected).await;
    let bucket = placed(&double, Some(5 << 20));
    (double, bucket)
}

/// S3 with an object of this size and this number of tags; it rejects copies of the part `rejected`.
async fn with_object(size: u64, tags: Option<&'static str>, rejected: Option<&'static str>) -> Double {
    Double::new(move |request| {
        let answer =
            Response::builder().header("etag", "\"1\"").header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        let body = match (request.method().as_str(), request.uri().query().unwrap_or_default()) {
            ("HEAD", _) => {
                let answer = answer.header("content-length", size).header("content-type", "text/x");
                let answer = tags.into_iter().fold(answer, |answer, tags| answer.header("x-amz-tagging-count", tags));
                return answer.header("x-amz-meta-kind!", "note").body(String::new()).unwrap();
            }
            ("GET", _) => "<Tagging><TagSet><Tag><Key>a b</Key><Value>c</Value></Tag></TagSet></Tagging>",
            ("POST", "uploads=") => {
                "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
            }
            ("PUT", query) if rejected.is_some_and(|part| query.contains(part)) => {
                return Response::builder()
                    .status(412)
                    .body("<Error><Code>PreconditionFailed</Code></Error>".to_owned())
                    .unwrap();
            }
            ("PUT", _) => "<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>",
            ("POST", _) => {
                "<CompleteMultipartUploadResult><ETag>&quot;2-3&quot;</ETag></CompleteMultipartUploadResult>"
            }
            _ => "",
        };
        answer.body(body.to_owned()).unwrap()
    })
    .await
}

#[tokio::test]
async fn copy_of_large_object_is_in_parts_and_reads_tags_if_there_are_any() {
    for (size, tags, puts, reads) in [
        (512 << 20, Some("1"), 1, 0),
        ((512 << 20) + 1, None, 5, 0),
        (1 << 30, Some("1"), 8, 1),
        (5 << 30, None, 40, 0),
    ] {
        let double = with_object(size, tags, None).await;
        placed(&double, None).copy(&Path::from("a"), &Path::from("c")).await.unwrap();
        let count = |method: &str| double.requests().iter().filter(|request| request.starts_with(method)).count();
        assert_eq!((count("PUT "), count("GET ")), (puts, reads), "{size} bytes");
    }
}

#[tokio::test]
async fn copy_in_parts_has_the_same_conditions_and_metadata() {
    let (double, bucket) = copying(None).await;
    let create = CopyOptions::new().with_mode(CopyMode::Create);
    bucket.copy_opts(&Path::from("a b"), &Path::from("c"), create).await.unwrap();
    let mut requests = double.requests();
    requests[3..6].sort();
    assert_eq!(
        requests,
        [
            "HEAD /pages/a%20b",
            "GET /pages/a%20b?tagging=",
            "POST /pages/c?uploads=",
            "PUT /pages/c?partNumber=1&uploadId=id",
            "PUT /pages/c?partNumber=2&uploadId=id",
            "PUT /pages/c?partNumber=3&uploadId=id",
            "POST /pages/c?uploadId=id",
        ]
    );
    let header = |at, name: &str| double.request(at, |request| request.headers()[name].to_str().unwrap().to_owned());
    let described = ["content-type", "x-amz-meta-kind!", "x-amz-tagging"].map(|name| header(2, name));
    assert_eq!(described, ["text/x", "note", "a+b=c"]);
    let mut ranges: Vec<_> = (3..6).map(|at| header(at, "x-amz-copy-source-range")).collect();
    ranges.sort();
    assert_eq!(ranges, ["bytes=0-5242879", "bytes=10485760-11999999", "bytes=5242880-10485759"]);
    assert_eq!(
        (header(3, "x-amz-copy-source"), header(3, "x-amz-copy-source-if-match")),
        ("/pages/a%20b".to_owned(), "\"1\"".to_owned())
    );
    assert_eq!(header(6, "if-none-match"), "*");
}

#[tokio::test]
async fn copy_of_object_that_changes_is_a_conflict_and_is_aborted() {
    let (double, bucket) = copying(Some("partNumber=2")).await;
    let error = bucket.rename(&Path::from("a"), &Path::from("c")).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Conflict);
    let requests = double.requests();
    assert_eq!(requests.last().unwrap(), "DELETE /pages/c?uploadId=id");
    assert!(!requests.contains(&"DELETE /pages/a".to_owned()), "the source is deleted");
}

#[test]
fn size_and_number_of_copied_parts_are_within_s3s_limits() {
    for (size, largest) in [(12_000_000, 0), (6 << 30, 5 << 30), (5 << 40, 5 << 30), (48 << 40, u64::MAX)] {
        let part = upload::copied_part(size, largest);
        assert!((5 << 20..=5 << 30).contains(&part) && size.div_ceil(part) <= 10_000, "{size}: {part}");
        assert!(part <= 128 << 20 || size > 10_000 * (128 << 20), "{size}: a part of {part} takes long");
    }
}
