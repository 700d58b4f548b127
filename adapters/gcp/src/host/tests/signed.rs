//! Tokens like Google's, signed with keys of these tests.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents};

use super::*;

pub(super) const AUDIENCE: &str = "https://shop-abc.a.run.app";
pub(crate) const EMAIL: &str = "caller@p-1.iam.gserviceaccount.com";

fn key(pem: &str) -> RsaKeyPair {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).unwrap()).unwrap()
}

pub(super) static SIGNER: LazyLock<RsaKeyPair> = LazyLock::new(|| key(include_str!("../../credentials/tests/key.pem")));
pub(super) static OTHER: LazyLock<RsaKeyPair> = LazyLock::new(|| key(include_str!("other.pem")));

/// The entry of a key in a JWKS.
pub(super) fn jwk(id: &str, key: &RsaKeyPair) -> Value {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": part(&n), "e": part(&e)})
}

pub(super) fn jwks() -> Value {
    json!({"keys": [jwk("k1", &SIGNER)]})
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) fn claims() -> Value {
    json!({
        "aud": AUDIENCE, "azp": "113774264463038321964", "email": EMAIL, "email_verified": true,
        "exp": now() + 3_540, "iat": now() - 60, "iss": "https://accounts.google.com", "sub": "113774264463038321964",
    })
}

pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(super) fn sign_with(encoding: &'static dyn RsaEncoding, key: &RsaKeyPair, text: &str) -> String {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn header(id: &str) -> Value {
    json!({"alg": "RS256", "kid": id, "typ": "JWT"})
}

pub(super) fn sign(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    sign_with(&RSA_PKCS1_SHA256, key, &unsigned(header, claims))
}

pub(super) fn sign_512(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    sign_with(&RSA_PKCS1_SHA512, key, &unsigned(header, claims))
}

/// A token with changed claims. `null` removes one.
#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
pub(super) fn token_with(changes: Value) -> String {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    sign(&SIGNER, &header("k1"), &claims)
}

/// The header `authorization` of a valid caller.
pub(super) fn bearer() -> String {
    format!("Bearer {}", token_with(json!({})))
}
