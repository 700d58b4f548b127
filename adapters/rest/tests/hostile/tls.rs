//! The certificates that the client trusts.

use std::path::PathBuf;
use std::sync::Arc;

use isobar_abstraction::ErrorKind;
use isobar_rest::{ClientConfig, Safety};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::caller::Caller;
use crate::double::{Act, Double, Script, answer, say};

/// A certificate that signs itself.
pub(crate) struct Identity(CertifiedKey<KeyPair>);

impl Identity {
    pub(crate) fn of(host: &str) -> Self {
        Self(generate_simple_self_signed([host.to_owned()]).unwrap())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A caller that trusts this identity through its CA bundle.
pub(crate) fn trusting(identity: &Identity, change: impl FnOnce(&mut ClientConfig)) -> Caller {
    let bundle = bundle(&identity.0.cert.pem());
    Caller::new(|config| {
        config.ca_bundle = Some(bundle);
        change(config);
    })
}

/// A file of its own with this content.
fn bundle(content: &str) -> PathBuf {
    let name = format!("bundle-{}.pem", fastrand::u64(..));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

async fn secure(identity: &Identity, script: Script) -> (Double, String) {
    let double = Double::start(vec![[vec![Act::Tls(identity.acceptor())], script].concat()]).await;
    let url = double.url("/").replace("http:", "https:");
    (double, url)
}

#[tokio::test]
async fn a_certificate_of_the_bundle_is_trusted() {
    let identity = Identity::of("127.0.0.1");
    let (double, url) =
        secure(&identity, vec![Act::Hear, answer(200, "", "secure"), Act::Hear, answer(200, "", "")]).await;
    let caller = trusting(&identity, |_| ());
    assert_eq!(caller.read(&url).await, "secure");
    caller.read(&url).await;
    assert_eq!(double.used_connections(), [0, 0]);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_named_and_not_tried_again() {
    let identity = Identity::of("127.0.0.1");
    for caller in [Caller::with_attempts(3), trusting(&Identity::of("127.0.0.1"), |_| ())] {
        let (double, url) = secure(&identity, vec![Act::Hear, answer(200, "", "")]).await;
        let error = caller.call(Safety::Once, &url).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
        assert!(error.message().contains("the certificate of `127.0.0.1:"), "{error:?}");
        assert!(error.message().contains("is not trusted"), "{error:?}");
        assert!(error.message().contains("CA bundle"), "{error:?}");
        assert_eq!((double.connections(), double.heard().len(), caller.waits()), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_trusted_certificate_of_another_host_is_not_taken() {
    let identity = Identity::of("other.invalid");
    let (double, url) = secure(&identity, vec![Act::Hear, answer(200, "", "")]).await;
    let caller = trusting(&identity, |_| ());
    let error = caller.call(Safety::Read, &url).await.unwrap_err();
    assert!(error.message().contains("is not trusted"), "{error:?}");
    assert_eq!((double.connections(), double.heard().len(), caller.waits()), (1, 0, 0));
}

#[tokio::test]
async fn a_server_without_tls_is_a_failed_connection() {
    let double = Double::start(vec![vec![say("HTTP/1.1 400 Bad Request\r\n\r\n"), Act::Close]]).await;
    let caller = Caller::with_attempts(2);
    let error = caller.call(Safety::Once, &double.url("/").replace("http:", "https:")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
    assert!(error.message().contains("cannot connect"), "{error:?}");
    assert_eq!((double.connections(), caller.waits()), (2, 1));
}

/// Else an attacker in the network could shorten any response without a length.
#[tokio::test]
async fn an_answer_up_to_the_end_of_a_connection_that_was_cut_is_not_whole() {
    let identity = Identity::of("127.0.0.1");
    let half = say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf");
    let (_cut, url) = secure(&identity, vec![Act::Hear, half.clone(), Act::Cut]).await;
    let error = trusting(&identity, |_| ()).call(Safety::Once, &url).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true));
    let (_closed, url) = secure(&identity, vec![Act::Hear, half, Act::Close]).await;
    assert_eq!(trusting(&identity, |_| ()).read(&url).await, "half");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_is_a_config_error_that_is_not_repeated() {
    let empty = bundle("no certificate\n");
    let broken = bundle("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    for (path, expected) in [("/nowhere/ca.pem".into(), "cannot be read"), (empty, "no certificate"), (broken, "PEM")] {
        let caller = Caller::new(|config| config.ca_bundle = Some(path));
        let error = caller.call(Safety::Read, "https://127.0.0.1:1/").await.unwrap_err();
        assert_eq!((error.kind(), caller.waits()), (ErrorKind::Config, 0));
        assert!(error.message().contains(expected), "{error:?}");
    }
}
