//! From the start of the process to its first answer, and what it weighs when idle.
//!
//! Takes the path of the shortener's release binary: `cargo build --release -p shortener` first.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use isobar_benches::{median, resident_mb_of, row};

fn main() {
    let binary = std::env::args().nth(1).unwrap_or_else(|| "target/release/shortener".to_owned());
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Instant::now();
        let mut child = Command::new(&binary)
            .env("ISOBAR_DATA", folder.path())
            .env("PORT", port.to_string())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !answers(port) {
            assert!(started.elapsed() < Duration::from_secs(10), "no answer");
        }
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(300));
        memory.push(resident_mb_of(&child.id().to_string()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    row("start to the first HTTP answer, empty folder", &format!("{:.1} ms", median(times)), "", "", "< 50 ms");
    row("memory when idle", &format!("{:.1} MB", median(memory)), "", "", "< 20 MB");
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = b"GET /nothing/here/at/all HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 ")
}
