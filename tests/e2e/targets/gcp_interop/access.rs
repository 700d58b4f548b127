//! Permission to call a trigger.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Json, Router, routing::get};
use http::Request;
use http_body_util::BodyExt;
use isobar::driver::{Environment, Hosted};
use isobar::prelude::*;
use isobar::{Body, Cloud};
use isobar_conformance::TrialResult;
use isobar_gcp::{CloudRunService, GcpConfig, GcpProvider};
use serde_json::{Value, json};

use super::Both;

const AUDIENCE: &str = "https://worker-abc.a.run.app";
const ACCOUNT: &str = "caller@isobar.iam.gserviceaccount.com";

/// A service whose triggers accept tokens of these keys.
async fn service(keys: Value) -> isobar::Result<CloudRunService> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/certs", listener.local_addr().unwrap());
    let routes = Router::new().route("/certs", get(move || async move { Json(keys) }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let environment = Environment::default()
        .with_var("GOOGLE_CLOUD_PROJECT", "worker")
        .with_var("K_SERVICE", "worker")
        .with_var("ISOBAR_EVENT_AUDIENCE", AUDIENCE)
        .with_var("ISOBAR_EVENT_SERVICE_ACCOUNT", ACCOUNT)
        .with_var("ISOBAR_EVENT_KEYS", url);
    let provider = GcpProvider::new(GcpConfig::from_environment(&environment)?);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = App::new("worker")
        .on_invoke("greet", |name: String, _cx| async move { Ok::<_, isobar::Error>(format!("hello {name}")) });
    let manifest = Arc::new(app.start(&cloud)?);
    Ok(provider.service(Hosted::new(app, manifest)))
}

/// The claims of a token of Google's, with these changes.
fn claims(other: &Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": true,
        "sub": "1234567890", "azp": "1234567890", "iat": now, "exp": now + 3_600,
    });
    claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    claims
}

pub(super) async fn a_token_opens_triggers(both: Arc<Both>) -> TrialResult {
    let service = service(both.call("ta", "token.keys", json!({}))?).await?;
    let cases = [
        (json!({}), 200),
        (json!({"iss": "accounts.google.com"}), 200),
        (json!({"iss": "https://accounts.example.com"}), 401),
        (json!({"aud": "https://another-abc.a.run.app"}), 401),
        (json!({"email": "another@isobar.iam.gserviceaccount.com"}), 401),
        (json!({"email_verified": false}), 401),
        (json!({"iat": 1_700_000_000, "exp": 1_700_003_600}), 401),
    ];
    for (other, status) in cases {
        let token = both.call("ta", "token.make", json!({"claims": claims(&other)}))?;
        let request = Request::post("/.isobar/functions/greet")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", token["token"].as_str().unwrap()))
            .body(Body::from("\"Ada\""))?;
        let response = service.handle(request).await;
        assert_eq!(response.status(), status, "{other}");
        let body = response.into_body().collect().await?.to_bytes();
        assert_eq!(body == "\"hello Ada\"", status == 200, "{other}: {body:?}");
    }
    // The claims of one valid token with the signature of another, a token without a signature, and no token.
    let [one, other] = ["1", "2"].map(|sub| {
        let token = both.call("ta", "token.make", json!({"claims": claims(&json!({"sub": sub}))})).unwrap();
        token["token"].as_str().unwrap().to_owned()
    });
    let (claims, signature) = (one.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    for header in [Some(format!("Bearer {claims}.{signature}")), Some(format!("Bearer {claims}.")), None] {
        let request = header
            .iter()
            .fold(Request::post("/.isobar/functions/greet"), |request, header| request.header("authorization", header));
        let response = service.handle(request.body(Body::from("\"Ada\""))?).await;
        assert_eq!(response.status(), 401, "{header:?}");
    }
    Ok(())
}
