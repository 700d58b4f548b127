//! `@vercel/cosmosdb-server`, a second opinion on Cosmos DB that knows less of it.

use isobar::Result;

use super::Node;
use super::served::Served;

/// The server. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Vercel {
    _served: Served,
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
}

impl Vercel {
    /// Starts it, by http. Errors: `Unavailable` where it ends or does not get ready; the message names its log.
    pub fn start(node: &Node) -> Result<Self> {
        let mut command = node.command("@vercel/cosmosdb-server/lib/cli.js");
        command.args(["--host", "127.0.0.1", "-p", "0", "--no-ssl"]);
        let served = Served::start("vercel-cosmosdb-server", command)?;
        let endpoint = format!("http://{}", served.told("Ready to accept HTTP connections at ")?);
        Ok(Self { _served: served, endpoint })
    }
}
