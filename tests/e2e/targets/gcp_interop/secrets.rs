//! Google's own library and isobar read the same secrets, which are in a double.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::driver::secret::SecretStore;
use isobar::driver::{Environment, Provider, ResourceUrl};
use isobar::{Cloud, ErrorKind};
use isobar_conformance::TrialResult;
use isobar_e2e::backends::gcp::secret_manager::{Fault, SecretManager};
use isobar_gcp::{GcpConfig, GcpProvider};
use serde_json::{Value, json};

use super::{Both, bytes};

/// What must never be in an error.
const VALUE: &str = "hush käse\nline 2";

/// A provider of the project `p-1`.
fn provider() -> isobar::Result<GcpProvider> {
    let environment = Environment::default().with_var("GOOGLE_CLOUD_PROJECT", "p-1");
    Ok(GcpProvider::new(GcpConfig::from_environment(&environment)?))
}

fn store(double: &SecretManager) -> isobar::Result<Arc<dyn SecretStore>> {
    provider()?.secrets(Some(&ResourceUrl::parse_store(&double.secrets())?))
}

pub(super) async fn secrets_of_python_are_ours(both: Arc<Both>) -> TrialResult {
    let double = SecretManager::start().await?;
    let call = |operation: &str, mut input: Value| {
        (input["endpoint"], input["name"]) = (double.url().into(), "dev-token".into());
        both.call("p-1", operation, input)
    };
    let store = store(&double)?;
    assert_eq!(store.get("dev-token").await?, None);
    call("secret.make", json!({}))?;
    assert_eq!(store.get("dev-token").await?, None, "a secret without a version");
    assert!(call("secret.make", json!({})).unwrap_err().message().contains("already exists"));
    let mut version = Value::Null;
    for value in ["first", VALUE] {
        version = call("secret.add", json!({"value": bytes(value.as_bytes())}))?["version"].clone();
        assert_eq!(call("secret.get", json!({}))?, json!({"value": bytes(value.as_bytes()), "version": version}));
        assert_eq!(store.get("dev-token").await?.as_deref(), Some(value));
    }
    for (change, expected) in [("disable", None), ("enable", Some(VALUE)), ("destroy", None)] {
        call("secret.change", json!({"change": change, "version": version}))?;
        assert_eq!(store.get("dev-token").await?.as_deref(), expected, "{change}");
        assert_eq!(call("secret.get", json!({})).is_ok(), expected.is_some(), "{change}");
    }
    call("secret.add", json!({"value": bytes(b"hush\xff\xfe")}))?;
    let error = store.get("dev-token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`dev-token`") && error.message().contains("base64"), "{error}");
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    call("secret.delete", json!({}))?;
    assert_eq!(store.get("dev-token").await?, None);
    Ok(())
}

pub(super) async fn a_secret_manager_that_rejects_or_hangs(_: Arc<Both>) -> TrialResult {
    let double = SecretManager::start().await?;
    double.set("p-1", "token", Some(VALUE));
    let store = store(&double)?;
    for (fault, expected) in [
        (Fault::Denied, "roles/secretmanager.secretAccessor"),
        (Fault::NotEnabled, "gcloud services enable secretmanager.googleapis.com --project p-1"),
    ] {
        double.fail(Some(fault));
        let error = store.get("token").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains(expected), "{error}");
    }
    double.fail(Some(Fault::Hangs));
    let (provider, url) = (Arc::new(provider()?), ResourceUrl::parse_store(&double.secrets())?);
    let cloud = Cloud::new(Arc::clone(&provider) as _).with_secret_store(provider, url);
    let started = Instant::now();
    let error = cloud.secret("token").get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    double.fail(None);
    assert_eq!(store.get("token").await?.as_deref(), Some(VALUE));
    assert!(!format!("{store:?}").contains("hush"));
    Ok(())
}
