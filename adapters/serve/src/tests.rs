//! The server, over connections.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, Response};
use isobar_abstraction::Body;
use isobar_abstraction::driver::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::connection::Connections;
use crate::{Options, serve};

const SHORT: Duration = Duration::from_millis(300);

/// More than the buffers of a socket take.
const LARGE: usize = 64 << 20;

struct Running {
    address: SocketAddr,
    entered: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// `/hang` never ends, `/late` notifies at its end too, `/panic` panics, `/slow` and `/silent` take long for their head
/// or body, `/large` and `/endless` have much to send, and every other path is answered with the number of headers.
async fn answer(request: Request<Body>, entered: Arc<Notify>) -> Response<Body> {
    match request.uri().path() {
        "/hang" => {
            entered.notify_one();
            std::future::pending().await
        }
        "/late" => {
            entered.notify_one();
            let body = at_last().await;
            entered.notify_one();
            Response::new(Body::from(body))
        }
        "/panic" => panic!("a fault"),
        "/slow" => Response::new(Body::from(at_last().await)),
        "/silent" => Response::new(Body::from_stream(stream::once(async { Ok::<_, Infallible>(at_last().await) }))),
        "/large" => Response::new(Body::from(vec![0; LARGE])),
        "/endless" => Response::new(Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(vec![0_u8; 99_999])))),
        _ => Response::new(Body::from(format!("{} headers", request.headers().len()))),
    }
}

async fn at_last() -> &'static str {
    sleep(SHORT * 5).await;
    "at last"
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
    Options { head_timeout: SHORT, ..Options::new(&Limits::PORTABLE) }.with_grace(Duration::from_secs(10))
}

impl Running {
    async fn sent<T: AsRef<[u8]> + ?Sized>(&self, bytes: &T) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }

    async fn exchange<T: AsRef<[u8]> + ?Sized>(&self, bytes: &T) -> String {
        to_end(&mut self.sent(bytes).await).await
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

/// A connection that is served without a server, and the end of its service.
async fn connected<A, F>(connections: &Connections<A>, sent: &[u8]) -> (TcpStream, JoinHandle<()>)
where
    A: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let accepted = listener.accept().await.unwrap().0;
    (stream, tokio::spawn(connections.serve(accepted)))
}

fn http1(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n\r\n").into_bytes()
}

/// The preface, settings, and one request.
fn http2(path: &str) -> Vec<u8> {
    let mut head = vec![0x82, 0x86, 0x01, 1, b'x', 0x04, path.len() as u8];
    head.extend_from_slice(path.as_bytes());
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    all.extend_from_slice(&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]);
    all.extend(head);
    all
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
        assert!(began.elapsed() >= SHORT, "{slow:?} was cut immediately");
    }
    // A byte from time to time does not help.
    let mut dripping = running.sent("GET / HTTP/1.1\r\nx-drip: ").await;
    let began = Instant::now();
    while dripping.write_all(b"x").await.is_ok() {
        assert!(began.elapsed() < SHORT * 20, "a head may take for ever");
        tokio::time::sleep(SHORT / 20).await;
    }
    let mut idle_stream = running.sent("GET / HTTP/1.1\r\n\r\n").await;
    assert!(to_end(&mut idle_stream).await.ends_with("0 headers"), "an idle connection is closed after its answer");
}

#[tokio::test]
async fn a_connection_is_closed_where_no_request_follows() {
    let running = running(options()).await;
    for more in [&b""[..], &b"\0\0\x06\x01\x05\0\0\0\x03\x82"[..]] {
        let began = Instant::now();
        let sent = [&http2("/")[..], more].concat();
        let text =
            timeout(SHORT * 20, running.exchange(&sent)).await.expect("an idle connection is idle_stream for ever");
        assert!(text.contains("0 headers"), "{text}");
        assert!(began.elapsed() >= SHORT, "closed immediately");
    }
}

#[tokio::test]
async fn what_the_app_takes_long_for_is_sent() {
    let running = &running(options()).await;
    let requests = ["/slow", "/silent"].into_iter().flat_map(|path| [http1(path), http2(path)]);
    let texts = join_all(requests.map(|request| async move { running.exchange(&request).await })).await;
    for text in texts {
        assert!(text.contains("at last"), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_a_slow_one_is_not() {
    let (_stopping, stopped) = tokio::sync::watch::channel(());
    let connections = Connections::new(|request| answer(request, Arc::default()), options(), stopped);
    for request in ["/large", "/endless"].into_iter().flat_map(|path| [http1(path), http2(path)]) {
        let (_unread, served) = connected(&connections, &request).await;
        let ended = timeout(SHORT * 20, served).await;
        ended.unwrap_or_else(|_| panic!("idle_stream for ever: {}", String::from_utf8_lossy(&request))).unwrap();
    }
    let (mut slow, _served) = connected(&connections, &http1("/large")).await;
    let mut part = vec![0; LARGE / 64];
    for _ in 0..64 {
        slow.read_exact(&mut part).await.unwrap();
        sleep(SHORT / 15).await;
    }
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed_early_where_others_wait() {
    let (_stopping, stopped) = tokio::sync::watch::channel(());
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = Arc::clone(&entered);
        move |request| answer(request, Arc::clone(&entered))
    };
    let connections = Connections::new(handler, Options::new(&Limits::PORTABLE), stopped);
    let (_half, silent) = connected(&connections, b"GET / HTTP/1.1\r\nx-slow: ").await;
    let (mut idle_stream, idle) = connected(&connections, &http2("/")).await;
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains("0 headers") {
        assert_ne!(idle_stream.read_buf(&mut all).await.unwrap(), 0);
    }
    let (_hanging, working) = connected(&connections, &http1("/hang")).await;
    entered.notified().await;
    connections.make_room();
    for closed in [silent, idle] {
        timeout(SHORT * 20, closed).await.expect("no room was made").unwrap();
    }
    assert!(!working.is_finished(), "a connection with a request is idle_stream");
}

#[tokio::test]
async fn half_heads_do_not_hold_up_the_stop_and_requests_do() {
    let first = running(options()).await;
    let _half = first.sent("GET / HTTP/1.1\r\nx-slow: ").await;
    let _silent = first.sent("").await;
    let mut idle_stream = first.sent("GET / HTTP/1.1\r\n\r\n").await;
    assert_ne!(idle_stream.read(&mut [0; 999]).await.unwrap(), 0);
    idle_stream.write_all(b"GET / HTT").await.unwrap();
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
async fn work_ends_although_its_client_has_closed_the_connection() {
    for request in [http1("/late"), http2("/late")] {
        let running = running(options()).await;
        let entered = Arc::clone(&running.entered);
        let client = running.sent(&request).await;
        entered.notified().await;
        drop(client);
        sleep(SHORT).await;
        // The stop waits for it.
        running.ends().await;
        assert!(timeout(Duration::ZERO, entered.notified()).await.is_ok(), "it was dropped");
    }
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
