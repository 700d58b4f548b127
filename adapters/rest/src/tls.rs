//! The TLS configuration: trusted certificates and protocols.

use std::path::Path;
use std::sync::Arc;

use hyper_util::client::legacy::Builder;
use hyper_util::rt::TokioExecutor;
use isobar_abstraction::{Error, Result};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::{ClientConfig, Protocol};

/// The TLS configuration of a client. Errors: `Config` where the CA bundle cannot be read.
pub(crate) fn config(config: &ClientConfig) -> Result<rustls::ClientConfig> {
    let roots = match &config.ca_bundle {
        Some(path) => bundle(path)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    // Named, not the default of the process: another crate may have added a second provider.
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS cannot be set up").with_source(error))?;
    let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = match config.protocol {
        Protocol::Http2 if http2_is_compiled_in() => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 | Protocol::Http2 => vec![b"http/1.1".to_vec()],
    };
    Ok(tls)
}

fn bundle(path: &Path) -> Result<RootCertStore> {
    let wrong = |what: &str| Error::config(format!("the CA bundle `{}` {what}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong("cannot be read").with_source(error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| wrong("is not PEM").with_source(error))?;
    let mut roots = RootCertStore::empty();
    // The bundle of a system may contain certificates too old to parse; the others are used.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err(wrong("contains no certificate")) } else { Ok(roots) }
}

/// Whether hyper-util is compiled with HTTP/2.
///
/// Without it, hyper-util panics on HTTP/2. Code outside the facade does not test features; but with
/// HTTP/2, `Builder` has an inherent method, which has precedence over the method of this trait.
fn http2_is_compiled_in() -> bool {
    trait WithoutHttp2 {
        #[allow(dead_code, reason = "called where hyper-util has no HTTP/2")]
        fn http2_only(&mut self, _: bool) -> Option<&mut Builder> {
            None
        }
    }
    impl WithoutHttp2 for Builder {}
    let mut builder = Builder::new(TokioExecutor::new());
    #[allow(clippy::useless_conversion, reason = "it is none where hyper-util has HTTP/2")]
    let found: Option<&mut Builder> = builder.http2_only(false).into();
    found.is_some()
}
