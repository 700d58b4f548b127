use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::signed::{OTHER, OURS, claims, header, jwk, sign};
use super::*;

fn keys(url: &str) -> Arc<Keys> {
    Arc::new(Keys::new(&GcpProvider::new(config(url, &[])).0))
}

/// A server whose answer a test may change.
async fn changing(first: Answer) -> (Double, Arc<Mutex<Answer>>) {
    let answer = Arc::new(Mutex::new(first));
    let now = Arc::clone(&answer);
    let double = Double::new(move |_| {
        let answer = now.lock();
        let mut copy = told(answer.status().as_u16(), answer.body());
        *copy.headers_mut() = answer.headers().clone();
        copy
    });
    (double.await, answer)
}

fn good_for(seconds: &str) -> Answer {
    let mut answer = told(200, jwks());
    let value = format!("public, max-age={seconds}, must-revalidate, no-transform");
    answer.headers_mut().insert("cache-control", value.parse().unwrap());
    answer
}

fn after(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_a_minute_at_most() {
    let (double, answer) = changing(told(200, jwks())).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_some());
    for _ in 0..100 {
        assert!(keys.find("k2", after(59)).await.is_none());
    }
    assert_eq!(double.requests().len(), 1);
    *answer.lock() = told(200, json!({"keys": [jwk("k2", &OTHER)]}));
    assert!(keys.find("k2", after(60)).await.is_some(), "the keys have been changed");
    assert!(keys.find("k1", after(60)).await.is_none(), "and the old one is gone");
    assert_eq!(double.requests().len(), 2);
}

#[tokio::test]
async fn a_thousand_bad_tokens_make_one_question() {
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
    assert_eq!(host.call("/.isobar/functions/echo", "1").await.0, 200, "the good are not locked out");
    assert_eq!(host.double.requests(), ["GET /certs"]);
}

#[tokio::test]
async fn keys_are_good_for_as_long_as_is_said_within_bounds() {
    for (said, seconds) in [("1800", 1_800), ("0", 300), ("9999999999", 86_400), ("never", 3_600), ("-1", 3_600)] {
        let (double, _) = changing(good_for(said)).await;
        let keys = keys(&double.url);
        for (at, asked) in [(0, 1), (seconds - 1, 1), (seconds, 2), (seconds + 1, 2)] {
            assert!(keys.find("k1", after(at)).await.is_some());
            assert_eq!(double.requests().len(), asked, "max-age={said}, after {at} s");
        }
    }
    let (double, _) = changing(told(200, jwks())).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_some() && keys.find("k1", after(3_599)).await.is_some());
    assert_eq!(double.requests().len(), 1, "nothing said");
}

#[tokio::test]
async fn old_keys_go_on_while_there_are_no_new_ones() {
    let (double, answer) = changing(told(200, jwks())).await;
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
        *answer.lock() = told(status, &body);
        let before = double.requests().len();
        assert!(keys.find("k1", after(at)).await.is_some(), "{status} {body}");
        assert!(keys.find("k1", after(at + 59)).await.is_some());
        assert_eq!(double.requests().len(), before + 1, "once a minute: {status} {body}");
        at += 60;
    }
    let mut mixed = odd;
    mixed["keys"].as_array_mut().unwrap().push(jwk("k3", &OURS));
    *answer.lock() = told(200, mixed);
    assert!(keys.find("k3", after(at)).await.is_some(), "odd neighbours do no harm");
    drop(double);
    assert!(keys.find("k3", after(at + 9_000)).await.is_some(), "nobody answers");
}

#[tokio::test]
async fn without_any_key_no_token_is_good_until_there_is_one() {
    let (double, answer) = changing(told(503, "")).await;
    let keys = keys(&double.url);
    assert!(keys.find("k1", after(0)).await.is_none());
    *answer.lock() = told(200, jwks());
    assert!(keys.find("k1", after(59)).await.is_none());
    assert!(keys.find("k1", after(60)).await.is_some());
    // A clock that was put back asks again, rather than never.
    *answer.lock() = told(200, json!({"keys": [jwk("k2", &OTHER)]}));
    assert!(keys.find("k2", after(0)).await.is_some());
}

/// Answers the first question, and the others when `slow` says.
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
                    _ => json!({"keys": [jwk("k1", &OURS), jwk("k2", &OTHER)]}),
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
async fn slow_keys_hold_nobody_up_for_long_and_come_for_those_who_call_later() {
    let keys = keys(&slow_server(Duration::from_secs(7)).await);
    assert!(keys.find("k1", after(0)).await.is_some());
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert!(keys.find("k1", after(9_000)).await.is_some(), "the old one");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(keys.find("k2", after(9_001)).await.is_some(), "the new one, which was still on its way");
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_keep_the_keys_from_others() {
    let keys = keys(&slow_server(Duration::from_millis(300)).await);
    assert!(keys.find("k1", after(0)).await.is_some());
    let hasty = keys.find("k2", after(100));
    assert!(tokio::time::timeout(Duration::from_millis(50), hasty).await.is_err());
    assert!(keys.find("k2", after(101)).await.is_some());
}
