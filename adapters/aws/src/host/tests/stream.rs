//! Function URLs that stream.

use futures_util::FutureExt;
use http_body::Body as _;

use super::super::stream::{TRAILERS, Wire};
use super::*;

const STREAMS: &[(&str, &str)] = &[("ISOBAR_LAMBDA_INVOKE_MODE", "RESPONSE_STREAM")];

fn streaming() -> Host {
    Host::with("http://127.0.0.1:1", STREAMS, shop)
}

fn request(method: &str, path: &str) -> Value {
    requests(method, path).swap_remove(2).1
}

async fn wire(host: &Host, event: &Value) -> Wire {
    let LambdaReply::Stream(response) = host.reply(event.to_string().as_bytes()).await.unwrap() else {
        panic!("no stream");
    };
    Wire::new(response).unwrap()
}

/// All that goes to Lambda: metadata, body, trailers.
async fn sent(wire: Wire) -> (Value, Vec<u8>, Option<HeaderMap>) {
    let sent = wire.collect().await.unwrap();
    let trailers = sent.trailers().cloned();
    let bytes = sent.to_bytes();
    let end = bytes.windows(8).position(|window| window == [0; 8]).unwrap();
    (serde_json::from_slice(&bytes[..end]).unwrap(), bytes[end + 8..].to_vec(), trailers)
}

#[tokio::test]
async fn a_stream_is_metadata_eight_zero_bytes_and_the_body() {
    let (head, body, trailers) = sent(wire(&streaming(), &request("GET", "/cookies")).await).await;
    let headers = json!({"content-type": "text/plain; charset=utf-8", "x-a": "1, 2", "x-request-id": "req-1"});
    assert_eq!(head, json!({"statusCode": 200, "headers": headers, "cookies": ["a=1", "b=2"]}));
    assert_eq!((body.as_slice(), trailers), (&b"hi"[..], None));
}

#[tokio::test]
async fn binary_and_empty_bodies_stream_as_they_are() {
    let host = streaming();
    assert_eq!(sent(wire(&host, &request("GET", "/binary")).await).await.1, [0xff, 0]);
    let (head, body, trailers) = sent(wire(&host, &request("GET", "/empty")).await).await;
    assert_eq!((&head["statusCode"], body.len(), trailers), (&json!(204), 0, None));
    let (head, body, _) = sent(wire(&host, &request("HEAD", "/links")).await).await;
    assert_eq!((&head["statusCode"], body.len()), (&json!(200), 0));
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_in_trailers_that_name_the_error_and_no_cause() {
    let (head, body, trailers) = sent(wire(&streaming(), &request("GET", "/broken")).await).await;
    assert_eq!((&head["statusCode"], body.as_slice()), (&json!(200), &b"once upon"[..]));
    let trailers = trailers.unwrap();
    assert_eq!(trailers[TRAILERS[0]], "internal");
    use base64::Engine;
    let told = base64::prelude::BASE64_STANDARD.decode(&trailers[TRAILERS[1]]).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["errorType"], "internal");
    assert!(told["errorMessage"].as_str().unwrap().contains("broke off"), "{told}");
    assert!(!told.to_string().contains("no paper"), "{told}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_at_the_deadline() {
    let host = streaming();
    let mut wire = Box::pin(wire(&host, &request("GET", "/endless")).await);
    let mut next = || std::future::poll_fn(|task| wire.as_mut().poll_frame(task)).now_or_never();
    assert!(next().unwrap().is_some(), "the head");
    assert_eq!(next().unwrap().unwrap().unwrap().into_data().unwrap(), "once upon");
    assert!(next().is_none());
    host.clock.advance(Duration::from_secs(60));
    let trailers = next().unwrap().unwrap().unwrap().into_trailers().unwrap();
    assert!(trailers.contains_key(TRAILERS[1]));
    assert!(next().unwrap().is_none(), "nothing comes behind trailers");
}

#[tokio::test]
async fn errors_before_the_first_byte_are_whole_answers_with_their_status() {
    let host = streaming();
    for (path, status) in [("/panic", 500), ("/fails", 500), ("/wrong", 400)] {
        let (head, _, trailers) = sent(wire(&host, &request("GET", path)).await).await;
        assert_eq!((&head["statusCode"], trailers), (&json!(status), None), "{path}");
    }
    let mut event = request("POST", "/links");
    (event["body"], event["isBase64Encoded"]) = (json!("!"), json!(true));
    assert_eq!(sent(wire(&host, &event).await).await.0["statusCode"], 400);
}

#[tokio::test]
async fn only_function_urls_stream_and_only_where_they_are_set_up_for_it() {
    for (gateway, event) in requests("GET", "/cookies") {
        let reply = streaming().reply(event.to_string().as_bytes()).await.unwrap();
        assert_eq!(matches!(reply, LambdaReply::Stream(_)), gateway == "function url", "{gateway}");
    }
    assert!(matches!(Host::alone().reply(request("GET", "/").to_string().as_bytes()).await, Ok(LambdaReply::Json(_))));
}
