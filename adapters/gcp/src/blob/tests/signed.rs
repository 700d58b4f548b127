//! Signed URLs, verified by a second implementation written from Google's documentation.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{NaiveDateTime, TimeDelta, Utc};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::blob::{SignRequest, SignedAccess};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};

use super::super::sign::tests::bytes;
use super::*;

const KEY: &str = include_str!("../../credentials/tests/key.pem");

/// A temporary file of credentials, deleted on drop.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        let name = format!("isobar-gcp-sign-{}-{}.json", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let account = serde_json::json!({
            "type": "service_account", "project_id": "p-1", "private_key_id": "k1", "private_key": KEY,
            "client_email": "app+1@p-1.iam.gserviceaccount.com", "universe_domain": "googleapis.com",
        });
        std::fs::write(&path, account.to_string()).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn signing(file: &File, emulator: Option<&str>) -> Arc<dyn Blob> {
    let environment = Environment::default().with_var("GOOGLE_APPLICATION_CREDENTIALS", file.0.to_str().unwrap());
    let environment = emulator.into_iter().fold(environment, |it, url| it.with_var("STORAGE_EMULATOR_HOST", url));
    let config = GcpConfig::from_environment(&environment).unwrap();
    // The clock of the app must not matter.
    let state = GcpProvider::with_clock(config, Arc::new(ManualClock::default())).0;
    open(&state, &Location::new(ResourceKind::Bucket, "pages")).unwrap()
}

/// Verifies a signed URL as documented; shares no code with the implementation.
fn verify(method: &str, url: &str) -> Vec<(String, String)> {
    let (place, query) = url.split_once('?').unwrap();
    let (_, rest) = place.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let (signed, signature) = query.rsplit_once("&X-Goog-Signature=").unwrap();
    let encode = |text: &str, unescaped: &str| {
        let encode = |it: char| match it.is_ascii_alphanumeric() || unescaped.contains(it) {
            true => it.to_string(),
            false => utf8_percent_encode(it.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string(),
        };
        text.chars().map(encode).collect::<String>()
    };
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value))).unwrap();
    let mut pairs: Vec<_> = signed.split('&').map(pair).collect();
    pairs.sort();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let required = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"].map(|it| format!("X-Goog-{it}"));
    assert_eq!(names, required);
    let value = |name: &str| pairs.iter().find(|(it, _)| it == name).unwrap().1.clone();
    assert_eq!(
        (value("X-Goog-Algorithm").as_str(), value("X-Goog-SignedHeaders").as_str()),
        ("GOOG4-RSA-SHA256", "host")
    );
    let query: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name, "-._~"), encode(value, "-._~"))).collect();
    let path = encode(&decode(path), "-._~/");
    let lines =
        [method, &format!("/{path}"), &query.join("&"), &format!("host:{host}"), "", "host", "UNSIGNED-PAYLOAD"];
    let hash: String =
        digest(&SHA256, lines.join("\n").as_bytes()).as_ref().iter().map(|it| format!("{it:02x}")).collect();
    let credential = value("X-Goog-Credential");
    let (_, scope) = credential.split_once('/').unwrap();
    assert_eq!(scope, format!("{}/auto/storage/goog4_request", &value("X-Goog-Date")[..8]));
    let text = format!("GOOG4-RSA-SHA256\n{}\n{scope}\n{hash}", value("X-Goog-Date"));
    let body: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).unwrap()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    key.verify(text.as_bytes(), &bytes(signature)).unwrap();
    pairs
}

fn request(stored: &str, access: SignedAccess, expires_in: Duration) -> SignRequest {
    SignRequest::new(stored, access, expires_in)
}

#[tokio::test]
async fn a_signed_url_passes_an_independent_verification() {
    let file = File::new();
    let google = signing(&file, None);
    for name in ["a", "a b/c+d", "\u{e9}/\u{1f600}.png", "a?b=c&d#e", "100%25", "~$a:@b;,", "'\"<>"] {
        for (access, method) in [(SignedAccess::Get, "GET"), (SignedAccess::Put, "PUT")] {
            let signed = google.sign(&request(name, access, Duration::from_secs(60))).await.unwrap();
            assert!(signed.url.starts_with("https://storage.googleapis.com/pages/") && signed.headers.is_empty());
            let pairs = verify(method, &signed.url);
            assert!(pairs[1].1.starts_with("app+1@p-1.iam.gserviceaccount.com/"), "{pairs:?}");
            let place = url::Url::parse(&signed.url).unwrap();
            assert_eq!(percent_decode_str(place.path()).decode_utf8().unwrap(), format!("/pages/{name}"));
            assert!(!format!("{signed:?}").contains("X-Goog"), "a signature is a secret");
        }
    }
}

#[tokio::test]
async fn a_url_expires_as_requested_by_the_real_time() {
    let file = File::new();
    let google = signing(&file, None);
    for (expires_in, seconds) in [(1, "1"), (60, "60"), (604_800, "604800")] {
        let before = Utc::now() - TimeDelta::seconds(1);
        let signed = google.sign(&request("a", SignedAccess::Get, Duration::from_secs(expires_in))).await.unwrap();
        let pairs = verify("GET", &signed.url);
        assert_eq!(pairs[3].1, seconds);
        let time = NaiveDateTime::parse_from_str(&pairs[2].1, "%Y%m%dT%H%M%SZ").unwrap().and_utc();
        assert!(before <= time && time <= Utc::now(), "{time}");
    }
}

#[tokio::test]
async fn an_emulators_urls_are_signed_for_its_host_and_port() {
    let file = File::new();
    let emulated = signing(&file, Some("127.0.0.1:4443"));
    let signed = emulated.sign(&request("a/b", SignedAccess::Put, Duration::from_secs(60))).await.unwrap();
    assert!(signed.url.starts_with("http://127.0.0.1:4443/pages/a/b?"), "{}", signed.url);
    verify("PUT", &signed.url);
}

#[tokio::test]
async fn signing_without_credentials_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let environment = Environment::default()
        .with_var("STORAGE_EMULATOR_HOST", "127.0.0.1:4443")
        .with_var("GCE_METADATA_HOST", free.to_string());
    let state = GcpProvider::new(GcpConfig::from_environment(&environment).unwrap()).0;
    let emulated = open(&state, &Location::new(ResourceKind::Bucket, "pages")).unwrap();
    let error = emulated.sign(&request("a", SignedAccess::Get, Duration::from_secs(60))).await.unwrap_err();
    assert!([ErrorKind::Unauthenticated, ErrorKind::Config].contains(&error.kind()), "{error}");
}
