//! The server, over connections.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use isobar_abstraction::{Body, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::{Options, serve};

const SHORT: Duration = Duration::from_millis(300);

struct Running {
    address: SocketAddr,
    entered: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// `/hang` never ends, `/panic` panics, and every other path is answered with the number of headers.
async fn answer(request: Request<Body>, entered: Arc<Notify>) -> Response<Body> {
    match request.uri().path() {
        "/hang" => {
            entered.notify_one();
            std::future::pending().await
        }
        "/panic" => panic!("a fault"),
        _ => Response::new(Body::from(format!("{} headers", request.headers().len()))),
    }
}

async fn running(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = Arc::clone(&entered);
        move |request| answer(request, Arc::clone(&entered))
    };
    let served = tokio::spawn(serve(listener, handler, options, async { drop(stopped.await) }));
    Running { address, entered, stop, served }
}

fn options() -> Options {
    Options::new(&Limits::PORTABLE).with_head_timeout(SHORT).with_grace(Duration::from_secs(10))
}

impl Running {
    async fn sent(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn exchange(&self, text: &str) -> String {
        to_end(&mut self.sent(text).await).await
    }

    /// How long the server takes to end, from now.
    async fn ends(self) -> Duration {
        let began = Instant::now();
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
        began.elapsed()
    }
}

/// A connection that is cut has ended, too.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

fn with_headers(count: usize) -> String {
    let headers: String = (0..count).map(|number| format!("x-{number}: a\r\n")).collect();
    format!("GET / HTTP/1.1\r\n{headers}\r\n")
}

#[tokio::test]
async fn clients_that_take_their_time_are_cut_off() {
    let running = running(options()).await;
    let half_heads = ["", "G", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "PRI * HTTP/2.0\r\n"];
    let no_request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for slow in half_heads.into_iter().chain([no_request]) {
        let began = Instant::now();
        running.exchange(slow).await;
        assert!(began.elapsed() >= SHORT, "{slow:?} was cut at once");
    }
    // A byte from time to time does not help.
    let mut dripping = running.sent("GET / HTTP/1.1\r\nx-drip: ").await;
    let began = Instant::now();
    while dripping.write_all(b"x").await.is_ok() {
        assert!(began.elapsed() < SHORT * 20, "a head may take for ever");
        tokio::time::sleep(SHORT / 20).await;
    }
    let mut kept = running.sent("GET / HTTP/1.1\r\n\r\n").await;
    assert!(to_end(&mut kept).await.ends_with("0 headers"), "an idle connection is closed after its answer");
}

#[tokio::test]
async fn silent_connections_are_closed_early_where_others_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stopping, stopped) = tokio::sync::watch::channel(());
    let answer = |_| async { Response::new(Body::from("here")) };
    let connections = crate::connection::Connections::new(answer, Options::new(&Limits::PORTABLE), stopped);
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
    let silent = tokio::spawn(connections.serve(listener.accept().await.unwrap().0));
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let used = tokio::spawn(connections.serve(listener.accept().await.unwrap().0));
    assert_ne!(kept.read(&mut [0; 999]).await.unwrap(), 0);
    connections.make_room();
    silent.await.unwrap();
    assert!(!used.is_finished(), "a connection that was used is kept");
}

#[tokio::test]
async fn half_heads_do_not_hold_up_the_stop_and_requests_do() {
    let first = running(options()).await;
    let _half = first.sent("GET / HTTP/1.1\r\nx-slow: ").await;
    let _silent = first.sent("").await;
    let mut kept = first.sent("GET / HTTP/1.1\r\n\r\n").await;
    assert_ne!(kept.read(&mut [0; 999]).await.unwrap(), 0);
    kept.write_all(b"GET / HTT").await.unwrap();
    let took = first.ends().await;
    assert!(took < Duration::from_secs(5), "{took:?}");

    let second = running(options().with_grace(SHORT * 4)).await;
    let mut hanging = second.sent("GET /hang HTTP/1.1\r\n\r\n").await;
    second.entered.notified().await;
    let took = second.ends().await;
    assert!(took >= SHORT * 4, "a request was cut after {took:?}");
    drop(hanging.shutdown().await);
}

#[tokio::test]
async fn a_head_has_as_many_headers_as_the_provider_takes() {
    let mut limits = Limits::PORTABLE;
    for most in [100, 160] {
        limits.request_headers = most as u64;
        let running = running(Options::new(&limits)).await;
        let close = |text: String| text.replacen("x-0: a", "connection: close", 1);
        assert!(running.exchange(&close(with_headers(most))).await.ends_with(&format!("{most} headers")));
        assert!(running.exchange(&close(with_headers(most + 1))).await.starts_with("HTTP/1.1 431"));
    }
    let running = running(options()).await;
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(300_000));
    assert!(running.exchange(&large).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_panic_of_the_host_is_a_500_of_its_request() {
    let running = running(options()).await;
    assert!(running.exchange("GET /panic HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 500"));
    assert!(running.exchange("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.ends_with("1 headers"));
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let running = running(options()).await;
    let one = "GET / HTTP/1.1\r\nx: 1\r\n\r\n";
    let answers = running.exchange(&format!("{one}{}{one}", with_headers(3))).await;
    let counts: Vec<_> = answers.matches(" headers").collect();
    assert_eq!(counts.len(), 3, "{answers}");
    let places = ["1 headers", "3 headers"].map(|text| answers.find(text).unwrap());
    assert!(places[0] < places[1] && answers.ends_with("1 headers"), "{answers}");
}
