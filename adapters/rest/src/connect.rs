//! How a connection is made: proxy, TCP, TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::uri::Scheme;
use http::{Extensions, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use isobar_abstraction::{BoxError, Result};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::proxy::Proxies;
use crate::{ClientConfig, tls};

/// Opens connections, through a proxy where one is configured.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Dialer>);

struct Dialer {
    config: ClientConfig,
    proxies: Proxies,
    http: HttpConnector,
    tls: OnceLock<Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// Errors: `Config` where a proxy is malformed.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // hyper divides this timeout among the addresses of the host, so that a dead one leaves time for the next.
        http.set_connect_timeout(Some(config.connect_timeout));
        let proxies = Proxies::new(config)?;
        Ok(Self(Arc::new(Dialer { config: config.clone(), proxies, http, tls: OnceLock::new() })))
    }

    /// The proxy for this URL, if one is configured.
    pub(crate) fn proxy(&self, uri: &Uri) -> Option<Intercept> {
        self.0.proxies.of(uri)
    }

    /// The TLS configuration; the first call reads the certificates. Errors: `Config` where they cannot be read.
    pub(crate) fn tls(&self) -> Result<&Arc<rustls::ClientConfig>> {
        if let Some(tls) = self.0.tls.get() {
            return Ok(tls);
        }
        let tls = Arc::new(tls::config(&self.0.config)?);
        Ok(self.0.tls.get_or_init(|| tls))
    }

    async fn dial(self, uri: Uri) -> Result<Link, BoxError> {
        let Dialer { proxies, http, .. } = &*self.0;
        let mut http = http.clone();
        let proxy = proxies.of(&uri);
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let proxied = proxy.is_some();
            let stream = http.call(proxy.map_or(uri, |proxy| proxy.uri().clone())).await?;
            return Ok(Link::new(MaybeHttpsStream::Http(stream), proxied));
        }
        let tls = Arc::clone(self.tls()?);
        let stream = match proxy {
            None => HttpsConnector::from((http, tls)).call(uri).await?,
            Some(proxy) => HttpsConnector::from((tunnel(&proxy, http), tls)).call(uri).await?,
        };
        Ok(Link::new(stream, false))
    }
}

fn tunnel(proxy: &Intercept, http: HttpConnector) -> Tunnel<HttpConnector> {
    let tunnel = Tunnel::new(proxy.uri().clone(), http);
    match proxy.basic_auth() {
        Some(credentials) => tunnel.with_auth(credentials.clone()),
        None => tunnel,
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Link, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connector, limit) = (self.clone(), self.0.config.connect_timeout);
        Box::pin(async move {
            let dialled = tokio::time::timeout(limit, connector.dial(uri)).await;
            dialled.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")).into())
            })
        })
    }
}

/// Whether this connection has received a response. If it has, its end does not mean that the service
/// failed: the connection may have been idle for too long, or the machine frozen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served(Arc<AtomicBool>);

impl Served {
    /// Notes that the connection has received the head of a response.
    pub(crate) fn mark(extensions: &Extensions) {
        if let Some(served) = extensions.get::<Self>() {
            served.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the connection has received a response.
    pub(crate) fn has_served(connection: &Connected) -> bool {
        let mut extensions = Extensions::new();
        connection.get_extras(&mut extensions);
        extensions.get::<Self>().is_some_and(|served| served.0.load(Ordering::Relaxed))
    }
}

/// One connection.
pub(crate) struct Link {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    proxied: bool,
    served: Served,
}

impl Link {
    /// `proxied`: the peer is a proxy that requires absolute URLs.
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, proxied: bool) -> Self {
        Self { stream, proxied, served: Served::default() }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut MaybeHttpsStream<TokioIo<TcpStream>>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxied).extra(self.served.clone())
    }
}

impl Read for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }
}
