//! Requests per second of a server: many connections, one request after the other on each.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 1_500;

/// Asks for `path`, whose answer ends with `end`. Returns requests per second.
pub fn rate(client: &Runtime, address: SocketAddr, path: &'static str, end: &'static str) -> f64 {
    crate::rate(CONNECTIONS * REQUESTS, || {
        client.block_on(async {
            let connections = (0..CONNECTIONS).map(|_| tokio::spawn(connection(address, path, end)));
            futures_util::future::join_all(connections).await.into_iter().for_each(Result::unwrap);
        });
    })
}

async fn connection(address: SocketAddr, path: &str, end: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut buffer = [0; 1024];
    for _ in 0..REQUESTS {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        while !buffer[..read].ends_with(end.as_bytes()) {
            let more = stream.read(&mut buffer[read..]).await.unwrap();
            assert!(more > 0, "the server closed the connection");
            read += more;
        }
    }
}
