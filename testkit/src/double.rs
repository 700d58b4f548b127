//! A server on loopback with answers from a test, which records its requests.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Answer = dyn Fn(&Request<Bytes>) -> Response<String> + Send + Sync;

/// A server on loopback with scripted responses. It ends with this value.
#[allow(missing_debug_implementations)]
pub struct Double {
    /// Its URL, without a final slash.
    pub url: String,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    serve: JoinHandle<()>,
}

impl Double {
    /// Starts a server that calls `answer` for each request.
    pub async fn new(answer: impl Fn(&Request<Bytes>) -> Response<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request<Bytes>>>> = Arc::default();
        let (recorded, answer) = (Arc::clone(&requests), Arc::new(answer));
        let serve = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exchange(stream, Arc::clone(&recorded), Arc::clone(&answer) as Arc<Answer>));
            }
        });
        Self { url, requests, serve }
    }

    /// The requests so far, each as `GET /path`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().iter().map(|request| format!("{} {}", request.method(), request.uri())).collect()
    }

    /// Calls `look` with the request at this index.
    pub fn request<T>(&self, at: usize, look: impl FnOnce(&Request<Bytes>) -> T) -> T {
        look(&self.requests.lock()[at])
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serve.abort();
    }
}

/// One request of one connection.
async fn exchange(stream: TcpStream, requests: Arc<Mutex<Vec<Request<Bytes>>>>, answer: Arc<Answer>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let size = headers.get("content-length").map_or(0, |size| size.parse().unwrap());
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await.unwrap();
    let builder = Request::builder().method(method.as_str()).uri(path);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    let request = builder.body(Bytes::from(body)).unwrap();
    let response = answer(&request);
    requests.lock().push(request);
    let (parts, body) = response.into_parts();
    let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status);
    // A test that sets another length interrupts the response.
    if !parts.headers.contains_key("content-length") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in &parts.headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}
