//! Azurite, Microsoft's own emulator of Azure Storage.

use std::path::Path;

use isobar::Result;

use super::Node;
use super::served::Served;

/// The one account of every Azurite, which its documentation names.
pub const ACCOUNT: &str = "devstoreaccount1";

/// The key of that account.
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite, and where its services listen. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Azurite {
    _served: Served,
    /// Blobs, such as `http://127.0.0.1:34827`.
    pub blob: String,
    /// Queues.
    pub queue: String,
    /// Tables.
    pub table: String,
}

impl Azurite {
    /// Starts it: by http, with the account's key and shared access signatures.
    ///
    /// Errors: `Unavailable` where it ends or does not get ready; the message names its log.
    pub fn start(node: &Node) -> Result<Self> {
        Self::start_with(node, &[])
    }

    /// Starts it by https, so that it takes tokens too. It does not check who signed them.
    pub fn start_with_tokens(node: &Node, certificate: &Path, key: &Path) -> Result<Self> {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        Self::start_with(node, &["--oauth", "basic", "--cert", &certificate, "--key", &key])
    }

    fn start_with(node: &Node, further: &[&str]) -> Result<Self> {
        let mut command = node.command("azurite/dist/src/azurite.js");
        // The libraries for Python say a newer version of the API than Azurite knows.
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]);
        for service in ["blob", "queue", "table"] {
            command.args([&format!("--{service}Host"), "127.0.0.1", &format!("--{service}Port"), "0"]);
            // Its own 5 s end under the requests of clients that keep connections longer.
            command.args([&format!("--{service}KeepAliveTimeout"), "120"]);
        }
        let served = Served::start("azurite", {
            command.args(further);
            command
        })?;
        let told = |service: &str| served.told(&format!("{service} service is successfully listening at "));
        let (blob, queue, table) = (told("Blob")?, told("Queue")?, told("Table")?);
        Ok(Self { _served: served, blob, queue, table })
    }
}
