//! The double: what `put` and `get` of both clients need, by REST for ours and by gRPC for the firestore crate, out
//! of one server. Both find only what they wrote themselves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

use super::protobuf;

/// When everything was written, in seconds since 1970; the nanoseconds count the writes.
const SECONDS: u64 = 1_795_651_200;

#[derive(Debug, Default)]
struct Documents {
    /// By their names: their fields in JSON.
    of_rest: Mutex<HashMap<String, String>>,
    /// By their names: themselves in protobuf.
    of_grpc: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    written: AtomicU32,
    requests: Arc<AtomicU32>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    writes: [Write<'a>; 1],
}

#[derive(Deserialize)]
struct Write<'a> {
    #[serde(borrow)]
    update: Update<'a>,
}

#[derive(Deserialize)]
struct Update<'a> {
    name: &'a str,
    #[serde(borrow)]
    fields: &'a RawValue,
}

#[derive(Deserialize)]
struct BatchGet<'a> {
    #[serde(borrow)]
    documents: [&'a str; 1],
}

/// Answers for as long as the process lives, on a thread of its own.
pub(super) fn start(requests: Arc<AtomicU32>) -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve(listener, requests));
    });
    address
}

async fn serve(listener: std::net::TcpListener, requests: Arc<AtomicU32>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let documents = Arc::new(Documents { requests, ..Documents::default() });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let documents = Arc::clone(&documents);
        let service = service_fn(move |request| answer(Arc::clone(&documents), request));
        tokio::spawn(async move {
            // A client that goes away is the end of a measured process.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    documents: Arc<Documents>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    documents.requests.fetch_add(1, Ordering::Relaxed);
    Ok(match head.uri.path() {
        "/google.firestore.v1.Firestore/GetDocument" => grpc(&documents.get(protobuf::framed(&body))),
        "/google.firestore.v1.Firestore/UpdateDocument" => grpc(&documents.update(protobuf::framed(&body))),
        path if path.ends_with(":batchGet") => rest(documents.batch_get(&body)),
        path if path.ends_with(":commit") => rest(documents.commit(&body)),
        path => panic!("the double does not know {path}"),
    })
}

impl Documents {
    fn commit(&self, body: &[u8]) -> String {
        let Commit { writes: [Write { update }] } = serde_json::from_slice(body).unwrap();
        self.of_rest.lock().unwrap().insert(update.name.to_owned(), update.fields.get().to_owned());
        let time = time(self.written.fetch_add(1, Ordering::Relaxed));
        format!(r#"{{"writeResults":[{{"updateTime":"{time}"}}],"commitTime":"{time}"}}"#)
    }

    fn batch_get(&self, body: &[u8]) -> String {
        let BatchGet { documents: [name] } = serde_json::from_slice(body).unwrap();
        let all = self.of_rest.lock().unwrap();
        let (fields, time) = (&all[name], time(self.written.load(Ordering::Relaxed)));
        format!(
            r#"[{{"found":{{"name":"{name}","fields":{fields},"createTime":"{time}","updateTime":"{time}"}},"readTime":"{time}"}}]"#
        )
    }

    /// Only the name and the times come back: the mask that is sent asks for next to nothing else.
    fn update(&self, request: &[u8]) -> Vec<u8> {
        let document = protobuf::field(request, 1).unwrap();
        let name = protobuf::field(document, 1).unwrap();
        self.of_grpc.lock().unwrap().insert(name.to_vec(), document.to_vec());
        let mut answer = Vec::new();
        protobuf::put(&mut answer, 1, name);
        put_times(&mut answer, self.written.fetch_add(1, Ordering::Relaxed));
        answer
    }

    fn get(&self, request: &[u8]) -> Vec<u8> {
        let mut answer = self.of_grpc.lock().unwrap()[protobuf::field(request, 1).unwrap()].clone();
        put_times(&mut answer, self.written.load(Ordering::Relaxed));
        answer
    }
}

fn time(written: u32) -> String {
    format!("2026-11-26T00:00:00.{written:09}Z")
}

/// `create_time` and `update_time` of a document.
fn put_times(document: &mut Vec<u8>, written: u32) {
    for number in [3, 4] {
        protobuf::put(document, number, &protobuf::timestamp(SECONDS, written.into()));
    }
}

fn rest(body: String) -> Response<BoxBody<Bytes, Infallible>> {
    respond("application/json; charset=UTF-8", Full::from(body).boxed())
}

fn grpc(message: &[u8]) -> Response<BoxBody<Bytes, Infallible>> {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let body = Full::from(protobuf::frame(message)).with_trailers(std::future::ready(Some(Ok(trailers))));
    respond("application/grpc", body.boxed())
}

fn respond(content_type: &'static str, body: BoxBody<Bytes, Infallible>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
