use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::signed::{OTHER, SIGNER, claims, header, jwk, sign};
use super::*;

fn keys(url: &str) -> Arc<Keys> {
    Arc::new(Keys::new(&GcpProvider::new(config(url, &[])).0))
}

/// A server whose response a test may change.
async fn changing(first: Answer) -> (Double, Arc<Mutex<Answer>>) {
    let answer = Arc::new(Mutex::new(first));
    let now = Arc::clone(&answer);
    let double = Double::new(move |_| {
        let answer = now.lock();
        let mut copy = response(answer.status().as_u16(), answer.body());
        *copy.headers_mut() = answer.headers().clone();
        copy
    });
    (double.await, answer)
}

fn with_max_age(seconds: &str) -> Answer {
    let mut answer = response(200, jwks());
    let value = format!("public, max-age={seconds}, must-revalidate, no-transform");
    answer.headers_mut().insert("cache-control", value.parse().unwrap());
    answer
}

fn after(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

#[tokio::test]
async fn an_unknown_key_causes_one_fetch_a_minute_at_most() {
    let (double, answer) = changing(response(200, jwks())).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_some());
    for _ in 0..100 {
        assert!(keys.find("k2", after(59)).await.is_none());
    }
    assert_eq!(double.requests().len(), 1);
    *answer.lock() = response(200, json!({"keys": [jwk("k2", &OTHER)]}));
    assert!(keys.find("k2", after(60)).await.is_some(), "the keys have been changed");
    assert!(keys.find("k1", after(60)).await.is_none(), "and the old one is gone");
    assert_eq!(double.requests().len(), 2);
}

#[tokio::test]
async fn a_thousand_invalid_tokens_cause_one_fetch() {
    let host = Arc::new(Host::new().await);
    let all = claims();
    let calls = (0..1_000).map(|number| {
        let token = sign(&OTHER, &header(&format!("bad-{}", number % 300)), &all);
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let request = Request::post("/.isobar/functions/echo").header("authorization", format!("Bearer {token}"));
            host.send(request.body(Body::from("1")).unwrap()).await.0
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 401);
    }
    assert_eq!(host.call("/.isobar/functions/echo", "1").await.0, 200, "valid tokens are still accepted");
    assert_eq!(host.double.requests(), ["GET /certs"]);
}

#[tokio::test]
async fn the_lifetime_of_keys_is_max_age_within_bounds() {
    for (max_age, seconds) in [("1800", 1_800), ("0", 300), ("9999999999", 86_400), ("never", 3_600), ("-1", 3_600)] {
        let (double, _) = changing(with_max_age(max_age)).await;
        let keys = keys(&double.url);
        for (at, fetches) in [(0, 1), (seconds - 1, 1), (seconds, 2), (seconds + 1, 2)] {
            assert!(keys.find("k1", after(at)).await.is_some());
            assert_eq!(double.requests().len(), fetches, "max-age={max_age}, after {at} s");
        }
    }
    let (double, _) = changing(response(200, jwks())).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_some() && keys.find("k1", after(3_599)).await.is_some());
    assert_eq!(double.requests().len(), 1, "without max-age");
}

#[tokio::test]
async fn old_keys_stay_valid_while_new_ones_cannot_be_fetched() {
    let (double, answer) = changing(response(200, jwks())).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_some());
    let mut at = 3_600;
    let odd = json!({"keys": [{"kty": "EC", "kid": "e"}, {"kid": 7}, null, {"kty": "RSA", "kid": "k", "n": "?"}]});
    for (status, body) in [
        (500, String::new()),
        (404, String::new()),
        (302, String::new()),
        (200, String::new()),
        (200, "<html>".to_owned()),
        (200, "{}".to_owned()),
        (200, json!({"keys": []}).to_string()),
        (200, odd.to_string()),
    ] {
        *answer.lock() = response(status, &body);
        let before = double.requests().len();
        assert!(keys.find("k1", after(at)).await.is_some(), "{status} {body}");
        assert!(keys.find("k1", after(at + 59)).await.is_some());
        assert_eq!(double.requests().len(), before + 1, "once a minute: {status} {body}");
        at += 60;
    }
    let mut mixed = odd;
    mixed["keys"].as_array_mut().unwrap().push(jwk("k3", &SIGNER));
    *answer.lock() = response(200, mixed);
    assert!(keys.find("k3", after(at)).await.is_some(), "other entries are ignored");
    drop(double);
    assert!(keys.find("k3", after(at + 9_000)).await.is_some(), "the server does not respond");
}

#[tokio::test]
async fn without_keys_no_token_is_valid() {
    let (double, answer) = changing(response(503, "")).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_none());
    *answer.lock() = response(200, jwks());
    assert!(keys.find("k1", after(59)).await.is_none());
    assert!(keys.find("k1", after(60)).await.is_some());
    // After the clock was set back, keys are still fetched.
    *answer.lock() = response(200, json!({"keys": [jwk("k2", &OTHER)]}));
    assert!(keys.find("k2", after(0)).await.is_some());
}

/// A server that responds to the first request immediately, and to later ones after `slow`.
async fn slow_server(slow: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4_096];
                assert!(stream.read(&mut head).await.unwrap() > 0);
                if number > 0 {
                    tokio::time::sleep(slow).await;
                }
                let keys = match number {
                    0 => jwks(),
                    _ => json!({"keys": [jwk("k1", &SIGNER), jwk("k2", &OTHER)]}),
                };
                let (keys, size) = (keys.to_string(), keys.to_string().len());
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n{keys}");
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_slow_fetch_delays_calls_for_seconds_only_and_serves_later_calls() {
    let keys = keys(&slow_server(Duration::from_secs(7)).await);
    assert!(keys.find("k1", after(0)).await.is_some());
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert!(keys.find("k1", after(9_000)).await.is_some(), "the old one");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(keys.find("k2", after(9_001)).await.is_some(), "the new one, whose fetch was still running");
}

#[tokio::test]
async fn a_caller_that_disconnects_does_not_cancel_the_fetch() {
    let keys = keys(&slow_server(Duration::from_millis(300)).await);
    assert!(keys.find("k1", after(0)).await.is_some());
    let cancelled = keys.find("k2", after(100));
    assert!(tokio::time::timeout(Duration::from_millis(50), cancelled).await.is_err());
    assert!(keys.find("k2", after(101)).await.is_some());
}
