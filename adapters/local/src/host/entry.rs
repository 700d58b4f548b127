//! The entry to the inspector: its port, its token, and the file that contains both for tools.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use isobar_abstraction::{Error, Result};
use isobar_serve::listen_after;
use serde_json::json;
use tokio::net::TcpListener;

use crate::config::Token;
use crate::store::folder;

/// In the data folder: `url`, `port` and `token` of the inspector of the app that runs.
const FILE: &str = "inspector.json";

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
    pub(super) async fn bind(configured: Option<u16>, app: SocketAddr, token: Option<Token>) -> Result<Option<Self>> {
        if configured == Some(0) {
            return Ok(None);
        }
        let listener = match configured {
            Some(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
                let message = format!("the port {port} of the inspector is in use; choose another with --inspect-port");
                Error::config(message).with_source(error)
            })?,
            None => listen_after(app.port()).await.map_err(|error| {
                Error::config("no port is free for the inspector; `--inspect-port 0` runs without it")
                    .with_source(error)
            })?,
        };
        let address = listener
            .local_addr()
            .map_err(|error| Error::internal("the inspector has no address").with_source(error))?;
        Ok(Some(Self { listener, address, token: token.map_or_else(Token::random, Ok)? }))
    }

    /// The URL to open in a browser, with the token.
    pub(super) fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token.secret())
    }
}

/// The file that tools read. It is removed when this is dropped; it remains where the process is killed.
pub struct EntryFile {
    file: PathBuf,
    content: String,
}

impl fmt::Debug for EntryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl EntryFile {
    /// Writes the file into a data folder, for the owner only. Errors: `Config`.
    pub fn write(folder: &Path, address: SocketAddr, token: &Token) -> Result<Self> {
        let file = folder.join(FILE);
        let entry = json!({"url": format!("http://{address}/"), "port": address.port(), "token": token.secret()});
        let content = format!("{entry:#}\n");
        folder::write_whole(&file, content.as_bytes()).map_err(|error| {
            Error::config("the address of the inspector cannot be written; `--inspect-port 0` runs without it")
                .with_resource(file.display().to_string())
                .with_source(error)
        })?;
        Ok(Self { file, content })
    }

    /// Removes what a kill left.
    pub(super) fn remove(folder: &Path) {
        let _ = std::fs::remove_file(folder.join(FILE));
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
