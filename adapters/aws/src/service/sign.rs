//! Signature Version 4: proves the caller's identity by a key that is never sent.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>. The implementation of
//! `object_store` links 0.7 MB of checksum tables (`benches/README.md`) and panics on
//! values that are invalid in a header.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use http::header::HOST;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use isobar_abstraction::clock::to_utc;
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{encode_path, encode_query};
use object_store::PutPayload;
use ring::{digest, hmac};

use crate::config::Credential;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Replaces the hash of a body that is unknown when a URL is signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs requests to one service in one region at one time.
pub(crate) struct Signer<'a> {
    credential: &'a Credential,
    service: &'a str,
    region: &'a str,
    /// `20260102T030405Z`
    time: String,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(credential: &'a Credential, service: &'a str, region: &'a str, now: SystemTime) -> Self {
        let time = to_utc(now).format("%Y%m%dT%H%M%SZ").to_string();
        Self { credential, service, region, time }
    }

    /// Signs a request: all its headers and the whole body. Its query must be in the form of
    /// [`encoded_query`]. Errors: `Config` for a token that is invalid in a header, `InvalidInput` for a URI
    /// without a host.
    pub(crate) fn sign(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        let hash = hex(hash_of(body).as_ref());
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| {
                Error::config("the AWS credentials contain a character that is invalid in a header: set them again")
            })
        };
        request.headers.insert(HOST, value(authority(request)?)?);
        request.headers.insert(DATE, value(&self.time)?);
        if self.service == "s3" {
            request.headers.insert(CONTENT_HASH, value(&hash)?);
        }
        if let Some(token) = &self.credential.token {
            let mut token = value(token)?;
            token.set_sensitive(true);
            request.headers.insert(TOKEN, token);
        }
        let (names, signature) = self.signature(request, request.uri.query().unwrap_or_default(), &hash);
        let (key_id, scope) = (&self.credential.key_id, self.scope());
        let text = format!("{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}");
        let mut authorization = value(&text)?;
        authorization.set_sensitive(true);
        request.headers.insert(http::header::AUTHORIZATION, authorization);
        Ok(())
    }

    /// The query that lets any client use a URL for the time `expires_in`. It signs only the host and the
    /// headers of the request.
    pub(crate) fn presign(&self, request: &mut Parts, expires_in: Duration) -> Result<String> {
        let host = HeaderValue::from_str(authority(request)?)
            .map_err(|_| Error::config("the host of the endpoint is malformed"))?;
        request.headers.insert(HOST, host);
        let credential = format!("{}/{}", self.credential.key_id, self.scope());
        let expires = expires_in.as_secs().to_string();
        let names = signed_names(request);
        let mut pairs = vec![
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &self.time),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", &names),
        ];
        pairs.extend(self.credential.token.as_deref().map(|token| ("X-Amz-Security-Token", token)));
        let query = encode_query(&pairs);
        let (_, signature) = self.signature(request, &query, UNSIGNED);
        Ok(format!("{query}&X-Amz-Signature={signature}"))
    }

    /// The names of the signed headers and the signature.
    fn signature(&self, request: &Parts, query: &str, hash: &str) -> (String, String) {
        let names = signed_names(request);
        let mut canonical = Vec::with_capacity(512);
        let path = request.uri.path();
        // S3's keys are encoded once, the paths of all other services twice.
        let path = if self.service == "s3" { path.to_owned() } else { encode_path(path) };
        canonical.extend(format!("{}\n{path}\n{}\n", request.method, sorted(query)).bytes());
        for name in names.split(';') {
            canonical.extend_from_slice(name.as_bytes());
            for (place, value) in request.headers.get_all(name).iter().enumerate() {
                canonical.push(if place == 0 { b':' } else { b',' });
                push_trimmed(&mut canonical, value.as_bytes());
            }
            canonical.push(b'\n');
        }
        canonical.extend(format!("\n{names}\n{hash}").bytes());
        let hashed = hex(digest::digest(&digest::SHA256, &canonical).as_ref());
        let text = format!("{ALGORITHM}\n{}\n{}\n{hashed}", self.time, self.scope());
        let signature = hex(hmac::sign(&self.key(), text.as_bytes()).as_ref());
        (names, signature)
    }

    fn date(&self) -> &str {
        self.time.split('T').next().unwrap_or_default()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }

    fn key(&self) -> hmac::Key {
        let first = format!("AWS4{}", self.credential.secret_key);
        let first = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        [self.date(), self.region, self.service, "aws4_request"]
            .iter()
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
    }
}

fn authority(request: &Parts) -> Result<&str> {
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    authority.ok_or_else(|| Error::invalid_input("the URL of the request has no host"))
}

/// The names of all headers, sorted.
fn signed_names(request: &Parts) -> String {
    let mut names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names.join(";")
}

/// The query in its signed form: sorted by name and value, with a value for each name.
fn sorted(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> =
        query.split('&').filter(|it| !it.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Appends a value without blanks around it and with single blanks inside.
fn push_trimmed(canonical: &mut Vec<u8>, value: &[u8]) {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    canonical.extend_from_slice(words.next().unwrap_or_default());
    for word in words {
        canonical.push(b' ');
        canonical.extend_from_slice(word);
    }
}

fn hash_of(body: &PutPayload) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    body.iter().for_each(|piece| hash.update(piece));
    hash.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn credential(token: Option<&str>) -> Credential {
        Credential {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: token.map(str::to_owned),
            account: None,
        }
    }

    /// 30 August 2015, 12:36:00 UTC: the time of AWS's test suite.
    fn suite_time() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn signature(request: Request<&str>) -> String {
        let credential = credential(None);
        let signer = Signer::new(&credential, "service", "us-east-1", suite_time());
        let (mut parts, body) = request.into_parts();
        signer.sign(&mut parts, &PutPayload::from(body.to_owned())).unwrap();
        let authorization = parts.headers["authorization"].to_str().unwrap();
        authorization.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    /// The signatures of AWS's own test suite for Signature Version 4.
    #[test]
    fn requests_of_awss_test_suite_have_its_signatures() {
        for (name, request, expected) in [
            (
                "get-vanilla",
                Request::get("https://example.amazonaws.com/").body(""),
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                Request::get("https://example.amazonaws.com/?Param2=value2&Param1=value1").body(""),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "post-vanilla",
                Request::post("https://example.amazonaws.com/").body(""),
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                Request::post("https://example.amazonaws.com/")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("Param1=value1"),
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "get-header-value-trim",
                Request::get("https://example.amazonaws.com/")
                    .header("my-header1", " value1")
                    .header("my-header2", " \"a   b   c\"")
                    .body(""),
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ] {
            assert_eq!(signature(request.unwrap()), expected, "{name}");
        }
    }

    /// The example of "Authenticating Requests: Using Query Parameters" in S3's API reference.
    #[test]
    fn presigned_url_of_the_guide_has_its_signature() {
        let credential = Credential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
            account: None,
        };
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let signer = Signer::new(&credential, "s3", "us-east-1", time);
        let request = Request::get("https://examplebucket.s3.amazonaws.com/test.txt").body(()).unwrap();
        let query = signer.presign(&mut request.into_parts().0, Duration::from_secs(86_400)).unwrap();
        assert_eq!(
            query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
             aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
             aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn sign_with_token_invalid_in_a_header_is_an_error_without_the_secret() {
        let credential = credential(Some("hush\ntoken"));
        let (mut parts, ()) = Request::get("https://example.amazonaws.com/").body(()).unwrap().into_parts();
        let error = Signer::new(&credential, "s3", "us-east-1", suite_time()).sign(&mut parts, &PutPayload::new());
        assert!(!format!("{:?}", error.unwrap_err()).contains("hush"));
        let (mut parts, ()) = Request::get("/").body(()).unwrap().into_parts();
        assert!(
            Signer::new(&credential, "s3", "us-east-1", suite_time()).sign(&mut parts, &PutPayload::new()).is_err()
        );
    }

    #[test]
    fn hash_of_a_body_in_pieces_is_that_of_the_whole() {
        let whole = PutPayload::from_static(b"abcdef");
        let pieces: PutPayload =
            [bytes::Bytes::from_static(b"abc"), bytes::Bytes::from_static(b"def")].into_iter().collect();
        assert_eq!(hash_of(&whole).as_ref(), hash_of(&pieces).as_ref());
    }
}
