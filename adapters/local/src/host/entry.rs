//! The entry to the inspector: its port, its token, and the file that contains both for tools.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::extract::Request;
use http::header::AUTHORIZATION;
use isobar_abstraction::{Error, Result};
use serde_json::json;
use tokio::net::TcpListener;

use crate::store::{Store, folder};

/// In the data folder: `url`, `port` and `token` of the inspector of the app that runs.
const FILE: &str = "inspector.json";

/// Ports after the app's that are tried, before any that is free will do.
const PORTS_TRIED: u16 = 20;

/// The secret of one start, which every request to the inspector must contain.
#[derive(Clone)]
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("the operating system returned no random bytes for a token").with_source(error)
        })?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    #[cfg(test)]
    pub(super) fn of(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    /// Whether the request contains it, as a bearer token or in its query.
    pub(super) fn is_in<B>(&self, request: &Request<B>) -> bool {
        let bearer = |value: &http::HeaderValue| self.is(value.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default());
        let mut pairs = request.uri().query().unwrap_or_default().split('&');
        request.headers().get(AUTHORIZATION).is_some_and(bearer)
            || pairs.any(|pair| pair.strip_prefix("token=").is_some_and(|value| self.is(value.as_bytes())))
    }

    /// Compares in constant time.
    fn is(&self, value: &[u8]) -> bool {
        let token = self.0.as_bytes();
        value.len() == token.len() && value.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

/// A bound port of the inspector that does not serve yet.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) token: Token,
}

impl Entry {
    /// Binds a port: the configured one, or the next free one after the app's; none for 0.
    ///
    /// Errors: `Config` where the configured one is in use.
    pub(super) async fn bind(configured: Option<u16>, app: SocketAddr) -> Result<Option<Self>> {
        if configured == Some(0) {
            return Ok(None);
        }
        let listener = match configured {
            Some(port) => listen(port).await.map_err(|error| {
                let message = format!("the port {port} of the inspector is in use; choose another with --inspect-port");
                Error::config(message).with_source(error)
            })?,
            None => next_free(app.port()).await.map_err(|error| {
                Error::config("no port is free for the inspector; `--inspect-port 0` runs without it")
                    .with_source(error)
            })?,
        };
        let address = listener
            .local_addr()
            .map_err(|error| Error::internal("the inspector has no address").with_source(error))?;
        Ok(Some(Self { listener, address, token: Token::random()? }))
    }

    /// The URL to open in a browser, with the token.
    pub(super) fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token.0)
    }
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

async fn next_free(after: u16) -> io::Result<TcpListener> {
    for port in (1..=PORTS_TRIED).filter_map(|step| after.checked_add(step)) {
        if let Ok(listener) = listen(port).await {
            return Ok(listener);
        }
    }
    listen(0).await
}

/// The file that tools read. It is removed when this is dropped; it remains where the process is killed.
#[derive(Debug)]
pub(super) struct EntryFile {
    file: PathBuf,
    content: String,
}

impl EntryFile {
    /// Writes the file, for the owner only; without an inspector it removes what a kill left.
    pub(super) fn write(store: &Store, entry: Option<&Entry>) -> Result<Option<Self>> {
        let file = store.folder().join(FILE);
        let Some(Entry { address, token, .. }) = entry else {
            let _ = std::fs::remove_file(file);
            return Ok(None);
        };
        let entry = json!({"url": format!("http://{address}/"), "port": address.port(), "token": token.0});
        let content = format!("{entry:#}\n");
        folder::write_whole(&file, content.as_bytes()).map_err(|error| {
            Error::config("the address of the inspector cannot be written; `--inspect-port 0` runs without it")
                .with_resource(file.display().to_string())
                .with_source(error)
        })?;
        Ok(Some(Self { file, content }))
    }
}

impl Drop for EntryFile {
    fn drop(&mut self) {
        // Where the folder was replaced, the file is of another process.
        if std::fs::read_to_string(&self.file).is_ok_and(|found| found == self.content) {
            let _ = std::fs::remove_file(&self.file);
        }
    }
}
