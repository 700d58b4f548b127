//! A server that follows a script and records its requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A step of the server on a connection. After the last one it reads requests and sends nothing.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads one request, whole.
    Hear,
    /// Reads the head of a request and no more.
    HearHead,
    Say(Vec<u8>),
    /// Says it byte by byte, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Continues when that number of connections has reached this step.
    Meet(Arc<Barrier>),
    /// Speaks TLS from here on.
    Tls(TlsAcceptor),
    /// Ends the connection in good order.
    Close,
    /// Ends the connection without a close of TLS, as a machine that fails.
    Cut,
    /// Ends it with a TCP reset.
    Reset,
    /// Starts the script again.
    Again,
}

pub(crate) type Script = Vec<Act>;

pub(crate) fn say(text: impl AsRef<[u8]>) -> Act {
    Act::Say(text.as_ref().to_vec())
}

/// A whole answer. `headers` are lines that end in `\r\n`.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    say(format!("HTTP/1.1 {status} Status\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// Answers each request in the same way.
pub(crate) fn always(answer: Act) -> Script {
    vec![Act::Hear, answer, Act::Again]
}

/// A request that the server heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// On which connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[derive(Default)]
struct Record {
    connections: usize,
    heard: Vec<Heard>,
}

/// Ends with this value, and all its connections with it.
pub(crate) struct Double {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    server: JoinHandle<()>,
}

impl Double {
    /// Each connection takes the next script; those beyond the last take the last.
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::<Mutex<Record>>::default();
        let server = tokio::spawn(serve(listener, scripts, Arc::clone(&record)));
        Self { address, record, server }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.record.lock().connections
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.record.lock().heard.clone()
    }

    /// The index of the connection of each request.
    pub(crate) fn used_connections(&self) -> Vec<usize> {
        self.record.lock().heard.iter().map(|heard| heard.connection).collect()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A reserved port on which no server listens.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port())
    }
}

async fn serve(listener: TcpListener, scripts: Vec<Script>, record: Arc<Mutex<Record>>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        record.lock().connections += 1;
        let script = scripts[number.min(scripts.len() - 1)].clone();
        if script.iter().any(|act| matches!(act, Act::Reset)) {
            stream.set_zero_linger().unwrap();
        }
        let connection =
            Connection { number, stream: Box::new(stream), buffer: Vec::new(), record: Arc::clone(&record) };
        connections.spawn(connection.play(script));
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl Stream for TcpStream {}
impl Stream for tokio_rustls::server::TlsStream<Box<dyn Stream>> {}

struct Connection {
    number: usize,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    record: Arc<Mutex<Record>>,
}

impl Connection {
    /// Ends early where the other end hangs up.
    async fn play(mut self, script: Script) -> Option<()> {
        let mut place = 0;
        while let Some(act) = script.get(place) {
            place += 1;
            match act {
                Act::Hear => self.hear(true).await?,
                Act::HearHead => self.hear(false).await?,
                Act::Say(text) => self.stream.write_all(text).await.ok()?,
                Act::Drip(text, pause) => self.drip(text, *pause).await?,
                Act::Meet(others) => _ = others.wait().await,
                Act::Tls(acceptor) => self.stream = Box::new(acceptor.accept(self.stream).await.ok()?),
                Act::Close => return self.stream.shutdown().await.ok(),
                Act::Cut | Act::Reset => return None,
                Act::Again => place = 0,
            }
        }
        loop {
            self.hear(true).await?;
        }
    }

    async fn drip(&mut self, text: &[u8], pause: Duration) -> Option<()> {
        for byte in text {
            self.stream.write_all(&[*byte]).await.ok()?;
            tokio::time::sleep(pause).await;
        }
        Some(())
    }

    async fn hear(&mut self, whole: bool) -> Option<()> {
        let head = loop {
            match self.buffer.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(end) => break self.buffer.drain(..end + 4).collect::<Vec<_>>(),
                None => self.read().await?,
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut heard = Heard { connection: self.number, head, body: Vec::new() };
        if whole {
            let length = heard.header("content-length").map_or(0, |length| length.parse().unwrap());
            while self.buffer.len() < length {
                self.read().await?;
            }
            heard.body = self.buffer.drain(..length).collect();
        }
        self.record.lock().heard.push(heard);
        Some(())
    }

    async fn read(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.ok()?;
        (read > 0).then_some(())
    }
}
