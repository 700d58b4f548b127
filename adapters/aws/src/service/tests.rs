use http::Response;
use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::Environment;
use serde_json::json;

use isobar_testkit::Double;
use parking_lot::Mutex;

use super::*;
use crate::{AwsConfig, AwsProvider};

fn provider(endpoint: &str, vars: &[(&str, &str)]) -> AwsProvider {
    let environment = Environment::default()
        .with_var("AWS_REGION", "eu-west-1")
        .with_var("AWS_ENDPOINT_URL", endpoint)
        .with_var("AWS_MAX_ATTEMPTS", "1");
    let environment = vars.iter().fold(environment, |it, (name, value)| it.with_var(*name, *value));
    AwsProvider::new(AwsConfig::from_environment(&environment).unwrap())
}

const FIXED: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_SESSION_TOKEN", "token")];

fn answer(status: u16, body: &str) -> Response<String> {
    Response::builder().status(status).body(body.to_owned()).unwrap()
}

#[tokio::test]
async fn a_call_is_signed_for_its_service_and_region() {
    let double = Double::new(|_| answer(200, "{}")).await;
    let service = provider(&double.url, &FIXED).service("bedrock-runtime", Some("us-east-1")).unwrap();
    let request = Request::post("/model/a:b/converse?x=a+b&Q=$LATEST&%41=%2b&y").body(Bytes::from("{}")).unwrap();
    let response = service.call("Converse", Safety::Read, request).await.unwrap();
    assert_eq!(response.body().as_ref(), b"{}");
    assert_eq!(double.requests(), ["POST /model/a:b/converse?x=a%20b&Q=%24LATEST&A=%2B&y"]);
    double.request(0, |request| {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let signature = header("authorization");
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
        assert!(signature.contains("/us-east-1/bedrock/aws4_request, "), "{signature}");
        assert!(signature.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
        assert_eq!(header("x-amz-security-token"), "token");
        assert_eq!(header("host"), double.url.trim_start_matches("http://"));
    });
}

/// A container's endpoint that returns `key-1`, `key-2`, … and a service that accepts only `accepted_key`.
async fn expiring(accepted_key: &'static str) -> (Double, Double, AwsService) {
    let issued = Mutex::new(0);
    let container = Double::new(move |_| {
        *issued.lock() += 1;
        let credential = json!({
            "AccessKeyId": format!("key-{}", issued.lock()), "SecretAccessKey": "hush", "Token": "token",
            "Expiration": "2100-01-01T00:00:00Z",
        });
        answer(200, &credential.to_string())
    })
    .await;
    let double = Double::new(move |request| {
        let is_accepted = request.headers()["authorization"].to_str().unwrap().contains(accepted_key);
        let expired = r#"{"__type":"ExpiredTokenException","message":"The security token is expired"}"#;
        if is_accepted { answer(200, "{}") } else { answer(400, expired) }
    })
    .await;
    let vars = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];
    let service = provider(&double.url, &vars).service("dynamodb", None).unwrap();
    service.state.credentials.get().await.unwrap();
    service.state.credentials.age();
    (container, double, service)
}

#[tokio::test]
async fn call_with_expired_credentials_renews_them_and_is_repeated_once() {
    let (container, double, service) = expiring("key-2/").await;
    let write = || Request::post("/").body(Bytes::new()).unwrap();
    service.call("PutItem", Safety::Once, write()).await.unwrap();
    service.call("PutItem", Safety::Once, write()).await.unwrap();
    assert_eq!((container.requests().len(), double.requests().len()), (2, 3));
}

#[tokio::test]
async fn call_with_expired_fixed_credentials_is_not_repeated() {
    let double = Double::new(|_| answer(403, "<Error><Code>ExpiredToken</Code></Error>")).await;
    let service = provider(&double.url, &FIXED).service("sns", None).unwrap();
    let error =
        service.call("Publish", Safety::Once, Request::post("/").body(Bytes::new()).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn account_is_requested_from_sts_once() {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                <Arn>arn:aws:iam::123456789012:user/a</Arn><UserId>A</UserId><Account>123456789012</Account>\
                </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let double = Double::new(move |_| answer(200, body)).await;
    let service = provider(&double.url, &FIXED).service("sns", None).unwrap();
    assert_eq!(service.account().await.unwrap(), "123456789012");
    assert_eq!(service.account().await.unwrap(), "123456789012");
    assert_eq!(double.requests().len(), 1);

    let vars: Vec<_> = FIXED.into_iter().chain([("AWS_ACCOUNT_ID", "210987654321")]).collect();
    let service = provider(&double.url, &vars).service("sns", None).unwrap();
    assert_eq!(service.account().await.unwrap(), "210987654321");
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn call_that_cannot_be_signed_is_invalid_input() {
    let service = provider("http://127.0.0.1:1", &FIXED).service("s3", None).unwrap();
    let request = Request::get("/").header("x-a", "\u{e9}").body(Bytes::new()).unwrap();
    let error = service.call("Get", Safety::Read, request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let lambda = provider("http://127.0.0.1:1", &FIXED).service("lambda", None).unwrap();
    let empty = Request::get("/functions//x").body(Bytes::new()).unwrap();
    assert_eq!(lambda.call("Get", Safety::Read, empty).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(provider("http://127.0.0.1:1", &FIXED).service("s3", Some("evil.example/")).is_err());
}
