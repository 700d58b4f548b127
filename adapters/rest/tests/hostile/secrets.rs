//! The content of spans, logs, errors and `Debug`, without secrets.

use bytes::Bytes;
use http::Request;
use isobar_rest::{Call, Safety};
use isobar_testkit::Log;
use object_store::PutPayload;

use crate::caller::{Caller, Signed};
use crate::double::{Act, Double, always, answer, say};
use crate::tls::{Identity, trusting};

const HEADERS: &str = "x-secret: hush-answer-header\r\n";

fn secret_request(url: &str) -> Request<Bytes> {
    let request = Request::post(format!("{url}?signature=hush-query")).header("x-token", "hush-header");
    request.body(Bytes::from_static(b"hush-body")).unwrap()
}

#[tokio::test]
async fn spans_and_logs_contain_the_attempts_of_a_call_and_no_secret() {
    let log = Log::start();
    let failing = vec![Act::Hear, answer(503, HEADERS, "hush-answer"), Act::Hear, answer(200, HEADERS, "hush-answer")];
    let double = Double::start(vec![failing]).await;
    let answer = Caller::with_attempts(3)
        .send(&Signed::default(), Safety::Idempotent, secret_request(&double.url("/path")))
        .await
        .unwrap();
    assert_eq!(answer.response.body(), "hush-answer");
    let text = log.text();
    for expected in ["operation=\"Ask\"", "host=\"127.0.0.1\"", "status=200", "retries=1", "attempt=1 status=503"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test]
async fn logs_and_errors_of_failures_hold_no_secret() {
    let garbage = say("HTTP/9.9 hush-answer\r\nhush-answer\r\n\r\n");
    let half = say("HTTP/1.1 200 OK\r\nx: hush-answer\r\ncontent-length: 99\r\n\r\nhush-answer");
    for script in [vec![Act::Hear, garbage], vec![Act::Hear, half, Act::Close], vec![Act::Hear, Act::Close]] {
        let log = Log::start();
        let double = Double::start(vec![script]).await;
        let request = secret_request(&double.url("/path"));
        let error = Caller::with_attempts(2).send(&Signed::default(), Safety::Idempotent, request).await.unwrap_err();
        let expected = format!("{error} {error:?} {}", log.text());
        assert!(expected.contains("attempt=2 error="), "{expected}");
        assert!(!expected.contains("hush"), "{expected}");
    }
}

#[tokio::test]
async fn logs_keep_the_password_of_a_proxy() {
    let log = Log::start();
    let identity = Identity::of("service.invalid");
    let opened = say("HTTP/1.1 200 OK\r\n\r\n");
    let tunnel = vec![Act::Hear, opened, Act::Tls(identity.acceptor()), Act::Hear, answer(200, "", "")];
    for (scheme, script) in [("https", tunnel), ("http", always(answer(200, "", "")))] {
        let proxy = Double::start(vec![script]).await;
        let caller = trusting(&identity, |config| {
            let url = Some(format!("http://user:hush@127.0.0.1:{}", proxy.port()));
            (config.http_proxy, config.https_proxy) = (url.clone(), url);
        });
        caller.read(&format!("{scheme}://service.invalid/")).await;
        assert!(proxy.heard()[0].header("proxy-authorization").is_some());
        assert!(!format!("{caller:?}").contains("hush"));
    }
    assert!(log.text().contains("host=\"service.invalid\""));
    for secret in ["hush", "dXNlcjpodXNo"] {
        assert!(!log.text().contains(secret), "{}", log.text());
    }
}

#[tokio::test]
async fn debug_of_a_call_and_its_answer_shows_no_header_and_no_body() {
    let double = Double::start(vec![always(answer(400, HEADERS, "hush-answer"))]).await;
    let (caller, service) = (Caller::new(|_| ()), Signed::default());
    let request = secret_request(&double.url("/path")).map(PutPayload::from);
    let call = Call { operation: "Ask", request, safety: Safety::Read, service: &service };
    assert_eq!(format!("{call:?}"), "Ask /path");
    let service_error = caller.client.call(call).await.unwrap().unwrap_err();
    assert_eq!(format!("{service_error:?}"), "400 ");
}
