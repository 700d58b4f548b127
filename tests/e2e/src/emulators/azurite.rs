//! Azurite, Microsoft's own emulator of Azure Storage.

use std::path::Path;

use isobar::Result;

use super::Node;
use super::served::Served;

/// The account of every Azurite, from its documentation.
pub const ACCOUNT: &str = "devstoreaccount1";

/// The key of that account.
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite, with the URLs of its services. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Azurite {
    _served: Served,
    /// The URL of Blob Storage, such as `http://127.0.0.1:34827`.
    pub blob: String,
    /// The URL of Queue Storage.
    pub queue: String,
    /// The URL of Table Storage.
    pub table: String,
}

impl Azurite {
    /// Starts it with HTTP, the account's key and shared access signatures.
    ///
    /// Errors: `Unavailable` if it ends or does not become ready; the message names its log.
    pub fn start(node: &Node) -> Result<Self> {
        Self::start_with(node, &[])
    }

    /// Starts it with HTTPS, so that it accepts tokens too. It does not check their signatures.
    pub fn start_with_tokens(node: &Node, certificate: &Path, key: &Path) -> Result<Self> {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        Self::start_with(node, &["--oauth", "basic", "--cert", &certificate, "--key", &key])
    }

    fn start_with(node: &Node, options: &[&str]) -> Result<Self> {
        let mut command = node.command("azurite/dist/src/azurite.js");
        // The libraries for Python send a newer version of the API than Azurite knows.
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]);
        for service in ["blob", "queue", "table"] {
            command.args([&format!("--{service}Host"), "127.0.0.1", &format!("--{service}Port"), "0"]);
            // Its default of 5 s closes connections under the requests of clients that keep them longer.
            command.args([&format!("--{service}KeepAliveTimeout"), "120"]);
        }
        let served = Served::start("azurite", {
            command.args(options);
            command
        })?;
        let url = |service: &str| served.text_after(&format!("{service} service is successfully listening at "));
        let (blob, queue, table) = (url("Blob")?, url("Queue")?, url("Table")?);
        Ok(Self { _served: served, blob, queue, table })
    }
}
