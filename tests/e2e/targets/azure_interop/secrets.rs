//! Azure's own library and isobar read the same vault, which is a double.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::driver::secret::SecretStore;
use isobar::driver::{Provider, ResourceUrl};
use isobar::{Cloud, ErrorKind};
use isobar_conformance::TrialResult;
use isobar_e2e::backends::azure::key_vault::{Fault, KeyVault};
use isobar_e2e::emulators::{Identity, Issued, Library};
use serde_json::{Value, json};

use super::Both;
use super::access::provider;

/// What must never be in an error.
const VALUE: &str = "hush käse\nline 2";

fn store(vault: &KeyVault, identity: &Identity) -> isobar::Result<Arc<dyn SecretStore>> {
    provider(&identity.variables())?.secrets(Some(&ResourceUrl::parse_store(&vault.secrets())?))
}

pub(super) async fn secrets_of_python_are_ours(both: Arc<Both>) -> TrialResult {
    let (vault, identity) = (KeyVault::start().await?, Identity::start(Issued::default()).await?);
    let sdk = Library::start(&both.installed.python, "azure_sdk.py", &json!({}), &identity.variables())?;
    let call = |operation: &str, mut input: Value| {
        (input["vault"], input["name"]) = (vault.url().into(), "dev-token".into());
        tokio::task::block_in_place(|| sdk.call(operation, &input))
    };
    let store = store(&vault, &identity)?;
    assert_eq!(store.get("dev-token").await?, None);
    assert!(call("secret.get", json!({})).unwrap_err().message().contains("SecretNotFound"));
    for value in ["first", VALUE, ""] {
        let version = call("secret.set", json!({"value": value}))?["version"].clone();
        assert_eq!(call("secret.get", json!({}))?, json!({"value": value, "version": version}));
        assert_eq!(store.get("dev-token").await?.as_deref(), Some(value));
    }
    call("secret.enable", json!({"enabled": false}))?;
    let error = store.get("dev-token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("`dev-token` of the vault `double` is disabled"), "{error}");
    assert!(call("secret.get", json!({})).unwrap_err().message().contains("SecretDisabled"));
    call("secret.enable", json!({"enabled": true}))?;
    call("secret.delete", json!({}))?;
    assert_eq!(store.get("dev-token").await?, None);
    // A deleted secret keeps its name.
    assert!(call("secret.set", json!({"value": "a"})).unwrap_err().message().contains("ObjectIsDeletedButRecoverable"));
    vault.set("dev-token", None);
    call("secret.set", json!({"value": "again"}))?;
    assert_eq!(store.get("dev-token").await?.as_deref(), Some("again"));
    call("secret.delete", json!({"purge": true}))?;
    assert_eq!(store.get("dev-token").await?, None);
    let audiences = identity.audiences();
    assert!(
        audiences.iter().all(|audience| audience.trim_end_matches('/') == "https://vault.azure.net"),
        "{audiences:?}"
    );
    Ok(())
}

pub(super) async fn a_vault_that_rejects_or_hangs(_: Arc<Both>) -> TrialResult {
    let vault = KeyVault::start().await?;
    vault.set("token", Some(VALUE));
    let wrong = [
        Issued { audience: Some("https://storage.azure.com"), ..Issued::default() },
        Issued { forged: true, ..Issued::default() },
    ];
    for issued in wrong {
        let error = store(&vault, &Identity::start(issued).await?)?.get("token").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    }
    let identity = Identity::start(Issued::default()).await?;
    let store = store(&vault, &identity)?;
    vault.fail(Some(Fault::Denied));
    let error = store.get("token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.message().contains("ForbiddenByRbac") && error.message().contains("Key Vault Secrets User"),
        "{error}"
    );
    vault.fail(Some(Fault::Hangs));
    let provider = Arc::new(provider(&identity.variables())?);
    let url = ResourceUrl::parse_store(&vault.secrets())?;
    let cloud = Cloud::new(Arc::clone(&provider) as _).with_secret_store(provider, url);
    let started = Instant::now();
    let error = cloud.secret("token").get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    vault.fail(None);
    assert_eq!(store.get("token").await?.as_deref(), Some(VALUE));
    assert!(!format!("{store:?}").contains("hush"));
    Ok(())
}
