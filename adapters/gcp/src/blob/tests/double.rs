//! A double of Cloud Storage that follows its documentation: generations and their preconditions, resumable
//! uploads, copies in steps. It fails where a test injects a fault.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::{Method, Request, Response};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::super::session::CHUNK;

/// A server with the bucket `pages`.
#[derive(Default)]
pub(super) struct StorageDouble(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    uploads: HashMap<String, Upload>,
    last: i64,
    faults: Vec<(Method, &'static str, Fault)>,
}

#[derive(Clone)]
struct Stored {
    generation: i64,
    content: String,
    description: Value,
}

struct Upload {
    name: String,
    description: Value,
    precondition: Option<i64>,
    content: String,
    made: Option<Value>,
}

/// A fault that happens once.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// The request is applied, but its response breaks off.
    Lost,
    /// The request is not applied and receives this status.
    Status(u16),
    /// The connection breaks after this number of bytes of a chunk was stored.
    Partial(usize),
}

type Answer = Response<String>;

fn answer(status: u16, body: &Value) -> Answer {
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string()).unwrap()
}

fn service_error(status: u16, reason: &str, message: &str) -> Answer {
    answer(status, &json!({"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}))
}

fn precondition_failed() -> Answer {
    service_error(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
}

fn absent(name: &str) -> Answer {
    service_error(404, "notFound", &format!("No such object: pages/{name}"))
}

fn broken(status: u16) -> Answer {
    Response::builder().status(status).header("content-length", 10_000).body(String::new()).unwrap()
}

impl StorageDouble {
    /// Injects a fault into the next request of this method whose target contains `part`.
    pub(super) fn fail(&self, method: Method, part: &'static str, fault: Fault) {
        self.0.lock().faults.push((method, part, fault));
    }

    /// The name, content and description of each object.
    pub(super) fn objects(&self) -> Vec<(String, String, Value)> {
        let state = self.0.lock();
        let object =
            |(name, stored): (&String, &Stored)| (name.clone(), stored.content.clone(), stored.description.clone());
        state.objects.iter().map(object).collect()
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.0.lock().uploads.values().filter(|upload| upload.made.is_none()).count()
    }

    pub(super) fn answer(&self, request: &Request<Bytes>) -> Answer {
        let mut state = self.0.lock();
        let uri = request.uri().to_string();
        let index = state.faults.iter().position(|(method, part, _)| method == request.method() && uri.contains(part));
        match index.map(|at| state.faults.remove(at).2) {
            None => state.answer(request, usize::MAX),
            Some(Fault::Lost) => {
                state.answer(request, usize::MAX);
                broken(200)
            }
            Some(Fault::Status(status)) => service_error(status, "backendError", "Backend Error"),
            Some(Fault::Partial(most)) => {
                state.answer(request, most);
                broken(200)
            }
        }
    }
}

/// The path and the query of a request.
struct Target {
    path: String,
    query: HashMap<String, String>,
}

impl Target {
    fn of(request: &Request<Bytes>) -> Self {
        let url = Url::parse(&format!("http://x{}", request.uri())).unwrap();
        Self { path: url.path().to_owned(), query: url.query_pairs().into_owned().collect() }
    }

    fn text(&self, name: &str) -> String {
        self.query.get(name).cloned().unwrap_or_default()
    }

    fn precondition(&self) -> Option<i64> {
        self.query.get("ifGenerationMatch").map(|precondition| precondition.parse().unwrap())
    }
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8().unwrap().into_owned()
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>, most: usize) -> Answer {
        let target = Target::of(request);
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let path = target.path.clone();
        if path == "/upload/storage/v1/b/pages/o" {
            return self.upload(request, &target, &body, most);
        }
        if let Some(name) = path.strip_prefix("/pages/") {
            return self.content(request, &decoded(name));
        }
        let Some(below) = path.strip_prefix("/storage/v1/b/pages/o") else {
            return service_error(404, "notFound", "The specified bucket does not exist.");
        };
        match (request.method(), below.split_once("/rewriteTo/b/pages/o/")) {
            (&Method::POST, Some((from, to))) => self.rewrite(&decoded(&from[1..]), &decoded(to), &target),
            (&Method::DELETE, _) => self.delete(&decoded(&below[1..])),
            _ => service_error(400, "invalid", "unknown method"),
        }
    }

    fn meets(&self, name: &str, precondition: Option<i64>) -> bool {
        let current = self.objects.get(name).map_or(0, |stored| stored.generation);
        precondition.is_none_or(|precondition| precondition == current)
    }

    fn write(&mut self, name: &str, content: String, description: Value, precondition: Option<i64>) -> Answer {
        if !self.meets(name, precondition) {
            return precondition_failed();
        }
        self.last += 1;
        let stored = Stored { generation: self.last, content, description };
        let written = resource(name, &stored);
        self.objects.insert(name.to_owned(), stored);
        answer(200, &written)
    }

    fn upload(&mut self, request: &Request<Bytes>, target: &Target, body: &str, most: usize) -> Answer {
        let (name, id) = (target.text("name"), target.text("upload_id"));
        match (request.method(), target.text("uploadType").as_str()) {
            (&Method::POST, "multipart") => {
                let kind = request.headers()["content-type"].to_str().unwrap();
                let boundary = kind.strip_prefix("multipart/related; boundary=").unwrap();
                let end = format!("\r\n--{boundary}--\r\n");
                let body = body.strip_suffix(&end).unwrap();
                let parts: Vec<_> = body.splitn(3, &format!("--{boundary}\r\n")).skip(1).collect();
                let part = |at: usize| parts[at].split_once("\r\n\r\n").unwrap().1;
                let description = serde_json::from_str(part(0).trim_end()).unwrap();
                self.write(&name, part(1).to_owned(), description, target.precondition())
            }
            (&Method::POST, "resumable") => {
                let id = format!("u{}", self.uploads.len());
                let (description, precondition) = (serde_json::from_str(body).unwrap(), target.precondition());
                let upload = Upload { name, description, precondition, content: String::new(), made: None };
                self.uploads.insert(id.clone(), upload);
                let place = format!("http://elsewhere.example{}&upload_id={id}", request.uri());
                Response::builder().header("location", place).body(String::new()).unwrap()
            }
            (&Method::PUT, "resumable") => self.chunk(request, &id, body, most),
            (&Method::DELETE, "resumable") => match self.uploads.remove(&id) {
                Some(_) => Response::builder().status(499).body(String::new()).unwrap(),
                None => service_error(404, "notFound", "Not Found"),
            },
            _ => service_error(400, "invalid", "no such upload"),
        }
    }

    fn chunk(&mut self, request: &Request<Bytes>, id: &str, body: &str, most: usize) -> Answer {
        let Some(upload) = self.uploads.get_mut(id) else { return service_error(404, "notFound", "Not Found") };
        if let Some(made) = &upload.made {
            return answer(200, made);
        }
        let range = request.headers()["content-range"].to_str().unwrap().strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        let total = total.parse::<usize>().ok();
        if let Some((first, last)) = range.split_once('-') {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let stored = upload.content.len();
            let whole = last + 1 - first == body.len() && first <= stored;
            if !whole || (total.is_none() && !body.len().is_multiple_of(CHUNK as usize)) {
                return service_error(400, "invalid", "Invalid request.");
            }
            // Bytes that are stored already are ignored.
            let new = &body[(stored - first).min(body.len())..];
            upload.content.push_str(&new[..new.len().min(most)]);
        }
        let stored = upload.content.len();
        if total != Some(stored) {
            let more = Response::builder().status(308);
            let more = if stored > 0 { more.header("range", format!("bytes=0-{}", stored - 1)) } else { more };
            return more.body(String::new()).unwrap();
        }
        let (name, content) = (upload.name.clone(), upload.content.clone());
        let (description, precondition) = (upload.description.clone(), upload.precondition);
        let written = self.write(&name, content, description, precondition);
        let made = written.status().is_success().then(|| serde_json::from_str(written.body()).unwrap());
        self.uploads.get_mut(id).unwrap().made = made;
        written
    }

    fn content(&self, request: &Request<Bytes>, name: &str) -> Answer {
        let xml = |status: u16, code: &str, message: &str| {
            let body = format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
            Response::builder().status(status).body(body).unwrap()
        };
        let Some(stored) = self.objects.get(name) else {
            return xml(404, "NoSuchKey", "The specified key does not exist.");
        };
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("accept-encoding"), Some("gzip"), "otherwise objects stored as gzip would be decompressed");
        if header("x-goog-if-generation-match")
            .is_some_and(|precondition| precondition != stored.generation.to_string())
        {
            return xml(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
        }
        let size = stored.content.len();
        let mut answer = Response::builder()
            .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            .header("etag", "\"the hash of the content\"")
            .header("x-goog-generation", stored.generation)
            .header("x-goog-storage-class", "STANDARD")
            .header("x-goog-stored-content-encoding", "identity")
            .header("cache-control", "private, max-age=0")
            .header("content-type", stored.description["contentType"].as_str().unwrap());
        for (name, value) in stored.description["metadata"].as_object().into_iter().flatten() {
            answer = answer.header(format!("x-goog-meta-{name}"), value.as_str().unwrap());
        }
        answer.header("content-length", size).body(stored.content.clone()).unwrap()
    }

    /// Copies in two steps.
    fn rewrite(&mut self, from: &str, to: &str, target: &Target) -> Answer {
        let Some(source) = self.objects.get(from).cloned() else { return absent(from) };
        if !self.meets(to, target.precondition()) {
            return precondition_failed();
        }
        if target.text("rewriteToken").is_empty() {
            return answer(200, &json!({"done": false, "rewriteToken": "the rest"}));
        }
        let written = self.write(to, source.content, source.description, target.precondition());
        let made: Value = serde_json::from_str(written.body()).unwrap();
        answer(200, &json!({"done": true, "resource": made}))
    }

    fn delete(&mut self, name: &str) -> Answer {
        match self.objects.remove(name) {
            Some(_) => Response::builder().status(204).body(String::new()).unwrap(),
            None => absent(name),
        }
    }
}

fn resource(name: &str, stored: &Stored) -> Value {
    json!({
        "name": name,
        "size": stored.content.len().to_string(),
        "generation": stored.generation.to_string(),
        "updated": "2026-01-01T00:00:00.123Z",
    })
}
