//! A Cloud Run service, started and requests as Google's front end does it.

use std::net::SocketAddr;

use crate::firestore::PROJECT;
use crate::server::{Program, Running};

/// An address without a server, for services that receive no request.
pub const UNUSED_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Starts a service on a free port.
pub fn start(service: &Program, firestore: SocketAddr) -> Running {
    service.start("PORT", environment(firestore))
}

/// A user's request.
pub fn get(running: &Running, path: &str) -> Vec<u8> {
    request(running, "GET", path, "")
}

/// A user's request with a body of JSON.
pub fn post(running: &Running, path: &str, body: &str) -> Vec<u8> {
    request(running, "POST", path, body)
}

fn request(running: &Running, method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = match method {
        "GET" => String::new(),
        _ => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) \
         Gecko/20100101 Firefox/143.0\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nForwarded: \
         for=\"203.0.113.7\";proto=https\r\nX-Cloud-Trace-Context: \
         105445aa7843bc8bf206b12000100000/1;o=1\r\nTraceparent: \
         00-105445aa7843bc8bf206b12000100000-0000000000000001-01\r\n{length}\r\n{body}",
        running.address()
    )
    .into_bytes()
}

/// What the services are configured by. Not `K_SERVICE`, by which isobar knows Cloud Run: with it a service listens
/// on all interfaces, and without it, with emulators, on the loopback interface only.
pub fn environment(firestore: SocketAddr) -> Vec<(&'static str, String)> {
    let fixed = [
        ("GOOGLE_CLOUD_PROJECT", PROJECT),
        ("ISOBAR_PREFIX", "bench-"),
        ("ISOBAR_PROVIDER", "gcp"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    let emulators = [
        ("FIRESTORE_EMULATOR_HOST", firestore.to_string()),
        ("PUBSUB_EMULATOR_HOST", UNUSED_ADDRESS.to_string()),
        ("STORAGE_EMULATOR_HOST", format!("http://{UNUSED_ADDRESS}")),
    ];
    fixed.map(|(name, value)| (name, value.to_owned())).into_iter().chain(emulators).collect()
}
