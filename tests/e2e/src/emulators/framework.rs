//! Google's functions framework for Node, which its documentation calls the contract.

use isobar::{Error, Result};
use serde_json::Value;

use super::Node;
use super::served::Served;

/// The framework, with functions that return their input (`emulators/node/framework.cjs`). It ends when this is dropped.
#[derive(Debug)]
pub struct Framework {
    _served: Served,
    ports: Value,
}

impl Framework {
    /// Starts it. Errors: `Unavailable` if it ends or does not listen; the message names its log.
    pub fn start(node: &Node) -> Result<Self> {
        let served = Served::start("functions-framework", node.source_command("framework.cjs"))?;
        let ports = serde_json::from_str(&served.line()?)?;
        Ok(Self { _served: served, ports })
    }

    /// The URL of the functions with a signature: `cloudevent`, `event` or `http`. Errors: `NotFound`.
    pub fn endpoint(&self, signature: &str) -> Result<String> {
        let port = self.ports[signature].as_u64();
        let port = port.ok_or_else(|| Error::not_found(format!("the framework has no functions for `{signature}`")))?;
        Ok(format!("http://127.0.0.1:{port}"))
    }
}
