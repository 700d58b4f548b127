//! The server, over connections.

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

struct Running {
    host: Host,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    serve: JoinHandle<()>,
}

async fn running() -> Running {
    let host = Host::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = host.service.clone();
    let serve = tokio::spawn(async move { service.serve(listener, async { stopped.await.unwrap() }).await });
    Running { host, address, stop, serve }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this, and reads to the end.
    async fn exchange(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }

    async fn until_seen(&self) {
        while self.host.seen.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A connection that is cut has ended, too.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn http_1_1_is_served_with_connections_that_stay() {
    let running = running().await;
    let mut stream = running.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4_096];
        let size = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..size]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nroot"), "{answer}");
    }
    let answer = running.exchange("GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("transfer-encoding: chunked") && answer.contains("9\r\nonce upon\r\n"), "{answer}");
    for wrong in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        assert!(running.exchange(wrong).await.starts_with("HTTP/1.1 400"), "{wrong}");
    }
}

#[tokio::test]
async fn http_2_is_served_in_clear_text_with_many_requests_at_once() {
    let running = running().await;
    let io = TokioIo::new(running.connect().await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let mut hanging = sender.clone();
    let hanging = hanging.send_request(Request::get("http://x/hang").body(Body::empty()).unwrap());
    let hanging = tokio::spawn(hanging);
    running.until_seen().await;
    for number in 0..50 {
        let mut sender = sender.clone();
        let request = Request::post("http://x/echo").body(Body::from(format!("{number}"))).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.version(), ::http::Version::HTTP_2);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), format!("{number}"));
    }
    let mut websocket = Request::connect("http://x/").body(Body::empty()).unwrap();
    websocket.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let refused = sender.clone().send_request(websocket).await.unwrap();
    assert_eq!(refused.status(), 426);
    running.host.clock.advance(Duration::from_secs(30));
    assert_eq!(hanging.await.unwrap().unwrap().status(), 504);
    let mut sender = sender.clone();
    let trigger = of_google("http://x/.isobar/functions/echo").body(Body::from("7")).unwrap();
    assert_eq!(sender.send_request(trigger).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_forged_call_is_answered_before_its_body_is_there() {
    let running = running().await;
    for size in ["content-length: 99999999999", "transfer-encoding: chunked"] {
        let mut stream = running.connect().await;
        let head =
            format!("POST /.isobar/topics/clicks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a.b.c\r\n{size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}

#[tokio::test]
async fn what_has_begun_ends_and_nothing_else_begins() {
    let running = running().await;
    let mut begun = running.connect().await;
    begun.write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.until_seen().await;
    let mut idle = running.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 4_096];
    assert!(idle.read(&mut answer).await.unwrap() > 0);
    running.stop.send(()).unwrap();
    assert_eq!(to_end(&mut idle).await, "", "a connection that has nothing to do is closed");
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!running.serve.is_finished());
    running.host.clock.advance(Duration::from_secs(30));
    let answer = to_end(&mut begun).await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), running.serve).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_left_after_10_s() {
    let running = running().await;
    let mut begun = running.connect().await;
    begun.write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.until_seen().await;
    running.stop.send(()).unwrap();
    tokio::time::pause();
    let began = Instant::now();
    running.serve.await.unwrap();
    assert!((9..=11).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
