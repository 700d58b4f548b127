//! TLS and plain HTTP on one port: what begins with a handshake is TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;

/// Listens for both.
pub(super) struct Both {
    host: String,
    opened: mpsc::Receiver<Connection>,
}

/// A connection of either kind.
pub(super) enum Connection {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Both {
    /// On a port of its own, and the authority that its certificate is of.
    pub(super) async fn bind() -> Result<(Self, String), Wrong> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let (config, authority) = certificate()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (opening, opened) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, opening) = (acceptor.clone(), opening.clone());
                if opening.is_closed() {
                    break;
                }
                tokio::spawn(async move {
                    if let Ok(connection) = open(stream, &acceptor).await {
                        let _gone = opening.send(connection).await;
                    }
                });
            }
        });
        Ok((Self { host, opened }, authority))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

async fn open(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<Connection> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    match first[0] {
        HANDSHAKE => Ok(Connection::Secure(Box::new(acceptor.accept(stream).await?))),
        _ => Ok(Connection::Plain(stream)),
    }
}

fn certificate() -> Result<(ServerConfig, String), Wrong> {
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut authority = CertificateParams::new(Vec::new())?;
    // Another than the certificate's: OpenSSL would take that for its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "the authority of a double");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let told = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let ours = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let secret = PrivateKeyDer::try_from(key.serialize_der())?;
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(vec![ours.der().clone()], secret)?;
    Ok((config, told))
}

impl axum::serve::Listener for Both {
    type Io = Connection;
    type Addr = String;

    async fn accept(&mut self) -> (Connection, String) {
        match self.opened.recv().await {
            Some(connection) => (connection, self.host.clone()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<String> {
        Ok(self.host.clone())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
