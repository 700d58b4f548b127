//! The key of a service account, which signs tokens and URLs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use isobar_abstraction::clock::later;
use isobar_abstraction::{Error, Result};
use isobar_rest::TemporaryCredential;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;

use super::{SCOPE, Token};

/// The lifetime of a token, the maximum that Google accepts.
const LIFETIME: Duration = Duration::from_secs(3_600);

pub(super) struct ServiceAccount {
    pub(super) email: Arc<str>,
    pub(super) project: Option<Arc<str>>,
    key_id: String,
    key: RsaKeyPair,
}

#[derive(Deserialize)]
struct File {
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: String,
    project_id: Option<String>,
}

impl ServiceAccount {
    /// Errors: `Config`, without the key.
    pub(super) fn parse(from: &str, text: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::config(format!("{from} is of a service account, but {what}"));
        let lacks = |_| wrong("lacks one of client_email and private_key: download the key again");
        let file: File = serde_json::from_slice(text).map_err(lacks)?;
        let der = pkcs8(&file.private_key)
            .ok_or_else(|| wrong("its private_key is not PEM of PKCS #8: download the key again"))?;
        let weak = |_| wrong("its private_key is not an RSA key of 2,048 bits or more");
        Ok(Self {
            key: RsaKeyPair::from_pkcs8(&der).map_err(weak)?,
            email: file.client_email.into(),
            project: file.project_id.map(Arc::from),
            key_id: file.private_key_id,
        })
    }

    /// A token signed with the account's own key, without a request.
    ///
    /// Source: "Self-signed JWTs", AIP-4111.
    pub(super) fn token(&self, now: SystemTime) -> Result<TemporaryCredential<Token>> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": &*self.email, "sub": &*self.email, "scope": SCOPE, "iat": since, "exp": since + LIFETIME.as_secs(),
        });
        let encoded = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let unsigned = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.sign(unsigned.as_bytes())?);
        Token::parse("the service account", &format!("{unsigned}.{signature}"), later(now, LIFETIME))
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        signed.map_err(|_| Error::internal("the key of the service account cannot sign"))?;
        Ok(signature)
    }
}

/// The decoded body of a PEM.
fn pkcs8(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}
