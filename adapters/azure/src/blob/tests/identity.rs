//! Tokens of an identity: rejected and renewed; and user delegation keys.

use super::*;

/// An identity whose endpoint returns a new token each time, `hush1` first.
async fn identity() -> Double {
    let count = AtomicUsize::new(0);
    Double::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        answer(200, &[], &format!("{{\"access_token\":\"hush{number}\",\"expires_on\":\"4102444800\"}}"))
    })
    .await
}

/// The container `pages` of the account `acc`, accessed by that identity.
fn opened_by(identity: &str, storage: &str) -> (Arc<State>, AzureBlob) {
    let environment = Environment::default()
        .with_var("AZURE_STORAGE_ACCOUNT", "acc")
        .with_var("IDENTITY_ENDPOINT", identity)
        .with_var("IDENTITY_HEADER", "x");
    let mut config = AzureConfig::from_environment(&environment).unwrap();
    config.storage.as_mut().unwrap().blob = format!("{storage}/acc");
    let state = AzureProvider::new(config).state;
    let blob = pages(&state);
    (state, blob)
}

/// A storage account that accepts one token.
async fn by_identity(valid: &'static str) -> (Double, Double, Arc<State>, AzureBlob) {
    let identity = identity().await;
    let storage = Double::new(move |request| match request.headers().get("authorization") {
        Some(token) if token == valid => answer(201, &[], ""),
        _ => service_error(401, "InvalidAuthenticationInfo"),
    })
    .await;
    let (state, blob) = opened_by(&identity.url, &storage.url);
    (identity, storage, state, blob)
}

#[tokio::test]
async fn concurrent_calls_with_a_rejected_token_all_continue_with_the_next() {
    let (identity, storage, state, blob) = by_identity("Bearer hush2").await;
    put(&blob, PutMode::Overwrite).await.unwrap_err();
    state.credentials.age();
    let puts = futures_util::future::join(put(&blob, PutMode::Create), put(&blob, PutMode::Overwrite));
    let (puts, uploaded) = futures_util::future::join(puts, upload(&blob, PutMode::Create)).await;
    assert!(puts.0.is_ok() && puts.1.is_ok() && uploaded.is_ok(), "{puts:?} {uploaded:?}");
    assert_eq!(identity.requests().len(), 2);
    assert_eq!(storage.requests().len(), 1 + 4 + 2 + 2, "one service error for each concurrent call");
}

#[tokio::test]
async fn a_new_token_that_is_rejected_is_not_renewed() {
    let (identity, storage, _, blob) = by_identity("Bearer none").await;
    for _ in 0..2 {
        let error = put(&blob, PutMode::Overwrite).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unauthenticated, false));
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    blob.object_store().delete(&Path::from("a")).await.unwrap_err();
    assert_eq!((identity.requests().len(), storage.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_token_without_permission_is_not_renewed() {
    let identity = identity().await;
    let storage = Double::new(|_| service_error(403, "AuthorizationPermissionMismatch")).await;
    let (state, blob) = opened_by(&identity.url, &storage.url);
    state.credentials.token(crate::credentials::Audience::Storage).await.unwrap();
    state.credentials.age();
    assert_eq!(put(&blob, PutMode::Overwrite).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(upload(&blob, PutMode::Overwrite).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!((identity.requests().len(), storage.requests().len()), (1, 2));
}

#[tokio::test]
async fn one_user_delegation_key_signs_many_urls() {
    let expiry = (chrono::Utc::now() + chrono::TimeDelta::hours(12)).to_rfc3339();
    let delegated = format!(
        "\u{feff}<?xml version=\"1.0\"?><UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid>\
         <SignedStart>2026-01-01T00:00:00Z</SignedStart><SignedExpiry>{expiry}</SignedExpiry><SignedService>b\
         </SignedService><SignedVersion>2021-12-02</SignedVersion><Value>aHVzaA==</Value></UserDelegationKey>"
    );
    let double = Double::new(move |request| match request.uri().path() {
        "/msi" => answer(200, &[], "{\"access_token\":\"t\",\"expires_on\":\"4102444800\"}"),
        _ => answer(200, &[], &delegated),
    })
    .await;
    let (_, blob) = opened_by(&format!("{}/msi", double.url), &double.url);
    let sign = |access| SignRequest::new("a b", access, Duration::from_secs(3_600));
    let get = blob.sign(&sign(SignedAccess::Get)).await.unwrap();
    let put = blob.sign(&sign(SignedAccess::Put)).await.unwrap();
    assert!(get.url.contains("/acc/pages/a%20b?sv=2021-12-02&sr=b&sp=r&se=") && get.url.contains("&skoid=o&sktid=t&"));
    assert!(get.headers.is_empty() && put.headers["x-ms-blob-type"] == "BlockBlob");
    assert_eq!(double.requests().len(), 2, "one token and one key");
    let long = SignRequest::new("a b", SignedAccess::Get, Duration::from_secs(7 * 86_400));
    blob.sign(&long).await.unwrap();
    assert_eq!(double.requests()[2], "POST /acc/?restype=service&comp=userdelegationkey");
    let time = |name: &str| {
        let body = double.request(2, |request| String::from_utf8(request.body().to_vec()).unwrap());
        let text = body.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&text).unwrap()
    };
    assert_eq!(time("Expiry") - time("Start"), chrono::TimeDelta::days(7), "Azure rejects longer ones");
    assert!(!format!("{blob:?}").contains("aHVzaA"));
}
