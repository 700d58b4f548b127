//! A free port.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

/// Ports after another one that are tried, before any that is free will do.
const PORTS_TRIED: u16 = 20;

/// Listens on 127.0.0.1, at the next free port after another one.
pub async fn listen_after(port: u16) -> io::Result<TcpListener> {
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    for port in (1..=PORTS_TRIED).filter_map(|step| port.checked_add(step)) {
        if let Ok(listener) = listen(port).await {
            return Ok(listener);
        }
    }
    listen(0).await
}
