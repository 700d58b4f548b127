//! The requests that the double understands.

use std::collections::HashMap;

use axum::body::Body;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, HeaderName, LAST_MODIFIED, LOCATION, RANGE,
};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::store::{Object, Refused, Store, Wish};
use super::uploads::{Progress, Range};
use super::{Shared, auth};

type Answer = http::Result<Response<Body>>;

/// A request, read.
struct Asked<'a> {
    shared: &'a Shared,
    parts: Parts,
    body: Bytes,
    query: HashMap<String, String>,
}

pub(super) async fn handle(shared: &Shared, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answer = match body.collect().await {
        Ok(body) => {
            let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
            let query = query.into_owned().collect();
            Asked { shared, parts, body: body.to_bytes(), query }.answer()
        }
        Err(_) => Response::builder().status(400).body(Body::from("the request broke off")),
    };
    answer.unwrap_or_else(|_| Response::new(Body::from("the double has made no answer")))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn told(status: u16, body: &Value) -> Answer {
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
}

fn refused(status: u16, reason: &str, message: &str) -> Answer {
    told(status, &json!({"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}))
}

/// As the XML API says it.
fn refused_in_xml(status: u16, code: &str) -> Answer {
    let body =
        format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    Response::builder().status(status).header(CONTENT_TYPE, "application/xml").body(Body::from(body))
}

impl Refused {
    fn answer(self) -> Answer {
        match self {
            Self::NoBucket => refused(404, "notFound", "The specified bucket does not exist."),
            Self::NoObject => refused(404, "notFound", "No such object: of the double"),
            Self::Condition => {
                refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
            }
            Self::Invalid(why) => refused(400, "invalid", why),
        }
    }

    fn answer_in_xml(self) -> Answer {
        match self {
            Self::NoBucket => refused_in_xml(404, "NoSuchBucket"),
            Self::NoObject => refused_in_xml(404, "NoSuchKey"),
            Self::Condition => refused_in_xml(412, "PreconditionFailed"),
            Self::Invalid(_) => refused_in_xml(400, "InvalidArgument"),
        }
    }
}

impl Asked<'_> {
    fn answer(&self) -> Answer {
        let path = self.parts.uri.path();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let ["upload", "storage", "v1", "b", bucket, "o"] = segments[..] {
            // Whoever has the URL of a session may go on with it.
            return match (self.query.get("upload_id"), auth::check(self.shared, &self.parts)) {
                (Some(id), _) => self.session(id),
                (None, Ok(())) => self.insert(&decoded(bucket)),
                (None, Err((status, code))) => refused(status, code, "no token that is good"),
            };
        }
        if segments.first() == Some(&"storage") {
            return match auth::check(self.shared, &self.parts) {
                Ok(()) => self.json(&segments),
                Err((status, code)) => refused(status, code, "no token that is good"),
            };
        }
        let (bucket, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        match auth::check_content(self.shared, &self.parts) {
            Ok(()) => self.content(&decoded(bucket), &decoded(name)),
            Err((status, code)) => refused_in_xml(status, code),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn wanted(&self) -> Result<Option<i64>, Refused> {
        let number = |text: &String| text.parse().map_err(|_| Refused::Invalid("ifGenerationMatch is no number"));
        self.query.get("ifGenerationMatch").map(number).transpose()
    }

    fn insert(&self, bucket: &str) -> Answer {
        let mut store = self.shared.store.lock();
        let begun = match (&self.parts.method, self.text("uploadType")) {
            (&Method::POST, "multipart") => self.related().and_then(|(description, content)| {
                let name = self.name(&description);
                let written = store.write(bucket, &name, content, description, self.wanted()?)?;
                Ok(told(200, &written))
            }),
            (&Method::POST, "resumable") => store.bucket(bucket).map(drop).and_then(|()| {
                let description: Result<Value, _> = serde_json::from_slice(&self.body);
                let description = description.map_err(|_| Refused::Invalid("the description is no JSON"))?;
                let name = self.name(&description);
                let id = store.uploads.begin(bucket, &name, description, self.wanted()?);
                let place = format!("https://{}{}&upload_id={id}", self.shared.host, self.parts.uri);
                Ok(Response::builder().header(LOCATION, place).body(Body::empty()))
            }),
            _ => Err(Refused::Invalid("no such upload")),
        };
        begun.unwrap_or_else(Refused::answer)
    }

    /// Of an object that is uploaded: in the query, or in what describes it.
    fn name(&self, description: &Value) -> String {
        self.query.get("name").cloned().unwrap_or_else(|| description["name"].as_str().unwrap_or_default().to_owned())
    }

    /// The two parts of `multipart/related`: what describes the object, and its content.
    fn related(&self) -> Result<(Value, Bytes), Refused> {
        let wrong = || Refused::Invalid("no multipart body");
        let kind = self.header(&CONTENT_TYPE).unwrap_or_default();
        let boundary = kind.strip_prefix("multipart/related; boundary=").ok_or_else(wrong)?.trim_matches('"');
        let end = format!("\r\n--{boundary}--");
        let begin = format!("--{boundary}\r\n");
        let at = |text: &str, from: usize| find(&self.body, text.as_bytes(), from).ok_or_else(wrong);
        let described = at("\r\n\r\n", at(&begin, 0)?)? + 4;
        let next = at(&format!("\r\n{begin}"), described)?;
        let content = at("\r\n\r\n", next + 2)? + 4;
        // The content may hold anything, and the last boundary ends it.
        let last = self.body.windows(end.len()).rposition(|window| window == end.as_bytes()).ok_or_else(wrong)?;
        let description = serde_json::from_slice(self.body.get(described..next).unwrap_or_default());
        let mut description: Value = description.map_err(|_| wrong())?;
        if description["contentType"].is_null() {
            let head = String::from_utf8_lossy(self.body.get(next..content).unwrap_or_default()).to_lowercase();
            let kind = head.lines().find_map(|line| line.strip_prefix("content-type:"));
            description["contentType"] = json!(kind.unwrap_or("application/octet-stream").trim());
        }
        Ok((description, self.body.slice(content..last.max(content))))
    }

    fn session(&self, id: &str) -> Answer {
        let mut store = self.shared.store.lock();
        if self.parts.method == Method::DELETE {
            return match store.uploads.cancel(id) {
                true => Response::builder().status(499).body(Body::empty()),
                false => refused(404, "notFound", "Not Found"),
            };
        }
        let Some(range) = self.header(&CONTENT_RANGE).and_then(Range::read) else {
            return refused(400, "invalid", "no Content-Range");
        };
        let Some(upload) = store.uploads.get(id) else { return refused(404, "notFound", "Not Found") };
        if let Some(made) = &upload.made {
            return told(200, made);
        }
        match upload.take(range, &self.body) {
            Err(refusal) => refusal.answer(),
            Ok(Progress::Kept(kept)) => {
                let more = Response::builder().status(308);
                let more = if kept > 0 { more.header(RANGE, format!("bytes=0-{}", kept - 1)) } else { more };
                more.body(Body::empty())
            }
            Ok(Progress::Whole(content)) => {
                let (bucket, name) = (upload.bucket.clone(), upload.name.clone());
                let (description, wanted) = (upload.description.clone(), upload.wanted);
                match store.write(&bucket, &name, content, description, wanted) {
                    Err(refusal) => refusal.answer(),
                    Ok(made) => {
                        if let Some(upload) = store.uploads.get(id) {
                            upload.made = Some(made.clone());
                        }
                        told(200, &made)
                    }
                }
            }
        }
    }

    fn json(&self, segments: &[&str]) -> Answer {
        let mut store = self.shared.store.lock();
        let answer = match (&self.parts.method, segments) {
            (&Method::GET, ["storage", "v1", "b", bucket, "o"]) => self.list(&store, &decoded(bucket)),
            (&Method::GET, ["storage", "v1", "b", bucket, "o", name]) => {
                let (bucket, name) = (decoded(bucket), decoded(name));
                store.object(&bucket, &name).map(|object| told(200, &object.resource(&bucket, &name)))
            }
            (&Method::DELETE, ["storage", "v1", "b", bucket, "o", name]) => {
                let deleted = store.delete(&decoded(bucket), &decoded(name));
                deleted.map(|()| Response::builder().status(204).body(Body::empty()))
            }
            (&Method::POST, ["storage", "v1", "b", from, "o", name, "rewriteTo", "b", to, "o", copy]) => {
                self.rewrite(&mut store, (&decoded(from), &decoded(name)), (&decoded(to), &decoded(copy)))
            }
            _ => Err(Refused::Invalid("the double has no such method")),
        };
        answer.unwrap_or_else(Refused::answer)
    }

    fn list(&self, store: &Store, bucket: &str) -> Result<Answer, Refused> {
        let limit = self.query.get("maxResults").map_or(Ok(1_000), |text| text.parse());
        let wish = Wish {
            prefix: self.text("prefix").to_owned(),
            delimiter: self.text("delimiter").to_owned(),
            start: self.text("pageToken").max(self.text("startOffset")).to_owned(),
            limit: limit.map_err(|_| Refused::Invalid("maxResults is no number"))?.clamp(1, 1_000),
        };
        let page = store.list(bucket, &wish)?;
        let mut body = json!({"kind": "storage#objects", "items": page.items, "prefixes": page.prefixes});
        if let Some(next) = page.next {
            body["nextPageToken"] = json!(next);
        }
        Ok(told(200, &body))
    }

    /// In two steps, as between places that are far apart.
    fn rewrite(&self, store: &mut Store, from: (&str, &str), to: (&str, &str)) -> Result<Answer, Refused> {
        let Object { content, description, .. } = store.object(from.0, from.1)?.clone();
        store.holds(to.0, to.1, self.wanted()?)?;
        let size = content.len().to_string();
        let mut answer = json!({"kind": "storage#rewriteResponse", "objectSize": size, "totalBytesRewritten": size});
        answer["done"] = json!(!self.text("rewriteToken").is_empty());
        match self.text("rewriteToken").is_empty() {
            true => answer["rewriteToken"] = json!("the rest"),
            false => answer["resource"] = store.write(to.0, to.1, content, description, self.wanted()?)?,
        }
        Ok(told(200, &answer))
    }

    /// What the XML API has, and signed URLs.
    fn content(&self, bucket: &str, name: &str) -> Answer {
        let mut store = self.shared.store.lock();
        let answer = match self.parts.method {
            Method::GET | Method::HEAD => store.object(bucket, name).and_then(|object| self.read(object)),
            Method::PUT => {
                let kind = self.header(&CONTENT_TYPE).unwrap_or("application/octet-stream");
                let written = store.write(bucket, name, self.body.clone(), json!({"contentType": kind}), None);
                written.map(|_| Response::builder().body(Body::empty()))
            }
            _ => Err(Refused::Invalid("the double has no such method")),
        };
        answer.unwrap_or_else(Refused::answer_in_xml)
    }

    fn read(&self, object: &Object) -> Result<Answer, Refused> {
        let wanted = HeaderName::from_static("x-goog-if-generation-match");
        if self.header(&wanted).is_some_and(|wanted| wanted != object.generation.to_string()) {
            return Err(Refused::Condition);
        }
        let text = |name: &str| object.description[name].as_str();
        let packed = text("contentEncoding") == Some("gzip");
        if packed && !self.header(&ACCEPT_ENCODING).is_some_and(|taken| taken.contains("gzip")) {
            return Err(Refused::Invalid("the double does not unpack"));
        }
        let modified = DateTime::<Utc>::from(object.updated).format("%a, %d %b %Y %H:%M:%S GMT");
        let mut answer = Response::builder()
            .header(LAST_MODIFIED, modified.to_string())
            .header("etag", format!("\"{}\"", object.content.len()))
            .header("x-goog-generation", object.generation)
            .header("x-goog-storage-class", text("storageClass").unwrap_or("STANDARD"))
            .header("x-goog-stored-content-encoding", text("contentEncoding").unwrap_or("identity"))
            .header(CACHE_CONTROL, text("cacheControl").unwrap_or("private, max-age=0"))
            .header(CONTENT_TYPE, text("contentType").unwrap_or("application/octet-stream"));
        for (header, name) in [
            (CONTENT_DISPOSITION, "contentDisposition"),
            (CONTENT_ENCODING, "contentEncoding"),
            (CONTENT_LANGUAGE, "contentLanguage"),
        ] {
            answer = text(name).into_iter().fold(answer, |answer, value| answer.header(&header, value));
        }
        for (name, value) in object.description["metadata"].as_object().into_iter().flatten() {
            answer = answer.header(format!("x-goog-meta-{name}"), value.as_str().unwrap_or_default());
        }
        let size = object.content.len();
        let Some(range) = self.header(&RANGE).and_then(|range| bounds(range, size)) else {
            let body =
                if self.parts.method == Method::HEAD { Body::empty() } else { Body::from(object.content.clone()) };
            return Ok(answer.header(CONTENT_LENGTH, size).body(body));
        };
        if range.is_empty() {
            return Ok(refused_in_xml(416, "InvalidRange"));
        }
        let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        Ok(answer.status(206).header(CONTENT_RANGE, told).body(Body::from(object.content.slice(range))))
    }
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    Some(text.get(from..)?.windows(wanted.len()).position(|window| window == wanted)? + from)
}

/// Empty, where it cannot be satisfied. `None`, where it is no range.
fn bounds(range: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some(size.saturating_sub(last.parse().ok()?)..size);
    }
    let last = if last.is_empty() { usize::MAX } else { last.parse::<usize>().ok()? };
    let (first, end) = (first.parse::<usize>().ok()?, last.saturating_add(1).min(size));
    Some(first.min(end)..end)
}
