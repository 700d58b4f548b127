//! What the double refuses.

use bytes::Bytes;
use http::{Method, Request};
use isobar::{Body, ManualClock, TestResponse};

use super::*;
use crate::backends::send;

async fn started() -> CloudStorage {
    let double = CloudStorage::start(Arc::new(ManualClock::default())).await.unwrap();
    double.create_bucket("pages");
    double
}

/// By plain HTTP.
async fn ask(double: &CloudStorage, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> TestResponse {
    let request = Request::builder().method(method).uri(format!("{}{path}", double.url().replace("https", "http")));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(request.body(Body::from(Bytes::from(body.to_owned()))).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_shows_no_token_and_no_signature_is_refused() {
    let double = started().await;
    for (method, path) in [
        (Method::GET, "/pages/a"),
        (Method::PUT, "/pages/a"),
        (Method::GET, "/storage/v1/b/pages/o"),
        (Method::DELETE, "/storage/v1/b/pages/o/a"),
        (Method::POST, "/upload/storage/v1/b/pages/o?uploadType=resumable&name=a"),
    ] {
        let bare = ask(&double, method.clone(), path, &[], "{}").await;
        assert_eq!(bare.status, 401, "{method} {path}");
        for token in ["Bearer x", "Bearer a.b.c", "Bearer e30.e30.AAAA", "Basic eDp5"] {
            let forged = ask(&double, method.clone(), path, &[("authorization", token)], "{}").await;
            assert_eq!(forged.status, 401, "{method} {path} {token}");
        }
    }
}

#[tokio::test]
async fn a_signature_is_held_against_what_it_signs() {
    let double = started().await;
    let query = "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=app%40double.iam.gserviceaccount.com%2F20260101\
                 %2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20260101T000000Z&X-Goog-Expires=60&\
                 X-Goog-SignedHeaders=host&X-Goog-Signature=00ff";
    let signed = ask(&double, Method::GET, &format!("/pages/a?{query}"), &[], "").await;
    assert_eq!(signed.status, 403);
    assert!(signed.text().contains("SignatureDoesNotMatch"));
    for wrong in [query.replace("00ff", "xyz"), query.replace("RSA", "HMAC"), "X-Goog-Signature=00".to_owned()] {
        assert_eq!(ask(&double, Method::GET, &format!("/pages/a?{wrong}"), &[], "").await.status, 400, "{wrong}");
    }
}

#[test]
fn a_chunk_is_in_its_place_and_full_unless_it_is_the_last() {
    use super::store::Refused;
    use super::uploads::{Progress, Range, Uploads};
    let mut uploads = Uploads::default();
    let id = uploads.begin("pages", "a", json!({}), None);
    let mut take = |range: &str, size: usize| {
        let range = Range::read(&format!("bytes {range}")).unwrap();
        uploads.get(&id).unwrap().take(range, &vec![7; size])
    };
    for (range, size) in [("0-9/*", 10), ("1-262144/*", 262_144), ("0-9/20", 11), ("0-20/20", 21), ("*/*", 1)] {
        assert!(matches!(take(range, size), Err(Refused::Invalid(_))), "{range}");
    }
    assert!(matches!(take("*/*", 0), Ok(Progress::Kept(0))));
    assert!(matches!(take("0-262143/*", 262_144), Ok(Progress::Kept(262_144))));
    assert!(matches!(take("*/262154", 0), Ok(Progress::Kept(262_144))));
    // What is kept already is passed over.
    let whole = take("0-262153/262154", 262_154).unwrap();
    assert!(matches!(whole, Progress::Whole(content) if content.len() == 262_154));
    for wrong in ["", "bytes", "bytes 1/2", "bytes -/*", "bytes 0-1/x", "0-1/2"] {
        assert_eq!(Range::read(wrong), None, "{wrong}");
    }
}
