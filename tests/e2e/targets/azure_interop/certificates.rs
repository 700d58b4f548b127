//! A certificate authority and a server's certificate, made for one run.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// The files, which are gone when this is dropped.
pub(crate) struct Certificates {
    _folder: TempDir,
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// The server's, for 127.0.0.1 and localhost.
    pub(crate) server: PathBuf,
    /// The server's key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        // A server's certificate that is an authority's too makes clients retry in silence.
        let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        server.is_ca = IsCa::ExplicitNoCa;
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let server_pem = server.signed_by(&key, &issuer).unwrap().pem();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (authority, server) = (write("authority.pem", &authority_pem), write("server.pem", &server_pem));
        let key = write("key.pem", &key.serialize_pem());
        Self { _folder: folder, authority, server, key }
    }
}
