//! What emulators do not show: conflicts, and answers that broke off.

use http::Response;
use isobar_abstraction::{Environment, ErrorKind, ResourceKind};
use object_store::multipart::PartId;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, ObjectStoreExt, PutMode, PutOptions, PutResult,
    RenameOptions,
};

use super::*;
use crate::{AwsConfig, AwsProvider};
use isobar_testkit::Double;

/// A bucket in an S3 that always answers this.
async fn bucket(status: u16, body: &'static str) -> (Double, S3Blob) {
    let double = Double::new(move |_| {
        let answer = Response::builder().status(status).header("etag", "\"1\"");
        answer.header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT").body(body.to_owned()).unwrap()
    })
    .await;
    let bucket = at(&double);
    (double, bucket)
}

fn at(double: &Double) -> S3Blob {
    placed(double, None)
}

fn placed(double: &Double, largest_copy: Option<u64>) -> S3Blob {
    let environment = Environment::default()
        .with_var("AWS_REGION", "eu-west-1")
        .with_var("AWS_ENDPOINT_URL", &double.url)
        .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with_var("AWS_SECRET_ACCESS_KEY", "hush-secret");
    let config = AwsConfig { largest_copy, ..AwsConfig::from_environment(&environment).unwrap() };
    let state = AwsProvider::new(config).0;
    S3Blob::new(state, &Location::new(ResourceKind::Bucket, "pages")).unwrap()
}

async fn complete(bucket: &S3Blob) -> Result<PutResult> {
    let parts = [PartId { content_id: "\"1\"".to_owned() }];
    bucket.store.requests().complete(&Path::from("a"), "id", &parts, &PutMode::Create).await
}

#[tokio::test]
async fn what_is_renamed_to_itself_stays() {
    let (double, bucket) = bucket(200, "").await;
    let at = Path::from("a");
    bucket.object_store().rename_opts(&at, &at, RenameOptions::default()).await.unwrap();
    assert_eq!(double.asked(), ["HEAD /pages/a"]);
}

#[tokio::test]
async fn an_upload_is_complete_behind_the_blanks_that_keep_the_connection_open() {
    let body = "  \n <?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult><ETag>&quot;2&quot;</ETag>\
                </CompleteMultipartUploadResult>";
    let (_double, bucket) = bucket(200, body).await;
    assert_eq!(complete(&bucket).await.unwrap().e_tag.as_deref(), Some("\"2\""));
}

#[tokio::test]
async fn an_upload_that_ended_in_a_success_that_says_nothing_may_be_there() {
    let (_double, bucket) = bucket(200, "  ").await;
    let error = complete(&bucket).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Internal, true));
}

#[tokio::test]
async fn an_upload_that_met_another_write_is_not_ended_again() {
    let (double, bucket) = bucket(409, "<Error><Code>ConditionalRequestConflict</Code></Error>").await;
    let error = complete(&bucket).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Conflict, false));
    assert_eq!(double.asked().len(), 1);
}

/// Content that breaks off behind its first three bytes, however often it is asked for a range.
async fn breaking(e_tag_of_rest: &'static str) -> (Double, S3Blob) {
    let double = Double::new(move |request| {
        let answer = Response::builder().header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        match request.headers().get("range").map(|range| range.to_str().unwrap()) {
            None => answer.header("etag", "\"1\"").header("content-length", 8).body("abc".to_owned()).unwrap(),
            Some("bytes=3-7") if e_tag_of_rest == "\"1\"" => {
                let answer = answer.status(206).header("etag", e_tag_of_rest).header("content-range", "bytes 3-7/8");
                answer.header("content-length", 5).body("def".to_owned()).unwrap()
            }
            Some("bytes=6-7") => {
                let answer = answer.status(206).header("etag", e_tag_of_rest).header("content-range", "bytes 6-7/8");
                answer.body("gh".to_owned()).unwrap()
            }
            Some(_) => Response::builder().status(412).body(String::new()).unwrap(),
        }
    })
    .await;
    let bucket = at(&double);
    (double, bucket)
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let (double, bucket) = breaking("\"1\"").await;
    let content = bucket.object_store().get(&Path::from("a")).await.unwrap().bytes().await.unwrap();
    assert_eq!(content, "abcdefgh");
    assert_eq!(double.asked(), ["GET /pages/a"; 3]);
    assert!(double.request(1, |request| request.headers()["if-match"] == "\"1\""));
}

#[tokio::test]
async fn a_download_of_what_has_changed_meanwhile_is_a_conflict() {
    let (_double, bucket) = breaking("\"2\"").await;
    let error = bucket.object_store().get(&Path::from("a")).await.unwrap().bytes().await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn an_answer_that_breaks_off_each_time_is_unavailable_in_the_end() {
    let double = Double::new(|_| {
        let answer = Response::builder().header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        answer.header("content-length", 8).body(String::new()).unwrap()
    })
    .await;
    let error = at(&double).object_store().get(&Path::from("a")).await.unwrap().bytes().await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_refused_write_is_tried_again_and_a_failed_one_may_have_been_made() {
    let slow = "<Error><Code>SlowDown</Code></Error>";
    let (double, busy) = bucket(503, slow).await;
    let error = Error::from(busy.object_store().put(&Path::from("a"), "x".into()).await.unwrap_err());
    assert!(matches!(error.kind(), ErrorKind::Throttled { .. }) && !error.outcome_unknown(), "{error:?}");
    assert_eq!(double.asked(), ["PUT /pages/a"; 5]);
    let (_double, failing) = bucket(500, "<Error><Code>InternalError</Code></Error>").await;
    let error = Error::from(failing.object_store().put(&Path::from("a"), "x".into()).await.unwrap_err());
    assert!(error.kind() == ErrorKind::Unavailable && error.outcome_unknown(), "{error:?}");
}

#[tokio::test]
async fn a_copy_whose_answer_begins_well_and_ends_ill_is_an_error() {
    let (_double, bucket) = bucket(200, "  <Error><Code>InternalError</Code></Error>").await;
    let error = bucket.object_store().copy(&Path::from("a"), &Path::from("b")).await.unwrap_err();
    let error = Error::from(error);
    assert!(error.kind() == ErrorKind::Unavailable && error.outcome_unknown(), "{error:?}");
}

#[tokio::test]
async fn an_object_that_has_not_changed_is_told_as_object_store_tells_it() {
    let (_double, bucket) = bucket(304, "").await;
    let options = GetOptions { if_none_match: Some("\"1\"".to_owned()), ..GetOptions::default() };
    let error = bucket.object_store().get_opts(&Path::from("a"), options).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotModified { .. }), "{error:?}");
}

#[tokio::test]
async fn the_attributes_and_the_body_of_a_write_are_signed() {
    let (double, bucket) = bucket(200, "").await;
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::Metadata("kind".into()), "note".into());
    let options = PutOptions { attributes, ..PutOptions::default() };
    bucket.object_store().put_opts(&Path::from("a b"), "abc".into(), options).await.unwrap();
    assert_eq!(double.asked(), ["PUT /pages/a%20b"]);
    let (signed, hash) = double.request(0, |request| {
        let text = |name| request.headers()[name].to_str().unwrap().to_owned();
        (text("authorization"), text("x-amz-content-sha256"))
    });
    let names = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-kind,";
    assert!(signed.contains(names) && signed.contains("/eu-west-1/s3/aws4_request"), "{signed}");
    assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/// S3 with an object of 12,000,000 bytes that has a tag, of whose parts one may not be copied.
async fn copying(refused: Option<&'static str>) -> (Double, S3Blob) {
    let double = with_object(12_000_000, Some("1"), refused).await;
    let bucket = placed(&double, Some(5 << 20));
    (double, bucket)
}

/// S3 with an object of this size and with so many tags.
async fn with_object(size: u64, tags: Option<&'static str>, refused: Option<&'static str>) -> Double {
    Double::new(move |request| {
        let answer =
            Response::builder().header("etag", "\"1\"").header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        let body = match (request.method().as_str(), request.uri().query().unwrap_or_default()) {
            ("HEAD", _) => {
                let answer = answer.header("content-length", size).header("content-type", "text/x");
                let answer = tags.into_iter().fold(answer, |answer, tags| answer.header("x-amz-tagging-count", tags));
                return answer.header("x-amz-meta-kind", "note").body(String::new()).unwrap();
            }
            ("GET", _) => "<Tagging><TagSet><Tag><Key>a b</Key><Value>c</Value></Tag></TagSet></Tagging>",
            ("POST", "uploads=") => {
                "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
            }
            ("PUT", query) if refused.is_some_and(|refused| query.contains(refused)) => {
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
async fn what_takes_longer_than_one_request_may_is_copied_in_parts_and_tags_are_read_where_there_are_some() {
    for (size, tags, puts, reads) in [
        (512 << 20, Some("1"), 1, 0),
        ((512 << 20) + 1, None, 5, 0),
        (1 << 30, Some("1"), 8, 1),
        (5 << 30, None, 40, 0),
    ] {
        let double = with_object(size, tags, None).await;
        at(&double).object_store().copy(&Path::from("a"), &Path::from("c")).await.unwrap();
        let asked = |method: &str| double.asked().iter().filter(|asked| asked.starts_with(method)).count();
        assert_eq!((asked("PUT "), asked("GET ")), (puts, reads), "{size} bytes");
    }
}

#[tokio::test]
async fn what_is_larger_than_one_request_copies_is_copied_in_parts_under_the_same_conditions() {
    let (double, bucket) = copying(None).await;
    let create = CopyOptions::new().with_mode(CopyMode::Create);
    bucket.object_store().copy_opts(&Path::from("a b"), &Path::from("c"), create).await.unwrap();
    let mut asked = double.asked();
    asked[3..6].sort();
    assert_eq!(
        asked,
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
    let described = ["content-type", "x-amz-meta-kind", "x-amz-tagging"].map(|name| header(2, name));
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
async fn a_copy_of_what_changes_meanwhile_is_a_conflict_and_leaves_nothing() {
    let (double, bucket) = copying(Some("partNumber=2")).await;
    let error = bucket.object_store().rename(&Path::from("a"), &Path::from("c")).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Conflict);
    let asked = double.asked();
    assert_eq!(asked.last().unwrap(), "DELETE /pages/c?uploadId=id");
    assert!(!asked.contains(&"DELETE /pages/a".to_owned()), "what was not copied is not deleted");
}

#[test]
fn every_object_is_copied_in_parts_that_s3_takes() {
    for (size, largest) in [(12_000_000, 0), (6 << 30, 5 << 30), (5 << 40, 5 << 30), (48 << 40, u64::MAX)] {
        let part = upload::copied_part(size, largest);
        assert!((5 << 20..=5 << 30).contains(&part) && size.div_ceil(part) <= 10_000, "{size}: {part}");
        assert!(part <= 128 << 20 || size > 10_000 * (128 << 20), "{size}: a part of {part} takes long");
    }
}
