use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::signed::{OTHER, SIGNER, claims, header, jwk, now, sign, sign_512, token_with, unsigned};
use super::*;

const PATHS: [&str; 7] = [
    "/.isobar/topics/clicks",
    "/.isobar/buckets/pages",
    "/.isobar/schedules/sweep",
    "/.isobar/functions/echo",
    "/.isobar/nothing",
    "/.isobar",
    "/.isobar/",
];

async fn call_with(host: &Host, authorization: &str) -> (u16, String) {
    let request = Request::post("/.isobar/functions/echo").header("authorization", authorization);
    host.send(request.body(Body::from("1")).unwrap()).await
}

/// Calls with an invalid token, and expects a rejection without details.
async fn rejected(host: &Host, token: &str) {
    let (status, answer) = call_with(host, &format!("Bearer {token}")).await;
    assert_eq!(status, 401, "{token}: {answer}");
    assert_eq!(
        serde_json::from_str::<Value>(&answer).unwrap(),
        json!({"errorType": "unauthenticated", "errorMessage": "the call has no valid token (unauthenticated)"})
    );
}

#[tokio::test]
async fn a_valid_token_is_accepted() {
    let host = Host::new().await;
    for changes in [
        json!({}),
        json!({"iss": "accounts.google.com"}),
        json!({"aud": ["https://other", AUDIENCE]}),
        json!({"exp": now() - 30}),
        json!({"iat": now() + 30}),
    ] {
        let token = token_with(changes.clone());
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert_eq!(call_with(&host, &format!("{scheme} {token}")).await, (200, "1".to_owned()), "{changes}");
        }
    }
    assert_eq!(host.double.requests(), ["GET /certs"]);
    let (audiences, accounts) = (format!("https://a, {AUDIENCE} ,https://b"), format!("a@b,{EMAIL}"));
    let second = Host::with(&[(ISOBAR_EVENT_AUDIENCE, &audiences), (ISOBAR_EVENT_SERVICE_ACCOUNT, &accounts)]).await;
    assert_eq!(call_with(&second, &bearer()).await.0, 200);
}

#[tokio::test]
async fn a_token_that_cannot_be_verified_yet_gets_503() {
    let host = Host::at(Double::new(|_| response(404, "")).await, &[]);
    let (status, answer) = call_with(&host, &bearer()).await;
    assert!(status == 503 && answer.contains("cannot be verified now"), "{status} {answer}");
    // A malformed token is rejected without keys.
    assert_eq!(call_with(&host, "Bearer x.y.z").await.0, 401);
    assert!(host.calls().is_empty());
}

#[tokio::test]
async fn a_token_with_wrong_claims_is_rejected() {
    let host = Host::new().await;
    for changes in [
        json!({"exp": now() - 61}),
        json!({"exp": 0}),
        json!({"exp": null}),
        json!({"exp": "9999999999"}),
        json!({"exp": -1}),
        json!({"iat": now() + 3_600}),
        json!({"iat": u64::MAX}),
        json!({"iat": null}),
        json!({"aud": "https://shop-abc.a.run.app/"}),
        json!({"aud": "https://other"}),
        json!({"aud": ["https://other"]}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"aud": {"0": AUDIENCE}}),
        json!({"aud": null}),
        json!({"email": "caller@p-2.iam.gserviceaccount.com"}),
        json!({"email": format!("x{EMAIL}")}),
        json!({"email": EMAIL.to_uppercase()}),
        json!({"email": ""}),
        json!({"email": null}),
        json!({"email_verified": false}),
        json!({"email_verified": "true"}),
        json!({"email_verified": null}),
        json!({"iss": "https://accounts.google.com.evil.example"}),
        json!({"iss": "https://securetoken.google.com/p-1"}),
        json!({"iss": EMAIL}),
        json!({"iss": null}),
    ] {
        rejected(&host, &token_with(changes)).await;
    }
    assert_eq!(host.double.requests(), ["GET /certs"]);
}

#[tokio::test]
async fn forged_signatures_are_rejected() {
    let host = Host::new().await;
    let (good, all) = (token_with(json!({})), claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    // Signed by another key, under the id of Google's.
    rejected(&host, &sign(&OTHER, &header("k1"), &all)).await;
    // The signature of another token.
    let elder = token_with(json!({"sub": "1"}));
    rejected(&host, &format!("{signed}.{}", elder.rsplit_once('.').unwrap().1)).await;
    for alg in ["none", "None", "NONE", ""] {
        let text = unsigned(&json!({"alg": alg, "kid": "k1"}), &all);
        rejected(&host, &format!("{text}.")).await;
        rejected(&host, &format!("{text}.{signature}")).await;
    }
    // The public key as the secret of an HMAC.
    let text = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &all);
    for secret in [jwk("k1", &SIGNER)["n"].as_str().unwrap().as_bytes(), SIGNER.public().as_ref()] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = BASE64_URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, text.as_bytes()));
        rejected(&host, &format!("{text}.{tag}")).await;
    }
    for alg in ["RS512", "RS256"] {
        rejected(&host, &sign_512(&SIGNER, &json!({"alg": alg, "kid": "k1"}), &all)).await;
    }
    for alg in ["PS256", "ES256", "rs256"] {
        rejected(&host, &sign(&SIGNER, &json!({"alg": alg, "kid": "k1"}), &all)).await;
    }
    // A key inside the token is ignored.
    rejected(&host, &sign(&OTHER, &json!({"alg": "RS256", "kid": "k2", "jwk": jwk("k2", &OTHER)}), &all)).await;
    rejected(&host, &format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE")).await;
    assert_eq!(call_with(&host, &format!("Bearer {good}")).await.0, 200);
}

#[tokio::test]
async fn a_malformed_token_is_rejected() {
    let host = Host::new().await;
    let good = token_with(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let not_json = BASE64_URL_SAFE_NO_PAD.encode("{");
    for wrong in [
        "",
        ".",
        "..",
        "a.b.c",
        signed,
        &format!("{good}.x"),
        &format!("x.{good}"),
        &format!("{good}="),
        &format!("{signed}.{signature}="),
        &format!("{signed}.%"),
        &format!("{not_json}.{not_json}.{signature}"),
        &format!("{good}, Bearer {good}"),
        &"a".repeat(100_000),
        &format!("{good}{}", " ".repeat(9_000)),
        &sign(&SIGNER, &json!({"alg": "RS256"}), &claims()),
        &sign(&SIGNER, &header("k1"), &json!([])),
        &sign(&SIGNER, &header("k1"), &json!("x")),
    ] {
        rejected(&host, wrong).await;
    }
    for wrong in ["Bearer", &good, &format!("Basic {good}"), &format!("Bearer\t{good}"), "Bearer \u{fc}"] {
        assert_eq!(call_with(&host, wrong).await.0, 401, "{wrong}");
    }
    let none = Request::post("/.isobar/functions/echo").header("x-serverless-authorization", bearer());
    assert_eq!(host.send(none.body(Body::empty()).unwrap()).await.0, 401);
    let in_query = Request::post(format!("/.isobar/functions/echo?access_token={good}")).body(Body::empty()).unwrap();
    let answer = host.service.handle(in_query).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
}

/// A body that never ends, and a flag that is set when it is read.
fn watched() -> (Body, Arc<AtomicBool>) {
    let was_read = Arc::new(AtomicBool::new(false));
    let calls = Arc::clone(&was_read);
    let body = stream::poll_fn(move |_| {
        calls.store(true, Ordering::Relaxed);
        std::task::Poll::<Option<Result<Bytes, BoxError>>>::Pending
    });
    (Body::from_stream(body), was_read)
}

#[tokio::test]
async fn the_body_of_an_unauthorized_call_is_not_read() {
    let host = Host::new().await;
    let closed = Host::with(&[(ISOBAR_EVENT_AUDIENCE, "")]).await;
    for path in PATHS {
        for (host, status, size) in [(&host, 401, None), (&host, 401, Some("99999999999")), (&closed, 403, None)] {
            let (body, was_read) = watched();
            let mut request = Request::post(path).header("authorization", "Bearer a.b.c");
            if let Some(size) = size {
                request = request.header("content-length", size);
            }
            let answer = host.send(request.body(body).unwrap());
            let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap();
            assert_eq!((answer.0, was_read.load(Ordering::Relaxed)), (status, false), "{path}: {}", answer.1);
        }
    }
    assert!(host.calls().is_empty() && closed.calls().is_empty());
}

#[tokio::test]
async fn an_unauthorized_caller_learns_nothing() {
    let host = Host::new().await;
    for path in PATHS {
        for method in ["POST", "GET", "PUT", "HEAD", "OPTIONS"] {
            let request = Request::builder().method(method).uri(path).body(Body::from("{")).unwrap();
            let (status, answer) = host.send(request).await;
            assert_eq!((status, answer.contains("clicks")), (401, false), "{method} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn without_settings_all_calls_are_rejected_and_the_missing_variables_named() {
    for (vars, missing, set) in [
        (vec![(ISOBAR_EVENT_AUDIENCE, "")], ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_SERVICE_ACCOUNT),
        (vec![(ISOBAR_EVENT_SERVICE_ACCOUNT, " , ")], ISOBAR_EVENT_SERVICE_ACCOUNT, ISOBAR_EVENT_AUDIENCE),
        (vec![(ISOBAR_EVENT_AUDIENCE, ""), (ISOBAR_EVENT_SERVICE_ACCOUNT, "")], ISOBAR_EVENT_AUDIENCE, "PORT"),
    ] {
        let host = Host::with(&vars).await;
        for path in PATHS {
            let (status, answer) = host.call(path, "{}").await;
            assert_eq!((status, answer.contains(missing), answer.contains(set)), (403, true, false), "{answer}");
        }
        assert!(host.double.requests().is_empty());
        assert_eq!(host.send(Request::get("/").body(Body::empty()).unwrap()).await, (200, "root".to_owned()));
    }
}

#[tokio::test]
async fn tokens_are_optional_only_with_an_emulator() {
    let call = || Request::post("/.isobar/functions/echo").header("host", "127.0.0.1:8080");
    let unauthenticated = || call().body(Body::from("1")).unwrap();
    let laptop = [(ISOBAR_EVENT_AUDIENCE, ""), (ISOBAR_EVENT_SERVICE_ACCOUNT, ""), ("K_SERVICE", "")];
    let host = Host::with(&laptop).await;
    assert_eq!(host.send(unauthenticated()).await, (200, "1".to_owned()));
    assert!(host.service.settings().address().is_loopback());
    for foreign in [("origin", "https://evil.example"), ("x-forwarded-for", "192.0.2.1"), ("host", "evil.example")] {
        let request = call().header(foreign.0, foreign.1).body(Body::from("1")).unwrap();
        assert_eq!(host.send(request).await.0, 403, "{foreign:?}");
    }
    let old = call().version(::http::Version::HTTP_10).body(Body::from("1")).unwrap();
    assert_eq!(host.send(old).await.0, 403, "nginx with its defaults");
    for (vars, status) in [(&laptop[..2], 403), (&laptop[1..], 403), (&laptop[2..], 401)] {
        let host = Host::with(vars).await;
        assert_eq!(host.send(unauthenticated()).await.0, status, "{vars:?}");
        assert!(host.service.settings().address().is_unspecified());
    }
    let without = [&laptop[..], &[("PUBSUB_EMULATOR_HOST", "")]].concat();
    assert_eq!(Host::with(&without).await.send(unauthenticated()).await.0, 403, "no emulator");
}
