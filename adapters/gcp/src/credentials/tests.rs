use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::Response;
use isobar_abstraction::driver::Environment;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;
use isobar_testkit::Double;

/// A key for these tests only.
const KEY: &str = include_str!("tests/key.pem");

impl Credentials {
    /// Ages the cached token, so that it can be rejected and renewed.
    pub(crate) fn age(&self) {
        self.tokens.age();
    }
}

/// A temporary folder, deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("isobar-gcp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Credentials with only the sources that `vars` name.
fn credentials(vars: &[(&str, &str)]) -> Credentials {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let environment = Environment::default().with_var("GCE_METADATA_HOST", free.to_string());
    let environment = vars.iter().fold(environment, |it, (name, value)| it.with_var(*name, *value));
    Credentials::new(&GcpConfig::from_environment(&environment).unwrap())
}

/// Credentials from a file.
fn of_file(folder: &Folder, file: &Value) -> Credentials {
    credentials(&[("GOOGLE_APPLICATION_CREDENTIALS", &folder.write("credentials.json", &file.to_string()))])
}

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
fn answer(status: u16, body: impl ToString) -> Response<String> {
    Response::builder().status(status).header("metadata-flavor", "Google").body(body.to_string()).unwrap()
}

async fn authorization(credentials: &Credentials) -> Result<String> {
    credentials.token().await.map(|token| token.authorization.to_str().unwrap().to_owned())
}

fn account() -> Value {
    json!({
        "type": "service_account", "project_id": "p-1", "private_key_id": "k1", "private_key": KEY,
        "client_email": "app@p-1.iam.gserviceaccount.com", "client_id": "1", "universe_domain": "googleapis.com",
    })
}

fn user(token_uri: &str) -> Value {
    json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "hush", "refresh_token": "1//hush",
        "token_uri": token_uri, "quota_project_id": "p-2",
    })
}

/// The public part of the key.
fn public() -> Vec<u8> {
    use ring::signature::{KeyPair, RsaKeyPair};
    let body: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).unwrap()).unwrap().public_key().as_ref().to_vec()
}

fn verify(text: &[u8], signature: &[u8]) {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public()).verify(text, signature).unwrap();
}

#[tokio::test]
async fn a_service_account_signs_its_token_itself() {
    let folder = Folder::new();
    let credentials = of_file(&folder, &account());
    let authorization = authorization(&credentials).await.unwrap();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    verify(unsigned.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    let parts: Vec<Value> = unsigned
        .split('.')
        .map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    assert_eq!((&parts[1]["iss"], &parts[1]["sub"]), (&parts[1]["sub"], &json!("app@p-1.iam.gserviceaccount.com")));
    assert_eq!(parts[1]["exp"].as_u64().unwrap() - parts[1]["iat"].as_u64().unwrap(), 3_600);
    assert_eq!(parts[1]["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(&*credentials.project().await.unwrap(), "p-1");
    assert_eq!(&*credentials.email().await.unwrap(), "app@p-1.iam.gserviceaccount.com");
    verify(b"text", &credentials.sign(b"text").await.unwrap());
}

#[tokio::test]
async fn a_users_token_is_refreshed_and_cannot_sign() {
    let double = Double::new(|_| answer(200, json!({"access_token": "ya29.a-b_c", "expires_in": 3599}))).await;
    let folder = Folder::new();
    let credentials = of_file(&folder, &user(&double.url));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer ya29.a-b_c");
    assert_eq!(credentials.token().await.unwrap().quota_project.as_ref().unwrap(), "p-2");
    let form = double.request(0, |request| String::from_utf8(request.body().to_vec()).unwrap());
    assert_eq!(form, "grant_type=refresh_token&client_id=c&client_secret=hush&refresh_token=1%2F%2Fhush");
    assert_eq!(double.requests().len(), 1, "one token for both");
    assert_eq!(credentials.email().await.unwrap_err().kind(), ErrorKind::Config);
    assert!(credentials.sign(b"text").await.unwrap_err().message().contains("GOOGLE_APPLICATION_CREDENTIALS"));
    assert!(!format!("{credentials:?}").contains("hush"));
}

#[tokio::test]
async fn the_error_of_an_expired_login_says_to_log_in() {
    let body = json!({"error": "invalid_grant", "error_description": "Token 1//hush has been revoked"});
    let double = Double::new(move |_| answer(400, &body)).await;
    let folder = Folder::new();
    let error = authorization(&of_file(&folder, &user(&double.url))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("invalid_grant") && error.message().contains("login"), "{error}");
    assert!(!error.message().contains("hush"));
}

#[tokio::test]
async fn the_metadata_server_returns_token_project_and_account_and_iam_signs() {
    let signature = BASE64_STANDARD.encode("signed");
    let double = Double::new(move |request| match request.uri().path() {
        "/computeMetadata/v1/instance/service-accounts/default/token"
            if request.headers()["metadata-flavor"] == "Google" =>
        {
            answer(200, json!({"access_token": "ya29.m", "expires_in": 1800, "token_type": "Bearer"}))
        }
        "/computeMetadata/v1/project/project-id" => answer(200, "p-3"),
        "/computeMetadata/v1/instance/service-accounts/default/email" => answer(200, "run@p-3.example"),
        "/v1/projects/-/serviceAccounts/run%40p-3.example:signBlob" => {
            assert_eq!(request.headers()["authorization"], "Bearer ya29.m");
            assert_eq!(request.body().as_ref(), br#"{"payload":"dGV4dA=="}"#);
            answer(200, json!({"keyId": "k", "signedBlob": signature}))
        }
        other => answer(404, other),
    })
    .await;
    let host = double.url.strip_prefix("http://").unwrap();
    let mut config = GcpConfig::from_environment(
        &Environment::default().with_var("GCE_METADATA_HOST", host).with_var("K_SERVICE", "app"),
    )
    .unwrap();
    config.sources.iam.clone_from(&double.url);
    let credentials = Credentials::new(&config);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer ya29.m");
    for _ in 0..2 {
        assert_eq!(&*credentials.project().await.unwrap(), "p-3");
        assert_eq!(&*credentials.email().await.unwrap(), "run@p-3.example");
    }
    assert_eq!(credentials.sign(b"text").await.unwrap(), b"signed");
    assert_eq!(double.requests().len(), 4, "each is requested once: {:?}", double.requests());
}

#[tokio::test]
async fn a_server_without_googles_header_is_not_trusted() {
    let double = Double::new(|_| Response::new(json!({"access_token": "evil", "expires_in": 1}).to_string())).await;
    let error =
        authorization(&credentials(&[("GCE_METADATA_HOST", &double.url["http://".len()..])])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("is not Google's") && error.message().contains("gcloud auth"), "{error}");
}

#[tokio::test]
async fn another_providers_token_is_exchanged_for_that_of_a_service_account() {
    let double = Double::new(|request| match request.uri().path() {
        "/subject" => {
            assert_eq!(request.headers()["x-key"], "value");
            answer(200, json!({"id_token": "foreign"}))
        }
        "/sts" => answer(200, json!({"access_token": "federated", "expires_in": 3600})),
        "/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken" => {
            assert_eq!(request.headers()["authorization"], "Bearer federated");
            answer(200, json!({"accessToken": "impersonated", "expireTime": "2100-01-01T00:00:00Z"}))
        }
        other => answer(404, other),
    })
    .await;
    let file = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": format!("{}/sts", double.url),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "service_account_impersonation_url":
            format!("{}/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken", double.url),
        "credential_source": {
            "url": format!("{}/subject", double.url), "headers": {"x-key": "value"},
            "format": {"type": "json", "subject_token_field_name": "id_token"},
        },
    });
    let folder = Folder::new();
    let credentials = of_file(&folder, &file);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer impersonated");
    assert_eq!(&*credentials.email().await.unwrap(), "a@b.example");
    let form = double.request(1, |request| String::from_utf8(request.body().to_vec()).unwrap());
    assert!(form.ends_with("&subject_token=foreign") && form.contains("token-exchange"), "{form}");
}

#[tokio::test]
async fn the_error_of_a_wrong_file_does_not_quote_it() {
    let folder = Folder::new();
    let mut broken = account();
    broken["private_key"] = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----".into();
    let mut afar = user("http://evil.example/token");
    afar["refresh_token"] = "hush".into();
    for (file, named) in [
        (json!("hush"), "does not contain credentials"),
        (json!({"type": "hush_account"}), "hush_account"),
        (json!({"type": "service_account", "private_key": "hush"}), "lacks one of client_email"),
        (broken, "private_key"),
        (json!({"type": "authorized_user", "refresh_token": "hush"}), "login"),
        (afar, "https://"),
        (json!({"type": "external_account", "audience": "hush"}), "credential_source"),
        (json!({"type": "service_account", "universe_domain": "other.example"}), "other.example"),
    ] {
        let error = authorization(&of_file(&folder, &file)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = format!("{error} {error:?}").replace("hush_account", "");
        assert!(error.message().contains(named) && !text.contains("hush"), "{error:?}");
    }
    let missing = credentials(&[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/at/all")]);
    assert!(authorization(&missing).await.unwrap_err().message().contains("/nowhere/at/all"));
}

#[tokio::test]
async fn without_credentials_the_error_lists_the_sources() {
    let credentials = credentials(&[("HOME", "/nowhere/at/all")]);
    let error = authorization(&credentials).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    for part in
        ["GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/at/all/.config/gcloud", "metadata server: does not respond"]
    {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(credentials.project().await.unwrap_err().message().contains("GOOGLE_CLOUD_PROJECT"));
}

#[tokio::test]
async fn a_token_that_is_no_header_value_is_rejected() {
    let double = Double::new(|_| answer(200, json!({"access_token": "hush\r\nx: y", "expires_in": 1}))).await;
    let folder = Folder::new();
    let error = authorization(&of_file(&folder, &user(&double.url))).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Internal && !format!("{error:?}").contains("hush"), "{error:?}");
}
