//! Streamed responses of Function URLs.

use futures_util::FutureExt;
use http_body::Body as _;

use super::super::stream::{StreamedResponse, TRAILERS};
use super::*;

const STREAMS: &[(&str, &str)] = &[("ISOBAR_LAMBDA_INVOKE_MODE", "RESPONSE_STREAM")];

fn streaming() -> Host {
    Host::with("http://127.0.0.1:1", STREAMS, shop)
}

fn request(method: &str, path: &str) -> Value {
    requests(method, path).swap_remove(2).1
}

async fn response_body(host: &Host, event: &Value) -> StreamedResponse {
    let LambdaReply::Stream(response) = host.reply(event.to_string().as_bytes()).await.unwrap() else {
        panic!("no stream");
    };
    StreamedResponse::new(response).unwrap()
}

/// The parts of the body: metadata, content, trailers.
async fn sent(body: StreamedResponse) -> (Value, Vec<u8>, Option<HeaderMap>) {
    let sent = body.collect().await.unwrap();
    let trailers = sent.trailers().cloned();
    let bytes = sent.to_bytes();
    let end = bytes.windows(8).position(|window| window == [0; 8]).unwrap();
    (serde_json::from_slice(&bytes[..end]).unwrap(), bytes[end + 8..].to_vec(), trailers)
}

#[tokio::test]
async fn stream_is_metadata_eight_zero_bytes_and_the_content() {
    let (head, body, trailers) = sent(response_body(&streaming(), &request("GET", "/cookies")).await).await;
    let headers = json!({"content-type": "text/plain; charset=utf-8", "x-a": "1, 2", "x-request-id": "req-1"});
    assert_eq!(head, json!({"statusCode": 200, "headers": headers, "cookies": ["a=1", "b=2"]}));
    assert_eq!((body.as_slice(), trailers), (&b"hi"[..], None));
}

#[tokio::test]
async fn binary_and_empty_bodies_are_streamed_unchanged() {
    let host = streaming();
    assert_eq!(sent(response_body(&host, &request("GET", "/binary")).await).await.1, [0xff, 0]);
    let (head, body, trailers) = sent(response_body(&host, &request("GET", "/empty")).await).await;
    assert_eq!((&head["statusCode"], body.len(), trailers), (&json!(204), 0, None));
    let (head, body, _) = sent(response_body(&host, &request("HEAD", "/links")).await).await;
    assert_eq!((&head["statusCode"], body.len()), (&json!(200), 0));
}

#[tokio::test]
async fn body_that_fails_ends_in_trailers_with_the_error_and_without_its_source() {
    let (head, body, trailers) = sent(response_body(&streaming(), &request("GET", "/broken")).await).await;
    assert_eq!((&head["statusCode"], body.as_slice()), (&json!(200), &b"first part"[..]));
    let trailers = trailers.unwrap();
    assert_eq!(trailers[TRAILERS[0]], "internal");
    use base64::Engine;
    let body = base64::prelude::BASE64_STANDARD.decode(&trailers[TRAILERS[1]]).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["errorType"], "internal");
    assert!(body["errorMessage"].as_str().unwrap().contains("failed before its end"), "{body}");
    assert!(!body.to_string().contains("no paper"), "{body}");
}

#[tokio::test]
async fn endless_body_ends_at_the_deadline() {
    let host = streaming();
    let mut body = Box::pin(response_body(&host, &request("GET", "/endless")).await);
    let mut next = || std::future::poll_fn(|task| body.as_mut().poll_frame(task)).now_or_never();
    assert!(next().unwrap().is_some(), "the head");
    assert_eq!(next().unwrap().unwrap().unwrap().into_data().unwrap(), "first part");
    assert!(next().is_none());
    host.clock.advance(Duration::from_secs(60));
    let trailers = next().unwrap().unwrap().unwrap().into_trailers().unwrap();
    assert!(trailers.contains_key(TRAILERS[1]));
    assert!(next().unwrap().is_none(), "trailers are the last frame");
}

#[tokio::test]
async fn errors_before_the_first_byte_are_complete_responses_with_their_status() {
    let host = streaming();
    for (path, status) in [("/panic", 500), ("/fails", 500), ("/wrong", 400)] {
        let (head, _, trailers) = sent(response_body(&host, &request("GET", path)).await).await;
        assert_eq!((&head["statusCode"], trailers), (&json!(status), None), "{path}");
    }
    let mut event = request("POST", "/links");
    (event["body"], event["isBase64Encoded"]) = (json!("!"), json!(true));
    assert_eq!(sent(response_body(&host, &event).await).await.0["statusCode"], 400);
}

#[tokio::test]
async fn only_function_urls_with_that_invoke_mode_are_streamed() {
    for (gateway, event) in requests("GET", "/cookies") {
        let reply = streaming().reply(event.to_string().as_bytes()).await.unwrap();
        assert_eq!(matches!(reply, LambdaReply::Stream(_)), gateway == "function url", "{gateway}");
    }
    assert!(matches!(Host::alone().reply(request("GET", "/").to_string().as_bytes()).await, Ok(LambdaReply::Json(_))));
}
